package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
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

// What was verified is kept, and nothing else.
func TestFetch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	cached := filepath.Join(dir, HTMX+"-"+HTMXVersion+".tgz")
	_, err := fetch(dir, HTMX, HTMXVersion, "sha512-wrong")
	require.ErrorContains(t, err, "want sha512-wrong")
	require.NoFileExists(t, cached, "what is wrong is not kept")

	tarball, err := fetch(dir, HTMX, HTMXVersion, HTMXIntegrity)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cached, tarball[:9], 0o600))
	data, err := fetch(dir, HTMX, HTMXVersion, HTMXIntegrity)
	require.NoError(t, err)
	require.Equal(t, tarball, data, "a damaged cache is replaced")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{cached}, files)

	t.Setenv("PATH", "") // without npm
	data, err = fetch(dir, HTMX, HTMXVersion, HTMXIntegrity)
	require.NoError(t, err)
	require.Equal(t, tarball, data, "out of the cache")
	_, err = fetch(dir, HTMX, "0.0.0-none", HTMXIntegrity)
	require.ErrorContains(t, err, "the tests need npm's registry once, or the file "+filepath.Join(dir, HTMX+"-0.0.0-none.tgz"))
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
