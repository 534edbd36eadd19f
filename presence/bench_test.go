package presence_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// crowd is n tabs, each of a session and a user of its own, on 100 pages.
func crowd(n int) (beats []keepalive.Event) {
	r := httptest.NewRequest(http.MethodPost, "/keepalive/here", nil)
	for i := range n {
		beats = append(beats, keepalive.Event{
			Kind: keepalive.EventHere, Request: r, Sent: 1,
			Session: fmt.Sprintf("%016x", i), Tab: fmt.Sprintf("tab%017d", i), Page: fmt.Sprintf("/projects/%d", i%100),
		})
	}
	return beats
}

type person struct {
	Name string `json:"name"`
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkTabs(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		beats := crowd(n)
		next := 0
		cfg := presence.Config{Identify: func(*http.Request) (string, any) {
			return fmt.Sprintf("user-%d", next), person{Name: fmt.Sprintf("User %d", next)}
		}}
		before := heap()
		tracker, err := presence.New(cfg)
		require.NoError(b, err)
		for next = range beats {
			tracker.Observe(beats[next])
		}
		perTab := float64(heap()-before) / float64(n)
		count, err := tracker.Count(b.Context())
		require.NoError(b, err)
		require.Equal(b, presence.Counts{Users: n, Sessions: n, Tabs: n, Paths: 100}, count)

		b.Run(fmt.Sprintf("beat/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i = (i + 7919) % n
				tracker.Observe(beats[i])
			}
			b.ReportMetric(perTab, "B/tab")
		})
		b.Run(fmt.Sprintf("parallel/%d", n), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); {
					i = (i + 7919) % n
					tracker.Observe(beats[i])
				}
			})
		})
		b.Run(fmt.Sprintf("move/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); {
				i++
				next = i * 7919 % n
				beat := beats[next]
				beat.Page = beats[(i+i/n)%100].Page
				tracker.Observe(beat)
			}
		})
		b.Run(fmt.Sprintf("Online/%d", n), func(b *testing.B) {
			for b.Loop() {
				_, _ = tracker.Online(b.Context())
			}
		})
		b.Run(fmt.Sprintf("Page/%d", n), func(b *testing.B) {
			for b.Loop() {
				_, _ = tracker.Page(b.Context(), "/projects/7")
			}
		})
		b.Run(fmt.Sprintf("User/%d", n), func(b *testing.B) {
			for b.Loop() {
				_, _, _ = tracker.User(b.Context(), "user-7")
			}
		})
		tracker.Close()
	}
}
