package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// crowdIdle leaves about four seconds between pings.
const crowdIdle = 8 * time.Second

// openTabs opens more tabs of an app behind the current one and returns them all.
func openTabs(b *webdriver.Browser, a *app, more int) (tabs []string) {
	front := b.Window()
	tabs = append(tabs, front)
	for range more {
		tab := b.NewWindow("tab")
		b.SwitchTo(tab)
		b.Navigate(a.URL + "/page")
		tabs = append(tabs, tab)
	}
	b.SwitchTo(front)
	return tabs
}

// withoutLocks makes a new app's pages believe in a browser without Web Locks.
func (a *app) withoutLocks() {
	next := a.Config.Handler
	a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		if r.URL.Path == "/recorder.js" {
			_, _ = fmt.Fprint(w, "Object.defineProperty(navigator, 'locks', {value: undefined});")
		}
	})
}

// testTenTabs counts. It watches for ten intervals, so that a ping by chance makes no difference.
func testTenTabs(t *testing.T, b *webdriver.Browser) {
	const hasLocks = "return isSecureContext && !!navigator.locks"
	a := newApp(t, crowdIdle, time.Hour)
	token := a.login(t, b)
	require.True(t, webdriver.Script[bool](b, hasLocks))
	interval := a.interval(t, 3*crowdIdle)
	openTabs(b, a, 9)
	ten := a.count(t, token, 10*interval)

	a = newApp(t, crowdIdle, time.Hour)
	a.withoutLocks()
	closeOthers(b)
	token = a.login(t, b)
	require.False(t, webdriver.Script[bool](b, hasLocks))
	openTabs(b, a, 9)
	lockless := a.count(t, token, 10*interval)

	t.Logf("one tab pings every %v; in ten such intervals ten tabs ping %d times, and %d times without Web Locks", interval, ten, lockless)
	require.LessOrEqual(t, ten, 11+1)
	require.LessOrEqual(t, lockless, 20+1)
}

// count is the number of pings in a time.
func (a *app) count(t *testing.T, token string, d time.Duration) int {
	t.Helper()
	start := time.Now()
	a.staysAlive(t, token, d)
	return len(a.posts(start))
}

// closeOthers leaves the current tab alone.
func closeOthers(b *webdriver.Browser) {
	tab := b.Window()
	closeTabs(b, slices.DeleteFunc(b.Windows(), func(other string) bool { return other == tab }))
	b.SwitchTo(tab)
}

// testKilledTabs kills the tab that has just asked, three times.
func testKilledTabs(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, crowdIdle, time.Hour)
	token := a.login(t, b)
	tabs := openTabs(b, a, 4)
	for range 3 {
		since := time.Now()
		within(t, crowdIdle, "a ping", func() bool { return len(a.posts(since)) > 0 })
		var asker string
		var latest time.Time
		within(t, slack, "a tab was told", func() bool {
			for _, tab := range tabs {
				b.SwitchTo(tab)
				require.Empty(t, events(b, "keepalive:expired"))
				for _, e := range events(b, "keepalive:ping") {
					if e.time().After(latest) {
						asker, latest = tab, e.time()
					}
				}
			}
			return latest.After(since)
		})
		b.SwitchTo(asker)
		if b.Engine == webdriver.Chromium {
			b.Crash()
		}
		b.CloseWindow()
		killed := time.Now()
		tabs = slices.DeleteFunc(tabs, func(tab string) bool { return tab == asker })
		b.SwitchTo(tabs[0])
		a.staysAlive(t, token, crowdIdle+time.Second)
		next := a.posts(killed)
		require.NotEmpty(t, next)
		t.Logf("the next ping came %v after the one of the tab that was killed", next[0].at.Sub(latest))
	}
	for _, tab := range tabs {
		b.SwitchTo(tab)
		require.Empty(t, events(b, "keepalive:expired"))
	}
}

// TestThrottledPage is about Chromium's intensive throttling: after some time in the background, five minutes unless told
// otherwise, a page's timers run once a minute.
func TestThrottledPage(t *testing.T) {
	b := webdriver.Start(t, webdriver.Chromium, "--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/10")
	t.Parallel()
	a := newApp(t, 3*time.Minute, time.Hour)
	token := a.login(t, b)
	webdriver.Script[any](b, "window.ticks = []; const tick = () => { ticks.push(Date.now()); setTimeout(tick, 1000) }; tick()")
	page := b.Window()
	hide(b, b.NewWindow("tab"))
	hidden := time.Now()
	a.staysAlive(t, token, 5*time.Minute+10*time.Second)
	posts := a.posts(hidden)
	require.NotEmpty(t, posts)
	for i, p := range posts {
		t.Logf("ping %d came %v after the page was hidden", i+1, p.at.Sub(hidden))
	}

	show(t, b, page)
	shown := time.Now()
	require.Empty(t, events(b, "keepalive:expired"))
	var ticks int
	for _, ms := range webdriver.Script[[]int64](b, "return ticks") {
		if at := time.UnixMilli(ms); at.After(hidden.Add(time.Minute)) && at.Before(shown.Add(-time.Second)) {
			ticks++
		}
	}
	t.Logf("in four minutes a chain of timers of a second ran %d times", ticks)
	require.Less(t, ticks, 4*5, "timers are not throttled")
}
