package e2e_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// grace is the example's, and what presence may add to it.
const grace = 5 * time.Second

// onBoard is where the board shows a user, by path and sorted.
func onBoard(b *webdriver.Browser, user string) []string {
	return webdriver.Script[[]string](b, `
		return [...document.querySelectorAll('#board section')].flatMap(section =>
			[...section.querySelectorAll('li')].filter(li => li.firstChild.textContent === arguments[0]).map(() => section.dataset.path)).sort()`, user)
}

func testPresence(t *testing.T, b *webdriver.Browser) {
	url := start(t, "presence")
	enter := func(b *webdriver.Browser, name string) {
		b.Navigate(url + "/sign-in")
		b.SendKeys("#name", name)
		b.Press(webdriver.Enter)
		page(t, b, "Home")
	}
	enter(b, "Ann")
	b.Navigate(url + "/board")
	on := func(d time.Duration, what string, paths ...string) {
		t.Helper()
		slices.Sort(paths)
		within(t, d, "the board shows "+what, func() bool { return slices.Equal(onBoard(b, "Ben"), paths) })
	}
	within(t, slack, "Ann is on the board", func() bool { return slices.Equal(onBoard(b, "Ann"), []string{"/board"}) })

	ben := webdriver.Start(t, b.Engine) // a browser with cookies of its own
	enter(ben, "Ben")
	on(slack, "who has come", "/")

	// Going from page to page never blinks.
	webdriver.Script[any](b, `
		window.missed = 0;
		new MutationObserver(() => { missed += !document.querySelector('#board').textContent.includes('Ben') })
			.observe(document.querySelector('#board'), { childList: true, subtree: true })`)
	for _, path := range []string{"/orders", "/stock", "/orders"} {
		ben.Navigate(url + path)
		on(slack, "the move", path)
	}
	webdriver.Script[any](ben, "setTimeout(() => history.back(), 100)")
	on(slack+grace, "the way back", "/stock") // Chromium shows the old page before it hides the new one

	// Each tab counts, and a copy of one is another.
	first := ben.Window()
	if b.Engine == webdriver.WebKit { // which opens none without a click
		ben.SwitchTo(ben.NewWindow("tab"))
		ben.Navigate(url + "/stock")
	} else {
		webdriver.Script[any](ben, "window.open(location.href)") // with a copy of sessionStorage
	}
	on(slack, "the copy", "/stock", "/stock")
	for _, window := range ben.Windows() {
		if window != first {
			ben.SwitchTo(window)
		}
	}
	ben.Navigate(url + "/")
	on(slack, "two tabs", "/", "/stock")
	hide(ben, first)
	time.Sleep(exampleIdle)
	on(0, "a hidden tab too", "/", "/stock")
	closeTabs(ben, slices.DeleteFunc(ben.Windows(), func(w string) bool { return w == first }))
	ben.SwitchTo(first)
	on(slack+grace, "the tab that is left", "/stock")
	require.Zero(t, webdriver.Script[int](b, "return missed"), "times that Ben was gone")

	if b.Engine == webdriver.Chromium {
		ben.Freeze()
		time.Sleep(2 * exampleIdle / 3)
		on(0, "a frozen tab", "/stock")
		ben.Thaw()
	}
	// Ben signs out, and his pages are not his any more.
	ben.Click(".who button")
	page(t, ben, "Sign in")
	on(slack+grace, "nobody")

	// The last page is closed with its browser. Firefox says nothing then, and the time to live has the last word.
	if b.Engine == webdriver.Firefox {
		return
	}
	enter(ben, "Ben")
	on(slack, "Ben again", "/")
	ben.CloseWindow()
	on(slack+grace, "that he has gone")
}

// A browser that is killed says nothing, and the time to live has the last word. Until then its page is on the board.
func TestKilledBrowsers(t *testing.T) {
	const ttl = 3 * time.Minute
	var a *app
	tracker, err := presence.New(presence.Config{
		TTL:      ttl,
		Identify: func(r *http.Request) (string, any) { return a.sm.GetString(r.Context(), "user"), nil },
	})
	require.NoError(t, err)
	t.Cleanup(tracker.Close)
	a = newApp(t, 20*time.Minute, time.Hour, func(c *keepalive.Config) {
		c.Presence = keepalive.PresencePath
		c.Observer = func(e keepalive.Event) {
			if e.Kind == keepalive.EventHere { // as if no page ever said that it is left
				tracker.Observe(e)
			}
		}
	})
	sessions := func() int {
		counts, err := tracker.Count(t.Context())
		require.NoError(t, err)
		return counts.Sessions
	}
	for i, engine := range webdriver.Engines {
		t.Run(string(engine), func(t *testing.T) {
			b := webdriver.Start(t, engine) // until the end of this function
			a.login(t, b)
			within(t, slack, "the page is there", func() bool { return sessions() == i+1 })
			if engine == webdriver.Chromium {
				b.Crash()
			}
		})
	}
	t.Parallel()
	killed := time.Now()
	within(t, ttl+slack, "they are forgotten", func() bool {
		if time.Since(killed) < ttl-time.Minute {
			require.Positive(t, sessions(), "after %v", time.Since(killed))
		}
		return sessions() == 0
	})
}
