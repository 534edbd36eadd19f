package stores_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/stretchr/testify/require"
)

var everything = []string{"handmade", "floor", "ping", "ping-contexttimeouts", "scs-page", "page"}

// Of random values, which nothing can compress.
var benchSizes = []struct {
	name  string
	bytes int
	what  []string
}{
	{"0.2KB", 200, everything},
	{"1.5KB", 1500, []string{"floor", "ping"}}, // large rows that PostgreSQL keeps in one piece: the most WAL
	{"4KB", 4 << 10, everything},
	{"64KB", 64 << 10, everything},
}

// BenchmarkStores is a ping, beside the one that people write by hand: a handler
// that answers 204 inside the LoadAndSave of scs, on scs's store of the same
// name. And it is a page that reads the session, in either LoadAndSave; ours
// skips its touch, as most pages do, because it comes too soon after another. The
// floor is the bare statement that does a ping's work.
func BenchmarkStores(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(backends)) {
		b.Run(name, func(b *testing.B) {
			back := backends[name](b)
			for _, size := range benchSizes {
				n := size.bytes
				if name == "MariaDB" {
					n = min(n, 63<<10) // what a BLOB holds, with room for the gob around it
				}
				cookies := sync.OnceValue(func() []string { return benchSessions(b, back, n) })
				b.Run(size.name, func(b *testing.B) {
					for _, what := range size.what {
						if what == "ping-contexttimeouts" && name != "Redis" {
							continue
						}
						b.Run(what, func(b *testing.B) { benchmarkStore(b, back, what, cookies()) })
					}
				})
			}
		})
	}
}

// benchSessions stores a hundred sessions, which are taken in turn: an expiry that
// is kept in milliseconds would often stay the same if one was touched over and
// over, and a touch that changes nothing is cheaper.
func benchSessions(b *testing.B, back backend, size int) (cookies []string) {
	sm := scs.New()
	sm.IdleTimeout = 20 * time.Minute
	sm.Store = back.theirs(b, via{})
	for range 100 {
		ctx, err := sm.Load(context.Background(), "")
		require.NoError(b, err)
		value := make([]byte, size)
		_, _ = rand.Read(value)
		sm.Put(ctx, "value", value)
		sm.Put(ctx, "user", "ann")
		token, _, err := sm.Commit(ctx)
		require.NoError(b, err)
		cookies = append(cookies, "session="+token)
	}
	return cookies
}

func benchmarkStore(b *testing.B, back backend, what string, cookies []string) {
	var counter servers.Counter
	v := via{dial: counter.Dial, contextTimeouts: what == "ping-contexttimeouts"}
	sm := scs.New()
	sm.IdleTimeout = 20 * time.Minute
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		_, _ = io.WriteString(w, sm.GetString(r.Context(), "user"))
	})
	var h http.Handler
	method, path, status := http.MethodGet, "/", http.StatusOK
	switch what {
	case "handmade":
		sm.Store = back.theirs(b, v)
		h = sm.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}))
		method, status = http.MethodPost, http.StatusNoContent
	case "floor":
		floor := back.floor(b, v)
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status := http.StatusOK
			if err := floor(r.Context(), strings.TrimPrefix(r.Header["Cookie"][0], "session=")); err != nil {
				status = http.StatusInternalServerError
			}
			w.WriteHeader(status)
		})
	case "scs-page":
		sm.Store = back.theirs(b, v)
		h = sm.LoadAndSave(page)
	default:
		sm.Store = back.ours(b, v)
		km := benchManager(b, sm)
		h = km.LoadAndSave(page)
		if what != "page" {
			method, path = http.MethodPost, km.Path()+"ping"
		}
	}
	call := newCaller(b, method, path)

	// The log of PostgreSQL holds a whole page at its first change after a
	// checkpoint. With one here there is none in the middle, and the calls after
	// it take most of those pages.
	wal := walOf(b, back)
	for _, cookie := range cookies { // connects, prepares statements, loads scripts
		require.Equal(b, status, call(h, cookie))
	}
	log := wal()
	trips, out, in := counter.Counts()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if got := call(h, cookies[i%len(cookies)]); got != status {
			b.Fatalf("it answers %d", got)
		}
	}
	if back.server != nil {
		reportTraffic(b, &counter, trips, out, in)
	}
	if strings.HasPrefix(back.name, "PostgreSQL") {
		b.ReportMetric(float64(wal()-log)/float64(b.N), "WAL-B/op")
	}
}

func benchManager(tb testing.TB, sm *scs.SessionManager) *keepalive.Manager {
	km, err := keepalive.New(sm, keepalive.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(tb, err)
	return km
}

// reportTraffic reports what has gone over the wire since the counts.
func reportTraffic(b *testing.B, c *servers.Counter, trips, out, in int64) {
	t, o, i := c.Counts()
	b.ReportMetric(float64(t-trips)/float64(b.N), "trips/op")
	b.ReportMetric(float64(o-out)/float64(b.N), "out-B/op")
	b.ReportMetric(float64(i-in)/float64(b.N), "in-B/op")
}

// walOf makes a checkpoint and returns how to read how much PostgreSQL has
// logged. With other storages that is always 0.
func walOf(b *testing.B, back backend) func() int64 {
	if !strings.HasPrefix(back.name, "PostgreSQL") {
		return func() int64 { return 0 }
	}
	pool := pgxPool(b, back.server, via{})
	_, err := pool.Exec(context.Background(), "CHECKPOINT")
	require.NoError(b, err)
	return func() (n int64) {
		err := pool.QueryRow(context.Background(), "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").Scan(&n)
		require.NoError(b, err)
		return n
	}
}

// newCaller returns how to call a handler with a cookie, for the price of the
// call. It is for one goroutine.
func newCaller(tb testing.TB, method, path string) func(h http.Handler, cookie string) (status int) {
	// A context that can end, as a server's do: drivers do more for those.
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(cancel)
	r := httptest.NewRequestWithContext(ctx, method, path, nil)
	header := make([]string, 1)
	r.Header["Cookie"] = header
	w := &apptest.Sink{Headers: make(http.Header)}
	return func(h http.Handler, cookie string) int {
		header[0], w.Status = cookie, 0
		clear(w.Headers)
		h.ServeHTTP(w, r)
		return w.Status
	}
}
