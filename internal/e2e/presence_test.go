package e2e_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// exampleGrace is how long the example waits for the next page of a tab whose page was left.
const exampleGrace = 3 * time.Second

// pathsOnBoard returns where the board shows a user, sorted.
func pathsOnBoard(b *webdriver.Browser, user string) []string {
	return webdriver.Script[[]string](b, `
		return [...document.querySelectorAll('#board section')].flatMap(section =>
			[...section.querySelectorAll('li')].filter(li => li.firstChild.textContent === arguments[0]).map(() => section.dataset.path)).sort()`, user)
}

func testPresence(t *testing.T, b *webdriver.Browser) {
	url := startExample(t, "presence")
	enter := func(b *webdriver.Browser, name string) {
		b.Navigate(url + "/sign-in")
		b.SendKeys("#name", name)
		b.Press(webdriver.Enter)
		waitForPage(t, b, "Home")
	}
	enter(b, "Ann")
	b.Navigate(url + "/board")
	waitForBoard := func(what string, paths ...string) {
		t.Helper()
		slices.Sort(paths)
		eventually(t, "the board shows "+what, func() bool { return slices.Equal(pathsOnBoard(b, "Ben"), paths) })
	}
	eventually(t, "Ann is on the board", func() bool { return slices.Equal(pathsOnBoard(b, "Ann"), []string{"/board"}) })

	ben := webdriver.Start(t, b.Engine) // a browser with cookies of its own
	enter(ben, "Ben")
	waitForBoard("who has come", "/")

	// Going from page to page does not blink, if the next page comes within the grace.
	webdriver.Script[any](b, `
		window.missed = 0;
		new MutationObserver(() => { window.missed += !document.querySelector('#board').textContent.includes('Ben') })
			.observe(document.querySelector('#board'), { childList: true, subtree: true })`)
	requireNoBlink := func(leaving time.Time) {
		t.Helper()
		missed := webdriver.Script[int](b, "const times = missed; window.missed = 0; return times")
		if took := time.Since(leaving); took < exampleGrace {
			require.Zero(t, missed, "times that Ben was gone within %v", took)
		}
	}
	for _, path := range []string{"/orders", "/stock", "/orders"} {
		leaving := time.Now()
		ben.Navigate(url + path)
		waitForBoard("the move", path)
		requireNoBlink(leaving)
	}
	leaving := time.Now()
	webdriver.Script[any](ben, "setTimeout(() => history.back(), 100)")
	waitForBoard("the way back", "/stock") // Chromium shows the old page before it hides the new one
	requireNoBlink(leaving)

	// Each tab counts, and a copy of one is another.
	first := ben.Window()
	if b.Engine == webdriver.WebKit { // which opens none without a click
		ben.SwitchTo(ben.NewWindow("tab"))
		ben.Navigate(url + "/stock")
	} else {
		webdriver.Script[any](ben, "window.open(location.href)") // with a copy of sessionStorage
	}
	waitForBoard("the copy", "/stock", "/stock")
	for _, window := range ben.Windows() {
		if window != first {
			ben.SwitchTo(window)
		}
	}
	ben.Navigate(url + "/")
	waitForBoard("two tabs", "/", "/stock")
	hide(ben, first)
	time.Sleep(exampleIdle / 2)
	require.Equal(t, []string{"/", "/stock"}, pathsOnBoard(b, "Ben"), "a hidden tab too")
	closeTabs(ben, slices.DeleteFunc(ben.Windows(), func(w string) bool { return w == first }))
	ben.SwitchTo(first)
	waitForBoard("the tab that is left", "/stock")
	require.Zero(t, webdriver.Script[int](b, "return missed"), "times that Ben was gone, who had a tab open all the time")

	if b.Engine == webdriver.Chromium {
		webdriver.Script[any](ben, "keepalive.stay()") // a frozen page can't
		ben.Freeze()
		time.Sleep(exampleIdle / 4)
		require.Equal(t, []string{"/stock"}, pathsOnBoard(b, "Ben"), "a frozen tab too")
		ben.Thaw()
	}
	// Ben signs out, and his pages are not his any more.
	ben.Click(".who button")
	waitForPage(t, ben, "Sign in")
	waitForBoard("nobody")

	// The last page is closed with its browser. Firefox sends no beacon then, so only the time to live would end it.
	if b.Engine == webdriver.Firefox {
		return
	}
	enter(ben, "Ben")
	waitForBoard("Ben again", "/")
	ben.CloseWindow()
	waitForBoard("that he has gone")
}

// testPresenceReports tests what pages say of the last input, and of routes in the fragment.
func testPresenceReports(t *testing.T, b *webdriver.Browser) {
	var mu sync.Mutex
	var reports []keepalive.Event
	a := newApp(t, shortIdle, time.Hour, func(c *keepalive.Config) {
		c.Presence = keepalive.PresenceHash | keepalive.PresenceIdle
		c.Observer = func(e keepalive.Event) {
			if e.Kind == keepalive.EventHere {
				mu.Lock()
				defer mu.Unlock()
				reports = append(reports, e)
			}
		}
	})
	a.lasts = true
	a.login(t, b)
	// next waits for n reports that are sent from now on, and returns them.
	next := func(n int) []keepalive.Event {
		t.Helper()
		now := time.Now().UnixMilli()
		var found []keepalive.Event
		eventually(t, "reports", func() bool {
			mu.Lock()
			defer mu.Unlock()
			found = slices.DeleteFunc(slices.Clone(reports), func(e keepalive.Event) bool { return e.Sent <= now })
			return len(found) >= n
		})
		return found
	}
	// usedAt returns when the page was used last by a report, which the page's clock says to the millisecond.
	usedAt := func(e keepalive.Event) time.Time { return time.UnixMilli(e.Sent).Add(-e.Idle) }

	unused := next(3)
	for _, e := range unused {
		require.Positive(t, e.Idle)
		require.WithinDuration(t, usedAt(unused[0]), usedAt(e), 10*time.Millisecond, "idle grows with the time")
		require.Equal(t, "/login", e.Page)
	}
	webdriver.Script[any](b, scriptedInput)
	require.WithinDuration(t, usedAt(unused[0]), usedAt(next(1)[0]), 10*time.Millisecond, "a script is nobody")

	before := time.Now()
	b.SendKeys("#story", "x")
	after := time.Now()
	for _, e := range next(2) {
		require.False(t, usedAt(e).Before(before.Add(-near)), "idle falls with a key")
		require.False(t, usedAt(e).After(after.Add(near)))
	}

	for _, route := range []string{"#/orders/7?open", "", "#/stock"} {
		webdriver.Script[any](b, "location.hash = arguments[0]", route)
		eventually(t, "the route "+route, func() bool { return next(1)[0].Page == "/login"+route })
	}
	webdriver.Script[any](b, "setTimeout(() => history.go(-2), 100)")
	eventually(t, "the way back", func() bool { return next(1)[0].Page == "/login#/orders/7?open" })
}
