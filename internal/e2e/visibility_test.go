package e2e_test

import (
	"slices"
	"strings"
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
	a.requireAlive(t, token)

	hide(b, other)
	require.NoError(t, a.sm.Store.Delete(token))
	show(t, b, page)
	waitForExpired(t, b)
}

func testPageVisible(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, shortIdle, time.Hour, func(c *keepalive.Config) { c.Mode = keepalive.PageVisible })
	a.lasts = true
	token := a.login(t, b)
	page, other := b.Window(), b.NewWindow("tab")
	b.SwitchTo(page)
	for _, p := range a.waitForPosts(t, token, time.Now(), 2) {
		require.Empty(t, p.body)
	}

	hide(b, other)
	time.Sleep(shortIdle) // when a ping is due
	again := time.Now()
	show(t, b, page)
	a.waitForPosts(t, token, again, 1)

	hide(b, other)
	a.expire(t, token, time.Now().Add(shortIdle))
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
	a.requireAlive(t, token)

	suspend()
	a.waitForEnd(t, token)
	resume()
	waitForExpired(t, b)
}

// trusted is longer than a page that is shown again trusts its last answer.
const trusted = 6 * time.Second

// comeBack lets the current page leave, and goes back to it. It reports whether the browser has kept the page as it was left,
// which no engine promises. Firefox does not while a question is on its way.
func comeBack(t *testing.T, b *webdriver.Browser, leave string, left func()) (isKept bool) {
	t.Helper()
	path := webdriver.Script[string](b, "return location.pathname")
	// By a script: Marionette's own commands keep pages out of the back/forward cache.
	webdriver.Script[any](b, "window.isKept = true; setTimeout(() => {"+leave+"}, 100)")
	// Not by the address, which may be that of a page that has not come yet.
	const isAt = "return document.readyState === 'complete' && (location.pathname === arguments[0]) === arguments[1]"
	eventually(t, "the page is left", func() bool { return webdriver.Script[bool](b, isAt, path, false) })
	left()
	var tried time.Time
	eventually(t, "the page is back", func() bool {
		isBack := strings.HasSuffix(b.URL(), path)
		if !isBack && time.Since(tried) > 20*time.Second { // Firefox forgets one now and then
			webdriver.Script[any](b, "if (location.pathname !== arguments[0]) setTimeout(() => history.back(), 100)", path)
			tried = time.Now()
		}
		return isBack && webdriver.Script[bool](b, isAt, path, true)
	})
	return webdriver.Script[bool](b, "return !!window.isKept")
}

// With a long idle timeout the page pings only because it is shown again.
func testHistory(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour)
	eventually(t, "the browser keeps the page", func() bool {
		token := a.login(t, b)
		stay(t, b)
		return comeBack(t, b, "location.href = '/favicon.ico'", func() {
			require.NoError(t, a.sm.Store.Delete(token))
			time.Sleep(trusted)
		})
	})
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
