package stores_test

import (
	"context"
	cryptorand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/stretchr/testify/require"
)

// BenchmarkMany pings many sessions in random order from two instances, each of
// which has pinged each of them before: the memory that this has taken is reported
// for each session. The sessions of a smaller number are still there when those of
// a larger one come.
func BenchmarkMany(b *testing.B) {
	for _, name := range []string{"PostgreSQL", "Redis"} {
		b.Run(name, func(b *testing.B) {
			back := backends[name](b)
			for _, n := range []int{1_000, 100_000, 1_000_000} {
				if n > 100_000 && testing.Short() {
					continue
				}
				// Once, as the benchmark below runs several times.
				prepare := sync.OnceValue(func() *fleet { return newFleet(b, back, n) })
				b.Run(fmt.Sprint(n), func(b *testing.B) { prepare().benchmark(b, back) })
			}
		})
	}
}

// fleet is two instances of an app, and the sessions of their users.
type fleet struct {
	instances [2]http.Handler
	path      string
	cookies   []string
	counter   servers.Counter
	heap      int64 // what it grew by while each instance pinged each session once
}

func newFleet(tb testing.TB, back backend, n int) *fleet {
	f := &fleet{}
	insert := newInserter(tb, back)
	for len(f.cookies) < n {
		sessions := make([]record, min(n-len(f.cookies), 10_000))
		for i := range sessions {
			sessions[i] = newRecord(tb, len(f.cookies))
			f.cookies = append(f.cookies, "session="+sessions[i].token)
		}
		insert(sessions)
	}
	for i := range f.instances {
		sm := scs.New()
		sm.IdleTimeout = 20 * time.Minute
		sm.Store = back.ours(tb, via{dial: f.counter.Dial})
		km := benchManager(tb, sm)
		f.instances[i], f.path = km.LoadAndSave(http.NotFoundHandler()), km.Path()+"ping"
	}

	var next atomic.Int64
	var wg sync.WaitGroup
	before := heap()
	for range parallel * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			call := newCaller(tb, http.MethodPost, f.path)
			for i := int(next.Add(1)) - 1; i < 2*n; i = int(next.Add(1)) - 1 {
				if status := call(f.instances[i%2], f.cookies[i/2]); status != http.StatusOK {
					tb.Errorf("the first ping of a session answers %d", status)
					return
				}
			}
		})
	}
	wg.Wait()
	f.heap = heap() - before
	return f
}

// heap returns how much of it is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// parallel is how many pings run at once for each core.
const parallel = 8

func (f *fleet) benchmark(b *testing.B, back backend) {
	wal := walOf(b, back)
	log := wal()
	trips, out, in := f.counter.Counts()
	b.SetParallelism(parallel)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		call := newCaller(b, http.MethodPost, f.path)
		for i := 0; pb.Next(); i++ {
			if status := call(f.instances[i%2], f.cookies[rand.IntN(len(f.cookies))]); status != http.StatusOK {
				b.Errorf("a ping answers %d", status)
				return
			}
		}
	})
	b.StopTimer()
	second := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(second, "pings/s")
	// Of all cores: the server has its share of them.
	b.ReportMetric(second/float64(runtime.NumCPU()), "pings/s/core")
	b.ReportMetric(float64(f.heap)/float64(len(f.cookies)), "heap-B/session")
	reportTraffic(b, &f.counter, trips, out, in)
	if back.name == "PostgreSQL" {
		b.ReportMetric(float64(wal()-log)/float64(b.N), "WAL-B/op")
	}
}

// record is a session as it is stored.
type record struct {
	token  string
	data   []byte
	expiry time.Time
}

func newRecord(tb testing.TB, i int) record {
	now := time.Now().UTC()
	value := make([]byte, 200)
	_, _ = cryptorand.Read(value)
	// No two deadlines are the same, as with sessions of users.
	data, err := scs.GobCodec{}.Encode(now.Add(12*time.Hour+time.Duration(i)*time.Microsecond), map[string]any{"value": value})
	require.NoError(tb, err)
	return record{cryptorand.Text() + cryptorand.Text()[:17], data, now.Add(10 * time.Minute)}
}

// newInserter returns a function that stores sessions faster than the stores would.
func newInserter(tb testing.TB, back backend) func([]record) {
	ctx := context.Background()
	if back.name == "PostgreSQL" {
		pool := pgxPool(tb, back.server, via{})
		return func(sessions []record) {
			_, err := pool.CopyFrom(ctx, pgx.Identifier{"sessions"}, []string{"token", "data", "expiry"},
				pgx.CopyFromSlice(len(sessions), func(i int) ([]any, error) {
					return []any{sessions[i].token, sessions[i].data, sessions[i].expiry}, nil
				}))
			require.NoError(tb, err)
		}
	}
	client := redisClient(tb, back.server, via{})
	return func(sessions []record) {
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, s := range sessions {
				p.Do(ctx, "SET", "scs:session:"+s.token, s.data, "PXAT", s.expiry.UnixMilli())
			}
			return nil
		})
		require.NoError(tb, err)
	}
}
