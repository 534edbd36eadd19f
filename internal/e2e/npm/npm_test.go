package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The real packages. The second time they come out of the cache.
func TestFile(t *testing.T) {
	tests := []struct{ name, version, integrity, path, start string }{
		{Turbo, TurboVersion, TurboIntegrity, TurboPath, "/*!\nTurbo " + TurboVersion},
		{HTMX, HTMXVersion, HTMXIntegrity, HTMXPath, "var htmx="},
		{Axe, AxeVersion, AxeIntegrity, AxePath, "/*! axe v" + AxeVersion},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for range 2 {
				data := File(t, test.name, test.version, test.path, test.integrity)
				require.Equal(t, test.start, string(data[:len(test.start)]))
			}
		})
	}
}

func TestFetch(t *testing.T) {
	tarball := pack(t, map[string]string{"package/dist/a.js": "let a", "package/package.json": "{}"})
	var requests []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, r.URL.Path)
		if r.URL.Path == "/@scope/name/-/name-1.2.3.tgz" {
			_, _ = w.Write(tarball)
			return
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "cache")
	cached := filepath.Join(dir, "@scope+name-1.2.3.tgz")

	_, err := fetch(server.URL, dir, "@scope/name", "1.2.3", "sha512-wrong")
	require.ErrorContains(t, err, "want sha512-wrong")
	require.NoFileExists(t, cached, "what is wrong is not kept")

	requests = nil
	for range 2 {
		data, err := fetch(server.URL, dir, "@scope/name", "1.2.3", sum(tarball))
		require.NoError(t, err)
		require.Equal(t, tarball, data)
	}
	require.Equal(t, []string{"/@scope/name/-/name-1.2.3.tgz"}, requests, "the second one is cached")

	require.NoError(t, os.WriteFile(cached, tarball[:9], 0o600))
	data, err := fetch(server.URL, dir, "@scope/name", "1.2.3", sum(tarball))
	require.NoError(t, err)
	require.Equal(t, tarball, data)
	require.Len(t, requests, 2, "a damaged cache is replaced")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{cached}, files)

	_, err = fetch(server.URL, dir, "@scope/name", "9.9.9", sum(tarball))
	require.ErrorContains(t, err, "answered 404 Not Found; the tests need the npm registry once")
	server.Close()
	_, err = fetch(server.URL, dir, "@scope/name", "9.9.9", sum(tarball))
	require.ErrorContains(t, err, "the tests need the npm registry once, or the file "+filepath.Join(dir, "@scope+name-9.9.9.tgz"))
}

func TestExtract(t *testing.T) {
	tarball := pack(t, map[string]string{"any/dist/a.js": "let a", "any/a.js": "let b"})
	data, err := extract(tarball, "dist/a.js")
	require.NoError(t, err)
	require.Equal(t, "let a", string(data))
	_, err = extract(tarball, "js")
	require.ErrorContains(t, err, "no file js")
	_, err = extract(tarball[:len(tarball)-20], "none")
	require.Error(t, err)
	_, err = extract([]byte("<html>"), "dist/a.js")
	require.Error(t, err)
}

func pack(t *testing.T, files map[string]string) []byte {
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	for name, content := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	return b.Bytes()
}

func sum(data []byte) string {
	h := sha512.Sum512(data)
	return "sha512-" + base64.StdEncoding.EncodeToString(h[:])
}
