// Package e2e_test tests the library and its script in real browsers, in real time, on machines that may be slow and stand
// still for seconds. So no test wants something to happen within a time:
//
//   - What must happen is waited for, with a limit that only a hanging test reaches.
//   - What must not happen is watched for some time; a slow machine makes that time shorter, never the test wrong.
//   - Numbers are compared with the clocks of the server and of the page at that moment, and with the order of their records.
//   - Where a session must go on, its idle timeout leaves a ping several seconds to be late. Where the page's own timers
//     come later than that, or a ping takes longer to reach the server, the test is run again.
package e2e_test

import (
	"flag"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

const (
	// idle is the idle timeout that most tests use. The script pings between 30 and 65 % of it.
	idle = 16 * time.Second
	// longIdle is for tests in which no ping may come by itself.
	longIdle = 20 * time.Minute
	// patience is how long a test waits for what must happen. It only ends what hangs.
	patience = 2 * time.Minute
	// stall is how long a browser must stand still to be blamed.
	stall = 2 * time.Second
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests mostly wait, so all browsers can do that at once, on any number of cores: those of each runInBrowsers,
	// of TestThrottledPage and of TestKilledBrowsers.
	if err := flag.Set("test.parallel", strconv.Itoa(7*len(webdriver.Engines)+2)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// browserTest is a test in a browser.
type browserTest struct {
	name    string
	run     func(t *testing.T, b *webdriver.Browser)
	engines []webdriver.Engine // that run it; nil for all
}

// runInBrowsers runs tests in one browser of each engine. The browsers start one after another, and then run their tests at
// the same time as those of other calls. After a test that has failed the next one gets another browser.
func runInBrowsers(t *testing.T, tests []browserTest) {
	for _, engine := range webdriver.Engines {
		t.Run(string(engine), func(t *testing.T) {
			b := webdriver.Start(t, engine)
			t.Parallel()
			isBroken := false
			for _, test := range tests {
				if test.engines != nil && !slices.Contains(test.engines, engine) {
					continue
				}
				if isBroken {
					b = webdriver.Start(t, engine)
				}
				isBroken = !runUnlessStalled(t, b, test)
			}
		})
	}
	t.Parallel() // now that its browsers run, other tests may start theirs
}

// runUnlessStalled runs a test again that was skipped as the browser stood still, twice at most. It reports whether the test
// has not failed.
func runUnlessStalled(t *testing.T, b *webdriver.Browser, test browserTest) (ok bool) {
	var hasRun, isStalled bool // -run may name a later attempt, such as open_page#01
	for attempt := 0; (!hasRun || isStalled) && attempt < 3; attempt++ {
		ok = t.Run(test.name, func(t *testing.T) {
			hasRun = true
			defer func() { isStalled = t.Skipped() }()
			test.run(t, withNewWindow(t, b))
		})
	}
	if isStalled {
		t.Errorf("%s: the browser stood still three times", test.name)
	}
	return ok && !isStalled
}

// withNewWindow leaves the browser with one new window.
func withNewWindow(t *testing.T, b *webdriver.Browser) *webdriver.Browser {
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
	eventually(t, "the page is visible again", func() bool {
		return webdriver.Script[string](b, "return document.visibilityState") == "visible"
	})
}

// eventually waits for what must happen. Unlike require.Eventually it stays in the test's own goroutine, which commands
// that fail need.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for start := time.Now(); !happened(); time.Sleep(50 * time.Millisecond) {
		require.Less(t, time.Since(start), patience, "it never happens: %s", what)
	}
}

// never watches for what must not happen.
func never(t *testing.T, d time.Duration, what string, happened func() bool) {
	t.Helper()
	for start := time.Now(); time.Since(start) < d; time.Sleep(100 * time.Millisecond) {
		require.False(t, happened(), "after %v: %s", time.Since(start), what)
	}
}
