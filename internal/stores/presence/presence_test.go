// Package presence_test tests redispresence against a real Redis.
package presence_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/seed4a306b22/keepalive/presence/redispresence"
	"github.com/stretchr/testify/require"
)

// patience ends what hangs.
const patience = 2 * time.Minute

// instant is how long a call may take that must not wait for Redis. It is less
// than any time limit of the driver, the shortest of which is 3 s.
const instant = 2 * time.Second

func client(tb testing.TB, opts redis.Options) *redis.Client {
	c := redis.NewClient(&opts)
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

type person struct {
	Name string `json:"name"`
}

func newTracker(tb testing.TB, c redis.UniversalClient, cfg presence.Config) *presence.Tracker {
	cfg.Identify = func(r *http.Request) (string, any) {
		user := r.Header.Get("User")
		return user, person{Name: "The user " + user}
	}
	cfg.Log = redispresence.New(c, redispresence.Options{})
	cfg.Logger = slog.New(slog.DiscardHandler)
	tracker, err := presence.New(cfg)
	require.NoError(tb, err)
	tb.Cleanup(tracker.Close)
	return tracker
}

func here(t *presence.Tracker, user, session, tab, path string) {
	t.Observe(keepalive.Event{Kind: keepalive.EventHere, Request: as(user), Session: session, Tab: tab, Page: path})
}

func as(user string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("User", user)
	return r
}

func shown(tb testing.TB, tracker *presence.Tracker) string {
	online, err := tracker.Online(tb.Context())
	require.NoError(tb, err)
	var users []string
	for _, v := range online {
		var paths []string
		for _, p := range v.Pages {
			paths = append(paths, p.Path)
		}
		users = append(users, v.User+":"+strings.Join(paths, ","))
	}
	return strings.Join(users, " ")
}

func soon(t *testing.T, want string, trackers ...*presence.Tracker) {
	t.Helper()
	for _, tracker := range trackers {
		require.Eventually(t, func() bool { return shown(t, tracker) == want }, patience, 5*time.Millisecond, want)
	}
}

func TestTwoInstances(t *testing.T) {
	srv := servers.Redis(t)
	c := client(t, redis.Options{Addr: srv.Addr})
	var gone atomic.Int32
	cfg := presence.Config{Grace: time.Second, OnGone: func(presence.Gone) { gone.Add(1) }}
	one, two := newTracker(t, c, cfg), newTracker(t, client(t, redis.Options{Addr: srv.Addr}), cfg)
	here(one, "ann", "s1", "t1", "/a")
	here(two, "ann", "s1", "t2", "/b")
	here(two, "bob", "s2", "t1", "/b")
	soon(t, "ann:/a,/b bob:/b", one, two)
	v, found, err := one.User(t.Context(), "bob")
	require.NoError(t, err)
	require.True(t, found)
	require.JSONEq(t, `{"name":"The user bob"}`, string(v.Meta))

	three := newTracker(t, c, cfg)
	require.Equal(t, "ann:/a,/b bob:/b", shown(t, three), "it reads the log before it answers")

	one.Observe(keepalive.Event{Kind: keepalive.EventHere, Request: as("cleo"), Session: "s3", Tab: "t1", Idle: time.Hour})
	require.Eventually(t, func() bool {
		v, _, err := three.User(t.Context(), "cleo")
		return err == nil && v.Away && v.Idle >= time.Hour
	}, patience, 5*time.Millisecond)
	one.Observe(keepalive.Event{Kind: keepalive.EventLeave, Session: "s3", Tab: "t1"})
	soon(t, "ann:/a,/b bob:/b", one, two, three)

	_, events, err := three.Subscribe(t.Context())
	require.NoError(t, err)
	here(one, "bob", "s2", "t1", "/c")
	for e := range events {
		require.Equal(t, "move bob /b /c", fmt.Sprint(e.Kind, " ", e.User, " ", e.From, " ", e.Path))
		break
	}
	one.Observe(keepalive.Event{Kind: keepalive.EventLeave, Session: "s2", Tab: "t1"})
	two.Observe(keepalive.Event{Kind: keepalive.EventDestroy, Session: "s1"})
	soon(t, "", one, two, three)
	require.Eventually(t, func() bool { return gone.Load() == 3+6 }, patience, 5*time.Millisecond)

	keys, err := c.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Equal(t, []string{"keepalive:presence"}, keys)
	ttl, err := c.PTTL(t.Context(), keys[0]).Result()
	require.NoError(t, err)
	require.InDelta(t, 10*time.Minute, ttl, float64(time.Minute), "it expires when nobody writes any more")
	used, err := c.InfoMap(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	require.Contains(t, used["Commandstats"], "cmdstat_xadd")
	require.NotContains(t, used["Commandstats"], "cmdstat_scan")
}

func TestStreamIsBounded(t *testing.T) {
	srv := servers.Redis(t)
	c := client(t, redis.Options{Addr: srv.Addr})
	log := redispresence.New(c, redispresence.Options{Key: "k", MaxLen: 1000})
	records := make([][]byte, 500)
	for i := range records {
		records[i] = []byte(strconv.Itoa(i))
	}
	for range 20 {
		require.NoError(t, log.Append(t.Context(), time.Minute, records))
	}
	n, err := c.XLen(t.Context(), "k").Result()
	require.NoError(t, err)
	require.LessOrEqual(t, n, int64(1200))

	// Old entries are neither read nor kept.
	time.Sleep(50 * time.Millisecond)
	other := redispresence.New(c, redispresence.Options{Key: "k", MaxLen: 1000})
	require.NoError(t, other.Append(t.Context(), 20*time.Millisecond, [][]byte{[]byte("new")}))
	n, err = c.XLen(t.Context(), "k").Result()
	require.NoError(t, err)
	require.LessOrEqual(t, n, int64(100), "Redis trims whole nodes")

	require.NoError(t, c.XAdd(t.Context(), &redis.XAddArgs{Stream: "k", Values: []any{"something", "else"}}).Err())
	time.Sleep(10 * time.Millisecond)
	require.NoError(t, other.Append(t.Context(), time.Minute, records))
	var got []string
	follow := func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		require.ErrorIs(t, other.Follow(ctx, time.Minute, func(data []byte, age time.Duration) {
			require.InDelta(t, 0, age, float64(patience))
			got = append(got, string(data))
		}, cancel), context.Canceled)
	}
	follow()
	require.Equal(t, "499", got[len(got)-1])
	before := len(got)
	require.NoError(t, other.Append(t.Context(), time.Minute, [][]byte{[]byte("last")}))
	follow()
	require.Equal(t, []string{"last"}, got[before:], "it goes on where it stopped")
}

// Records that were added are not added again because the trim that follows fails.
func TestTrimFails(t *testing.T) {
	srv := servers.Redis(t)
	c := client(t, redis.Options{Addr: srv.Addr})
	require.NoError(t, c.Do(t.Context(), "ACL", "SETUSER", "default", "-xtrim").Err())
	log := redispresence.New(c, redispresence.Options{Key: "k"})
	require.NoError(t, log.Append(t.Context(), time.Minute, [][]byte{[]byte("record")}))
	used, err := c.InfoMap(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	require.Contains(t, used["Commandstats"]["cmdstat_xtrim"], "rejected_calls=1")
}

// A beat takes no longer when Redis hangs, or dies and starts again empty.
func TestRedisFails(t *testing.T) {
	tests := []struct {
		name       string
		fail, mend func(*servers.Server)
	}{
		{name: "hangs", fail: (*servers.Server).Pause, mend: (*servers.Server).Resume},
		{name: "dies", fail: (*servers.Server).Kill, mend: (*servers.Server).Start},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := servers.Redis(t)
			var gone atomic.Int32
			cfg := presence.Config{OnGone: func(presence.Gone) { gone.Add(1) }, Grace: time.Second}
			c := client(t, redis.Options{Addr: srv.Addr})
			one, two := newTracker(t, c, cfg), newTracker(t, c, cfg)
			here(one, "ann", "s1", "t1", "/a")
			here(two, "bob", "s2", "t1", "/b")
			soon(t, "ann:/a bob:/b", one, two)
			tt.fail(srv)
			begun := time.Now()
			for i := range 1000 {
				here(one, "ann", "s1", "t1", fmt.Sprint("/", i))
			}
			here(two, "cleo", "s3", "t1", "/c")
			require.Less(t, time.Since(begun), instant)
			require.Equal(t, "ann:/999 bob:/b", shown(t, one))
			tt.mend(srv)
			soon(t, "ann:/999 bob:/b cleo:/c", one, two)
			require.Zero(t, gone.Load())

			tt.fail(srv)
			begun = time.Now()
			one.Close()
			two.Close()
			require.Less(t, time.Since(begun), instant)
			tt.mend(srv)
			_ = c.Close()
			stacks := make([]byte, 1<<20)
			require.Eventually(t, func() bool {
				return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "keepalive/presence/redispresence")
			}, patience, 10*time.Millisecond)
		})
	}
}

// Two instances receive the beats of each tab in turn. Measured is the time of a beat
// until both know of it, and the part of it that the request takes.
func BenchmarkTabs(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			srv := servers.Redis(b)
			var counter servers.Counter
			opts := redis.Options{Addr: srv.Addr, Dialer: counter.Dial}
			cfg := presence.Config{}
			before := heap()
			trackers := [2]*presence.Tracker{newTracker(b, client(b, opts), cfg), newTracker(b, client(b, opts), cfg)}
			arrived := func(want func(c presence.Counts) bool) {
				for _, tracker := range trackers {
					for {
						c, err := tracker.Count(b.Context())
						require.NoError(b, err)
						if want(c) {
							break
						}
						time.Sleep(time.Millisecond)
					}
				}
			}
			begun := time.Now()
			for i := range n {
				name := strconv.Itoa(i)
				here(trackers[i%2], "user-"+name, fmt.Sprintf("%016x", i), "t"+name, fmt.Sprint("/projects/", i%100))
				if i%5000 == 4999 { // the queue is bounded
					arrived(func(c presence.Counts) bool { return c.Tabs == i+1 })
				}
			}
			arrived(func(c presence.Counts) bool { return c.Tabs == n })
			first := time.Since(begun)
			inMemory := heap() - before
			c := client(b, redis.Options{Addr: srv.Addr})
			used, err := c.MemoryUsage(b.Context(), "keepalive:presence", 0).Result()
			require.NoError(b, err)

			r := as("")
			trips, out, in := counter.Counts()
			i, round := 0, 0
			var spent time.Duration
			b.ReportAllocs()
			for b.Loop() {
				// Every beat changes the page, or the tracker would not publish it so soon.
				if i++; i == n {
					i, round = 0, round+1
				}
				r.Header.Set("User", "user-"+strconv.Itoa(i))
				beat := keepalive.Event{
					Kind: keepalive.EventHere, Request: r,
					Session: fmt.Sprintf("%016x", i), Tab: "t" + strconv.Itoa(i), Page: fmt.Sprint("/other/", round, "/", i%100),
				}
				at := time.Now()
				trackers[(i+round)%2].Observe(beat)
				spent += time.Since(at)
				if i%5000 == 4999 {
					here(trackers[i%2], "mark", "mark", "t", fmt.Sprint("/mark/", round, "/", i))
					for {
						if v, _ := trackers[1-i%2].Page(b.Context(), fmt.Sprint("/mark/", round, "/", i)); len(v) > 0 {
							break
						}
						time.Sleep(100 * time.Microsecond)
					}
				}
			}
			trips2, out2, in2 := counter.Counts()
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "request-ns/op")
			b.ReportMetric(float64(trips2-trips)/float64(b.N), "trips/op")
			b.ReportMetric(float64(out2-out+in2-in)/float64(b.N), "wire-B/op")
			b.ReportMetric(float64(first.Nanoseconds())/float64(n), "first-ns/tab")
			b.ReportMetric(float64(inMemory)/2/float64(n), "B/tab")
			b.ReportMetric(float64(used)/float64(n), "redis-B/beat")
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
