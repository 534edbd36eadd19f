// Command instructions counts what the root's benchmarks of a page with a session
// execute, client included, and prints that in the format of Go's benchmarks. valgrind
// counts the same on a busy machine as on an idle one.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// counted are the benchmarks.
var counted = []string{
	"Response/1KB/browser/bare", "Response/1KB/browser/Inject",
	"Response/2KB/browser/bare", "Response/2KB/browser/Inject",
	"Response/1KB/Write/bare", "Response/1KB/Write/Inject",
	"Response/2KB/JSON/bare", "Response/2KB/JSON/Inject",
	"Session/read/bare", "Session/read/LoadAndSave", "Session/unused/LoadAndSave", "Session/read/scs",
}

func main() {
	root := flag.String("root", "..", "the folder of the root module")
	flag.Parse()
	if err := run(os.Stdout, *root); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(w io.Writer, root string) error {
	dir, err := os.MkdirTemp("", "instructions-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench")
	build := exec.Command("go", "test", "-c", "-tags", "valgrind", "-o", binary, ".")
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	for _, name := range counted {
		few, err := count(binary, name, 300)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		many, err := count(binary, name, 1300)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(w, "Benchmark%s 1000 %.0f instructions/op\n", name, float64(many-few)/1000)
	}
	return nil
}

var total = regexp.MustCompile(`I\s+refs:\s+([0-9,]+)`)

// count returns the instructions of a whole run of n operations.
func count(binary, name string, n int) (int, error) {
	cmd := exec.Command("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null",
		binary, "-test.run", "^$", "-test.bench", "^Benchmark"+strings.ReplaceAll(name, "/", "$/^")+"$", "-test.benchtime", strconv.Itoa(n)+"x")
	cmd.Env = append(os.Environ(), "GOGC=off", "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	m := total.FindSubmatch(out)
	if err != nil || m == nil {
		return 0, fmt.Errorf("valgrind: %w\n%s", err, out)
	}
	return strconv.Atoi(strings.ReplaceAll(string(m[1]), ",", ""))
}
