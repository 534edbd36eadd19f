package main

import (
	"encoding/xml"
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

func TestTables(t *testing.T) {
	tests := []struct{ name, table, runs, want, plot string }{
		{
			name: "stores with a wire", table: "stores",
			runs: "BenchmarkStores/Redis/0.2KB/handmade-2 1 118000 ns/op 2 trips/op 600 out-B/op 310 in-B/op\n" +
				"BenchmarkStores/Redis/0.2KB/ping-2 1 59000 ns/op 1 trips/op 150 out-B/op 48 in-B/op\n" +
				"BenchmarkStores/Redis/0.2KB/floor-2 1 50000 ns/op 1 trips/op 1 out-B/op 1 in-B/op\n" +
				"BenchmarkStores/Redis/0.2KB/scs-page-2 1 100000 ns/op 2 trips/op 600 out-B/op 310 in-B/op\n" +
				"BenchmarkStores/Redis/0.2KB/page-2 1 50000 ns/op 1 trips/op 400 out-B/op 42 in-B/op\n",
			want: "| Redis 0.2 KB | 118 µs | 59 µs | 0.50 | 50 µs | 1.18 | 910 → 198 | 100 µs | 50 µs | 0.50 | 910 → 442 |\n",
			plot: "Redis 0.2 KB: bare statement 50, keepalive 59, scs 118.",
		},
		{
			name: "a store with two drivers", table: "stores",
			runs: "BenchmarkStores/SQLite/mattn/64KB/handmade-2 1 4000000 ns/op\nBenchmarkStores/SQLite/mattn/64KB/ping-2 1 400000 ns/op\n",
			want: "| SQLite (mattn) 64 KB | 4.0 ms | 400 µs | 0.10 |",
		},
		{
			name: "many sessions", table: "many",
			runs: "BenchmarkMany/Redis/1000-2 1 18000 ns/op 1 trips/op 27249 pings/s/core 1800 heap-B/session\n" +
				"BenchmarkMany/Redis/1000000-2 1 19000 ns/op 1 trips/op 26100 pings/s/core 6.8 heap-B/session\n",
			want: "|  | 1,000 sessions | 1,000,000 |\n|---|---|---|\n| Redis, time per ping | 18 µs | 19 µs |\n| round trips per ping | 1.00 | 1.00 |\n" +
				"| pings per second and core, server included | 27,200 | 26,100 |\n| heap of both instances, all sessions | 1.8 MB | 6.8 MB |\n",
		},
		{
			name: "pages", table: "pages",
			runs: "BenchmarkResponse/2KB/Write/bare-2 1 100 ns/op\nBenchmarkResponse/2KB/Write/Inject-2 1 110 ns/op\n" +
				"BenchmarkResponse/2KB/chunks/bare-2 1 100 ns/op\nBenchmarkResponse/2KB/chunks/Inject-2 1 120 ns/op\n" +
				"BenchmarkResponse/2KB/ServeContent/bare-2 1 100 ns/op\nBenchmarkResponse/2KB/ServeContent/Inject-2 1 90 ns/op\n",
			want: "| 2 KB | 1.10 | 1.20 | 0.90 |\n",
		},
		{
			name: "ways to insert", table: "inject",
			runs: "BenchmarkInject/20KB/plain/bare-2 1 1 ns/op 100 cpu-ns/op 2000 B/op 20 allocs/op\n" +
				"BenchmarkInject/20KB/plain/parse-2 1 1 ns/op 2200 cpu-ns/op 330000 B/op 6500 allocs/op\n",
			want: "| × 22 |\n|  | memory | + 0 B | + 0 B | + 0 B | + 328 KB |\n|  | allocations | + 0 | + 0 | + 0 | + 6,480 |\n",
		},
		{
			name: "a page with a session", table: "session",
			runs: "BenchmarkSession/read/bare-2 1 1 ns/op 3033 B/op 31 allocs/op\nBenchmarkSession/read/LoadAndSave-2 1 1 ns/op 6251 B/op 60 allocs/op\n" +
				"BenchmarkSession/unused/LoadAndSave-2 1 1 ns/op 5610 B/op 43 allocs/op\nBenchmarkSession/read/scs-2 1 1 ns/op 15728 B/op 298 allocs/op\n" +
				"BenchmarkSession/read/bare 1 66963 instructions/op\nBenchmarkSession/read/LoadAndSave 1 104326 instructions/op\n" +
				"BenchmarkSession/unused/LoadAndSave 1 96159 instructions/op\nBenchmarkSession/read/scs 1 288338 instructions/op\n",
			want: "| allocations | 31 | 60 | 43 | 298 |\n| memory | 3.0 KB | 6.3 KB | 5.6 KB | 16 KB |\n" +
				"| instructions, client included | 67,000 | 104,000 | 96,200 | 288,000 |\n| of the bare handler | 1.00 | 1.56 | 1.44 | 4.31 |\n",
			plot: "Allocations. bare handler: 31; keepalive, a value is read: 60; keepalive, nothing is read: 43; scs: 298.",
		},
		{
			name: "sizes of scripts", table: "sizes",
			runs: "BenchmarkScript/keepalive/keepalive.min.js 1 3849 gzip-B\nBenchmarkScript/keepalive/extras.min.js 1 969 gzip-B\n" +
				"BenchmarkScript/keepalive/dialog.min.js 1 3252 gzip-B\nBenchmarkScript/react-idle-timer@5.7.3 1 6591 gzip-B 78180 all-gzip-B\n",
			want: "| keepalive | 4,818 | the same |\n| keepalive, with the dialogs | 8,070 | the same |\n| react-idle-timer 5.7.3 | 6,591 | 78,180 |\n",
		},
		{
			name: "load", table: "load",
			runs: "BenchmarkLoad/http2/100000 473 200000 ns/op 50000 redis-ns/op 5000 pings/s/core 242 pings/s 33197 B/page 10000 connections 4 compress 1133 before-p50-us 13695 before-p99-us 19551 before-p99.9-us 3133 back-p50-us 96319 back-p99-us 102591 back-p99.9-us 104 failed-pings 0 lost-sessions\n",
			want: "|  | 100,000 pages, HTTP/2 |\n|---|---|\n| connections | 10,000 |\n| schedule of pings, faster by | × 4.0 |\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "runs.txt")
			require.NoError(t, os.WriteFile(file, []byte(tt.runs), 0o600))
			res, err := read([]string{file})
			require.NoError(t, err)
			plots := map[string][]byte{}
			require.Contains(t, sections[tt.table](res, plots), tt.want)
			for _, svg := range plots {
				require.NoError(t, xml.Unmarshal(svg, new(struct{})))
				require.Contains(t, string(svg), tt.plot)
			}
			require.Equal(t, tt.plot != "" || tt.table == "stores", len(plots) == 1)
		})
	}
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
