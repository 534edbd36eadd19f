package stores_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/goredisstore"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/seed4a306b22/keepalive/sqlite3store"
	"github.com/stretchr/testify/require"
)

// stalled is each storage, and how to make it hang.
var stalled = map[string]func(t *testing.T) (store keepalive.Store, stall, release func()){
	"Redis": func(t *testing.T) (keepalive.Store, func(), func()) { return pausable(t, startRedis(t)) },
	"Redis/ContextTimeoutEnabled": func(t *testing.T) (keepalive.Store, func(), func()) {
		server := servers.Redis(t)
		client := redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: true, ReadTimeout: time.Second})
		return endsCalls(t, client, server)
	},
	"Redis Cluster/ContextTimeoutEnabled": func(t *testing.T) (keepalive.Store, func(), func()) {
		nodes := servers.RedisCluster(t, 3)
		client := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{nodes[0].Addr}, ContextTimeoutEnabled: true, ReadTimeout: time.Second,
		})
		return endsCalls(t, client, nodes...)
	},
	"Redis Ring/ContextTimeoutEnabled": func(t *testing.T) (keepalive.Store, func(), func()) {
		a, b := servers.Redis(t), servers.Redis(t)
		client := redis.NewRing(&redis.RingOptions{
			Addrs: map[string]string{"a": a.Addr, "b": b.Addr}, ContextTimeoutEnabled: true, ReadTimeout: time.Second,
		})
		return endsCalls(t, client, a, b)
	},
	"Redis/redigo":   func(t *testing.T) (keepalive.Store, func(), func()) { return pausable(t, startRedigo(t)) },
	"PostgreSQL":     func(t *testing.T) (keepalive.Store, func(), func()) { return pausable(t, startPostgres(t)) },
	"PostgreSQL/pq":  func(t *testing.T) (keepalive.Store, func(), func()) { return pausable(t, startPQ(t)) },
	"MariaDB":        func(t *testing.T) (keepalive.Store, func(), func()) { return pausable(t, startMariaDB(t)) },
	"SQLite/modernc": func(t *testing.T) (keepalive.Store, func(), func()) { return lockable(t, "sqlite") },
	"SQLite/mattn":   func(t *testing.T) (keepalive.Store, func(), func()) { return lockable(t, "sqlite3") },
}

func pausable(t *testing.T, b backend) (store keepalive.Store, stall, release func()) {
	return b.ours(t, via{}), b.server.Pause, b.server.Resume
}

// endsCalls has a client that ends calls by itself: those that are cancelled at its
// ReadTimeout.
func endsCalls(t *testing.T, client redis.UniversalClient, nodes ...*servers.Server) (store keepalive.Store, stall, release func()) {
	t.Cleanup(func() { _ = client.Close() })
	all := func(f func(*servers.Server)) func() {
		return func() {
			for _, s := range nodes {
				f(s)
			}
		}
	}
	return goredisstore.New(client), all((*servers.Server).Pause), all((*servers.Server).Resume)
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
			for _, key := range []string{"replaced", "committed", "deleted", "swapped", "taken"} {
				require.NoError(t, store.Commit(key, data, time.Now().Add(time.Hour)))
			}
			require.Equal(t, 200, a.ping(token))

			// A call that ignores its context is late, and not the end of all tests.
			defer time.AfterFunc(patience/2, release).Stop()
			middle := a.login(t)
			hangingPut(t, a, middle, stall)
			t.Run("calls", func(t *testing.T) { hangingCalls(t, store, token, data) })
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
			for _, key := range []string{"replaced", "committed", "deleted", "swapped", "taken"} {
				again, found, err := store.Find(key)
				require.NoError(t, err)
				require.True(t, found || key == "deleted" || key == "taken")
				if found {
					require.Contains(t, []string{string(data), "new"}, string(again))
				}
			}
		})
	}
}

// With ContextTimeoutEnabled a call ends at its context's deadline, whatever the
// client's own timeouts are.
func TestFaultRedisHangsForLong(t *testing.T) {
	server := servers.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: true, ReadTimeout: time.Hour})
	store, stall, release := endsCalls(t, client, server)
	require.NoError(t, store.Commit("k", []byte("data"), time.Now().Add(time.Hour)))
	stall()
	defer release()
	defer time.AfterFunc(patience, release).Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, _, err := store.Expiry(ctx, "k")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// hangingCalls makes each call of a store that hangs, with a context that runs
// out and with one that is cancelled.
func hangingCalls(t *testing.T, store keepalive.Store, token string, data []byte) {
	expiry := time.Now().Add(time.Hour)
	s := store.(interface {
		scs.CtxStore
		scs.IterableCtxStore
		touchDeadliner
		Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error)
		Take(ctx context.Context, key string) (data []byte, found bool, err error)
	})
	calls := map[string]func(ctx context.Context) error{
		"Touch": func(ctx context.Context) error { _, _, err := store.Touch(ctx, token, idle, readHead); return err },
		"Touch with another codec": func(ctx context.Context) error {
			_, _, err := store.Touch(ctx, token, idle, readWhole)
			return err
		},
		"TouchDeadline": func(ctx context.Context) error {
			_, _, _, err := s.TouchDeadline(ctx, token, 0, readHead)
			return err
		},
		"Replace": func(ctx context.Context) error {
			_, err := store.Replace(ctx, "replaced", []byte("new"), expiry)
			return err
		},
		"Swap": func(ctx context.Context) error {
			_, _, err := s.Swap(ctx, "swapped", data, []byte("new"), time.Time{})
			return err
		},
		"Take":      func(ctx context.Context) error { _, _, err := s.Take(ctx, "taken"); return err },
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

// hangingPut is a request that has read its session when the store begins to
// hang. Its client gives up a while after that, however long it took to stall.
func hangingPut(t *testing.T, a *faultApp, token string, stall func()) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var begin time.Time
	a.during = func() {
		stall()
		begin = time.Now()
		time.AfterFunc(300*time.Millisecond, cancel)
	}
	defer func() { a.during = func() {} }()
	code, _, _ := a.do(ctx, "/put?v=new", token)
	took := time.Since(begin)
	require.True(t, code == 500 && took < cutShort, "%d after %v", code, took)
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
