package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

func testOpenPage(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, idle, time.Hour)
	token := a.login(t, b)
	a.staysAlive(t, token, 4*idle)
	require.NotEmpty(t, events(b, "keepalive:ping"))
	require.Empty(t, events(b, "keepalive:expired"))

	page := b.Window()
	other := b.NewWindow("tab") // a browser ends with its last tab
	b.SwitchTo(page)
	b.CloseWindow()
	closed := time.Now()
	b.SwitchTo(other)
	time.Sleep(time.Until(closed.Add(idle + time.Second)))
	require.False(t, a.alive(t, token), "the session of a closed page")
}

func testLifetime(t *testing.T, b *webdriver.Browser) {
	const lifetime = 10 * time.Second
	a := newApp(t, 3*time.Second, lifetime)
	token := a.login(t, b)
	start := events(b, "pageshow")[0].time()
	a.staysAlive(t, token, time.Until(start.Add(lifetime-2*time.Second)))
	time.Sleep(time.Until(start.Add(lifetime)))
	require.False(t, a.alive(t, token), "past the lifetime")
	within(t, slack, "keepalive:expired", func() bool { return len(events(b, "keepalive:expired")) > 0 })
	time.Sleep(slack)
	require.Len(t, events(b, "keepalive:expired"), 1)
	require.NotEmpty(t, events(b, "keepalive:ping"))
}

func testFiveTabs(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, idle, time.Hour)
	a.login(t, b)
	one := a.interval(t, 3*idle)
	for range 4 {
		b.SwitchTo(b.NewWindow("tab"))
		b.Navigate(a.URL + "/page")
	}
	five := a.interval(t, 6*idle) // long enough that one ping by chance is no third more
	t.Logf("mean time between pings: %v with one tab, %v with five", one, five)
	require.LessOrEqual(t, one.Seconds()/five.Seconds(), 1.3)
}

// interval is the mean time between two pings.
func (a *app) interval(t *testing.T, d time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	time.Sleep(d)
	pings := a.pings(start)
	require.Greater(t, len(pings), 2)
	return pings[len(pings)-1].at.Sub(pings[0].at) / time.Duration(len(pings)-1)
}

func testFailingStore(t *testing.T, b *webdriver.Browser) {
	const idle = 14 * time.Second // so long that the page can ask three times before the session has ended
	a := newApp(t, idle, time.Hour)
	token := a.login(t, b)
	failing := time.Now()
	a.down.Store(true)
	within(t, idle, "two pings", func() bool { return len(a.pings(failing)) > 1 })
	for _, p := range a.pings(failing) {
		require.Equal(t, http.StatusServiceUnavailable, p.status)
		require.NotEmpty(t, p.retryAfter)
	}
	a.down.Store(false)
	within(t, idle, "keepalive:ping", func() bool { return len(events(b, "keepalive:ping")) > 0 })
	require.True(t, a.alive(t, token))
	require.Empty(t, events(b, "keepalive:expired"))
}
