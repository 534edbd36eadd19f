package keepalive_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

const page = "<!doctype html><title>page</title>"

// shared is copied by newSessions: scs.New starts a goroutine that never ends,
// which a synctest bubble can't have.
var shared = scs.New()

// newSessions returns a session manager on an empty memstore without a cleanup
// goroutine, with an idle timeout of 20 minutes and a lifetime of 12 hours.
func newSessions() *scs.SessionManager {
	sm := *shared
	sm.Store = memstore.NewWithCleanupInterval(0)
	sm.IdleTimeout = 20 * time.Minute
	sm.Lifetime = 12 * time.Hour
	return &sm
}

func newManager(t testing.TB, sm *scs.SessionManager, cfg keepalive.Config) *keepalive.Manager {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	km, err := keepalive.New(sm, cfg)
	require.NoError(t, err)
	return km
}

// newApp has a route for each thing that an app does to a session.
func newApp(sm *scs.SessionManager) *http.ServeMux {
	mux := http.NewServeMux()
	route := func(path string, do func(context.Context, *http.Request) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r.Context(), r); err != nil {
				panic(err)
			}
			if g, ok := r.Context().Value(gateKey{}).(*gate); ok {
				g.wait()
			}
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, page)
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

// gate holds a request back where it finds it in its context.
type gate struct{ reached, open chan struct{} }

type gateKey struct{}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) wait() {
	close(g.reached)
	<-g.open
}

// client is one browser: it keeps the session cookie.
type client struct {
	h     http.Handler
	token string
}

func (c *client) do(method, target string, ctx context.Context, body string) *http.Response {
	r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if c.token != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: c.token})
	}
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	res := w.Result()
	for _, cookie := range res.Cookies() {
		c.token = cookie.Value
	}
	return res
}

func (c *client) get(target string) *http.Response {
	return c.do(http.MethodGet, target, context.Background(), "")
}

func (c *client) ping() *http.Response {
	return c.do(http.MethodPost, "/keepalive/ping", context.Background(), "")
}

// body returns what a response says and closes it.
func body(t testing.TB, res *http.Response) string {
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return string(b)
}

// stored is the session that the store has for a token.
func stored(t testing.TB, sm *scs.SessionManager, token string) (deadline time.Time, values map[string]any, found bool) {
	data, found, err := sm.Store.Find(token)
	require.NoError(t, err)
	if found {
		deadline, values, err = sm.Codec.Decode(data)
		require.NoError(t, err)
	}
	return deadline, values, found
}
