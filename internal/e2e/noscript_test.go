package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
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

// request is what the server saw of a request.
type request struct {
	at     time.Time
	path   string
	status int
	header http.Header
}

// traffic keeps an app's requests of all kinds.
type traffic struct {
	mu   sync.Mutex
	seen []request
}

// watch keeps what a new app is asked for. Its page /scripted is outside of the library.
func (a *app) watch() *traffic {
	l, next := &traffic{}, a.Config.Handler
	a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noted := &statusWriter{w, http.StatusOK}
		if r.URL.Path == "/scripted" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = fmt.Fprint(w, scriptedHTML)
		} else {
			next.ServeHTTP(noted, r)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen = append(l.seen, request{time.Now(), r.URL.Path, noted.status, r.Header.Clone()})
	})
	return l
}

// of returns the requests since a time whose path begins so.
func (l *traffic) of(prefix string, since time.Time) (found []request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.seen {
		if strings.HasPrefix(r.path, prefix) && r.at.After(since) {
			found = append(found, r)
		}
	}
	return found
}

// statuses are those of requests, each once.
func statuses(requests []request) (all []int) {
	for _, r := range requests {
		all = append(all, r.status)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

const framePath = "/keepalive/frame"

func noScript(c *keepalive.Config) { c.NoScript = true }

// testNoScript has a browser of its own, whose JavaScript is off.
func testNoScript(t *testing.T, b *webdriver.Browser) {
	const (
		idle    = 6 * time.Second
		refresh = idle / 3
	)
	t.Run("with JavaScript", func(t *testing.T) {
		b := b.For(t)
		a := newApp(t, idle, time.Hour, noScript)
		l := a.watch()
		token := a.login(t, b)
		a.staysAlive(t, token, idle)
		require.Empty(t, l.of(framePath, time.Time{}))
		b.Navigate(a.URL + "/scripted")
		within(t, slack, "the scripts have run", func() bool { return len(l.of("/ran", time.Time{})) == 3 })
	})

	b = webdriver.Start(t, b.Engine, webdriver.NoJavaScript)
	t.Run("the browser", func(t *testing.T) {
		b := b.For(t)
		a := newApp(t, idle, time.Hour)
		l := a.watch()
		b.Navigate(a.URL + "/scripted")
		within(t, slack, "the page", func() bool { return len(l.of("/loaded", time.Time{})) > 0 })
		time.Sleep(time.Second)
		require.Empty(t, l.of("/ran", time.Time{}))
	})
	t.Run("open page", func(t *testing.T) {
		b := b.For(t)
		a := newApp(t, idle, time.Hour, noScript)
		l := a.watch()
		token := a.login(t, b)
		a.staysAlive(t, token, 3*idle)
		b.Navigate("about:blank")
		left := time.Now()
		frames := l.of(framePath, time.Time{})
		require.Equal(t, []int{http.StatusOK}, statuses(frames))
		require.InDelta(t, 3*idle/refresh, len(frames), 3)
		require.Empty(t, a.pings(time.Time{}))
		require.Empty(t, l.of("/keepalive/keepalive.js", time.Time{}))
		t.Logf("the first frame comes with %q", fetchMetadata(frames[0]))
		t.Logf("the next frame comes with %q", fetchMetadata(frames[1]))

		t.Logf("the session ended %v after the page was left", a.ends(t, token, idle+slack).Sub(left))
		require.LessOrEqual(t, len(l.of(framePath, left)), 1, "a page that was left goes on")
	})
	t.Run("logout", func(t *testing.T) {
		b := b.For(t)
		a := newApp(t, idle, time.Hour, noScript)
		l := a.watch()
		token := a.login(t, b)
		within(t, refresh+slack, "two frames", func() bool { return len(l.of(framePath, time.Time{})) > 1 })
		require.NoError(t, a.sm.Store.Delete(token))
		ended := time.Now()
		within(t, refresh+slack, "the frame hears of it", func() bool { return len(l.of(framePath, ended)) > 0 })
		time.Sleep(3*refresh + time.Second)
		asked := l.of(framePath, ended)
		require.Len(t, asked, 1)
		require.Equal(t, http.StatusUnauthorized, asked[0].status)
	})
	t.Run("policy and closed page", func(t *testing.T) {
		b := b.For(t)
		a := newApp(t, idle, time.Hour, noScript)
		l := a.watch()
		b.Navigate(a.URL + "/login?policy=" + url.QueryEscape("default-src 'none'; script-src 'self'; connect-src 'self'; frame-src 'self'; "+
			"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"))
		token, page := a.token(t, b), b.Window()
		a.staysAlive(t, token, idle+2*refresh)
		require.Equal(t, []int{http.StatusOK}, statuses(l.of(framePath, time.Time{})))
		other := b.NewWindow("tab") // a browser ends with its last tab
		b.SwitchTo(page)
		b.CloseWindow()
		a.ends(t, token, idle+slack)
		b.SwitchTo(other)
	})
}

// fetchMetadata is what a request says of itself.
func fetchMetadata(r request) (lines []string) {
	for name, values := range r.header {
		if strings.HasPrefix(name, "Sec-Fetch-") || name == "Referer" || name == "Cache-Control" || name == "Origin" {
			lines = append(lines, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(lines)
	return lines
}
