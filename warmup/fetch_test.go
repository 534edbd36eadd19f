package warmup_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

// site is an app with a page of every kind.
func site(abroad string) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("/longer", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello!") })
	mux.HandleFunc("/missing", http.NotFound)
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusEarlyHints) })
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/half", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "he")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/drip", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "he")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		for chunk := strings.Repeat("x", 1000); ; {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	})
	mux.Handle("/moved", http.RedirectHandler("/ok", http.StatusFound))
	mux.Handle("/moved-missing", http.RedirectHandler("/missing", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/abroad", http.RedirectHandler(abroad, http.StatusFound))
	mux.Handle("/around", http.RedirectHandler("/abroad", http.StatusFound))
	mux.HandleFunc("/cookie", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" {
			http.Error(w, "a cookie came back", http.StatusTeapot)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b", Path: "/"})
		if r.URL.RawQuery == "" {
			http.Redirect(w, r, "/cookie?again", http.StatusFound)
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		want := map[string]string{"method": "POST", "host": r.Host, "agent": "keepalive-warmup", "x": "y", "encoding": "", "path": "/echo"}
		got := map[string]string{"method": r.Method, "host": "", "agent": r.UserAgent(), "x": r.Header.Get("X"), "encoding": r.Header.Get("Accept-Encoding"), "path": r.URL.Path}
		got["host"] = r.Host
		q := r.URL.Query()
		if r.RequestURI != r.URL.RequestURI() || !strings.HasPrefix(r.URL.RawQuery, "b=1&a=2&_=") || len(q.Get("_")) < 20 || r.URL.Host != "" {
			w.WriteHeader(http.StatusTeapot)
		}
		for k := range want {
			if got[k] != want[k] {
				w.WriteHeader(http.StatusTeapot)
			}
		}
	})
	return mux
}

// The same over the network and in the process.
func TestFetch(t *testing.T) {
	var visitors atomic.Int32
	abroad := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visitors.Add(1) }))
	t.Cleanup(func() {
		abroad.Close()
		require.Zero(t, visitors.Load(), "nothing was fetched from abroad")
	})
	mux := site(abroad.URL + "/there")
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	type target = warmup.Target
	tests := []struct {
		name   string
		target target
		bust   bool
		status int
		bytes  int64
		err    string // "": warm
		cut    bool
		to     string
	}{
		{name: "page", target: target{URL: "/ok"}, status: 200, bytes: 5},
		{name: "longer than the bound", target: target{URL: "/longer"}, status: 200, bytes: 5, cut: true},
		{name: "no content", target: target{URL: "/empty"}, status: 204},
		{name: "early hints", target: target{URL: "/early"}, status: 200},
		{name: "HEAD", target: target{URL: "/ok", Method: "HEAD"}, status: 200},
		{name: "missing", target: target{URL: "/missing"}, status: 404, bytes: 5, cut: true, err: "status 404 is not warm"},
		{name: "missing on purpose", target: target{URL: "/missing", Status: []int{404}}, status: 404, bytes: 5, cut: true},
		{name: "other status", target: target{URL: "/ok", Status: []int{404}}, status: 200, bytes: 5, err: "status 200 is not warm"},
		{name: "panic", target: target{URL: "/panic"}, err: "*"},
		{name: "panic in the middle", target: target{URL: "/half"}, status: 200, bytes: 2, err: "*"},
		{name: "hangs", target: target{URL: "/hang"}, err: "the request took more than 1s"},
		{name: "hangs in the middle", target: target{URL: "/drip"}, status: 200, bytes: 2, err: "the request took more than 1s"},
		{name: "streams for ever", target: target{URL: "/stream"}, status: 200, bytes: 5, cut: true},
		{name: "redirect", target: target{URL: "/moved"}, status: 302, bytes: -1, err: "/ok is not warm, and not followed", to: "/ok"},
		{name: "redirect, accepted", target: target{URL: "/moved", Status: []int{302}}, status: 302, bytes: -1, to: "/ok"},
		{name: "redirect, followed", target: target{URL: "/moved", FollowRedirects: true}, status: 200, bytes: 5, to: "/ok"},
		{name: "redirect to what fails", target: target{URL: "/moved-missing", FollowRedirects: true}, status: 404, bytes: 5, cut: true, err: "404", to: "/missing"},
		{name: "redirects for ever", target: target{URL: "/loop", FollowRedirects: true}, status: 302, err: "more than 10 times", to: "/loop"},
		{name: "abroad", target: target{URL: "/abroad"}, status: 302, err: "another origin: redirected to " + abroad.URL, to: "/there"},
		{name: "abroad, followed", target: target{URL: "/abroad", FollowRedirects: true}, status: 302, err: "another origin", to: "/there"},
		{name: "abroad at the second step", target: target{URL: "/around", FollowRedirects: true}, status: 302, err: "another origin", to: "/there"},
		{name: "abroad, accepted", target: target{URL: "/abroad", Status: []int{302}}, status: 302, bytes: -1, to: "/there"},
		{name: "no cookies", target: target{URL: "/cookie", FollowRedirects: true}, status: 200, to: "/cookie?again"},
		{name: "request", target: target{URL: "/echo?b=1&a=2", Method: "POST", Header: map[string]string{"x": "y"}}, bust: true, status: 200},
	}
	for _, where := range []string{"network", "process"} {
		for _, tt := range tests {
			t.Run(where+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				got := make(chan warmup.Result, 10)
				cfg := warmup.Config{Observer: func(r warmup.Result) { got <- r }, Settings: warmup.Settings{
					Targets: []target{tt.target}, MaxBody: 5, RequestTimeout: time.Second,
				}}
				if tt.bust {
					cfg.CacheBust = "_"
				}
				origin := "http://localhost"
				if where == "network" {
					cfg.Origin, origin = server.URL, server.URL
				} else {
					cfg.Handler = mux
				}
				stop := start(t, newPinger(t, cfg))
				r := <-got
				stop()
				require.Equal(t, tt.err == "", r.Warm)
				if tt.err == "" {
					require.NoError(t, r.Err)
				} else {
					require.ErrorContains(t, r.Err, strings.TrimPrefix(tt.err, "*"))
				}
				if strings.HasPrefix(tt.err, "another origin") {
					require.ErrorIs(t, r.Err, warmup.ErrOrigin)
				}
				require.Equal(t, tt.status, r.Status)
				if tt.bytes >= 0 {
					require.Equal(t, tt.bytes, r.Bytes)
					require.Equal(t, tt.cut, r.Truncated)
				}
				require.True(t, strings.HasSuffix(r.Location, tt.to), r.Location)
				require.Equal(t, origin+tt.target.URL, r.URL)
				require.Less(t, r.Duration, 5*time.Second)
			})
		}
	}
}

// ownGoroutines is how many goroutines run this package's code, or the
// transport's that it began.
func ownGoroutines() int {
	buf := make([]byte, 4<<20)
	n := 0
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "keepalive/warmup.(*") || strings.Contains(g, "keepalive/warmup.inProcess") || strings.Contains(g, "http.(*persistConn)") {
			n++
		}
	}
	return n
}

func TestShutdownOverTheNetwork(t *testing.T) {
	arrived := make(chan struct{}, 2)
	mux := site("http://abroad")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		mux.ServeHTTP(w, r)
	}))
	defer server.Close()
	p := newPinger(t, warmup.Config{Settings: warmup.Settings{Origin: server.URL, Targets: targets("/hang", "/drip"), RequestTimeout: 10 * time.Minute}})
	stop := start(t, p)
	<-arrived
	<-arrived
	began := time.Now()
	stop()
	require.Less(t, time.Since(began), 5*time.Second)
	require.Empty(t, p.Results())
	// The transport's goroutines end a moment later, without anybody to ask.
	require.Eventually(t, func() bool { return ownGoroutines() == 0 }, 5*time.Second, time.Millisecond)
}

func TestServerThatDoesNotListenYet(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	got := make(chan warmup.Result, 100)
	p := newPinger(t, warmup.Config{Observer: func(r warmup.Result) { got <- r }, Settings: warmup.Settings{Origin: "http://" + addr}})
	stop := start(t, p)
	r := <-got
	require.ErrorContains(t, r.Err, "refused")
	require.False(t, p.Ready())

	ln, err = net.Listen("tcp", addr)
	require.NoError(t, err)
	server := &http.Server{Handler: okHandler, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(ln) }()
	for !r.Warm {
		r = <-got
		require.Equal(t, "retry", r.Reason)
	}
	stop()
	require.True(t, p.Ready())
	require.Eventually(t, func() bool { return ownGoroutines() == 0 }, 5*time.Second, time.Millisecond, "no connection is kept")
	require.NoError(t, server.Close())
}

// Triggers and reloads from everywhere, and never more than one run.
func TestOverlap(t *testing.T) {
	var now, most atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		runtime.Gosched()
		now.Add(-1)
	}))
	defer server.Close()
	got := make(chan warmup.Result, 1000)
	settings := warmup.Settings{Origin: server.URL, Targets: targets("/a", "/b", "/c"), Concurrency: 1}
	p := newPinger(t, warmup.Config{Settings: settings, Observer: func(r warmup.Result) { got <- r }})
	stop := start(t, p)
	for range 5 {
		for range 20 {
			go p.Trigger()
		}
		for range 10 {
			go func() { _ = p.Reload(settings) }()
		}
		for range 3 {
			require.NoError(t, (<-got).Err)
		}
		_, _, _ = p.Ready(), p.Last(), p.Results()
	}
	asked := time.Now()
	p.Trigger()
	for r := range got {
		if strings.HasSuffix(r.URL, "/c") && r.Time.After(asked) {
			break
		}
	}
	stop()
	require.Equal(t, int32(1), most.Load())
}

func TestReloadOverTheNetwork(t *testing.T) {
	arrived := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.URL.Path
		if r.URL.Path == "/hang" {
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	settings := warmup.Settings{Origin: server.URL, Targets: targets("/hang", "/never"), Concurrency: 1, RequestTimeout: 300 * time.Millisecond}
	p := newPinger(t, warmup.Config{Settings: settings})
	stop := start(t, p)
	require.Equal(t, "/hang", <-arrived)
	settings.Targets = targets("/new")
	require.NoError(t, p.Reload(settings))
	require.Equal(t, "/new", <-arrived)
	stop()
}

func TestTransport(t *testing.T) {
	var asked atomic.Int32
	p := newPinger(t, warmup.Config{Settings: warmup.Settings{Origin: "https://app"}, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		asked.Add(1)
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	})})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.NoError(t, p.Run(ctx))
	require.Equal(t, int32(1), asked.Load())
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
