package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

func TestTabs(t *testing.T) {
	chromium := []webdriver.Engine{webdriver.Chromium}
	runInBrowsers(t, []browserTest{
		{name: "hidden page", run: testHiddenPage},
		{name: "page visible", run: testPageVisible},
		{name: "frozen page", run: testFrozenPage, engines: chromium},
		{name: "page offline", run: testOfflinePage, engines: chromium},
		{name: "history", run: testHistory},
		{name: "logout in another tab", run: testLogout},
		{name: "logout with a short idle timeout", run: testLogoutShortIdle},
		{name: "ten tabs", run: func(t *testing.T, b *webdriver.Browser) { testTenTabs(t, b, true) }},
		{name: "ten tabs without Web Locks", run: func(t *testing.T, b *webdriver.Browser) { testTenTabs(t, b, false) }},
		{name: "killed tabs", run: testKilledTabs},
	})
}

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

// testTenTabs counts. One page waits at least a quarter of the idle timeout from when it sent a ping until it sends the next.
// Ten pages together must not ask more often, or twice as often without Web Locks. On a slow machine, an answer can come so
// late that another tab asks as well.
func testTenTabs(t *testing.T, b *webdriver.Browser, locks bool) {
	const (
		watched = 2 * idle
		late    = 3 * time.Second // that the first ping was on its way
		twice   = 2               // answers that come so late
		most    = 1 + int((watched+late)/(idle/4)) + twice
	)
	a := newApp(t, idle, time.Hour)
	if !locks {
		a.prelude = "Object.defineProperty(navigator, 'locks', {value: undefined})"
	}
	token := a.login(t, b)
	require.Equal(t, locks, webdriver.Script[bool](b, "return isSecureContext && !!navigator.locks"))
	openTabs(b, a, 9)
	start := time.Now()
	a.staysAlive(t, token, watched)
	posts := a.posts(start)
	t.Logf("%d pings in %v", len(posts), watched)
	if locks {
		require.LessOrEqual(t, len(posts), most)
	} else {
		require.LessOrEqual(t, len(posts), 2*most)
	}
}

// testKilledTabs kills the tab that has just asked, three times.
func testKilledTabs(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, idle, time.Hour)
	token := a.login(t, b)
	tabs := openTabs(b, a, 4)
	since := time.Now()
	for range 3 {
		ping := a.waitForPosts(t, token, since, 1)[0]
		asker := waitForAnsweredTab(t, b, tabs, ping.start)
		b.SwitchTo(asker)
		if b.Engine == webdriver.Chromium {
			b.Crash()
		}
		b.CloseWindow()
		since = time.Now()
		tabs = slices.DeleteFunc(tabs, func(tab string) bool { return tab == asker })
		b.SwitchTo(tabs[0])
	}
	a.waitForPosts(t, token, since, 1)
	for _, tab := range tabs {
		b.SwitchTo(tab)
		require.Empty(t, events(b, "keepalive:expired"))
	}
}

// waitForAnsweredTab waits until one of the tabs has had the answer to a ping, and returns the one that had the latest.
func waitForAnsweredTab(t *testing.T, b *webdriver.Browser, tabs []string, sent time.Time) (answered string) {
	t.Helper()
	latest := sent.Add(-time.Millisecond) // pages have whole milliseconds
	eventually(t, "a tab has the answer", func() bool {
		for _, tab := range tabs {
			b.SwitchTo(tab)
			for _, e := range events(b, "keepalive:ping") {
				if e.time().After(latest) {
					answered, latest = tab, e.time()
				}
			}
		}
		return answered != ""
	})
	return answered
}
