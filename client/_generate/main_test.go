package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxGzipped is what the script may cost a page at most.
const maxGzipped = 3500

func TestMinifiedIsCurrent(t *testing.T) {
	for path, drop := range outputs {
		want, err := minify([]byte(variants(t)["source"]), drop)
		require.NoError(t, err)
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s is not what keepalive.js gives: run \"go run .\" in client/_generate", path)
	}
}

func TestSize(t *testing.T) {
	size, err := gzipSize([]byte(variants(t)["minified"]))
	require.NoError(t, err)
	t.Logf("keepalive.min.js: %d bytes gzipped", size)
	require.LessOrEqual(t, size, maxGzipped)
}

// A page under a strict policy must be able to run the script, and the back/forward cache must be able to keep the page.
func TestAvoids(t *testing.T) {
	for path := range outputs {
		script, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, word := range []string{"innerHTML", "eval(", "Function(", "Worker", "unload", ".style", "headers:"} {
			require.NotContains(t, string(script), word)
		}
	}
}

// variants returns the script as written and as served. Each behaviour is tested on both.
func variants(t *testing.T) map[string]string {
	t.Helper()
	scripts := map[string]string{}
	for name, path := range map[string]string{"source": sourcePath, "minified": "../keepalive.min.js"} {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		scripts[name] = string(b)
	}
	return scripts
}
