package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the scripts may cost a page at most, in bytes after gzip -9.
const (
	// What all pages load: 3,500, and a tenth more for spreading what follows an outage over all pages.
	maxScript   = 3850
	maxExtras   = 1000 // what they load a moment later
	maxDialogs  = 3300 // what pages that show a dialog load besides: 3,000, and a tenth more for the input that presses no key
	maxAfter    = 1000 // what pages with BlankPage or OpenLogin load at the end
	maxPresence = 700  // what presence.min.js has more
)

func TestCommittedScriptsAreCurrent(t *testing.T) {
	for _, b := range bundles {
		t.Run(b.file, func(t *testing.T) {
			code, err := build(b)
			require.NoError(t, err)
			require.Equal(t, string(code), committed(t, b.file), "this is not what client/src gives: run \"go run .\" in client/_generate")
		})
	}
}

// Everybody gets the same bytes, wherever the repository lies.
func TestScriptsNameNoFolder(t *testing.T) {
	dir, err := filepath.Abs(clientDir)
	require.NoError(t, err)
	for _, b := range bundles {
		require.NotContains(t, committed(t, b.file), dir)
	}
}

func TestSize(t *testing.T) {
	script := gzipped(t, committed(t, "keepalive.min.js"))
	sizes := []struct {
		name       string
		size, most int
	}{
		{"script", script, maxScript},
		{"extras", gzipped(t, committed(t, "extras.min.js")), maxExtras},
		{"dialogs", gzipped(t, committed(t, "dialog.min.js")), maxDialogs},
		{"after", gzipped(t, committed(t, "after.min.js")), maxAfter},
		{"presence", gzipped(t, committed(t, "presence.min.js")) - script, maxPresence},
	}
	for _, s := range sizes {
		t.Logf("%s: %d bytes", s.name, s.size)
		require.Positive(t, s.size, s.name)
		require.LessOrEqual(t, s.size, s.most, s.name)
	}
}

// A page under a strict policy must be able to run the script, and the back/forward cache must be able to keep the page.
func TestAvoids(t *testing.T) {
	for _, b := range bundles {
		for _, word := range []string{"innerHTML", "eval(", "Function(", "Worker", "unload", "cssText", "headers:", "__DEBUG__", "__PRESENCE__"} {
			require.NotContains(t, committed(t, b.file), word, b.file)
		}
	}
}

// What a script is not to have, the bundler has left out.
func TestUnusedPartsAreLeftOut(t *testing.T) {
	tests := []struct {
		file            string
		debug, presence bool
	}{
		{file: "keepalive.min.js"},
		{file: "presence.min.js", presence: true},
		{file: "keepalive.debug.js", debug: true, presence: true},
		{file: "dialog.min.js"},
		{file: "after.min.js"},
		{file: "extras.min.js"},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			require.Equal(t, test.debug, contains(t, test.file, "console.debug"))
			require.Equal(t, test.debug, contains(t, test.file, "the time drawn for the next ping"))
			require.Equal(t, test.presence, contains(t, test.file, "sendBeacon"))
			require.Equal(t, test.file == "dialog.min.js", contains(t, test.file, "showModal"))
			require.Equal(t, test.file == "extras.min.js", contains(t, test.file, "PerformanceObserver"))
		})
	}
}

func contains(t *testing.T, file, text string) bool {
	t.Helper()
	return strings.Contains(committed(t, file), text)
}

func committed(t *testing.T, file string) string {
	t.Helper()
	code, err := os.ReadFile(filepath.Join(clientDir, file))
	require.NoError(t, err)
	return string(code)
}

func gzipped(t *testing.T, code string) int {
	t.Helper()
	size, err := gzipSize([]byte(code))
	require.NoError(t, err)
	return size
}

// variants returns the scripts as served, readable and minified. Each behaviour is tested on both.
func variants(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"debug":    committed(t, "keepalive.debug.js"),
		"minified": committed(t, "keepalive.min.js"),
	}
}
