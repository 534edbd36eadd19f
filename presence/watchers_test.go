//go:build unix

package presence_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// cpu is what the process has used until now.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func crowded(b *testing.B, n int) (*presence.Tracker, []keepalive.Event) {
	next := 0
	beats := crowd(n)
	tracker := newTracker(b, presence.Config{Identify: func(*http.Request) (string, any) {
		return fmt.Sprintf("user-%d", next), person{Name: fmt.Sprintf("User %d", next)}
	}})
	for next = range beats {
		tracker.Observe(beats[next])
	}
	return tracker, beats
}

// sink is a client that reads all at once.
type sink struct {
	header http.Header
	moves  *atomic.Int64   // that are still to come
	done   chan struct{}   // receives when none is
	ready  *sync.WaitGroup // done with the first flush
	once   sync.Once
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}

func (s *sink) SetWriteDeadline(time.Time) error { return nil }

func (s *sink) Flush() { s.once.Do(s.ready.Done) }

func (s *sink) Write(b []byte) (int, error) {
	if n := int64(bytes.Count(b, []byte("event: move"))); n > 0 && s.moves.Add(-n) == 0 {
		s.done <- struct{}{}
	}
	return len(b), nil
}

// BenchmarkWatchers moves tabs, one or fifty at a time, while streams are open on
// that page, on all pages or on another page, and waits until each has the moves.
// All CPU counts, also that of the streams but for their connections, and apart from
// it the time of Observe.
func BenchmarkWatchers(b *testing.B) {
	tracker, beats := crowded(b, 10_000)
	away := false // the tabs that move are on another page
	for _, view := range []struct{ name, query string }{{"page", "?path=/projects/7"}, {"all", ""}, {"other", "?path=/projects/50"}} {
		for _, streams := range []int{1, 1000} {
			for _, burst := range []int{1, 50} {
				b.Run(fmt.Sprintf("%s/streams=%d/moves=%d", view.name, streams, burst), func(b *testing.B) {
					ctx, cancel := context.WithCancel(b.Context())
					var moves atomic.Int64
					done := make(chan struct{})
					var ready, ended sync.WaitGroup
					ready.Add(streams)
					for range streams {
						r := httptest.NewRequest(http.MethodGet, "/"+view.query, nil).WithContext(ctx)
						r.Header.Set("Accept", "text/event-stream")
						ended.Go(func() {
							tracker.Handler().ServeHTTP(&sink{header: http.Header{}, moves: &moves, done: done, ready: &ready}, r)
						})
					}
					ready.Wait()
					runtime.GC()
					var observed time.Duration
					begun, n := cpu(b), 0
					for b.Loop() {
						n, away = n+1, !away
						moves.Store(int64(burst * streams))
						at := time.Now()
						for i := range burst {
							beat := beats[7+100*i]
							if away {
								beat.Page = "/projects/8"
							}
							tracker.Observe(beat)
						}
						observed += time.Since(at)
						if view.name == "other" {
							time.Sleep(25 * time.Millisecond) // for those who wake without need
						} else {
							<-done
						}
					}
					b.ReportMetric(float64((cpu(b)-begun).Nanoseconds())/1e3/float64(n*burst), "cpu-µs/move")
					b.ReportMetric(float64(observed.Nanoseconds())/1e3/float64(n*burst), "Observe-µs/move")
					b.ReportMetric(0, "ns/op")
					cancel()
					ended.Wait()
				})
			}
		}
	}
}

// BenchmarkSnapshots answers who is online, to one client and to a hundred at once.
func BenchmarkSnapshots(b *testing.B) {
	tracker, _ := crowded(b, 10_000)
	for _, view := range []struct{ name, query string }{{"page", "?path=/projects/7"}, {"all", ""}} {
		for _, clients := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/clients=%d", view.name, clients), func(b *testing.B) {
				b.ReportAllocs()
				begun, n := cpu(b), 0
				for b.Loop() {
					n++
					var wg sync.WaitGroup
					for range clients {
						wg.Go(func() {
							w := &sink{header: http.Header{}}
							tracker.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+view.query, nil))
						})
					}
					wg.Wait()
				}
				b.ReportMetric(float64((cpu(b)-begun).Nanoseconds())/1e3/float64(n*clients), "cpu-µs/client")
			})
		}
	}
}

// BenchmarkBeatsBesideOnline beats while another goroutine asks for all tabs.
func BenchmarkBeatsBesideOnline(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		tracker, beats := crowded(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = tracker.Online(ctx)
				}
			})
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				at := time.Now()
				tracker.Observe(beats[i*7919%n])
				took = append(took, time.Since(at))
				time.Sleep(100 * time.Microsecond)
			}
			cancel()
			wg.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "median-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
			b.ReportMetric(float64(took[len(took)-1].Nanoseconds())/1e3, "max-µs")
		})
		tracker.Close()
	}
}

// BenchmarkStreamMemory measures the heap and the stack of a stream that waits, over
// real connections. That of a handler which only waits is the server's own and the
// client's.
func BenchmarkStreamMemory(b *testing.B) {
	tracker, beats := crowded(b, 1000)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, "event: online\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	const streams = 1000
	for _, bb := range []struct {
		name, target string
		handler      http.Handler
	}{{"bare", "/", bare}, {"page", "/?path=/projects/7", tracker.Handler()}, {"all", "/", tracker.Handler()}} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				srv := httptest.NewServer(bb.handler)
				heapBefore, stackBefore := heap(), stacks()
				var conns []net.Conn
				var begun, ended sync.WaitGroup
				for range streams {
					conn, err := net.Dial("tcp", srv.Listener.Addr().String())
					require.NoError(b, err)
					_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", bb.target)
					require.NoError(b, err)
					conns = append(conns, conn)
					begun.Add(1)
					ended.Go(func() {
						isBegun := sync.OnceFunc(begun.Done)
						for buf := make([]byte, 512); ; {
							n, err := conn.Read(buf)
							if err != nil {
								return
							}
							if bytes.Contains(buf[:n], []byte("event: online")) {
								isBegun()
							}
						}
					})
				}
				begun.Wait()
				for i := range 40 { // in as many batches
					beat := beats[7]
					beat.Page = beats[7+i%2].Page
					tracker.Observe(beat)
					time.Sleep(25 * time.Millisecond)
				}
				b.ReportMetric((float64(heap())-float64(heapBefore))/streams, "heap-B/stream")
				b.ReportMetric((float64(stacks())-float64(stackBefore))/streams, "stack-B/stream")
				for _, conn := range conns {
					_ = conn.Close()
				}
				ended.Wait()
				srv.Close()
			}
		})
	}
}

func stacks() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.StackInuse
}
