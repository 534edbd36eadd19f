package warmup_test

import (
	"io"
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

// newSite returns an app with a page for each case. /elsewhere redirects to otherOrigin.
func newSite(otherOrigin string) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("/longer", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello!") })
	mux.HandleFunc("/missing", http.NotFound)
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/early-hints", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusEarlyHints) })
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/goexit", func(http.ResponseWriter, *http.Request) { runtime.Goexit() })
	mux.HandleFunc("/panic-halfway", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "he")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/hang-halfway", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "he")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		chunk := strings.Repeat("x", 1000)
		for {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	})
	mux.Handle("/moved", http.RedirectHandler("/ok", http.StatusFound))
	mux.Handle("/moved-missing", http.RedirectHandler("/missing", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/elsewhere", http.RedirectHandler(otherOrigin, http.StatusFound))
	mux.Handle("/moved-elsewhere", http.RedirectHandler("/elsewhere", http.StatusFound))
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
		if problem := checkEchoRequest(r); problem != "" {
			http.Error(w, problem, http.StatusTeapot)
		}
	})
	return mux
}

// checkEchoRequest returns what is wrong with the request of the case "request" below.
func checkEchoRequest(r *http.Request) string {
	switch {
	case r.Method != http.MethodPost:
		return "method"
	case r.Host == "" || r.URL.Host != "" || r.URL.Path != "/echo" || r.RequestURI != r.URL.RequestURI():
		return "address"
	case !strings.HasPrefix(r.URL.RawQuery, "b=1&a=2&_=") || len(r.URL.Query().Get("_")) < 20:
		return "query"
	case r.UserAgent() != "keepalive-warmup" || r.Header.Get("X") != "y" || r.Header.Get("Accept-Encoding") != "":
		return "header"
	}
	return ""
}

// Each case gives the same result over the network and in the process.
func TestFetch(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(func() {
		other.Close()
		require.Zero(t, elsewhere.Load(), "nothing was fetched from the other origin")
	})
	site := newSite(other.URL + "/there")
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)

	type target = warmup.Target
	tests := []struct {
		name      string
		target    target
		cacheBust string
		hangs     bool
		status    int
		bytes     int64 // -1: not checked
		truncated bool
		location  string // the end of it
		err       string // a part of it; warm if both this is "" and anyErr is false
		anyErr    bool
	}{
		{name: "page", target: target{URL: "/ok"}, status: 200, bytes: 5},
		{name: "longer than MaxBody", target: target{URL: "/longer"}, status: 200, bytes: 5, truncated: true},
		{name: "no content", target: target{URL: "/empty"}, status: 204},
		{name: "early hints", target: target{URL: "/early-hints"}, status: 200},
		{name: "HEAD", target: target{URL: "/ok", Method: "HEAD"}, status: 200},
		{name: "missing", target: target{URL: "/missing"}, status: 404, bytes: 5, truncated: true, err: "status 404 is not warm"},
		{name: "missing, accepted", target: target{URL: "/missing", Status: []int{404}}, status: 404, bytes: 5, truncated: true},
		{name: "other status", target: target{URL: "/ok", Status: []int{404}}, status: 200, bytes: 5, err: "status 200 is not warm"},
		{name: "panic", target: target{URL: "/panic"}, anyErr: true},
		{name: "runtime.Goexit", target: target{URL: "/goexit"}, anyErr: true},
		{name: "panic halfway", target: target{URL: "/panic-halfway"}, status: 200, bytes: 2, anyErr: true},
		{name: "hangs", target: target{URL: "/hang"}, hangs: true, err: "the request took more than 2s"},
		{name: "hangs halfway", target: target{URL: "/hang-halfway"}, hangs: true, status: 200, bytes: 2, err: "the request took more than 2s"},
		{name: "streams for ever", target: target{URL: "/stream"}, status: 200, bytes: 5, truncated: true},
		{name: "redirect", target: target{URL: "/moved"}, status: 302, bytes: -1, err: "/ok is not warm, and not followed", location: "/ok"},
		{name: "redirect, accepted", target: target{URL: "/moved", Status: []int{302}}, status: 302, bytes: -1, location: "/ok"},
		{name: "redirect, followed", target: target{URL: "/moved", FollowRedirects: true}, status: 200, bytes: 5, location: "/ok"},
		{name: "redirect to a missing page", target: target{URL: "/moved-missing", FollowRedirects: true}, status: 404, bytes: 5, truncated: true, err: "404", location: "/missing"},
		{name: "redirects for ever", target: target{URL: "/loop", FollowRedirects: true}, status: 302, err: "more than 10 times", location: "/loop"},
		{name: "other origin", target: target{URL: "/elsewhere"}, status: 302, err: "another origin: redirected to " + other.URL, location: "/there"},
		{name: "other origin, followed", target: target{URL: "/elsewhere", FollowRedirects: true}, status: 302, err: "another origin", location: "/there"},
		{name: "other origin, second redirect", target: target{URL: "/moved-elsewhere", FollowRedirects: true}, status: 302, err: "another origin", location: "/there"},
		{name: "other origin, accepted", target: target{URL: "/elsewhere", Status: []int{302}}, status: 302, bytes: -1, location: "/there"},
		{name: "no cookies", target: target{URL: "/cookie", FollowRedirects: true}, status: 200, location: "/cookie?again"},
		{name: "request", target: target{URL: "/echo?b=1&a=2", Method: "POST", Header: map[string]string{"x": "y"}}, cacheBust: "_", status: 200},
	}
	for _, where := range []string{"network", "process"} {
		for _, tt := range tests {
			t.Run(where+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				results := make(chan warmup.Result, 10)
				cfg := warmup.Config{Observer: func(r warmup.Result) { results <- r }, Settings: warmup.Settings{
					Targets: []target{tt.target}, MaxBody: 5, CacheBust: tt.cacheBust, RequestTimeout: time.Minute,
				}}
				if tt.hangs {
					cfg.RequestTimeout = 2 * time.Second
				}
				origin := "http://localhost"
				if where == "network" {
					cfg.Origin, origin = server.URL, server.URL
				} else {
					cfg.Handler = site
				}
				stop := start(t, newPinger(t, cfg))
				r := <-results
				stop()
				warm := tt.err == "" && !tt.anyErr
				require.Equal(t, warm, r.Warm)
				if warm {
					require.NoError(t, r.Err)
				} else {
					require.ErrorContains(t, r.Err, tt.err)
				}
				if strings.HasPrefix(tt.err, "another origin") {
					require.ErrorIs(t, r.Err, warmup.ErrOrigin)
				}
				require.Equal(t, tt.status, r.Status)
				if tt.bytes >= 0 {
					require.Equal(t, tt.bytes, r.Bytes)
					require.Equal(t, tt.truncated, r.Truncated)
				}
				require.True(t, strings.HasSuffix(r.Location, tt.location), r.Location)
				require.Equal(t, origin+tt.target.URL, r.URL)
			})
		}
	}
}
