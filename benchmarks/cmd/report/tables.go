package main

import (
	"fmt"
	"slices"
	"strings"
)

// section returns a table in Markdown, or "" if its benchmarks have not run. It may add
// plots by their file names.
type section func(r *results, plots map[string][]byte) string

var sections = map[string]section{
	"ping":    pingTable,
	"stores":  storesTable,
	"many":    manyTable,
	"pages":   pagesTable,
	"inject":  injectTable,
	"session": sessionTable,
	"count":   countTable,
	"sizes":   sizesTable,
	"scripts": scriptsTable,
	"load":    loadTable,
	"hour":    hourTable,
}

// table joins the rows of one, of which the first is its head.
func table(rows [][]string) string {
	if len(rows) < 2 {
		return ""
	}
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

func pingTable(r *results, _ map[string][]byte) string {
	rows := [][]string{{"session", "keepalive", "scs", "ratio of the times"}}
	for _, s := range [][2]string{{"0.2 KB", "200B"}, {"4 KB", "4096B"}, {"64 KB", "65536B"}} {
		ours, theirs := "Ping/"+s[1]+"/LoadAndSave", "Ping/"+s[1]+"/scs"
		if r.has(ours) {
			rows = append(rows, []string{s[0], timeAndAllocations(r, ours), timeAndAllocations(r, theirs), ratio(r.ratio(ours, theirs, "ns/op"))})
		}
	}
	return table(rows)
}

func timeAndAllocations(r *results, name string) string {
	return nanoseconds(r.median(name, "ns/op")) + ", " + thousands(r.median(name, "allocs/op")) + " allocations"
}

// parts returns the different parts of the names of benchmarks at an index, in their
// order.
func (r *results) parts(benchmark string, index int) (parts []string) {
	for _, name := range r.names {
		if p := strings.Split(name, "/"); p[0] == benchmark && len(p) > index && !slices.Contains(parts, p[index]) {
			parts = append(parts, p[index])
		}
	}
	return parts
}

// stores returns the names of the stores, some of which have two parts.
func (r *results) stores() (stores []string) {
	for _, name := range r.names {
		if p := strings.Split(name, "/"); p[0] == "Stores" && len(p) > 3 {
			if store := strings.Join(p[1:len(p)-2], "/"); !slices.Contains(stores, store) {
				stores = append(stores, store)
			}
		}
	}
	return stores
}

func storesTable(r *results, plots map[string][]byte) string {
	rows := [][]string{{"store, session", "ping: scs", "keepalive", "ratio", "floor", "ratio to it", "bytes to and from", "page: scs", "keepalive", "ratio", "bytes"}}
	p := panel{heading: "Microseconds of a ping", kinds: []kind{{"floor", "bare statement"}, {"ours", "keepalive"}, {"other", "scs"}}, limit: 600}
	for _, store := range r.stores() {
		for _, s := range []string{"0.2KB", "4KB", "64KB"} {
			name := func(what string) string { return "Stores/" + store + "/" + s + "/" + what }
			scs, ours, floor, scsPage, page := name("handmade"), name("ping"), name("floor"), name("scs-page"), name("page")
			if !r.has(ours) {
				continue
			}
			label, driver, found := strings.Cut(store, "/")
			if found {
				label += " (" + driver + ")"
			}
			label += " " + strings.Replace(s, "KB", " KB", 1)
			bytes := func(theirs, ours string) string {
				if r.median(theirs, "trips/op") == 0 { // it has no wire
					return ""
				}
				sum := func(name string) string { return thousands(r.median(name, "out-B/op") + r.median(name, "in-B/op")) }
				return sum(theirs) + " → " + sum(ours)
			}
			time := func(name string) string { return nanoseconds(r.median(name, "ns/op")) }
			rows = append(rows, []string{
				label, time(scs), time(ours), ratio(r.ratio(ours, scs, "ns/op")), time(floor), ratio(r.ratio(ours, floor, "ns/op")), bytes(scs, ours),
				time(scsPage), time(page), ratio(r.ratio(page, scsPage, "ns/op")), bytes(scsPage, page),
			})
			p.rows = append(p.rows, bars{label, []float64{r.median(floor, "ns/op") / 1e3, r.median(ours, "ns/op") / 1e3, r.median(scs, "ns/op") / 1e3}})
		}
	}
	if len(p.rows) > 0 {
		plots["ping-costs.svg"] = draw("The time of a ping", p)
	}
	return table(rows)
}

func manyTable(r *results, _ map[string][]byte) string {
	rows := [][]string{{""}}
	counts := r.parts("Many", 2)
	for i, n := range counts {
		n = thousandsOf(n)
		if i == 0 {
			n += " sessions"
		}
		rows[0] = append(rows[0], n)
	}
	for _, store := range r.parts("Many", 1) {
		for _, line := range []struct {
			label string
			value func(name string, sessions float64) string
		}{
			{store + ", time per ping", func(name string, _ float64) string { return nanoseconds(r.median(name, "ns/op")) }},
			{"round trips per ping", func(name string, _ float64) string { return ratio(r.median(name, "trips/op")) }},
			{"pings per second and core, server included", func(name string, _ float64) string { return rounded(r.median(name, "pings/s/core")) }},
			{"heap of both instances, all sessions", func(name string, n float64) string { return size(r.median(name, "heap-B/session") * n) }},
		} {
			row := []string{line.label}
			for _, n := range counts {
				row = append(row, line.value("Many/"+store+"/"+n, number(n)))
			}
			rows = append(rows, row)
		}
	}
	return table(rows)
}

func number(s string) (v float64) {
	_, _ = fmt.Sscan(s, &v)
	return v
}

func thousandsOf(s string) string { return thousands(number(s)) }

func pagesTable(r *results, _ map[string][]byte) string {
	rows := [][]string{{"page", "one Write", "4 KB chunks", "`http.ServeContent`"}}
	for _, s := range []string{"2KB", "100KB", "5MB"} {
		row := []string{s[:len(s)-2] + " " + s[len(s)-2:]}
		for _, how := range []string{"Write", "chunks", "ServeContent"} {
			name := "Response/" + s + "/" + how + "/"
			if r.has(name + "Inject") {
				row = append(row, ratio(r.ratio(name+"Inject", name+"bare", "ns/op")))
			}
		}
		if len(row) == len(rows[0]) {
			rows = append(rows, row)
		}
	}
	return table(rows)
}

func countTable(r *results, _ map[string][]byte) string {
	rows := [][]string{{"", "bare handler", "`Inject`"}}
	for _, page := range [][2]string{
		{"page of 1 KB, a browser's header", "1KB/browser"}, {"page of 2 KB, a browser's header", "2KB/browser"},
		{"page of 1 KB, a cookie only", "1KB/Write"}, {"JSON of 2 KB", "2KB/JSON"},
	} {
		name := "Response/" + page[1] + "/"
		if counted := r.median(name+"Inject", "instructions/op"); counted > 0 {
			rows = append(rows, []string{page[0], rounded(r.median(name+"bare", "instructions/op")), rounded(counted)})
		}
	}
	return table(rows)
}

func injectTable(r *results, _ map[string][]byte) string {
	rows := [][]string{{"page", "", "keepalive", "streaming replace", "buffer and replace", "parse and render"}}
	for _, s := range r.parts("Inject", 1) {
		for _, encoding := range []string{"plain", "gzip"} {
			bare := "Inject/" + s + "/" + encoding + "/bare"
			label := s[:len(s)-2] + " " + s[len(s)-2:]
			if encoding == "gzip" {
				label += ", gzhttp outside"
			}
			time, memory, allocations := []string{label, "processor time"}, []string{"", "memory"}, []string{"", "allocations"}
			for _, way := range []string{"keepalive", "stream", "buffer", "parse"} {
				name := "Inject/" + s + "/" + encoding + "/" + way
				more := func(unit string) float64 { return max(0, r.median(name, unit)-r.median(bare, unit)) }
				time = append(time, "× "+ratio(r.ratio(name, bare, "cpu-ns/op")))
				memory = append(memory, "+ "+size(more("B/op")))
				allocations = append(allocations, "+ "+thousands(more("allocs/op")))
			}
			rows = append(rows, time)
			if encoding == "plain" { // with gzip the pools of its writers hide what a way allocates
				rows = append(rows, memory, allocations)
			}
		}
	}
	return table(rows)
}

func sessionTable(r *results, plots map[string][]byte) string {
	columns := []struct{ label, name string }{
		{"bare handler", "read/bare"}, {"keepalive, with the script: a value is read", "read/LoadAndSave"},
		{"nothing is read", "unused/LoadAndSave"}, {"scs", "read/scs"},
	}
	rows := [][]string{{""}, {"allocations"}, {"memory"}, {"instructions, client included"}, {"of the bare handler"}}
	kinds := []kind{{"ours", ""}, {"other", ""}}
	instructions := panel{heading: "Thousands of instructions, client included", kinds: kinds}
	allocations := panel{heading: "Allocations", kinds: kinds}
	for _, c := range columns {
		name := "Session/" + c.name
		if r.median(name, "allocs/op") == 0 {
			return ""
		}
		counted := r.median(name, "instructions/op")
		rows[0] = append(rows[0], c.label)
		rows[1] = append(rows[1], thousands(r.median(name, "allocs/op")))
		rows[2] = append(rows[2], size(r.median(name, "B/op")))
		rows[3] = append(rows[3], rounded(counted))
		rows[4] = append(rows[4], ratio(r.ratio(name, "Session/read/bare", "instructions/op")))
		label := strings.ReplaceAll(strings.Replace(c.label, ", with the script:", ",", 1), "nothing is read", "keepalive, nothing is read")
		var ours []float64 // the place of our bar, which others leave empty
		if !strings.HasSuffix(c.name, "/LoadAndSave") {
			ours = []float64{0}
		}
		instructions.rows = append(instructions.rows, bars{label, append(slices.Clone(ours), counted/1e3)})
		allocations.rows = append(allocations.rows, bars{label, append(ours, r.median(name, "allocs/op"))})
	}
	if r.median("Session/read/bare", "instructions/op") == 0 { // without valgrind
		return table(rows[:3])
	}
	plots["costs.svg"] = draw("What a page with a session costs", instructions, allocations)
	return table(rows)
}

func scriptsTable(r *results, _ map[string][]byte) string {
	rows := [][]string{{"what", "gzipped", "loaded by"}}
	for _, s := range [][3]string{
		{"the script", "keepalive.min.js", "every page with a session, once per browser and version"},
		{"the script with `Config.Presence`", "presence.min.js", "the same, in place of the other"},
		{"the module of what the script can do without at first", "extras.min.js", "every page with a session, a moment later, once per browser and version"},
		{"the module of the dialogs", "dialog.min.js", "pages that show a dialog, once per browser and version"},
		{"the module of `BlankPage` and `OpenLogin`", "after.min.js", "pages with these, at the end of the session"},
		{"words and look of the dialogs", "dialog", "pages that have a dialog to show, or may warn"},
	} {
		if v := r.median("Script/keepalive/"+s[1], "gzip-B"); v > 0 {
			rows = append(rows, []string{s[0], fmt.Sprintf("%.1f KB", v/1e3), s[2]})
		}
	}
	return table(rows)
}

func sizesTable(r *results, _ map[string][]byte) string {
	rows := [][]string{{"", "script, bytes gzipped", "with the scripts it needs"}}
	for _, peer := range r.parts("Script", 1) {
		name := "Script/" + peer
		if peer == "keepalive" {
			own := r.median(name+"/keepalive.min.js", "gzip-B") + r.median(name+"/extras.min.js", "gzip-B")
			rows = append(rows, []string{"keepalive", thousands(own), "the same"},
				[]string{"keepalive, with the dialogs", thousands(own + r.median(name+"/dialog.min.js", "gzip-B")), "the same"})
			continue
		}
		rows = append(rows, []string{strings.ReplaceAll(peer, "@", " "), thousands(r.median(name, "gzip-B")), thousands(r.median(name, "all-gzip-B"))})
	}
	return table(rows)
}

var protocolNames = map[string]string{"http1": "HTTP/1.1 without TLS", "https1": "HTTP/1.1 with TLS", "http2": "HTTP/2"}

func loadTable(r *results, _ map[string][]byte) string {
	rows := [][]string{
		{""}, {"connections"}, {"schedule of pings, faster by"}, {"pings per second in this run"},
		{"pings for each second of the server's processor time"}, {"Redis's processor time, to the server's"},
		{"memory of the server for a page"},
		{"answered within: half, 99 %, 99.9 %"}, {"after the restart, with new connections"}, {"pings that failed during the restart"}, {"sessions lost"},
	}
	for _, protocol := range r.parts("Load", 1) {
		for _, pages := range r.parts("Load", 2) {
			name := "Load/" + protocol + "/" + pages
			if !r.has(name) {
				continue
			}
			times := func(phase string) string {
				var all []string
				for _, q := range []string{"50", "99", "99.9"} {
					all = append(all, nanoseconds(1e3*r.median(name, phase+"-p"+q+"-us")))
				}
				return strings.Join(all, ", ")
			}
			for i, cell := range []string{
				thousandsOf(pages) + " pages, " + protocolNames[protocol],
				thousands(r.median(name, "connections")), "× " + figure(r.median(name, "compress")), rounded(r.median(name, "pings/s")), rounded(r.median(name, "pings/s/core")),
				"× " + ratio(r.ratioOfUnits(name, "redis-ns/op", "ns/op")),
				size(r.median(name, "B/page")), times("before"), times("back"), thousands(r.median(name, "failed-pings")), thousands(r.median(name, "lost-sessions")),
			} {
				rows[i] = append(rows[i], cell)
			}
		}
	}
	if len(rows[0]) == 1 {
		return ""
	}
	return table(rows)
}

func (r *results) ratioOfUnits(name, unit, to string) float64 {
	return r.median(name, unit) / r.median(name, to)
}

func hourTable(r *results, plots map[string][]byte) string {
	rows := [][]string{{"", "connection kept", "new for each ping, TLS resumed", "new for each ping, full handshake"}}
	p := panel{heading: "Processor time of the server, kept connection = 1", kinds: []kind{{"ours", "kept"}, {"floor", "new, resumed"}, {"other", "new"}}}
	for _, protocol := range r.parts("Hour", 1) {
		name := "Hour/" + protocol + "/"
		kept := name + "kept"
		row, values := []string{protocolNames[protocol], "1 (" + nanoseconds(r.median(kept, "ns/op")) + ")"}, []float64{1}
		for _, kind := range []string{"resumed", "full"} {
			v := r.ratio(name+kind, kept, "ns/op")
			cell := figure(v)
			if v == 0 {
				cell = ""
			}
			row, values = append(row, cell), append(values, v)
		}
		rows, p.rows = append(rows, row), append(p.rows, bars{protocolNames[protocol], values})
	}
	if len(p.rows) > 0 {
		plots["connections.svg"] = draw("What the pings of an hour cost by connection", p)
	}
	return table(rows)
}
