package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"unsafe"

	"github.com/dop251/goja"
	"github.com/evanw/esbuild/pkg/api"
)

// querySize is QUERY of planner.js.
const querySize = 15

// config is the part of the page's configuration that plan reads. Times are in ms.
type config struct {
	idle, warn float64
}

// planner lets the real plan() decide for many pages at once. The steps take the
// place of the queries.
type planner interface {
	plan(numbers []float64) error
	close() error
}

// newPlanner returns a planner that runs in Node.js, which is a hundred times
// faster than goja, or in goja where there is no Node.js.
func newPlanner(c config) (planner, error) {
	if node, err := exec.LookPath("node"); err == nil {
		return newNodePlanner(node, c)
	}
	return newGojaPlanner(c)
}

// bundle returns planner.js with the modules that it imports.
func bundle(options api.BuildOptions) (string, error) {
	_, here, _, _ := runtime.Caller(0)
	options.EntryPoints = []string{"planner.js"}
	options.AbsWorkingDir = filepath.Dir(here)
	options.Bundle = true
	options.Define = map[string]string{"__DEBUG__": "false", "__PRESENCE__": "false"}
	result := api.Build(options)
	if len(result.Errors) > 0 {
		return "", fmt.Errorf("esbuild: %s", result.Errors[0].Text)
	}
	return string(result.OutputFiles[0].Contents), nil
}

func (c config) script() string {
	return fmt.Sprintf("({idle: %v, warn: %v, max: NaN})", c.idle, c.warn)
}

// bytesOf returns the memory of numbers.
func bytesOf(numbers []float64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(numbers))), len(numbers)*8)
}

type gojaPlanner struct {
	vm      *goja.Runtime
	planAll goja.Callable
	config  goja.Value
}

func newGojaPlanner(c config) (planner, error) {
	code, err := bundle(api.BuildOptions{Format: api.FormatIIFE, GlobalName: "planner", Target: api.ES2020})
	if err != nil {
		return nil, err
	}
	vm := goja.New()
	if _, err := vm.RunString(code); err != nil {
		return nil, err
	}
	value, err := vm.RunString(c.script())
	if err != nil {
		return nil, err
	}
	planAll, _ := goja.AssertFunction(vm.Get("planner").ToObject(vm).Get("planAll"))
	return &gojaPlanner{vm, planAll, value}, nil
}

func (p *gojaPlanner) plan(numbers []float64) error {
	array, err := p.vm.New(p.vm.Get("Float64Array"), p.vm.ToValue(p.vm.NewArrayBuffer(bytesOf(numbers))))
	if err != nil {
		return err
	}
	_, err = p.planAll(goja.Undefined(), array, p.config)
	return err
}

func (*gojaPlanner) close() error { return nil }

// serve reads a count and so many numbers, and writes them back with the steps in
// them, until its input ends.
const serve = `
import { readSync, writeSync } from 'node:fs';
const read = (numbers) => {
	const bytes = new Uint8Array(numbers.buffer);
	for (let n = 0; n < bytes.length; ) {
		const got = readSync(0, bytes, n, bytes.length - n, null);
		if (!got) process.exit();
		n += got;
	}
	return numbers;
};
for (;;) {
	const numbers = read(new Float64Array(read(new Float64Array(1))[0]));
	planAll(numbers, config);
	const bytes = new Uint8Array(numbers.buffer);
	for (let n = 0; n < bytes.length; ) n += writeSync(1, bytes, n);
}
`

type nodePlanner struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

func newNodePlanner(node string, c config) (planner, error) {
	code, err := bundle(api.BuildOptions{Format: api.FormatESModule})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(node, "--input-type=module", "--eval", code+"const config = "+c.script()+";"+serve)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &nodePlanner{cmd, in, out}, cmd.Start()
}

func (p *nodePlanner) plan(numbers []float64) error {
	if _, err := p.in.Write(bytesOf([]float64{float64(len(numbers))})); err != nil {
		return err
	}
	if _, err := p.in.Write(bytesOf(numbers)); err != nil {
		return err
	}
	_, err := io.ReadFull(p.out, bytesOf(numbers))
	return err
}

func (p *nodePlanner) close() error {
	if err := p.in.Close(); err != nil {
		return err
	}
	return p.cmd.Wait()
}
