// Command sizes measures scripts as browsers get them: minified, and after gzip -9. It
// prints them in the format of Go's benchmarks. Those of others come from npm, which it
// asks by the npm command.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/evanw/esbuild/pkg/api"
	"github.com/seed4a306b22/keepalive"
)

// file is one of a package on npm.
type file struct {
	spec, path string
	minify     bool // it is published unminified only
}

var (
	jquery = []file{{spec: "jquery@3.6.1", path: "dist/jquery.min.js"}}
	react  = []file{
		{spec: "react@19.2.0", path: "cjs/react.production.js", minify: true},
		{spec: "react-dom@19.2.0", path: "cjs/react-dom.production.js", minify: true},
		{spec: "react-dom@19.2.0", path: "cjs/react-dom-client.production.js", minify: true},
		{spec: "scheduler@0.27.0", path: "cjs/scheduler.production.js", minify: true},
	}
)

// peers are those on npm, and what their pages need beside them.
var peers = []struct {
	script file
	needs  []file
}{
	{script: file{spec: "react-idle-timer@5.7.3", path: "dist/index.esm.mjs"}, needs: react},
	{script: file{spec: "jquery-sessiontimeout@1.1.0", path: "jquery.sessionTimeout.js", minify: true}, needs: jquery},
}

// others are not on npm. They were measured once, in the same way: WordPress 6.1.9 and
// Joomla as they are released, django-session-security with esbuild as it has no minified
// file. What they need includes jQuery 3.6.1, for Joomla its own core.js.
var others = []struct {
	name        string
	script, all int
}{
	{name: "WordPress@6.1.9", script: 2_799, all: 52_322},
	{name: "Joomla", script: 431, all: 3_589},
	{name: "django-session-security@2.6.6", script: 880, all: 31_710},
}

func main() {
	client := flag.String("client", "../client", "the folder of this library's scripts")
	flag.Parse()
	if err := run(os.Stdout, *client); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(w io.Writer, client string) error {
	own, err := filepath.Glob(filepath.Join(client, "*.min.js"))
	if err != nil {
		return err
	}
	for _, path := range own {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "BenchmarkScript/keepalive/%s 1 %d gzip-B\n", filepath.Base(path), zipped(data))
	}
	dialog, err := dialogResource()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "BenchmarkScript/keepalive/dialog 1 %d gzip-B\n", zipped(dialog))
	for _, p := range others {
		fmt.Fprintf(w, "BenchmarkScript/%s 1 %d gzip-B %d all-gzip-B\n", p.name, p.script, p.all)
	}
	for _, p := range peers {
		script, err := p.script.size()
		if err != nil {
			return fmt.Errorf("%s: %w", p.script.spec, err)
		}
		all := script
		for _, f := range p.needs {
			n, err := f.size()
			if err != nil {
				return fmt.Errorf("%s: %w", f.spec, err)
			}
			all += n
		}
		fmt.Fprintf(w, "BenchmarkScript/%s 1 %d gzip-B %d all-gzip-B\n", p.script.spec, script, all)
	}
	return nil
}

// dialogResource returns what pages load of the dialogs' words and look.
func dialogResource() ([]byte, error) {
	sm := scs.New()
	sm.IdleTimeout = 20 * time.Minute
	km, err := keepalive.New(sm, keepalive.Config{WarnBefore: time.Minute})
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	km.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, km.Path()+"dialog", nil))
	if w.Code != http.StatusOK {
		return nil, fmt.Errorf("dialog answers %d", w.Code)
	}
	return w.Body.Bytes(), nil
}

func zipped(data []byte) int {
	var out bytes.Buffer
	// Writes to a bytes.Buffer cannot fail, and the level is a valid one.
	zw, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	_, _ = zw.Write(data)
	_ = zw.Close()
	return out.Len()
}

// size fetches the package and returns the size of the file.
func (f file) size() (int, error) {
	dir, err := os.MkdirTemp("", "sizes-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("npm", "pack", "--silent", "--pack-destination", dir, f.spec).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("npm pack: %w\n%s", err, out)
	}
	tarballs, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(tarballs) != 1 {
		return 0, errors.Join(err, fmt.Errorf("npm pack left %d files", len(tarballs)))
	}
	data, err := extract(tarballs[0], "package/"+f.path)
	if err != nil || !f.minify {
		return zipped(data), err
	}
	small := api.Transform(string(data), api.TransformOptions{MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true})
	if len(small.Errors) > 0 {
		return 0, errors.New(small.Errors[0].Text)
	}
	return zipped(small.Code), nil
}

func extract(tarball, name string) ([]byte, error) {
	f, err := os.Open(tarball)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	for tr := tar.NewReader(zr); ; {
		header, err := tr.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if header.Name == name {
			return io.ReadAll(tr)
		}
	}
}
