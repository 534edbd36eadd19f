package e2e_test

import (
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// quiet is longer than the time for which a page that is seen again trusts what it knows.
const quiet = 6 * time.Second

// told waits until the current page was told that its session has ended.
func told(t *testing.T, b *webdriver.Browser, d time.Duration) event {
	t.Helper()
	within(t, d, "keepalive:expired", func() bool { return len(events(b, "keepalive:expired")) > 0 })
	require.Len(t, events(b, "keepalive:expired"), 1)
	return events(b, "keepalive:expired")[0]
}

// Each timer of a hidden page may be a second late, and a ping takes two or three of them.
func testHiddenPage(t *testing.T, b *webdriver.Browser) {
	const idle = 10 * time.Second
	a := newApp(t, idle, time.Hour)
	token := a.login(t, b)
	page, other := b.Window(), b.NewWindow("tab")
	hide(b, other)
	hidden := time.Now()
	a.staysAlive(t, token, idle*3/2)
	require.NotEmpty(t, a.pings(hidden))

	show(t, b, page)
	seen := events(b, "keepalive:ping")
	require.NotEmpty(t, seen)
	require.True(t, seen[0].Hidden, "the page was not in the background")
	within(t, idle, "the page goes on", func() bool { return len(events(b, "keepalive:ping")) > len(seen) })

	hide(b, other)
	require.NoError(t, a.sm.Store.Delete(token))
	show(t, b, page)
	told(t, b, idle+slack)
}

// testSuspended is for pages that can ask nothing for a while.
func testSuspended(t *testing.T, b *webdriver.Browser, suspend, resume func()) {
	const idle = 6 * time.Second
	a := newApp(t, idle, time.Hour)
	token := a.login(t, b)
	suspend()
	time.Sleep(idle / 2)
	resume()
	a.staysAlive(t, token, idle)
	require.NotEmpty(t, events(b, "keepalive:ping"))

	suspend()
	within(t, idle+slack, "the session of a suspended page ends", func() bool { return !a.alive(t, token) })
	resume()
	told(t, b, idle)
}

// With a long idle timeout the page would ask in half a minute only.
func testHistory(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, time.Minute, time.Hour)
	token := a.login(t, b)
	// Left from a script: Marionette's own commands keep pages out of the back/forward cache.
	webdriver.Script[any](b, "setTimeout(() => location.href = '/favicon.ico', 100)")
	within(t, slack, "the page is left", func() bool { return b.URL() == a.URL+"/favicon.ico" })
	require.NoError(t, a.sm.Store.Delete(token))
	time.Sleep(quiet)
	webdriver.Script[any](b, "setTimeout(() => history.back(), 100)")
	within(t, slack, "the page is back", func() bool { return b.URL() == a.URL+"/login" })
	shows := events(b, "pageshow")
	require.Len(t, shows, 2)
	require.True(t, shows[1].Persisted)
	told(t, b, 3*slack)
}

const logout = "fetch('/logout', {method: 'POST'}).then(response => arguments[0](response.status))"

// With a long idle timeout the pages would ask in half a minute only. The first does so when it is seen again, and the
// other hears of it.
func testLogout(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, time.Minute, time.Hour)
	a.login(t, b)
	first, second := b.Window(), b.NewWindow("tab")
	hide(b, second)
	b.Navigate(a.URL + "/page")
	require.Equal(t, 200, webdriver.AsyncScript[int](b, logout))
	time.Sleep(quiet)
	show(t, b, first)
	told(t, b, 3*slack)
	time.Sleep(slack)
	b.SwitchTo(second)
	require.True(t, told(t, b, 0).Hidden)
}

// With a short one every page is told where it is. The tabs must not get in each other's way then.
func testLogoutUnseen(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, idle, time.Hour)
	a.login(t, b)
	first, second := b.Window(), b.NewWindow("tab")
	hide(b, second)
	b.Navigate(a.URL + "/page")
	out := time.Now()
	require.Equal(t, 200, webdriver.AsyncScript[int](b, logout))
	told(t, b, 2*idle+slack)
	time.Sleep(slack)
	require.LessOrEqual(t, len(a.pings(out)), 4)
	b.SwitchTo(first)
	e := told(t, b, 0)
	require.True(t, e.Hidden)
	require.Less(t, e.time().Sub(out), 2*idle+slack)
}
