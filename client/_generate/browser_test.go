package main

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
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
	asked   []asked
	noLocks bool
	blocked string // how localStorage misbehaves: "throws", "ignores", or nothing
}

// asked is a request that left a tab.
type asked struct {
	method string
	body   string
	tab    *tab
	at     time.Time
}

// reply is an answer of the server, or, with status 0, a network error. A negative delay means that none ever comes.
type reply struct {
	status int
	body   string
	retry  string // Retry-After
	delay  time.Duration
}

type tab struct {
	b      *browser
	vm     *goja.Runtime
	hidden bool
	frozen bool
	dead   bool

	storage map[string]string // as this process sees it
	seen    int               // the last of the browser's writes in it
	level   int               // how many timers set each other in a row to get here
	timers  map[int]bool
	events  []string // the script's events, "name detail"
	errors  []string // console.error
	debug   []string // console.debug, without the objects
	loads   []string // documents asked for
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
}

const (
	idleTimeout = 20 * time.Minute
	recordKey   = "keepalive:https://example.org/keepalive/ping"
)

func newBrowser(t *testing.T, script string, server func(method string, at time.Time) reply) *browser {
	return &browser{
		t: t, script: script, server: server,
		rng:   rand.New(rand.NewPCG(1, 2)),
		now:   time.UnixMilli(now),
		disk:  map[string]string{},
		locks: map[string]*tab{},
		lag:   5 * time.Millisecond,
	}
}

const prelude = `
globalThis.window = globalThis;
const above = {};
const listeners = (all, up) => {
	return {
		addEventListener: (type, f) => { (all[type] = all[type] || []).push(f); },
		dispatchEvent: (event) => {
			host.event(event.type, JSON.stringify(event.detail));
			for (const f of all[event.type] || []) f(event);
			for (const f of up[event.type] || []) f(event); // all of a document's events bubble, but those that only it hears
		},
	};
};
Object.assign(globalThis, listeners(above, {}));
globalThis.document = Object.assign(listeners({}, above), {
	currentScript: {src: 'https://example.org/keepalive/keepalive.js?v=abc', dataset: page.dataset, remove() {}},
	documentElement: {lang: 'en'},
	hidden: page.hidden, prerendering: page.prerendering,
});
globalThis.CustomEvent = class { constructor(type, init) { Object.assign(this, init, {type}); } };
globalThis.URL = class { constructor(to, base) { this.href = base.split('?')[0].replace(/[^/]*$/, to); } };
globalThis.AbortSignal = {timeout: (ms) => ms};
globalThis.console = {error: (...words) => host.error(words.join(' ')), debug: host.debug};
globalThis.performance = {now: () => 300, getEntriesByType: () => [{type: page.kind, transferSize: page.cached ? 0 : 900, deliveryType: '', workerStart: 0, requestStart: 50}]};
globalThis.localStorage = {getItem: host.getItem, setItem: host.setItem};
globalThis.setTimeout = host.setTimeout;
globalThis.clearTimeout = host.clearTimeout;
globalThis.frameElement = null;
globalThis.XMLHttpRequest = class { open(method, url) { host.load(url); } send() {} }; // dialogs are for real browsers
globalThis.navigator = {onLine: true};
if (page.locks) navigator.locks = {
	request: (name, options, f) => new Promise((resolve, reject) => host.lock(name, (got) => {
		const release = () => got && host.unlock(name);
		Promise.resolve(f(got ? {name} : null)).then((v) => { release(); resolve(v); }, (e) => { release(); reject(e); });
	})),
};
globalThis.fetch = (url, options) => new Promise((resolve, reject) => {
	if (url !== 'https://example.org/keepalive/ping' || options.redirect !== 'manual' || options.headers) throw new Error('odd request to ' + url);
	host.fetch(options.method, options.body || '', options.signal, (status, body, retry) => resolve({
		status: status === 302 ? 0 : status,
		type: status === 302 ? 'opaqueredirect' : 'basic',
		headers: {get: () => retry || null},
		json: async () => JSON.parse(body),
	}), () => reject(new TypeError('network')));
});
`

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
	b.t.Cleanup(func() { require.Empty(b.t, unhandled, "rejections without a handler") })

	dataset := map[string]any{"idle": fmt.Sprint(idleTimeout.Milliseconds())}
	if p.anonymous {
		dataset["anonymous"] = ""
	}
	if p.mode != "" {
		dataset["mode"] = p.mode
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
		"kind": p.kind, "cached": p.cached, "locks": !b.noLocks,
	})
	set("host", map[string]any{
		"event": func(name string, detail goja.Value) {
			if strings.HasPrefix(name, "keepalive:") {
				tb.events = append(tb.events, strings.TrimSuffix(name+" "+detail.String(), " undefined"))
			}
		},
		"load": func(url string) { tb.loads = append(tb.loads, url) },
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
		"getItem":      tb.getItem,
		"setItem":      tb.setItem,
		"setTimeout":   tb.setTimeout,
		"clearTimeout": func(id int) { delete(tb.timers, id) },
		"lock":         tb.lock,
		"unlock":       func(name string) { delete(b.locks, name) },
		"fetch":        tb.fetch,
	})
	tb.run(prelude)
	tb.run(b.script)
	return tb
}

// run evaluates code as a task that no timer set. An error that reaches it would have reached window.onerror.
func (tb *tab) run(code string) {
	if tb.dead {
		return
	}
	tb.level = 0
	_, err := tb.vm.RunString(code)
	require.NoError(tb.b.t, err)
}

func (tb *tab) call(f goja.Callable, args ...any) {
	values := make([]goja.Value, len(args))
	for i, a := range args {
		values[i] = tb.vm.ToValue(a)
	}
	_, err := f(goja.Undefined(), values...)
	require.NoError(tb.b.t, err)
}

func (tb *tab) getItem(key string) goja.Value {
	if tb.b.blocked == "throws" {
		panic(tb.vm.NewTypeError("The operation is insecure."))
	}
	if v, ok := tb.storage[key]; ok {
		return tb.vm.ToValue(v)
	}
	return goja.Null()
}

func (tb *tab) setItem(key, value string) {
	switch tb.b.blocked {
	case "throws":
		panic(tb.vm.NewTypeError("The quota has been exceeded."))
	case "ignores":
		return
	}
	tb.storage[key], tb.b.disk[key] = value, value
	tb.b.writes++
	n := tb.b.writes
	tb.seen = n
	for _, other := range tb.b.tabs {
		if other != tb {
			tb.b.after(tb.b.lag, other, func() {
				if n < other.seen { // its own write came later, and stays
					return
				}
				other.storage[key], other.seen = value, n
				other.run(`dispatchEvent({type: 'storage', key: ` + fmt.Sprintf("%q", key) + `})`)
			})
		}
	}
}

func (tb *tab) setTimeout(f goja.Callable, ms float64) int {
	b := tb.b
	level := tb.level + 1
	at := b.now.Add(time.Duration(max(ms, 1) * float64(time.Millisecond)))
	if tb.hidden {
		step := time.Second
		if level >= 5 {
			step = time.Minute
		}
		at = at.Add(step - 1).Truncate(step)
	}
	b.seq++
	id := b.seq
	tb.timers[id] = true
	b.at(at, tb, func() {
		if tb.timers[id] {
			delete(tb.timers, id)
			tb.level = level
			tb.call(f)
		}
	})
	return id
}

func (tb *tab) lock(name string, f goja.Callable) {
	b := tb.b
	b.after(time.Millisecond, nil, func() { // the browser grants, whatever state the tab is in
		got := b.locks[name] == nil
		if got {
			b.locks[name] = tb
		}
		b.after(0, tb, func() { tb.level = 0; tb.call(f, got) })
	})
}

func (tb *tab) fetch(method, body string, limit float64, resolve, reject goja.Callable) {
	b := tb.b
	b.asked = append(b.asked, asked{method, body, tb, b.now})
	timeout := time.Duration(limit) * time.Millisecond
	b.after(10*time.Millisecond, nil, func() {
		r := b.server(method, b.now)
		if r.delay < 0 || r.delay > timeout {
			b.after(timeout, tb, func() { tb.level = 0; tb.call(reject) })
			return
		}
		b.after(10*time.Millisecond+r.delay, tb, func() {
			tb.level = 0
			if r.status == 0 {
				tb.call(reject)
				return
			}
			tb.call(resolve, r.status, r.body, r.retry)
		})
	})
}

// show makes tb visible or hides it, as a click on a tab does.
func (tb *tab) show(visible bool) {
	tb.hidden = !visible
	tb.run(fmt.Sprintf(`document.hidden = %t; document.dispatchEvent({type: 'visibilitychange'})`, !visible))
}

func (tb *tab) online(online bool) {
	tb.run(fmt.Sprintf(`navigator.onLine = %t; dispatchEvent({type: '%s'})`, online, map[bool]string{true: "online", false: "offline"}[online]))
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

// count returns how many of tb's events have that name.
func (tb *tab) count(name string) int {
	n := 0
	for _, e := range tb.events {
		if strings.HasPrefix(e, "keepalive:"+name) {
			n++
		}
	}
	return n
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

// session is a server's session, for browser.server.
type session struct {
	idle     time.Duration
	expiry   time.Time
	deadline time.Time
	out      bool // signed out
	b        *browser
}

func newSession(idle, lifetime time.Duration) *session {
	start := time.UnixMilli(now)
	return &session{idle: idle, expiry: start.Add(idle), deadline: start.Add(lifetime)}
}

func (s *session) serve(method string, at time.Time) reply {
	if s.out || !at.Before(s.expiry) {
		return reply{status: 401}
	}
	if method == "POST" {
		inactive, _ := strconv.Atoi(strings.TrimPrefix(s.b.asked[len(s.b.asked)-1].body, "inactive="))
		if expiry := at.Add(s.idle - time.Duration(inactive)*time.Millisecond); expiry.After(s.expiry) {
			s.expiry = expiry
		}
		if s.expiry.After(s.deadline) {
			s.expiry = s.deadline
		}
	}
	return reply{status: 200, body: fmt.Sprintf(`{"idleMs":%d,"lifetimeMs":%d,"data":"x"}`, s.expiry.Sub(at).Milliseconds(), s.deadline.Sub(at).Milliseconds())}
}
