package e2e_test

import (
	"bytes"
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

// recorder keeps what happens to the page, for the test to ask.
const recorder = webdriver.Recorder + `
window.recorded = [];
for (const name of ['keepalive:ping', 'keepalive:warning', 'keepalive:expired', 'keepalive:resumed', 'keepalive:logout', 'pageshow'])
	addEventListener(name, event =>
		recorded.push({ name, at: Date.now(), hidden: document.hidden, persisted: !!event.persisted, detail: event.detail }));
`

// event is what recorder keeps.
type event struct {
	Name      string
	At        int64 // ms since 1970
	Hidden    bool
	Persisted bool
	Detail    struct {
		Reason string
		Data   any
	}
}

func (e event) time() time.Time { return time.UnixMilli(e.At) }

// events returns the current page's events of a name.
func events(b *webdriver.Browser, name string) []event {
	return webdriver.Script[[]event](b, "return recorded.filter(event => event.name === arguments[0])", name)
}

// ping is a request to the ping endpoint, as the server saw it.
type ping struct {
	at         time.Time
	method     string
	body       string
	status     int
	retryAfter string
}

// app is a web app that uses the library, on a port of its own.
type app struct {
	*httptest.Server
	sm   *scs.SessionManager
	down atomic.Bool // the store fails

	noDialogs atomic.Bool // a proxy answers for them, with a page of its own

	mu   sync.Mutex
	seen []ping
}

func newApp(t *testing.T, idle, lifetime time.Duration, change ...func(*keepalive.Config)) *app {
	a := &app{sm: scs.New()}
	a.sm.IdleTimeout, a.sm.Lifetime = idle, lifetime
	a.sm.Cookie.Name = strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()) // ports do not tell cookies apart
	a.sm.Store = failingStore{memstore.New(), &a.down}
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
		a.sm.Put(r.Context(), "user", "alice")
		a.page(w, r)
	})
	mux.HandleFunc("/page", a.page)
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := a.sm.Destroy(r.Context()); err != nil {
			panic(err)
		}
		_, _ = fmt.Fprint(w, "signed out")
	})
	mux.HandleFunc("/recorder.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, recorder)
	})
	mux.HandleFunc("/favicon.ico", func(http.ResponseWriter, *http.Request) {})
	handler := km.LoadAndSave(mux)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noted := &statusWriter{w, http.StatusOK}
		var body bytes.Buffer
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &body), r.Body}
		if a.noDialogs.Load() && r.URL.Path == km.Path()+"dialog" {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = fmt.Fprint(w, "<!doctype html><title>Bad gateway</title>")
			return
		}
		handler.ServeHTTP(noted, r)
		if r.URL.Path == km.Path()+"ping" {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.seen = append(a.seen, ping{time.Now(), r.Method, body.String(), noted.status, w.Header().Get("Retry-After")})
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// page answers with the policy that the address asks for.
func (a *app) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if policy := r.URL.Query().Get("policy"); policy != "" {
		w.Header().Set("Content-Security-Policy", policy)
	}
	_, _ = fmt.Fprint(w, pageHTML)
}

// pings returns the pings since a time.
func (a *app) pings(since time.Time) []ping {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.seen, func(p ping) bool { return p.at.After(since) })
	if i < 0 {
		return nil
	}
	return slices.Clone(a.seen[i:])
}

// login opens a page with a new session in the current tab and returns the session's token.
func (a *app) login(t *testing.T, b *webdriver.Browser) string {
	t.Helper()
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

// staysAlive fails if the session ends within a time.
func (a *app) staysAlive(t *testing.T, token string, d time.Duration) {
	t.Helper()
	for start := time.Now(); time.Since(start) < d; time.Sleep(100 * time.Millisecond) {
		require.True(t, a.alive(t, token), "the session ended after %v", time.Since(start))
	}
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

// failingStore fails while it is down.
type failingStore struct {
	scs.Store
	down *atomic.Bool
}

var errDown = errors.New("the store is down")

func (s failingStore) Find(token string) ([]byte, bool, error) {
	if s.down.Load() {
		return nil, false, errDown
	}
	return s.Store.Find(token)
}

func (s failingStore) Commit(token string, data []byte, expiry time.Time) error {
	if s.down.Load() {
		return errDown
	}
	return s.Store.Commit(token, data, expiry)
}
