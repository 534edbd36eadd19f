// Package e2e_test tests the library and its script in real browsers, in real time, on machines that may be busy. So the
// tests look for what must not happen, and wait for what must with time to spare.
package e2e_test

import (
	"flag"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// idle is the idle timeout that most tests use. The script pings at half of it.
const idle = 4 * time.Second

// slack is what a busy machine may be late.
const slack = 3 * time.Second

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests mostly wait, so all engines can do that at once, on any number of cores: one browser of each for
	// TestBrowsers and for TestModes, and what TestThrottledPage and
	// TestKilledBrowsers wait for.
	if err := flag.Set("test.parallel", strconv.Itoa(2*len(webdriver.Engines)+2)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestBrowsers(t *testing.T) {
	for _, engine := range webdriver.Engines {
		t.Run(string(engine), func(t *testing.T) {
			b := webdriver.Start(t, engine) // one after another
			t.Parallel()
			for _, test := range []struct {
				name string
				run  func(t *testing.T, b *webdriver.Browser)
			}{
				{"open page", testOpenPage},
				{"lifetime", testLifetime},
				{"five tabs", testFiveTabs},
				{"failing store", testFailingStore},
				{"hidden page", testHiddenPage},
				{"history", testHistory},
				{"logout in another tab", testLogout},
				{"logout unseen", testLogoutUnseen},
				{"policies", testPolicies},
				{"policy that blocks", testBlockingPolicy},
				{"warning", testWarning},
				{"warning offline", testWarningOffline},
				{"late dialog", testLateDialog},
				{"lifetime warning", testLifetimeWarning},
				{"sign in again", testSignInAgain},
				{"blank", testBlank},
				{"own dialogs", testOwnDialogs},
				{"dialogs under policies", testDialogPolicies},
				{"look", testLook},
				{"demo", testDemo},
				{"turbo", testTurbo},
				{"htmx", testHTMX},
				{"spa", testSPA},
				{"csrf", testCSRF},
				{"presence", testPresence},
			} {
				t.Run(test.name, func(t *testing.T) { test.run(t, fresh(t, b)) })
			}
			if engine == webdriver.Chromium {
				t.Run("frozen page", func(t *testing.T) { testSuspended(t, fresh(t, b), b.Freeze, b.Thaw) })
				t.Run("page offline", func(t *testing.T) {
					testSuspended(t, fresh(t, b), func() { b.Offline(true) }, func() { b.Offline(false) })
				})
			}
		})
	}
	t.Parallel() // now that the browsers run, the other tests may start theirs
}

// fresh leaves the browser with one new window.
func fresh(t *testing.T, b *webdriver.Browser) *webdriver.Browser {
	b = b.For(t)
	old := b.Windows()
	window := b.NewWindow("window")
	closeTabs(b, old)
	b.SwitchTo(window)
	b.Console() // what the pages before have written
	return b
}

func closeTabs(b *webdriver.Browser, handles []string) {
	for _, handle := range handles {
		b.SwitchTo(handle)
		b.CloseWindow()
	}
}

// hide puts the current tab into the background and goes on in another. WebKit's driver can't bring a tab to the front,
// but make an icon of the window.
func hide(b *webdriver.Browser, other string) {
	if b.Engine == webdriver.WebKit {
		b.Minimise()
	}
	b.SwitchTo(other)
}

// show undoes hide.
func show(t *testing.T, b *webdriver.Browser, tab string) {
	t.Helper()
	b.SwitchTo(tab)
	if b.Engine == webdriver.WebKit {
		b.Maximise()
	}
	within(t, slack, "the page is visible again", func() bool {
		return webdriver.Script[string](b, "return document.visibilityState") == "visible"
	})
}

// within waits for what must happen. Unlike require.Eventually it stays in the test's own goroutine, which commands that
// fail need.
func within(t *testing.T, d time.Duration, what string, happened func() bool) {
	t.Helper()
	for start := time.Now(); !happened(); time.Sleep(50 * time.Millisecond) {
		require.Less(t, time.Since(start), d, "not in time: %s", what)
	}
}
