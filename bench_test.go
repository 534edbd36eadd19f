package keepalive_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// ways are the wrappers that the benchmarks compare.
var ways = []struct {
	name string
	wrap func(*scs.SessionManager, *keepalive.Manager, http.Handler) http.Handler
}{
	{name: "bare", wrap: func(_ *scs.SessionManager, _ *keepalive.Manager, h http.Handler) http.Handler { return h }},
	{name: "Inject", wrap: func(_ *scs.SessionManager, km *keepalive.Manager, h http.Handler) http.Handler { return km.Inject(h) }},
	{name: "LoadAndSave", wrap: func(_ *scs.SessionManager, km *keepalive.Manager, h http.Handler) http.Handler {
		return km.LoadAndSave(h)
	}},
	{name: "scs", wrap: func(sm *scs.SessionManager, _ *keepalive.Manager, h http.Handler) http.Handler {
		return sm.LoadAndSave(h)
	}},
}

// benchmarkWays runs bench with a handler's server in each of the ways.
func benchmarkWays(b *testing.B, h http.Handler, header string, bench func(*testing.B, *apptest.Wire)) {
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			sm := newSessions()
			token := newToken(b, sm)
			srv := httptest.NewServer(way.wrap(sm, newManager(b, sm, keepalive.Config{}), h))
			defer srv.Close()
			bench(b, apptest.Dial(b, srv.Listener.Addr().String(), "Cookie: session="+token+"\r\n"+header))
		})
	}
}

// browser is the header that Firefox sends.
const browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0\r\n" +
	"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nUpgrade-Insecure-Requests: 1\r\n"

func BenchmarkResponse(b *testing.B) {
	pageOf := func(size int) string { return page + strings.Repeat("x", size-len(page)) }
	once := func(contentType, page string) http.HandlerFunc {
		p := []byte(page)
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{contentType}
			_, _ = w.Write(p)
		}
	}
	chunks := func(page string) http.HandlerFunc {
		p := []byte(page)
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{"text/html"}
			for q := p; len(q) > 0; q = q[min(4<<10, len(q)):] {
				_, _ = w.Write(q[:min(4<<10, len(q))])
			}
		}
	}
	content := func(page string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "page.html", time.Unix(1e9, 0), strings.NewReader(page))
		}
	}
	tests := []struct {
		name   string
		h      http.Handler
		header string
		size   int
	}{
		// net/http gives pages of up to 2,048 bytes a Content-Length, and sends others
		// in chunks. The script takes those of 2 KB over that limit.
		{name: "1KB/Write", h: once("text/html", pageOf(1<<10)), size: 1 << 10},
		{name: "2KB/Write", h: once("text/html", pageOf(2<<10)), size: 2 << 10},
		{name: "2KB/chunks", h: chunks(pageOf(2 << 10)), size: 2 << 10},
		{name: "2KB/ServeContent", h: content(pageOf(2 << 10)), size: 2 << 10},
		{name: "100KB/Write", h: once("text/html", pageOf(100<<10)), size: 100 << 10},
		{name: "100KB/chunks", h: chunks(pageOf(100 << 10)), size: 100 << 10},
		{name: "100KB/ServeContent", h: content(pageOf(100 << 10)), size: 100 << 10},
		{name: "5MB/Write", h: once("text/html", pageOf(5<<20)), size: 5 << 20},
		{name: "5MB/chunks", h: chunks(pageOf(5 << 20)), size: 5 << 20},
		{name: "5MB/ServeContent", h: content(pageOf(5 << 20)), size: 5 << 20},
		{name: "1KB/browser", h: once("text/html", pageOf(1<<10)), header: browser, size: 1 << 10},
		{name: "2KB/browser", h: once("text/html", pageOf(2<<10)), header: browser, size: 2 << 10},
		{name: "2KB/JSON", h: once("application/json", pageOf(2<<10)), size: 2 << 10},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			benchmarkWays(b, tt.h, tt.header, func(b *testing.B, c *apptest.Wire) {
				n, err := c.Get(nil)
				require.NoError(b, err)
				require.GreaterOrEqual(b, n, tt.size)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Get(nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkHandler leaves out the network, whose noise hides what a wrapper
// costs.
func BenchmarkHandler(b *testing.B) {
	for _, contentType := range []string{"text/html", "application/json"} {
		p := []byte(page + strings.Repeat("x", 2<<10))
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{contentType}
			_, _ = w.Write(p)
		})
		b.Run(strings.ReplaceAll(contentType, "/", "-"), func(b *testing.B) {
			for _, way := range ways {
				b.Run(way.name, func(b *testing.B) {
					sm := newSessions()
					r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
					r.Header.Set("Cookie", "session="+newToken(b, sm))
					benchmarkServe(b, way.wrap(sm, newManager(b, sm, keepalive.Config{}), h), r, http.StatusOK)
				})
			}
		})
	}
}

// BenchmarkSession is a page of 2 KB with a session of 0.2 KB, of which the handler
// reads a value, or nothing.
func BenchmarkSession(b *testing.B) {
	p := []byte(page + strings.Repeat("x", 2<<10-len(page)))
	for _, read := range []string{"read", "unused"} {
		for _, way := range ways {
			b.Run(read+"/"+way.name, func(b *testing.B) {
				sm := newSessions()
				ctx, err := sm.Load(b.Context(), "")
				require.NoError(b, err)
				for key, v := range map[string]any{"user": "6f1ed002ab55", "csrf": strings.Repeat("x", 43), "visits": 17, "admin": false} {
					sm.Put(ctx, key, v)
				}
				token, _, err := sm.Commit(ctx)
				require.NoError(b, err)
				reads := read == "read" && (way.name == "LoadAndSave" || way.name == "scs")
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if reads && sm.GetString(r.Context(), "user") == "" {
						panic("no session")
					}
					w.Header()["Content-Type"] = []string{"text/html"}
					_, _ = w.Write(p)
				})
				srv := httptest.NewServer(way.wrap(sm, newManager(b, sm, keepalive.Config{}), h))
				defer srv.Close()
				c := apptest.Dial(b, srv.Listener.Addr().String(), browser+"Cookie: session="+token+"\r\n")
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Get(nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkFirstByte is the time to the first byte of a page whose rest takes
// long: its handler goes on when that byte has come.
func BenchmarkFirstByte(b *testing.B) {
	arrived := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/html"}
		_, _ = io.WriteString(w, page[:60])
		w.(http.Flusher).Flush()
		<-arrived
		_, _ = io.WriteString(w, page[60:])
	})
	benchmarkWays(b, h, "", func(b *testing.B, c *apptest.Wire) {
		var total time.Duration
		var start time.Time
		first := func() {
			total += time.Since(start)
			arrived <- struct{}{}
		}
		b.ReportAllocs()
		for b.Loop() {
			start = time.Now()
			if _, err := c.Get(first); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "first-ns/op")
	})
}

// BenchmarkGigabyte streams a page of 1 GB.
func BenchmarkGigabyte(b *testing.B) {
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/html"}
		_, _ = io.WriteString(w, page)
		for range 1 << 30 / len(chunk) {
			_, _ = w.Write(chunk)
		}
	})
	benchmarkWays(b, h, "", func(b *testing.B, c *apptest.Wire) {
		b.SetBytes(1 << 30)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Get(nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPing is a ping beside what one would write without this package: a
// handler that answers 204 inside the LoadAndSave of scs.
func BenchmarkPing(b *testing.B) {
	nothing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, size := range []int{200, 4 << 10, 64 << 10} {
		for _, way := range ways {
			b.Run(strconv.Itoa(size)+"B/"+way.name, func(b *testing.B) {
				if way.name == "Inject" {
					b.Skip("answers no pings")
				}
				sm := newSessions()
				km := newManager(b, sm, keepalive.Config{})
				ctx, err := sm.Load(b.Context(), "")
				require.NoError(b, err)
				sm.Put(ctx, "value", strings.Repeat("v", size))
				token, _, err := sm.Commit(ctx)
				require.NoError(b, err)
				r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, km.Path()+"ping", nil)
				r.Header.Set("Cookie", "session="+token)
				status := http.StatusNoContent
				if way.name == "LoadAndSave" {
					status = http.StatusOK
				}
				benchmarkServe(b, way.wrap(sm, km, nothing), r, status)
			})
		}
	}
}

// BenchmarkPingIdleTimeout is a ping that reads the session first, because
// Config.IdleTimeout asks it for its idle timeout.
func BenchmarkPingIdleTimeout(b *testing.B) {
	sm := newSessions()
	for name, idle := range map[string]func(context.Context) time.Duration{
		"without": nil,
		"with":    func(ctx context.Context) time.Duration { return time.Duration(sm.GetInt(ctx, "minutes")) * time.Minute },
	} {
		b.Run(name, func(b *testing.B) {
			km := newManager(b, sm, keepalive.Config{IdleTimeout: idle})
			r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, km.Path()+"ping", nil)
			r.Header.Set("Cookie", "session="+newToken(b, sm))
			benchmarkServe(b, km.LoadAndSave(http.NotFoundHandler()), r, http.StatusOK)
		})
	}
}

// benchmarkServe calls a handler over and over with one request.
func benchmarkServe(b *testing.B, h http.Handler, r *http.Request, status int) {
	w := &apptest.Sink{Headers: make(http.Header)}
	h.ServeHTTP(w, r)
	require.Equal(b, status, w.Status)
	b.ReportAllocs()
	for b.Loop() {
		w.Status = 0
		clear(w.Headers)
		h.ServeHTTP(w, r)
	}
}
