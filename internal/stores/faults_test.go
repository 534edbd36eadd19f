package stores_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/goredisstore"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/seed4a306b22/keepalive/sqlite3store"
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

// What is known of a session: a logout that was answered with an error may or
// may not have ended it.
const (
	live int32 = iota
	leaving
	gone
)

type trafficSession struct {
	token  string
	state  atomic.Int32
	values []string // what may be in the store; only its worker uses it
}

// traffic keeps a number of sessions busy: each is written, read and ended by
// one worker, and pinged by others.
type traffic struct {
	app *faultApp
	// fresh is an instance that has not yet seen any session, so that reading
	// one extends it.
	fresh func() *faultApp
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu       sync.Mutex
	sessions []*trafficSession
	answers  map[string]int
	faults   []string
}

func startTraffic(t *testing.T, a *faultApp) *traffic {
	tr := &traffic{app: a, answers: map[string]int{}}
	tr.fresh = func() *faultApp { return newFaultApp(t, a.store) }
	var ctx context.Context
	ctx, tr.stop = context.WithCancel(context.Background())
	t.Cleanup(tr.end)
	for id := range 4 {
		var own []*trafficSession
		for range 6 {
			own = append(own, tr.begin(a.login(t)))
		}
		tr.run(ctx, func(n int) { tr.work(own, fmt.Sprintf("%d-%d", id, n)) })
	}
	for range 3 {
		tr.run(ctx, func(int) { tr.look(a, "ping", "/keepalive/ping", 503) })
	}
	for range 2 {
		tr.run(ctx, func(int) { tr.look(tr.fresh(), "look", "/read", 500) })
	}
	return tr
}

func (tr *traffic) end() {
	tr.stop()
	tr.wg.Wait()
}

func (tr *traffic) run(ctx context.Context, f func(n int)) {
	tr.wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			f(n)
			time.Sleep(time.Millisecond) // as clients think, or the machine has no time for the server
		}
	})
}

func (tr *traffic) begin(token string) *trafficSession {
	s := &trafficSession{token: token, values: []string{""}}
	tr.mu.Lock()
	tr.sessions = append(tr.sessions, s)
	tr.mu.Unlock()
	return s
}

// note counts an answer, which is a fault if it is none of those allowed.
func (tr *traffic) note(what string, code int, allowed ...int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.answers[fmt.Sprint(what, code)]++
	if !slices.Contains(allowed, code) && len(tr.faults) < 20 {
		tr.faults = append(tr.faults, fmt.Sprintf("%s answered %d", what, code))
	}
}

func (tr *traffic) work(own []*trafficSession, v string) {
	i := rand.IntN(len(own))
	s := own[i]
	if s.state.Load() != live { // a new one in its place
		if code, _, token := tr.app.do(context.Background(), "/login", ""); code == 200 {
			own[i] = tr.begin(token)
		}
		return
	}
	switch p := rand.IntN(100); {
	case p < 45:
		code, ok := tr.app.put(s.token, v)
		if code == 200 && !ok {
			code = -200 // the session was lost
		}
		tr.note("put", code, 200, 500)
		if ok {
			// Those before it that failed may still be on their way.
			s.values[0] = v
		} else {
			s.values = append(s.values, v)
		}
	case p < 90:
		code, body, _ := tr.app.do(context.Background(), "/read", s.token)
		if code == 200 && !slices.Contains(s.values, body) {
			code = -200 // a write was lost
		}
		tr.note("read", code, 200, 500)
	case p < 95:
		s.state.Store(leaving)
		var late sync.WaitGroup // others that must not undo it
		late.Go(func() { tr.app.put(s.token, "late") })
		late.Go(func() { tr.fresh().code("/read", s.token) })
		code := tr.app.code("/logout", s.token)
		tr.note("logout", code, 200, 500)
		late.Wait()
		if code == 200 {
			s.state.Store(gone)
		}
	default: // a login over it, which must end the old token
		s.state.Store(leaving)
		code, _, token := tr.app.do(context.Background(), "/login", s.token)
		tr.note("login", code, 200, 500)
		if code == 200 {
			s.state.Store(gone)
			own[i] = tr.begin(token)
			own[i].values = slices.Clone(s.values)
		}
	}
}

// look asks for any session, also those that have ended. failed is the answer
// when the store does not work.
func (tr *traffic) look(a *faultApp, what, path string, failed int) {
	tr.mu.Lock()
	s := tr.sessions[rand.IntN(len(tr.sessions))]
	tr.mu.Unlock()
	before := s.state.Load()
	code := a.code(path, s.token)
	switch {
	case before == gone:
		tr.note(what+" of an ended session ", code, 401, failed)
	case s.state.Load() == live:
		tr.note(what+" of a live session ", code, 200, failed)
	default:
		tr.note(what+" of a leaving session ", code, 200, 401, failed)
	}
}

func (tr *traffic) count(answer string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.answers[answer]
}

// goesOn waits for n more of an answer.
func (tr *traffic) goesOn(t *testing.T, answer string, n int) {
	t.Helper()
	want := tr.count(answer) + n
	require.Eventually(t, func() bool { return tr.count(answer) >= want }, patience, 5*time.Millisecond, answer)
}

// check ends the traffic and compares what is known with what is stored, also as
// another process sees it.
func (tr *traffic) check(t *testing.T, other keepalive.Store) {
	tr.end()
	t.Log(tr.answers)
	require.Empty(t, tr.faults)
	second := newFaultApp(t, other)
	for _, s := range tr.sessions {
		for _, a := range []*faultApp{tr.app, second} {
			code := a.ping(s.token)
			_, found, err := other.Find(s.token)
			require.NoError(t, err)
			switch s.state.Load() {
			case gone:
				require.Equal(t, 401, code)
				require.False(t, found, "a session that was logged out is there")
			case live:
				require.Equal(t, 200, code)
				require.True(t, found)
				code, body, _ := a.do(t.Context(), "/read", s.token)
				require.Equal(t, 200, code)
				require.Contains(t, s.values, body)
			default:
				require.Equal(t, found, code == 200)
			}
		}
	}
}

// durable is each server, with a Redis that keeps its data when it is killed.
var durable = map[string]func(testing.TB) backend{
	"Redis": func(tb testing.TB) backend {
		b := backend{server: servers.Redis(tb, "--appendonly", "yes", "--appendfsync", "always")}
		b.ours = func(tb testing.TB, v via) keepalive.Store { return goredisstore.New(redisClient(tb, b.server, v)) }
		return b
	},
	"PostgreSQL": startPostgres,
	"MariaDB":    startMariaDB,
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

// stalled is each storage, and how to make it hang.
var stalled = map[string]func(t *testing.T) (store keepalive.Store, stall, release func()){
	"Redis":          func(t *testing.T) (keepalive.Store, func(), func()) { return pausable(t, startRedis(t)) },
	"PostgreSQL":     func(t *testing.T) (keepalive.Store, func(), func()) { return pausable(t, startPostgres(t)) },
	"MariaDB":        func(t *testing.T) (keepalive.Store, func(), func()) { return pausable(t, startMariaDB(t)) },
	"SQLite/modernc": func(t *testing.T) (keepalive.Store, func(), func()) { return lockable(t, "sqlite") },
	"SQLite/mattn":   func(t *testing.T) (keepalive.Store, func(), func()) { return lockable(t, "sqlite3") },
}

func pausable(t *testing.T, b backend) (store keepalive.Store, stall, release func()) {
	return b.ours(t, via{}), b.server.Pause, b.server.Resume
}

// lockable has a rollback journal, where another one's lock stops readers too.
func lockable(t *testing.T, driver string) (store keepalive.Store, stall, release func()) {
	file := filepath.Join(servers.TempDir(t), "sessions.db")
	other := sqliteFile(t, driver, file, 1)
	store = sqlite3store.NewWithCleanupInterval(sqliteFile(t, driver, file, 0), 0)
	return store, func() { sqliteExec(t, other, "BEGIN EXCLUSIVE") }, func() { _, _ = other.Exec("ROLLBACK") }
}

func TestFaultStoreHangs(t *testing.T) {
	for name, start := range stalled {
		t.Run(name, func(t *testing.T) {
			noGoroutinesLeft(t)
			store, stall, release := start(t)
			a := newFaultApp(t, store)
			token := a.login(t)
			code, ok := a.put(token, "old")
			require.True(t, ok, code)
			code, _, short := a.do(t.Context(), "/login", "")
			require.Equal(t, 200, code)
			require.Equal(t, 200, a.code("/deadline?v=5m", short))
			data, found, err := store.Find(token)
			require.NoError(t, err)
			require.True(t, found)
			for _, key := range []string{"replaced", "committed", "deleted"} {
				require.NoError(t, store.Commit(key, data, time.Now().Add(time.Hour)))
			}
			require.Equal(t, 200, a.ping(token)) // from here on its deadline is known

			// A call that ignores its context is late, and not the end of all tests.
			defer time.AfterFunc(patience/2, release).Stop()
			middle := a.login(t)
			a.during = stall
			hangingRequests(t, a, map[string]int{"/put?v=new": 500}, middle)
			a.during = func() {}
			t.Run("calls", func(t *testing.T) { hangingCalls(t, store, token) })
			t.Run("requests", func(t *testing.T) {
				hangingRequests(t, a, map[string]int{"/keepalive/ping": 503, "/read": 500, "/put?v=new": 500, "/logout": 500}, token, short)
			})
			release()

			a.recovers(t, token)
			a.recovers(t, short)
			a.recovers(t, middle)
			// What was sent may still be carried out, but none of it in part.
			again, found, err := store.Find(token)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, data, again)
			for key, max := range map[string]time.Duration{token: idle, short: 5 * time.Minute} {
				expiry, found, err := store.Expiry(t.Context(), key)
				require.NoError(t, err)
				require.True(t, found)
				require.WithinRange(t, expiry, time.Now().Add(max-patience), time.Now().Add(max+time.Second))
			}
			for _, key := range []string{"replaced", "committed", "deleted"} {
				again, found, err := store.Find(key)
				require.NoError(t, err)
				require.True(t, found || key == "deleted")
				if found {
					require.Contains(t, []string{string(data), "new"}, string(again))
				}
			}
		})
	}
}

// hangingCalls makes each call of a store that hangs, with a context that runs
// out and with one that is cancelled.
func hangingCalls(t *testing.T, store keepalive.Store, token string) {
	deadline := func([]byte) (time.Time, error) { return time.Now().Add(lifetime), nil }
	expiry := time.Now().Add(time.Hour)
	s := store.(interface {
		scs.CtxStore
		scs.IterableCtxStore
		TouchDeadline(context.Context, string, time.Duration, func([]byte) (time.Time, error)) (time.Time, time.Time, bool, error)
	})
	calls := map[string]func(ctx context.Context) error{
		"Touch known": func(ctx context.Context) error { _, _, err := store.Touch(ctx, token, idle, deadline); return err },
		"Touch unknown": func(ctx context.Context) error {
			_, _, err := store.Touch(ctx, "replaced", idle, deadline)
			return err
		},
		"TouchDeadline": func(ctx context.Context) error {
			_, _, _, err := s.TouchDeadline(ctx, token, 0, deadline)
			return err
		},
		"Replace": func(ctx context.Context) error {
			_, err := store.Replace(ctx, "replaced", []byte("new"), expiry)
			return err
		},
		"Expiry":    func(ctx context.Context) error { _, _, err := store.Expiry(ctx, token); return err },
		"FindCtx":   func(ctx context.Context) error { _, _, err := s.FindCtx(ctx, token); return err },
		"CommitCtx": func(ctx context.Context) error { return s.CommitCtx(ctx, "committed", []byte("new"), expiry) },
		"DeleteCtx": func(ctx context.Context) error { return s.DeleteCtx(ctx, "deleted") },
		"AllCtx":    func(ctx context.Context) error { _, err := s.AllCtx(ctx); return err },
	}
	var wg sync.WaitGroup
	for name, call := range calls {
		for _, want := range []error{context.DeadlineExceeded, context.Canceled} {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if want == context.Canceled {
					time.AfterFunc(200*time.Millisecond, cancel)
				} else {
					ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
					defer cancel()
				}
				begin := time.Now()
				err := call(ctx)
				assert(t, errors.Is(err, want) && time.Since(begin) < cutShort,
					"%s, want %v: %v after %v", name, want, err, time.Since(begin))
			})
		}
	}
	wg.Wait()
}

// hangingRequests has clients that give up.
func hangingRequests(t *testing.T, a *faultApp, paths map[string]int, tokens ...string) {
	var wg sync.WaitGroup
	for _, token := range tokens {
		for path, want := range paths {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				begin := time.Now()
				code, _, _ := a.do(ctx, path, token)
				assert(t, code == want && time.Since(begin) < cutShort, "%s: %d after %v", path, code, time.Since(begin))
			})
		}
	}
	wg.Wait()
}

// assert is for goroutines, which must not end a test.
func assert(t *testing.T, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Errorf(format, args...)
	}
}
