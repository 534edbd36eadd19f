package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/stretchr/testify/require"
)

// run evaluates code as a task that no timer set. An error that reaches it would have reached window.onerror.
func (tb *tab) run(code string) {
	if tb.dead {
		return
	}
	tb.level = 0
	_, err := tb.vm.RunString(code)
	tb.check(err)
}

func (tb *tab) call(f goja.Callable, args ...any) {
	values := make([]goja.Value, len(args))
	for i, a := range args {
		values[i] = tb.vm.ToValue(a)
	}
	_, err := f(goja.Undefined(), values...)
	tb.check(err)
}

// check fails at an error that would have reached window.onerror, unless that is meant.
func (tb *tab) check(err error) {
	if !tb.throws {
		require.NoError(tb.b.t, err)
	}
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

func (tb *tab) fetch(url, method, body string, limit float64, resolve, reject goja.Callable) {
	b := tb.b
	b.asked = append(b.asked, asked{url, method, body, tb, b.now})
	timeout := time.Duration(limit) * time.Millisecond
	b.after(10*time.Millisecond, nil, func() {
		server := b.server
		if other := b.others[url]; other != nil {
			server = other
		}
		r := server(method, b.now)
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
			tb.call(resolve, r.status, r.body, r.retry, r.foreign)
		})
	})
}

func (tb *tab) importModule(url string, resolve, reject goja.Callable) {
	tb.imports = append(tb.imports, url)
	tb.b.after(tb.b.importTime, tb, func() {
		tb.level = 0
		if tb.b.importsFail {
			tb.call(reject)
			return
		}
		if strings.Contains(url, "extras") {
			tb.run(strings.ReplaceAll(tb.b.extras, extrasURL, url))
		}
		tb.call(resolve)
	})
}

// show makes tb visible or hides it, as a click on a tab does.
func (tb *tab) show(visible bool) {
	tb.hidden = !visible
	tb.run(fmt.Sprintf(`document.hidden = %t; document.dispatchEvent({type: 'visibilitychange'})`, !visible))
}

func (tb *tab) online(online bool) {
	tb.run(fmt.Sprintf(`dispatchEvent({type: '%s'})`, map[bool]string{true: "online", false: "offline"}[online]))
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
