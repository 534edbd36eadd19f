package main

import (
	"container/heap"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/dop251/goja"
	"github.com/stretchr/testify/require"
)

// browser is a small fake of a browser with a clock of its own: several tabs, each a JavaScript engine, that share a
// localStorage, Web Locks and a server. It has the properties on which the script's design rests:
//   - a write to localStorage reaches other tabs some ms later, after a lock may have been granted;
//   - hidden tabs run timers once a second, and once a minute if a chain of timers set them;
//   - a frozen tab runs nothing, but keeps what it holds.
//
// Everything runs in the goroutine of the test.
type browser struct {
	t      *testing.T
	script string
	input  string // the module input.js, which is a part of dialog.min.js
	extras string // the module extras.js
	rng    *rand.Rand

	now   time.Time
	queue tasks
	seq   int

	tabs    []*tab
	disk    map[string]string // what a new tab finds in localStorage
	writes  int
	lag     time.Duration // until other tabs see a write
	locks   map[string]*tab
	server  func(method string, at time.Time) reply
	others  map[string]func(method string, at time.Time) reply // by the address of their pings
	asked   []asked
	noLocks bool
	blocked string // how localStorage misbehaves: "throws", "ignores", or nothing

	importsFail bool
	importTime  time.Duration
}

// asked is a request that left a tab.
type asked struct {
	url    string
	method string
	body   string
	tab    *tab
	at     time.Time
}

// reply is an answer of the server, or, with status 0, a network error. A negative delay means that none ever comes.
type reply struct {
	status  int
	body    string
	retry   string // Retry-After
	delay   time.Duration
	foreign bool // something else than the endpoints answers, so that the header Keepalive is missing
}

type tab struct {
	b      *browser
	vm     *goja.Runtime
	hidden bool
	frozen bool
	dead   bool
	throws bool // errors are meant

	storage map[string]string // as this process sees it
	seen    int               // the last of the browser's writes in it
	level   int               // how many timers set each other in a row to get here
	timers  map[int]bool
	events  []string // the script's events, "name detail", but for
	states  []string // the details of keepalive:state
	errors  []string // console.error
	warned  []string // console.warn
	debug   []string // console.debug, without the objects
	imports []string // modules asked for
	dialogs []string // the ids of dialogs that were opened
	beacons []beacon
}

// beacon is a report to package presence.
type beacon struct {
	way                   string // fetch or beacon
	url                   string
	Tab, Sent, Page, Idle string
}

// page says how a tab was opened.
type page struct {
	hidden       bool
	prerendering bool
	kind         string // PerformanceNavigationTiming.type; "" is navigate
	cached       bool
	mode         string
	max, warn    time.Duration
	anonymous    bool // the server sent it without a session
	loading      bool // its images are not there yet
	dialogs      bool // nobody cancels the script's events, so that dialogs are due
	presence     string
	session      map[string]string // sessionStorage, which a tab keeps from page to page
	oldEngine    bool              // fetch has no keepalive
	data         map[string]string // more attributes of the script element
	before       string            // a script that runs before
	timing       []map[string]any  // the header Server-Timing of the page
}

const (
	idleTimeout = 20 * time.Minute
	recordKey   = "keepalive:https://example.org/keepalive/ping"
)

func newBrowser(t *testing.T, script string, server func(method string, at time.Time) reply) *browser {
	return &browser{
		t: t, server: server,
		script: strings.ReplaceAll(script, "import(", "importModule("), // goja does not know import
		input:  moduleCode(t, "src/input.js", "inputModule"),
		extras: moduleCode(t, "src/extras.js", "extrasModule"),
		rng:    rand.New(rand.NewPCG(1, 2)),
		now:    time.UnixMilli(now),
		disk:   map[string]string{},
		locks:  map[string]*tab{},
		lag:    5 * time.Millisecond,

		importTime: 10 * time.Millisecond,
	}
}

//go:embed testdata/browser.js
var prelude string

// open loads a page with the script in a new tab.
func (b *browser) open(p page) *tab {
	if p.kind == "" {
		p.kind = "navigate"
	}
	tb := &tab{b: b, vm: goja.New(), hidden: p.hidden, timers: map[int]bool{}, storage: map[string]string{}}
	for k, v := range b.disk {
		tb.storage[k] = v
	}
	b.tabs = append(b.tabs, tb)
	vm := tb.vm
	vm.SetTimeSource(func() time.Time { return b.now })
	vm.SetRandSource(b.rng.Float64)
	unhandled := map[*goja.Promise]bool{}
	vm.SetPromiseRejectionTracker(func(p *goja.Promise, op goja.PromiseRejectionOperation) {
		delete(unhandled, p)
		if op == goja.PromiseRejectionReject {
			unhandled[p] = true
		}
	})
	b.t.Cleanup(func() {
		if !tb.throws {
			require.Empty(b.t, unhandled, "rejections without a handler")
		}
	})

	dataset := map[string]any{"idle": fmt.Sprint(idleTimeout.Milliseconds())}
	for name, value := range p.data {
		dataset[name] = value
	}
	if p.anonymous {
		dataset["anonymous"] = ""
	}
	if p.mode != "" {
		dataset["mode"] = p.mode
	}
	if p.presence != "" {
		dataset["presence"] = p.presence
	}
	if p.max > 0 {
		dataset["max"] = fmt.Sprint(p.max.Milliseconds())
	}
	if p.warn > 0 {
		dataset["warn"] = fmt.Sprint(p.warn.Milliseconds())
	}
	set := func(name string, value any) { require.NoError(b.t, vm.Set(name, value)) }
	set("page", map[string]any{
		"dataset": dataset, "hidden": p.hidden, "prerendering": p.prerendering,
		"kind": p.kind, "cached": p.cached, "locks": !b.noLocks, "dialogs": p.dialogs, "session": p.session, "oldEngine": p.oldEngine,
		"timing": p.timing,
	})
	set("host", map[string]any{
		"event": func(name string, detail goja.Value) {
			if name == "keepalive:state" {
				tb.states = append(tb.states, detail.String())
			} else if strings.HasPrefix(name, "keepalive:") {
				tb.events = append(tb.events, strings.TrimSuffix(name+" "+detail.String(), " undefined"))
			}
		},
		"report": func(way, url, body string) {
			tb.beacons = append(tb.beacons, beacon{way: way, url: url})
			require.NoError(b.t, json.Unmarshal([]byte(body), &tb.beacons[len(tb.beacons)-1]))
		},
		"import": tb.importModule,
		"dialog": func(id string) { tb.dialogs = append(tb.dialogs, id) },
		"blank":  func() { tb.events = append(tb.events, "blank") },
		"debug": func(call goja.FunctionCall) goja.Value {
			line := ""
			for _, a := range call.Arguments {
				if _, ok := a.(*goja.Object); !ok {
					line += " " + a.String()
				}
			}
			tb.debug = append(tb.debug, strings.TrimSpace(line))
			return nil
		},
		"error":        func(message string) { tb.errors = append(tb.errors, message) },
		"warn":         func(message string) { tb.warned = append(tb.warned, message) },
		"getItem":      tb.getItem,
		"setItem":      tb.setItem,
		"setTimeout":   tb.setTimeout,
		"clearTimeout": func(id int) { delete(tb.timers, id) },
		"lock":         tb.lock,
		"unlock":       func(name string) { delete(b.locks, name) },
		"fetch":        tb.fetch,
	})
	tb.run(prelude)
	tb.run(b.input)
	tb.run(p.before)
	tb.run(b.script)
	if !p.loading {
		tb.run(`dispatchEvent({type: 'load'}); dispatchEvent({type: 'pageshow', persisted: false})`)
	}
	return tb
}

// methods returns what was asked so far.
func (b *browser) methods() []string {
	var methods []string
	for _, a := range b.asked {
		methods = append(methods, a.method)
	}
	return methods
}

// record returns what is in localStorage.
func (b *browser) record() map[string]float64 {
	var r map[string]float64
	require.NoError(b.t, json.Unmarshal([]byte(b.disk[recordKey]), &r))
	return r
}

// sleep lets d pass.
func (b *browser) sleep(d time.Duration) {
	end := b.now.Add(d)
	for len(b.queue) > 0 && !b.queue[0].at.After(end) {
		next := heap.Pop(&b.queue).(*task)
		if next.at.After(b.now) {
			b.now = next.at
		}
		switch {
		case next.tab == nil:
			next.run()
		case next.tab.dead:
		case next.tab.frozen:
			next.at = b.now.Add(time.Second)
			heap.Push(&b.queue, next)
		default:
			next.run()
		}
	}
	b.now = end
}

// suspend lets the machine sleep. Timers stand still, as they do on Linux and macOS.
func (b *browser) suspend(d time.Duration) {
	b.now = b.now.Add(d)
	for _, next := range b.queue {
		next.at = next.at.Add(d)
	}
}

func (b *browser) after(d time.Duration, tb *tab, f func()) { b.at(b.now.Add(d), tb, f) }

func (b *browser) at(at time.Time, tb *tab, f func()) {
	b.seq++
	heap.Push(&b.queue, &task{at: at, seq: b.seq, tab: tb, run: f})
}

type task struct {
	at  time.Time
	seq int
	tab *tab // nil: the browser itself
	run func()
}

type tasks []*task

func (q tasks) Len() int { return len(q) }
func (q tasks) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].seq < q[j].seq
}
func (q tasks) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *tasks) Push(x any)   { *q = append(*q, x.(*task)) }
func (q *tasks) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
