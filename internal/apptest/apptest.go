// Package apptest has a small app, a client for it, and the ways in which requests
// may undo each other's work on a session, for tests of the core and of the stores.
package apptest

import (
	"cmp"
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

// Page is the response of each route of App.
const Page = "<!doctype html><title>page</title>"

// App has a route for each operation of an app on a session. A request whose
// context has a *Gate waits there, after the operation.
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
		q := r.URL.Query()
		sm.Put(ctx, cmp.Or(q.Get("k"), "v"), q.Get("v"))
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

// HandMade is App with the heartbeat that people write themselves: a handler that
// answers 204, inside scs's LoadAndSave.
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

// Gate holds a request that has it in its context. Reached is closed when the
// request is there; closing Open lets it go on.
type Gate struct{ Reached, Open chan struct{} }

// GateKey is the context key of a *Gate.
type GateKey struct{}

// NewGate returns a closed gate.
func NewGate() *Gate { return &Gate{make(chan struct{}), make(chan struct{})} }

// Wait holds the request until Open is closed. It must be called once.
func (g *Gate) Wait() {
	close(g.Reached)
	<-g.Open
}

// Client keeps the session cookie, as a browser does.
type Client struct {
	Handler http.Handler
	Token   string
}

// Do sends a request to Handler, and keeps the token of its response.
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

// Get sends a GET request.
func (c *Client) Get(target string) *http.Response {
	return c.Do(http.MethodGet, target, context.Background(), "")
}

// Ping sends what the script sends.
func (c *Client) Ping() *http.Response {
	return c.Do(http.MethodPost, "/keepalive/ping", context.Background(), "")
}

// Stored returns the session that the store has for a token. With
// HashTokenInStore nothing is found.
func Stored(t testing.TB, sm *scs.SessionManager, token string) (deadline time.Time, values map[string]any, found bool) {
	var data []byte
	var err error
	if c, ok := sm.Store.(scs.CtxStore); ok { // scs's goredisstore panics without a context
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

// Sink is a response writer that keeps only the status, so that a benchmark
// measures the handler.
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
