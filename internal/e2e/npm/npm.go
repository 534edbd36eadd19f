// Package npm fetches the JavaScript libraries of others that the browser tests
// use. They are test data: downloaded, verified and cached, never committed.
package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The packages that are used here, each with the file that pages load and with
// what `npm view NAME@VERSION dist.integrity` says. The examples name the same
// versions of Turbo and htmx.
const (
	Turbo          = "@hotwired/turbo"
	TurboVersion   = "8.0.23"
	TurboIntegrity = "sha512-GZ7cijxEZ6Ig71u7rD6LHaRv/wcE/hNsc+nEfiWOkLNqUgLOwo5MNGWOy5ZV9ZUDSiQx1no7YxjTNnT4O6//cQ=="
	TurboPath      = "dist/turbo.es2017-umd.js"

	HTMX          = "htmx.org"
	HTMXVersion   = "2.0.11"
	HTMXIntegrity = "sha512-Thx/WtpeOQqSrqBCw/A1cwGJGg4UrVa3+sW0GmrM3p4gJgO89ecH4qtbnyzDDWFvBTqjnIMCgELTNt636dtamA=="
	HTMXPath      = "dist/htmx.min.js"

	Axe          = "axe-core"
	AxeVersion   = "4.14.1"
	AxeIntegrity = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
	AxePath      = "axe.min.js"

	TinyMCE          = "tinymce"
	TinyMCEVersion   = "8.9.2"
	TinyMCEIntegrity = "sha512-Qh6ADSC0x1F/KsrupfResNJFAaINJQBtfVjx5zxxWJ0ZrGtaKldtAXDMI6uEA57s2n+0rEtXmtbitiU4zV7+0Q=="
)

// maxFile bounds what is read of a file in a package.
const maxFile = 64 << 20

// File returns one file of an npm package. npm downloads the package, unless the
// user's cache directory has it. The test fails if its bytes are not those that
// integrity names, "sha512-" and the hash in base64. name is a path as below
// node_modules/pkg.
func File(t testing.TB, pkg, version, name, integrity string) []byte {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = t.TempDir() // no home: what is downloaded serves this test only
	}
	tarball, err := fetch(filepath.Join(dir, "keepalive-npm"), pkg, version, integrity)
	if err != nil {
		t.Fatalf("npm: %s@%s: %v", pkg, version, err)
	}
	data, err := extract(tarball, name)
	if err != nil {
		t.Fatalf("npm: %s@%s: %v", pkg, version, err)
	}
	return data
}

// fetch returns a package's tarball, whose hash has been verified, wherever it
// came from.
func fetch(dir, pkg, version, integrity string) ([]byte, error) {
	cached := filepath.Join(dir, strings.ReplaceAll(pkg, "/", "+")+"-"+version+".tgz")
	if data, err := os.ReadFile(cached); err == nil && verify(data, integrity) == nil {
		return data, nil
	}
	data, err := download(pkg + "@" + version)
	if err != nil {
		return nil, fmt.Errorf("%w; the tests need npm's registry once, or the file %s", err, cached)
	}
	if err := verify(data, integrity); err != nil {
		return nil, err
	}
	if err := save(cached, data); err != nil {
		return nil, fmt.Errorf("the cache can't be written: %w", err)
	}
	return data, nil
}

// download returns the tarball that npm finds for a package, in the registry that
// it is configured for.
func download(spec string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "keepalive-npm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var log bytes.Buffer
	cmd := exec.Command("npm", "pack", spec, "--silent", "--pack-destination", dir)
	cmd.Stderr = &log
	name, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("npm pack %s: %w: %s", spec, err, log.String())
	}
	return os.ReadFile(filepath.Join(dir, strings.TrimSpace(string(name))))
}

func verify(data []byte, integrity string) error {
	sum := sha512.Sum512(data)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != integrity {
		return fmt.Errorf("integrity is %s, want %s", got, integrity)
	}
	return nil
}

// save writes under another name first, because the tests of several packages run
// at the same time.
func save(name string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// extract returns one file of a tarball, in which all lie below one folder of any
// name.
func extract(tarball []byte, name string) ([]byte, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	files := tar.NewReader(zipped)
	for {
		header, err := files.Next()
		if err == io.EOF {
			return nil, fmt.Errorf("there is no file %s in the package", name)
		}
		if err != nil {
			return nil, err
		}
		if _, rest, _ := strings.Cut(header.Name, "/"); header.Typeflag == tar.TypeReg && rest == name {
			return io.ReadAll(io.LimitReader(files, maxFile))
		}
	}
}
