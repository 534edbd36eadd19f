package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// Each timer of a hidden page may be a second late, and a ping takes two or three of them.
func testHiddenPage(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, idle, time.Hour)
	token := a.login(t, b)
	page, other := b.Window(), b.NewWindow("tab")
	// A ping may have been on its way when the page went into the background.
	for !slices.ContainsFunc(sentPosts(b), func(p event) bool { return p.Hidden }) {
		hide(b, other)
		a.waitForPosts(t, token, time.Now(), 1)
		show(t, b, page)
	}
	waitForEvent(t, b, "keepalive:ping", len(events(b, "keepalive:ping"))+1)
	require.True(t, a.alive(t, token))

	hide(b, other)
	require.NoError(t, a.sm.Store.Delete(token))
	show(t, b, page)
	waitForExpired(t, b)
}

func testPageVisible(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, idle, time.Hour, func(c *keepalive.Config) { c.Mode = keepalive.PageVisible })
	token := a.login(t, b)
	page, other := b.Window(), b.NewWindow("tab")
	b.SwitchTo(page)
	for _, p := range a.waitForPosts(t, token, time.Now(), 2) {
		require.Empty(t, p.body)
	}

	hide(b, other)
	a.staysAlive(t, token, idle/5)
	again := time.Now()
	show(t, b, page)
	a.waitForPosts(t, token, again, 1)

	hide(b, other)
	a.waitForEnd(t, token)
	show(t, b, page)
	require.Equal(t, "idle", waitForExpired(t, b).Detail.Reason)
	hidden := 0
	for _, p := range sentPosts(b) {
		if p.Hidden {
			hidden++
		}
	}
	require.LessOrEqual(t, hidden, 2, "a ping may have been on its way each time that the page was hidden")
}

func testFrozenPage(t *testing.T, b *webdriver.Browser) {
	testSuspended(t, b, b.Freeze, b.Thaw)
}

func testOfflinePage(t *testing.T, b *webdriver.Browser) {
	testSuspended(t, b, func() { b.Offline(true) }, func() { b.Offline(false) })
}

// testSuspended is for pages that can send nothing for a while.
func testSuspended(t *testing.T, b *webdriver.Browser, suspend, resume func()) {
	a := newApp(t, idle, time.Hour)
	token := a.login(t, b)
	suspend()
	time.Sleep(idle / 2) // when a ping is due
	resumed := time.Now()
	resume()
	a.waitForPosts(t, token, resumed, 1)
	waitForEvent(t, b, "keepalive:ping", 1)

	suspend()
	a.waitForEnd(t, token)
	resume()
	waitForExpired(t, b)
}

// trusted is longer than a page that is shown again trusts its last answer.
const trusted = 6 * time.Second

// With a long idle timeout the page pings only because it is shown again.
func testHistory(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour)
	token := a.login(t, b)
	stay(t, b) // Firefox does not keep a page whose question is on its way
	// Left from a script: Marionette's own commands keep pages out of the back/forward cache.
	webdriver.Script[any](b, "setTimeout(() => location.href = '/favicon.ico', 100)")
	eventually(t, "the page is left", func() bool { return b.URL() == a.URL+"/favicon.ico" })
	require.NoError(t, a.sm.Store.Delete(token))
	time.Sleep(trusted)
	webdriver.Script[any](b, "setTimeout(() => history.back(), 100)")
	eventually(t, "the page is back", func() bool { return b.URL() == a.URL+"/login" })
	require.True(t, waitForEvent(t, b, "pageshow", 2).Persisted)
	waitForExpired(t, b)
}

const logout = "fetch('/logout', {method: 'POST'}).then(response => arguments[0](response.status))"

// With a long idle timeout no page pings by itself. The first does when it is shown again, and the other reads the result.
func testLogout(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour)
	a.login(t, b)
	first, second := b.Window(), b.NewWindow("tab")
	hide(b, second)
	b.Navigate(a.URL + "/page")
	require.Equal(t, 200, webdriver.AsyncScript[int](b, logout))
	time.Sleep(trusted)
	show(t, b, first)
	waitForExpired(t, b)
	waitForExpiredBehind(t, b, "/page")
}

// With a short idle timeout each page learns of the logout by its next ping. The tabs must not disturb each other then.
func testLogoutShortIdle(t *testing.T, b *webdriver.Browser) {
	const idle = 10 * time.Second // no session must go on here
	a := newApp(t, idle, time.Hour)
	a.login(t, b)
	first, second := b.Window(), b.NewWindow("tab")
	hide(b, second)
	b.Navigate(a.URL + "/page")
	out := time.Now()
	require.Equal(t, 200, webdriver.AsyncScript[int](b, logout))
	waitForExpired(t, b)
	waitForExpiredBehind(t, b, "/login")
	require.LessOrEqual(t, len(a.pings(out)), 8, "each page asks twice, and twice again if the other's claim came between")
	b.SwitchTo(first)
	waitForExpired(t, b)
}
