package e2e_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// scriptedHTML shows whether scripts run: inline ones, ones from a file and handlers of events.
const scriptedHTML = `<!doctype html>
<html lang="en">
<title>Scripted</title>
<script>fetch('/ran?inline')</script>
<script src="/ran.js"></script>
<img src="/loaded" alt="" onload="fetch('/ran?handler')" onerror="fetch('/ran?handler')">
`

// statuses are those of requests, each once.
func statuses(requests []request) (all []int) {
	for _, r := range requests {
		all = append(all, r.status)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func noScript(c *keepalive.Config) { c.NoScript = true }

// testNoScript has a browser of its own, whose JavaScript is off.
func testNoScript(t *testing.T, b *webdriver.Browser) {
	const (
		idle    = 24 * time.Second
		refresh = idle / 3
	)
	t.Run("with JavaScript", func(t *testing.T) {
		b := b.For(t)
		a := newApp(t, idle, time.Hour, noScript)
		token := a.login(t, b)
		a.waitForPosts(t, token, time.Time{}, 1)
		require.Empty(t, a.requests(framePath, time.Time{}))
		b.Navigate(a.URL + "/scripted")
		eventually(t, "the scripts have run", func() bool { return len(a.requests("/ran", time.Time{})) == 3 })
	})

	b = webdriver.Start(t, b.Engine, webdriver.NoJavaScript)
	// waitForFrames waits until the page's frame was loaded n times. The session must not end.
	waitForFrames := func(t *testing.T, a *app, token string, n int) []request {
		t.Helper()
		eventually(t, "frames", func() bool {
			require.True(t, a.alive(t, token), "the session has ended")
			return len(a.requests(framePath, time.Time{})) >= n
		})
		return a.requests(framePath, time.Time{})
	}
	t.Run("the browser", func(t *testing.T) {
		b := b.For(t)
		a := newApp(t, idle, time.Hour)
		b.Navigate(a.URL + "/scripted")
		eventually(t, "the page", func() bool { return len(a.requests("/loaded", time.Time{})) > 0 })
		time.Sleep(time.Second)
		require.Empty(t, a.requests("/ran", time.Time{}))
	})
	t.Run("open page", func(t *testing.T) {
		b := b.For(t)
		a := newApp(t, idle, time.Hour, noScript)
		token := a.login(t, b)
		frames := waitForFrames(t, a, token, 1+int(idle/refresh)+1) // so one of them after the first idle timeout
		require.Equal(t, []int{http.StatusOK}, statuses(frames))
		for i, frame := range frames[1:] {
			require.Greater(t, frame.start.Sub(frames[i].start), refresh-100*time.Millisecond)
		}
		require.Empty(t, a.pings(time.Time{}))
		require.Empty(t, a.requests("/keepalive/keepalive.", time.Time{}))
		t.Logf("the first frame comes with %q", fetchMetadata(frames[0]))
		t.Logf("the next frame comes with %q", fetchMetadata(frames[1]))

		b.Navigate("about:blank")
		left := time.Now()
		a.waitForEnd(t, token)
		require.LessOrEqual(t, len(a.requests(framePath, left)), 1, "a frame may have been on its way")
	})
	t.Run("logout", func(t *testing.T) {
		b := b.For(t)
		a := newApp(t, idle, time.Hour, noScript)
		waitForFrames(t, a, a.login(t, b), 2)
		require.NoError(t, a.sm.Store.Delete(a.token(t, b)))
		refused := func() (refused []request) {
			for _, frame := range a.requests(framePath, time.Time{}) {
				if frame.status == http.StatusUnauthorized {
					refused = append(refused, frame)
				}
			}
			return refused
		}
		eventually(t, "a frame is refused", func() bool { return len(refused()) > 0 })
		time.Sleep(2*refresh + time.Second)
		require.Len(t, refused(), 1)
		require.Empty(t, a.requests(framePath, refused()[0].start))
	})
	t.Run("policy and closed page", func(t *testing.T) {
		b := b.For(t)
		a := newApp(t, idle, time.Hour, noScript)
		b.Navigate(a.URL + "/login?policy=" + url.QueryEscape("default-src 'none'; script-src 'self'; connect-src 'self'; frame-src 'self'; "+
			"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"))
		token, page := a.token(t, b), b.Window()
		require.Equal(t, []int{http.StatusOK}, statuses(waitForFrames(t, a, token, 3)))
		other := b.NewWindow("tab") // a browser ends with its last tab
		b.SwitchTo(page)
		b.CloseWindow()
		b.SwitchTo(other)
		a.waitForEnd(t, token)
	})
}

// fetchMetadata returns the header fields by which a browser describes a request.
func fetchMetadata(r request) (lines []string) {
	for name, values := range r.header {
		if strings.HasPrefix(name, "Sec-Fetch-") || name == "Referer" || name == "Cache-Control" || name == "Origin" {
			lines = append(lines, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(lines)
	return lines
}
