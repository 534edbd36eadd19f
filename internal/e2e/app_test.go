package e2e_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// nonce is fixed, as no page here is attacked.
const nonce = "bm9uY2U"

// pageHTML loads the recorder as a blocking script, so that it is there before the library's script runs.
const pageHTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>App</title>
<script src="/recorder.js" nonce="` + nonce + `"></script>
</head>
<body><main><h1>App</h1><form><label>Story <textarea id="story"></textarea></label></form></main></body>
</html>
`

const (
	pingPath  = "/keepalive/ping"
	framePath = "/keepalive/frame"
)

// app is a web app that uses the library, on a port of its own.
type app struct {
	*httptest.Server
	sm   *scs.SessionManager
	down atomic.Bool // the store fails

	noDialogs atomic.Bool // a proxy answers for them, with a page of its own

	browser *webdriver.Browser    // that has signed in
	lasts   bool                  // sessions last for an hour although their pages know of a short idle timeout
	html    map[string]string     // of its pages, by the query of their address; pageHTML where there is none
	prelude string                // a script that runs in its pages before all others
	front   atomic.Pointer[front] // answers pings in place of the app

	expiries sync.Map // of sessions by their tokens, as last written

	mu    sync.Mutex
	seen  []request
	begun []time.Time // when pings that extend a session began, answered or not
}

// front stands between browsers and the app's pings.
type front func(w http.ResponseWriter, r *http.Request, app http.Handler)

// request is what the server saw of a request.
type request struct {
	start, end         time.Time // of the answer
	method, path, body string
	header             http.Header
	status             int
	retryAfter         string
	expiry             time.Time // of the session after a ping; zero when there is none
}

func newApp(t *testing.T, idle, lifetime time.Duration, change ...func(*keepalive.Config)) *app {
	a := &app{sm: scs.New()}
	a.sm.IdleTimeout, a.sm.Lifetime = idle, lifetime
	a.sm.Store = failingStore{memstore.New(), a}
	// Warnings that the idle timeout is short are true here.
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	cfg := keepalive.Config{Logger: logger}
	for _, f := range change {
		f(&cfg)
	}
	km, err := keepalive.New(a.sm, cfg)
	require.NoError(t, err)

	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if err := a.sm.RenewToken(r.Context()); err != nil {
			panic(err)
		}
		a.sm.Put(r.Context(), "user", cmp.Or(r.URL.Query().Get("user"), "alice"))
		a.page(w, r)
	})
	mux.HandleFunc("/page", a.page)
	mux.HandleFunc("/kept", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=600")
		a.page(w, r)
	})
	mux.HandleFunc("/shell-by-tag", shell(`"abc"`, time.Time{}))
	mux.HandleFunc("/shell-by-hand", handMadeShell)
	mux.HandleFunc("/shell-by-date", shell("", time.Now().Add(-time.Hour)))
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := a.sm.Destroy(r.Context()); err != nil {
			panic(err)
		}
		_, _ = fmt.Fprint(w, "signed out")
	})
	mux.HandleFunc("/recorder.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, recorder, a.prelude)
	})
	mux.HandleFunc("/data", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, time.Now().UnixMilli()) })
	mux.HandleFunc("/resource", resource)
	mux.HandleFunc("/worker.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, worker)
	})
	mux.HandleFunc("/favicon.ico", func(http.ResponseWriter, *http.Request) {})

	outside := http.NewServeMux()
	outside.Handle("/", km.LoadAndSave(mux))
	outside.HandleFunc("/scripted", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, scriptedHTML)
	})
	a.Server = httptest.NewServer(a.record(outside))
	// Browsers do not tell cookies apart by ports.
	name := t.Name() + "-" + a.Listener.Addr().String()
	a.sm.Cookie.Name = strings.NewReplacer("/", "-", " ", "-", ":", "-").Replace(name)
	t.Cleanup(a.Close)
	return a
}

// record keeps what the app is asked for.
func (a *app) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.noDialogs.Load() && r.URL.Path == "/keepalive/dialog" {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = fmt.Fprint(w, "<!doctype html><title>Bad gateway</title>")
			return
		}
		seen := request{start: time.Now(), method: r.Method, path: r.URL.Path, header: r.Header.Clone()}
		if r.Method == http.MethodPost && r.URL.Path == pingPath {
			a.mu.Lock()
			a.begun = append(a.begun, seen.start)
			a.mu.Unlock()
		}
		noted := &statusWriter{w, http.StatusOK}
		var body bytes.Buffer
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &body), r.Body}
		if front := a.front.Load(); front != nil && r.URL.Path == pingPath {
			(*front)(noted, r, next)
		} else {
			next.ServeHTTP(noted, r)
		}

		if a.lasts {
			a.prolong(w.Header())
		}
		seen.body, seen.status, seen.retryAfter = body.String(), noted.status, w.Header().Get("Retry-After")
		if cookie, err := r.Cookie(a.sm.Cookie.Name); err == nil && r.URL.Path == pingPath {
			seen.expiry, _, _ = a.sm.Store.(keepalive.Store).Expiry(r.Context(), cookie.Value) // which fails with the store
		}
		seen.end = time.Now()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.seen = append(a.seen, seen)
	})
}

// page answers with the policy that the address asks for.
func (a *app) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if policy := r.URL.Query().Get("policy"); policy != "" {
		w.Header().Set("Content-Security-Policy", policy)
	}
	if policy := r.URL.Query().Get("integrity"); policy != "" {
		w.Header().Set("Integrity-Policy", policy)
	}
	_, _ = fmt.Fprint(w, cmp.Or(a.html[r.URL.RawQuery], pageHTML))
}

// requests returns those that began after a time and whose path begins so.
func (a *app) requests(prefix string, since time.Time) (found []request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.seen {
		if strings.HasPrefix(r.path, prefix) && r.start.After(since) {
			found = append(found, r)
		}
	}
	return found
}

func (a *app) pings(since time.Time) []request { return a.requests(pingPath, since) }

// posts are the pings that extended the session, or tried to.
func (a *app) posts(since time.Time) (posts []request) {
	for _, p := range a.pings(since) {
		if p.method == http.MethodPost {
			posts = append(posts, p)
		}
	}
	return posts
}

// login opens a page with a new session in the current tab and returns the session's token.
func (a *app) login(t *testing.T, b *webdriver.Browser) string {
	t.Helper()
	a.browser = b
	b.Navigate(a.URL + "/login")
	return a.token(t, b)
}

// token returns the current page's session token.
func (a *app) token(t *testing.T, b *webdriver.Browser) string {
	t.Helper()
	for _, cookie := range b.Cookies() {
		if cookie.Name == a.sm.Cookie.Name {
			return cookie.Value
		}
	}
	require.Fail(t, "no session cookie")
	return ""
}

// alive asks the store, which changes nothing.
func (a *app) alive(t *testing.T, token string) bool {
	t.Helper()
	_, found, err := a.sm.Store.Find(token)
	require.NoError(t, err)
	return found
}

// requireAlive fails when the session has ended, unless the browser stood still.
func (a *app) requireAlive(t *testing.T, token string) {
	t.Helper()
	if a.alive(t, token) {
		return
	}
	a.skipIfStalled(t, token)
	require.Fail(t, "the session has ended")
}

// skipIfStalled skips a test that has failed if that says nothing of the library, and runUnlessStalled runs it again: the
// timers of a page came late since its last answer, or a ping that it sent in time had not reached the server when the
// session ended.
func (a *app) skipIfStalled(t *testing.T, token string) {
	t.Helper()
	for _, window := range a.browser.Windows() {
		a.browser.SwitchTo(window)
		var late int64
		var unanswered []time.Time
		for _, e := range webdriver.Script[[]event](a.browser, "return window.recorded ?? []") {
			t.Log(e.time().Format(time.StampMilli), e.Name, e.Method, e.Body, e.Late)
			late += e.Late
			if e.Name == "sent" && e.Method == http.MethodPost {
				unanswered = append(unanswered, e.time())
			}
			if e.Name == "keepalive:ping" {
				late, unanswered = 0, nil
			}
		}
		if late > stall.Milliseconds() {
			t.Skipf("timers came %d ms late", late)
		}
		for _, sent := range unanswered {
			if a.isHeldUp(token, sent) {
				t.Skipf("the ping sent at %s did not reach the server in time", sent.Format(time.StampMilli))
			}
		}
	}
	for _, p := range a.pings(time.Time{}) {
		t.Log(p.start.Format(time.StampMilli), p.end.Format(time.StampMilli), p.method, p.status)
	}
}

// isHeldUp reports whether a ping sent at a time had not reached the server when the session ended, long after that. No
// ping had then, or that one would have moved the end.
func (a *app) isHeldUp(token string, sent time.Time) bool {
	end, ok := a.expiries.Load(token)
	if !ok || end.(time.Time).After(time.Now()) || end.(time.Time).Sub(sent) < stall {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return !slices.ContainsFunc(a.begun, func(begun time.Time) bool {
		return begun.After(sent.Add(-near)) && begun.Before(end.(time.Time))
	})
}

// prolong moves the expiry of a session that a response begins an hour ahead.
func (a *app) prolong(header http.Header) {
	for _, cookie := range (&http.Response{Header: header}).Cookies() {
		data, found, err := a.sm.Store.Find(cookie.Value)
		if err == nil && found {
			err = a.sm.Store.Commit(cookie.Value, data, time.Now().Add(time.Hour))
		}
		if err != nil {
			panic(err)
		}
	}
}

// expire lets a session end at a time, unless something extends it.
func (a *app) expire(t *testing.T, token string, at time.Time) {
	t.Helper()
	data, found, err := a.sm.Store.Find(token)
	require.NoError(t, err)
	require.True(t, found, "the session has ended")
	require.NoError(t, a.sm.Store.Commit(token, data, at))
}

// expiry asks the store when the session ends if nothing extends it.
func (a *app) expiry(t *testing.T, token string) time.Time {
	t.Helper()
	expiry, found, err := a.sm.Store.(keepalive.Store).Expiry(t.Context(), token)
	require.NoError(t, err)
	if !found {
		a.requireAlive(t, token)
	}
	return expiry
}

// staysAlive fails if the session ends within a time.
func (a *app) staysAlive(t *testing.T, token string, d time.Duration) {
	t.Helper()
	never(t, d, "the session has ended", func() bool {
		a.requireAlive(t, token)
		return false
	})
}

// waitForPosts waits until pages have tried to extend the session n times since a time. The session must not end.
func (a *app) waitForPosts(t *testing.T, token string, since time.Time, n int) []request {
	t.Helper()
	eventually(t, fmt.Sprintf("%d pings", n), func() bool {
		a.requireAlive(t, token)
		return len(a.posts(since)) >= n
	})
	return a.posts(since)
}

// waitForEnd waits until the session has ended.
func (a *app) waitForEnd(t *testing.T, token string) {
	t.Helper()
	eventually(t, "the session ends", func() bool { return !a.alive(t, token) })
}

// statusWriter notes the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// failingStore fails while its app is down, and notes what it writes.
type failingStore struct {
	scs.Store
	app *app
}

var errDown = errors.New("the store is down")

func (s failingStore) Find(token string) ([]byte, bool, error) {
	if s.app.down.Load() {
		return nil, false, errDown
	}
	return s.Store.Find(token)
}

func (s failingStore) Commit(token string, data []byte, expiry time.Time) error {
	if s.app.down.Load() {
		return errDown
	}
	s.app.expiries.Store(token, expiry)
	return s.Store.Commit(token, data, expiry)
}
