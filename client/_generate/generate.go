// Command generate bundles the modules of client/src into the scripts that the library serves.
//
// Run it in its own folder with "go run ." after each change there, and then "go test -count=1 .": the go command does
// not see that files outside the module have changed, and would show the last result again. It is a module of its own so
// that esbuild and goja stay out of the library's requirements.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/evanw/esbuild/pkg/api"
)

// clientDir holds the source and what is made of it.
const clientDir = ".."

// debugBanner is there because esbuild drops comments.
const debugBanner = `// The readable keepalive script, which logs each decision. It is generated: client/src has the modules and their comments.`

// bundle is a script to make.
type bundle struct {
	file     string // below clientDir
	entry    string // the module that starts it, below clientDir
	module   bool   // exports what its entry does; the others are classic scripts
	debug    bool   // logs each decision, and is readable
	presence bool   // reports the page to package presence
}

var bundles = []bundle{
	{file: "keepalive.min.js", entry: "src/main.js"},
	{file: "presence.min.js", entry: "src/main.js", presence: true},
	{file: "keepalive.debug.js", entry: "src/main.js", debug: true, presence: true},
	{file: "dialog.min.js", entry: "src/dialog.js", module: true},
	{file: "after.min.js", entry: "src/after.js", module: true},
	{file: "extras.min.js", entry: "src/extras.js", module: true},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	for _, b := range bundles {
		code, err := build(b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.file, err)
		}
		size, err := gzipSize(code)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d bytes, %d gzipped\n", b.file, len(code), size)
		if err := os.WriteFile(filepath.Join(clientDir, b.file), code, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// build makes one script of the modules.
func build(b bundle) ([]byte, error) {
	options := buildOptions(b)
	if b.debug {
		options.Banner = map[string]string{"js": debugBanner}
	} else {
		minify(&options)
	}
	return bundleModule(options)
}

func minify(options *api.BuildOptions) {
	options.MinifyWhitespace = true
	options.MinifyIdentifiers = true
	options.MinifySyntax = true
}

// buildOptions is what all bundles have in common. __DEBUG__ and __PRESENCE__ are constants in them, so that esbuild
// leaves out what is only reached with the other value.
func buildOptions(b bundle) api.BuildOptions {
	format := api.FormatIIFE
	if b.module {
		format = api.FormatESModule
	}
	return api.BuildOptions{
		EntryPoints: []string{b.entry},
		Bundle:      true,
		Format:      format,
		Target:      api.ES2020,
		Charset:     api.CharsetUTF8,
		TreeShaking: api.TreeShakingTrue,
		Define: map[string]string{
			"__DEBUG__":    strconv.FormatBool(b.debug),
			"__PRESENCE__": strconv.FormatBool(b.presence),
		},
	}
}

func bundleModule(options api.BuildOptions) ([]byte, error) {
	// esbuild names the modules in comments by their paths below this folder, and it wants an absolute one.
	dir, err := filepath.Abs(clientDir)
	if err != nil {
		return nil, err
	}
	options.AbsWorkingDir = dir
	result := api.Build(options)
	if len(result.Errors) > 0 {
		e := result.Errors[0]
		if e.Location == nil {
			return nil, fmt.Errorf("esbuild: %s", e.Text)
		}
		return nil, fmt.Errorf("esbuild: %s:%d: %s", e.Location.File, e.Location.Line, e.Text)
	}
	return result.OutputFiles[0].Contents, nil
}

func gzipSize(b []byte) (int, error) {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	if _, err := w.Write(b); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return buf.Len(), nil
}
