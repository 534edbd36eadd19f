package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// TestTimes tests what pages learn from the app's own requests, over TLS: browsers hide Server-Timing from others.
func TestTimes(t *testing.T) {
	runInBrowsers(t, []browserTest{
		{name: "app that asks", run: testAppThatAsks},
		{name: "warning", run: testTimesOfPage},
		{name: "copies", run: testCopies},
		{name: "copies of pages", run: testCopiedPages},
	})
}

// secure gives the app a server with TLS.
func (a *app) secure(t *testing.T, front func(http.Handler) http.Handler) {
	handler := a.Config.Handler
	a.Close()
	a.Server = httptest.NewUnstartedServer(front(handler))
	a.EnableHTTP2 = true
	a.StartTLS()
	t.Cleanup(a.Close)
}

// A page sends no ping while its app asks. Without that, one would be sent after 65 % of the idle timeout at the latest.
func testAppThatAsks(t *testing.T, b *webdriver.Browser) {
	const idle = 40 * time.Second
	a := newApp(t, idle, time.Hour)
	a.secure(t, withoutCache)
	token := a.login(t, b)
	since := time.Now()
	webdriver.Script[any](b, "window.asking = setInterval(() => fetch('/resource?cache=no-store').then((r) => r.text()), 1000)")
	never(t, idle*7/10, "a ping", func() bool {
		pings := a.pings(since)
		if len(pings) > 0 && len(a.requests("/resource", pings[0].start.Add(-10*time.Second))) < 5 {
			t.Skip("the app's own requests came late")
		}
		return len(pings) > 0
	})
	webdriver.Script[any](b, "clearInterval(asking)")
	a.waitForPosts(t, token, since, 1)
}

// A page that has to warn knows the deadline as it is loaded.
func testTimesOfPage(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.WarnBefore = 2 * time.Minute })
	a.secure(t, withoutCache)
	for range 3 {
		a.login(t, b)
		never(t, 2*time.Second, "a question", func() bool {
			isAsked := len(a.pings(time.Time{})) > 0
			const isSlow = "return recorded.every(({ name, at }) => name !== 'sent' || at > performance.timeOrigin + 5000)"
			if isAsked && webdriver.Script[bool](b, isSlow) {
				t.Skip("the page has not learnt the deadline in time")
			}
			return isAsked
		})
		deadline := time.UnixMilli(int64(readRecord(b).Life))
		require.WithinDuration(t, time.Now().Add(time.Hour), deadline, time.Minute)
	}
}

// What the browser, a service worker or a CDN has kept says how long the session lived then.
func testCopies(t *testing.T, b *webdriver.Browser) {
	const idle = time.Minute
	a := newApp(t, idle, time.Hour)
	a.secure(t, withCDN)
	token := a.login(t, b)
	// ask lets the page ask, some time after the last answer, and returns that answer's text.
	ask := func(url string) string {
		time.Sleep(idle/20 + time.Second)
		return webdriver.AsyncScript[string](b, "fetch(arguments[0]).then((response) => response.text()).then(arguments[1])", url)
	}
	before := readRecord(b)
	ask("/resource?cache=no-store")
	eventually(t, "an answer is believed", func() bool { return readRecord(b).At > before.At })
	for _, copied := range []struct{ name, url string }{
		{name: "cached", url: "/resource?cache=private,max-age=600"},
		{name: "validated", url: "/resource?etag=1&cache=private,no-cache"},
		{name: "a CDN's", url: "/resource?cdn=1&cache=public,max-age=0,s-maxage=600"},
		{name: "a worker's", url: "/resource?worker=1&cache=private,no-store"},
	} {
		if strings.Contains(copied.url, "worker=") {
			registerWorker(b)
		}
		first := ask(copied.url)
		again := ask(copied.url)
		if b.Engine != webdriver.WebKit || strings.Contains(copied.name, "'s") { // under a driver it has no cache
			require.Equal(t, first, again, copied.name)
		}
		for range 5 { // the observer may hear of it later
			require.WithinRange(t, readRecord(b).expiry(), time.Time{}, a.expiry(t, token).Add(time.Second), copied.name)
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// A copy of a page extends no session, and what it says of the end was true earlier.
func testCopiedPages(t *testing.T, b *webdriver.Browser) {
	const idle = time.Minute
	a := newApp(t, idle, time.Hour)
	a.secure(t, withoutCache)
	// It asks for nothing else, which would extend the session.
	a.html = map[string]string{"": `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Page</title><link rel="icon" href="data:,"></head></html>`}
	token := a.login(t, b)
	deadline := time.Now().Add(time.Hour)
	for _, copied := range []struct {
		name, path string
		isSilent   bool // the server does not hear of it
	}{
		{name: "cached", path: "/kept", isSilent: true},
		{name: "validated", path: "/shell-by-tag"},
		{name: "a worker's", path: "/page", isSilent: true},
	} {
		if copied.name == "a worker's" {
			registerWorker(b)
		}
		time.Sleep(idle/20 + time.Second) // or the server is not certain of the end
		b.Navigate(a.URL + copied.path)
		require.True(t, webdriver.Script[bool](b, "return performance.getEntriesByType('navigation')[0].serverTiming.length > 0"), copied.name)
		time.Sleep(idle / 6)
		since := time.Now()
		b.Navigate("about:blank")
		b.Navigate(a.URL + copied.path)
		if b.Engine != webdriver.WebKit || copied.name != "cached" { // whose cache is not always there under a driver
			require.Equal(t, copied.isSilent, len(a.requests(copied.path, since)) == 0, copied.name)
		}
		for range 20 {
			known := readRecord(b)
			require.False(t, known.expiry().After(a.expiry(t, token).Add(time.Second)), copied.name)
			require.False(t, time.UnixMilli(int64(known.Life)).After(deadline.Add(time.Second)), copied.name)
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func registerWorker(b *webdriver.Browser) {
	webdriver.AsyncScript[any](b, `
		navigator.serviceWorker.addEventListener('controllerchange', () => arguments[0]());
		navigator.serviceWorker.register('/worker.js');`)
}

// sharedRecord is what pages know of their session.
type sharedRecord struct{ At, Idle, Life float64 }

func (r sharedRecord) expiry() time.Time { return time.UnixMilli(int64(r.At + r.Idle)) }

func readRecord(b *webdriver.Browser) sharedRecord {
	return webdriver.Script[sharedRecord](b, "return JSON.parse(localStorage['keepalive:' + origin + '/keepalive/ping'])")
}

// resource says when it was made.
func resource(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", r.URL.Query().Get("cache"))
	if r.URL.Query().Has("etag") {
		w.Header().Set("ETag", `"abc"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	_, _ = fmt.Fprint(w, time.Now())
}

func withoutCache(next http.Handler) http.Handler { return next }

// withCDN keeps what caches may share (RFC 9111, section 3), and sends it with its age.
func withCDN(next http.Handler) http.Handler {
	var mu sync.Mutex
	stored := make(map[string]*httptest.ResponseRecorder)
	storedAt := make(map[string]time.Time)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("cdn") {
			next.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		key := r.URL.String()
		if stored[key] == nil {
			stored[key], storedAt[key] = httptest.NewRecorder(), time.Now()
			next.ServeHTTP(stored[key], r)
		}
		for name, values := range stored[key].Header() {
			if name != "Set-Cookie" {
				w.Header()[name] = values
			}
		}
		w.Header().Set("Age", fmt.Sprint(int(time.Since(storedAt[key]).Seconds())))
		_, _ = io.WriteString(w, stored[key].Body.String())
	})
}
