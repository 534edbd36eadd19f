// Command generate minifies keepalive.js, once without and once with what package presence needs.
//
// Run it in its own folder with "go run ." after each change of ../keepalive.js, and then "go test -count=1 .": the go
// command does not see that files outside the module have changed, and would show the last result again. It is a module
// of its own so that esbuild and goja stay out of the library's requirements.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"

	"github.com/evanw/esbuild/pkg/api"
)

const sourcePath = "../keepalive.js"

// outputs are the files to make, and the labelled statements that each goes without.
var outputs = map[string][]string{
	"../keepalive.min.js": {"DEBUG", "PRESENCE"},
	"../presence.min.js":  {"DEBUG"},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	source, err := os.ReadFile(sourcePath)
	if err != nil {
		return err
	}
	for path, drop := range outputs {
		minified, err := minify(source, drop)
		if err != nil {
			return err
		}
		size, err := gzipSize(minified)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d bytes, %d gzipped\n", path, len(minified), size)
		if err := os.WriteFile(path, minified, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// minify leaves property names alone: the shared record and plan's result are read by other tabs, with other versions
// of the script, and by the tests.
func minify(source []byte, drop []string) ([]byte, error) {
	result := api.Transform(string(source), api.TransformOptions{
		Loader:            api.LoaderJS,
		Target:            api.ES2020,
		Charset:           api.CharsetUTF8,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		DropLabels:        drop,
	})
	if len(result.Errors) > 0 {
		e := result.Errors[0]
		if e.Location == nil {
			return nil, fmt.Errorf("%s: %s", sourcePath, e.Text)
		}
		return nil, fmt.Errorf("%s:%d: %s", sourcePath, e.Location.Line, e.Text)
	}
	return result.Code, nil
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
