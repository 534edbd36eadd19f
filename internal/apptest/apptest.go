// Package apptest is a small app, its browsers, and what its requests may do to
// each other's sessions, for tests of the core and of the stores.
package apptest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/require"
)

// Page is what each route of App answers.
const Page = "<!doctype html><title>page</title>"

// App has a route for each thing that an app does to a session.
func App(sm *scs.SessionManager) *http.ServeMux {
	mux := http.NewServeMux()
	route := func(path string, do func(context.Context, *http.Request) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r.Context(), r); err != nil {
				panic(err)
			}
			if g, ok := r.Context().Value(GateKey{}).(*Gate); ok {
				g.Wait()
			}
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, Page)
		})
	}
	route("/", func(context.Context, *http.Request) error { return nil })
	route("/put", func(ctx context.Context, r *http.Request) error {
		sm.Put(ctx, "v", r.URL.Query().Get("v"))
		return nil
	})
	route("/login", func(ctx context.Context, _ *http.Request) error {
		sm.Put(ctx, "user", "ann")
		return sm.RenewToken(ctx)
	})
	route("/renew", func(ctx context.Context, _ *http.Request) error { return sm.RenewToken(ctx) })
	route("/logout", func(ctx context.Context, _ *http.Request) error { return sm.Destroy(ctx) })
	route("/deadline", func(ctx context.Context, _ *http.Request) error {
		sm.SetDeadline(ctx, time.Now().Add(time.Minute))
		return nil
	})
	return mux
}

// HandMade is the heartbeat that people write themselves: scs's LoadAndSave
// around everything, and a 204 for the ping.
func HandMade(sm *scs.SessionManager) http.Handler {
	mux := App(sm)
	mux.HandleFunc("/keepalive/ping", func(w http.ResponseWriter, r *http.Request) {
		if g, ok := r.Context().Value(GateKey{}).(*Gate); ok {
			g.Wait()
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return sm.LoadAndSave(mux)
}

// Gate holds a request back where it finds it in its context.
type Gate struct{ Reached, Open chan struct{} }

// GateKey is the context's key for a *Gate.
type GateKey struct{}

// NewGate returns a closed gate.
func NewGate() *Gate { return &Gate{make(chan struct{}), make(chan struct{})} }

// Wait is where the request is held.
func (g *Gate) Wait() {
	close(g.Reached)
	<-g.Open
}

// Client is one browser: it keeps the session cookie.
type Client struct {
	Handler http.Handler
	Token   string
}

// Do sends a request.
func (c *Client) Do(method, target string, ctx context.Context, body string) *http.Response {
	r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if c.Token != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: c.Token})
	}
	w := httptest.NewRecorder()
	c.Handler.ServeHTTP(w, r)
	res := w.Result()
	for _, cookie := range res.Cookies() {
		c.Token = cookie.Value
	}
	return res
}

// Get opens a page.
func (c *Client) Get(target string) *http.Response {
	return c.Do(http.MethodGet, target, context.Background(), "")
}

// Ping is what the script sends.
func (c *Client) Ping() *http.Response {
	return c.Do(http.MethodPost, "/keepalive/ping", context.Background(), "")
}

// Stored is the session that the store has for a token.
func Stored(t testing.TB, sm *scs.SessionManager, token string) (deadline time.Time, values map[string]any, found bool) {
	var data []byte
	var err error
	if c, ok := sm.Store.(scs.CtxStore); ok { // goredisstore of scs panics without a context
		data, found, err = c.FindCtx(context.Background(), token)
	} else {
		data, found, err = sm.Store.Find(token)
	}
	require.NoError(t, err)
	if found {
		deadline, values, err = sm.Codec.Decode(data)
		require.NoError(t, err)
	}
	return deadline, values, found
}

// Sink is a response writer that keeps nothing but the status, so that a
// benchmark measures what is behind it.
type Sink struct {
	Headers http.Header
	Status  int
}

func (w *Sink) Header() http.Header { return w.Headers }

func (w *Sink) WriteHeader(code int) {
	if w.Status == 0 {
		w.Status = code
	}
}

func (w *Sink) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(p), nil
}
