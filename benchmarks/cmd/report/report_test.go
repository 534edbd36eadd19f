package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const runs = `goos: linux
BenchmarkPing/200B/LoadAndSave-2   1000   1000 ns/op   0 B/op   5 allocs/op
BenchmarkPing/200B/scs-2   1000   10000 ns/op   0 B/op   232 allocs/op
BenchmarkPing/200B/LoadAndSave-2   1000   3000 ns/op   0 B/op   5 allocs/op
BenchmarkPing/200B/scs-2   1000   20000 ns/op   0 B/op   232 allocs/op
BenchmarkPing/200B/LoadAndSave-2   1000   2000 ns/op   0 B/op   5 allocs/op
BenchmarkPing/200B/scs-2   1000   40000 ns/op   0 B/op   232 allocs/op
BenchmarkHour/https1/kept 50 1400000 ns/op
BenchmarkHour/https1/resumed 50 14000000 ns/op
BenchmarkHour/https1/full 50 16800000 ns/op
`

// pageOf returns a page with a place for each table.
func pageOf(content string) string {
	var b strings.Builder
	for name := range sections {
		b.WriteString("Before " + name + ".\n\n<!-- bench: " + name + " -->\n" + content + "<!-- /bench -->\n\nAfter.\n")
	}
	return b.String()
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	file, page := filepath.Join(dir, "runs.txt"), filepath.Join(dir, "page.md")
	require.NoError(t, os.WriteFile(file, []byte(runs), 0o600))
	require.NoError(t, os.WriteFile(page, []byte(pageOf("\nold\n\n")), 0o600))
	for range 2 { // what it has written it finds again
		require.NoError(t, report(dir, []string{file}))
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		// The time is the median, the ratio that of the runs' ratios: 0.10, 0.15 and 0.05.
		require.Contains(t, string(text), "<!-- bench: ping -->\n\n| session | keepalive | scs | ratio of the times |\n|---|---|---|---|\n"+
			"| 0.2 KB | 2 µs, 5 allocations | 20 µs, 232 allocations | 0.10 |\n\n<!-- /bench -->\n\nAfter.\n")
		require.Contains(t, string(text), "| HTTP/1.1 with TLS | 1 (1.4 ms) | 10 | 12 |\n")
		require.Contains(t, string(text), "<!-- bench: stores -->\n\nold\n\n<!-- /bench -->", "no figures")
	}
	svg, err := os.ReadFile(filepath.Join(dir, "connections.svg"))
	require.NoError(t, err)
	require.Contains(t, string(svg), "HTTP/1.1 with TLS: kept 1.0, new, resumed 10, new 12.")
	require.NoFileExists(t, filepath.Join(dir, "costs.svg"))
}

func TestReportRefuses(t *testing.T) {
	tests := []struct{ name, page, want string }{
		{name: "a table that nothing makes", page: pageOf("") + "<!-- bench: other -->\n<!-- /bench -->\n", want: "nothing makes other"},
		{name: "a table without a place", page: strings.Replace(pageOf(""), "<!-- bench: load -->", "", 1), want: "no page has a place for load"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "page.md"), []byte(tt.page), 0o600))
			require.ErrorContains(t, report(dir, nil), tt.want)
		})
	}
}

func TestDocsHaveAPlaceForEachTable(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("../../../docs")))
	require.NoError(t, report(dir, nil))
}
