package stores_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/goredisstore"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/stretchr/testify/require"
)

// patience ends what hangs: a driver may take its time to notice that a server
// is there again, or to let go of one that does not answer, and a machine with
// other work takes longer for everything.
const patience = 2 * time.Minute

// cutShort is how long a call may take when its context has ended. It is less
// than any limit of the drivers and stores, the nearest of which is SQLite's wait
// of 5 s for a lock.
const cutShort = 4 * time.Second

// The drivers would report each connection that is lost.
func init() {
	redis.SetLogger(quiet{})
	_ = mysql.SetLogger(&mysql.NopLogger{})
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// faultApp is an app on a store. Its put does not ask whether there is a user,
// so that it would bring a session back if anything did.
type faultApp struct {
	store   keepalive.Store
	handler http.Handler
	lost    atomic.Int64 // EventLost
	// during runs in the middle of a put, after the session was loaded.
	during func()
}

func newFaultApp(t *testing.T, store keepalive.Store) *faultApp {
	a := &faultApp{store: store, during: func() {}}
	sm := sessions(store)
	km, err := keepalive.New(sm, keepalive.Config{
		Logger:    slog.New(slog.DiscardHandler),
		ErrorFunc: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusInternalServerError) },
		Observer: func(e keepalive.Event) {
			if e.Kind == keepalive.EventLost {
				a.lost.Add(1)
			}
		},
	})
	require.NoError(t, err)
	handle := func(mux *http.ServeMux, path string, f func(r *http.Request) error) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := f(r); err != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
	}
	mux := http.NewServeMux()
	handle(mux, "/login", func(r *http.Request) error {
		if err := sm.RenewToken(r.Context()); err != nil {
			return err
		}
		sm.Put(r.Context(), "user", "ann")
		return nil
	})
	handle(mux, "/put", func(r *http.Request) error {
		sm.Put(r.Context(), "value", r.FormValue("v"))
		a.during()
		return nil
	})
	handle(mux, "/deadline", func(r *http.Request) error {
		d, err := time.ParseDuration(r.FormValue("v"))
		sm.SetDeadline(r.Context(), time.Now().Add(d))
		return err
	})
	handle(mux, "/logout", func(r *http.Request) error { return sm.Destroy(r.Context()) })
	mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		if sm.GetString(r.Context(), "user") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = w.Write([]byte(sm.GetString(r.Context(), "value")))
	})
	a.handler = km.LoadAndSave(mux)
	return a
}

// do sends a request with the token, if there is one. cookie is the token that
// the answer sets.
func (a *faultApp) do(ctx context.Context, path, token string) (code int, body, cookie string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: token})
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	code = w.Code
	if code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		code = -code // no test expects that
	}
	for _, c := range w.Result().Cookies() {
		cookie = c.Value
	}
	return code, w.Body.String(), cookie
}

func (a *faultApp) code(path, token string) int {
	code, _, _ := a.do(context.Background(), path, token)
	return code
}

func (a *faultApp) ping(token string) int { return a.code("/keepalive/ping", token) }

func (a *faultApp) login(t *testing.T) string {
	code, _, token := a.do(t.Context(), "/login", "")
	require.Equal(t, 200, code)
	require.NotEmpty(t, token)
	return token
}

func (a *faultApp) exists(t *testing.T, token string) bool {
	_, found, err := a.store.Find(token)
	require.NoError(t, err)
	return found
}

// put writes a value. ok: it was acknowledged for this very session.
func (a *faultApp) put(token, v string) (code int, ok bool) {
	code, _, cookie := a.do(context.Background(), "/put?v="+url.QueryEscape(v), token)
	return code, code == 200 && cookie == token
}

// recovers waits until a session that was there before answers again.
func (a *faultApp) recovers(t *testing.T, token string) {
	t.Helper()
	require.Eventually(t, func() bool {
		code := a.ping(token)
		require.Contains(t, []int{200, 503}, code)
		return code == 200
	}, patience, 20*time.Millisecond)
}

// noGoroutinesLeft looks once everything that is opened after it has closed:
// the caller must call it first.
func noGoroutinesLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		// The servers package keeps one for all, and a runtime may have one of
		// its own.
		for end := time.Now().Add(patience); runtime.NumGoroutine() > before+2; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				var b strings.Builder
				_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
				require.Failf(t, "goroutines are left", "%d, were %d\n%s", runtime.NumGoroutine(), before, b.String())
			}
		}
	})
}

// durable is each server, with a Redis that keeps its data when it is killed.
var durable = map[string]func(testing.TB) backend{
	"Redis": func(tb testing.TB) backend {
		b := backend{server: durableRedis(tb)}
		b.ours = func(tb testing.TB, v via) keepalive.Store { return goredisstore.New(redisClient(tb, b.server, v)) }
		return b
	},
	"Redis/redigo":  func(tb testing.TB) backend { return redigoBackend(durableRedis(tb)) },
	"PostgreSQL":    startPostgres,
	"PostgreSQL/pq": startPQ,
	"MariaDB":       startMariaDB,
}

func durableRedis(tb testing.TB) *servers.Server {
	return servers.Redis(tb, "--appendonly", "yes", "--appendfsync", "always")
}

func TestFaultServerKilled(t *testing.T) {
	for name, start := range durable {
		t.Run(name, func(t *testing.T) {
			noGoroutinesLeft(t)
			b := start(t)
			a := newFaultApp(t, b.ours(t, via{}))
			token := a.login(t)
			tr := startTraffic(t, a)
			for range 2 {
				tr.goesOn(t, "put200", 30)
				tr.goesOn(t, "logout200", 2)
				b.server.Kill()
				require.Equal(t, 503, a.ping(token))
				tr.goesOn(t, "ping of a live session 503", 2)
				tr.goesOn(t, "put500", 1)
				b.server.Start()
				a.recovers(t, token)
			}
			tr.goesOn(t, "put200", 30)
			tr.check(t, b.ours(t, via{}))
		})
	}
}

func TestFaultConnectionsCut(t *testing.T) {
	for name, start := range durable {
		t.Run(name, func(t *testing.T) {
			noGoroutinesLeft(t)
			b := start(t)
			proxy := servers.NewProxy(t, b.server.Addr)
			a := newFaultApp(t, b.ours(t, via{addr: proxy.Addr}))
			token := a.login(t)
			tr := startTraffic(t, a)
			for range 20 {
				proxy.Cut()
				tr.goesOn(t, "put200", 3)
				tr.goesOn(t, "ping of a live session 200", 3)
			}
			for range 2 {
				proxy.Refuse(true)
				proxy.Cut()
				require.Equal(t, 503, a.ping(token))
				tr.goesOn(t, "ping of a live session 503", 2)
				proxy.Refuse(false)
				a.recovers(t, token)
				tr.goesOn(t, "put200", 10)
			}
			tr.check(t, b.ours(t, via{}))
		})
	}
}

// assert is for goroutines, which must not end a test.
func assert(t *testing.T, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Errorf(format, args...)
	}
}
