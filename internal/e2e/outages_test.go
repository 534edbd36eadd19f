package e2e_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// Nothing listens for a while, as while a server starts again or a network is away.
func testRestart(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, shortIdle, time.Hour)
	a.lasts = true
	token := a.login(t, b)
	address := a.Listener.Addr().String()
	a.CloseClientConnections()
	a.Close()
	// Longer than what the page believes to be left.
	start := webdriver.Script[int64](b, "return Date.now()")
	eventually(t, "attempts until after the end that the page knows", func() bool {
		return webdriver.Script[bool](b, `
			return keepalive.state.failing && recorded.some(({ name, at }) => name === 'sent' && at > arguments[0] + arguments[1])`,
			start, shortIdle.Milliseconds())
	})
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	again := &httptest.Server{Listener: listener, Config: &http.Server{Handler: a.Config.Handler}}
	again.Start()
	t.Cleanup(again.Close)
	since := time.Now()
	a.waitForPosts(t, token, since, 1)
	eventually(t, "the page knows that it was heard", func() bool { return webdriver.Script[bool](b, "return !keepalive.state.failing") })
	require.Empty(t, events(b, "keepalive:expired"))
	require.Empty(t, linesOfOurs(b), "the browser says so by itself")
}

// Somebody sets the clock, or a machine has slept.
func testClockJumps(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour)
	a.prelude = "window.offset = 0; const { now } = Date; Date.now = () => now() + offset"
	token := a.login(t, b)
	stay(t, b)
	for _, jump := range []string{"3600e3", "0"} {
		answers := len(events(b, "keepalive:ping"))
		webdriver.Script[any](b, "window.offset = "+jump+"; window.dispatchEvent(new Event('focus'))")
		waitForEvent(t, b, "keepalive:ping", answers+1)
	}
	a.requireAlive(t, token)
	require.Empty(t, events(b, "keepalive:expired"))
	require.Less(t, len(a.pings(time.Time{})), 6)
}

// A page that is loaded before anybody wants to see it is silent until then.
func testPrerender(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, shortIdle, time.Hour, func(c *keepalive.Config) {
		c.Skip = func(r *http.Request) bool { return r.URL.Path == "/login" }
	})
	a.lasts = true
	a.html = map[string]string{"": strings.Replace(pageHTML, "</head>",
		`<script type="speculationrules">{"prerender": [{"urls": ["/page?next"], "eagerness": "immediate"}]}</script></head>`, 1), "next": pageHTML}
	token := a.login(t, b)
	eventually(t, "it is loaded", func() bool { return len(a.requests("/page", time.Time{})) > 0 })
	require.Contains(t, a.requests("/page", time.Time{})[0].header.Get("Sec-Purpose"), "prerender")
	never(t, shortIdle, "a ping", func() bool { return len(a.pings(time.Time{})) > 0 })
	webdriver.Script[any](b, "setTimeout(() => location.href = '/page?next', 100)")
	a.waitForPosts(t, token, time.Time{}, 1)
	require.Positive(t, webdriver.Script[float64](b, "return performance.getEntriesByType('navigation')[0].activationStart"))
	require.Len(t, a.requests("/page", time.Time{}), 1)
}

// document.open() takes all listeners away, and what is written has the script once more.
func testWrittenAnew(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, shortIdle, time.Hour, func(c *keepalive.Config) { c.LoginURL = "/login" })
	a.lasts = true
	token := a.login(t, b)
	webdriver.AsyncScript[any](b, `
		const done = arguments[0];
		fetch('/page').then((response) => response.text()).then((html) => {
			document.open();
			document.write(html);
			document.close();
			done();
		});`)
	a.waitForPosts(t, token, time.Now(), 1)
	a.end(t, b, token)
	require.Equal(t, "You have been signed out", waitForOurDialog(t, b).Title)
	require.Empty(t, linesOfOurs(b))
}
