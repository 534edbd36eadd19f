package e2e_test

import (
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// TestThrottledPage is about Chromium's intensive throttling: after some time in the background, five minutes unless a
// flag changes that, a page's timers run once a minute.
func TestThrottledPage(t *testing.T) {
	b := webdriver.Start(t, webdriver.Chromium, "--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/10")
	t.Parallel()
	runUnlessStalled(t, b, browserTest{name: "short idle timeout", run: testThrottledPage})
}

func testThrottledPage(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, 3*time.Minute, time.Hour)
	token := a.login(t, b)
	webdriver.Script[any](b, "window.ticks = []; const tick = () => { ticks.push(Date.now()); setTimeout(tick, 1000) }; tick()")
	page := b.Window()
	hide(b, b.NewWindow("tab"))
	hidden := time.Now()
	for len(a.posts(hidden)) < 2 { // the second after the first idle timeout
		a.requireAlive(t, token)
		time.Sleep(time.Second)
	}
	for i, p := range a.posts(hidden) {
		t.Logf("ping %d came %v after the page was hidden", i+1, p.start.Sub(hidden))
	}

	show(t, b, page)
	require.Empty(t, events(b, "keepalive:expired"))
	throttled, end := hidden.Add(time.Minute), time.Now().Add(-time.Second)
	var ticks int
	for _, ms := range webdriver.Script[[]int64](b, "return ticks") {
		if at := time.UnixMilli(ms); at.After(throttled) && at.Before(end) {
			ticks++
		}
	}
	t.Logf("in %v a chain of timers of a second ran %d times", end.Sub(throttled), ticks)
	require.Less(t, ticks, int(end.Sub(throttled)/(10*time.Second)), "timers are not throttled")
}
