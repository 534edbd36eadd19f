package warmup_test

import (
	"context"
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

// requireNoGoroutines waits until no goroutine runs code of the package or holds a
// connection of its transport. The transport's end a moment after Run has returned,
// and nothing reports it.
func requireNoGoroutines(t *testing.T) {
	t.Helper()
	buf := make([]byte, 4<<20)
	require.Eventually(t, func() bool {
		stacks := string(buf[:runtime.Stack(buf, true)])
		return !strings.Contains(stacks, "keepalive/warmup.") && !strings.Contains(stacks, "http.(*persistConn)")
	}, time.Minute, time.Millisecond)
}

func TestRunEndsItsRequestsOverTheNetwork(t *testing.T) {
	arrived := make(chan struct{}, 2)
	site := newSite("")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		site.ServeHTTP(w, r)
	}))
	defer server.Close()
	// A Run that waited for its requests would never return in a test's time.
	p := newPinger(t, warmup.Config{Settings: warmup.Settings{Origin: server.URL, Targets: targets("/hang", "/hang-halfway"), RequestTimeout: time.Hour}})
	stop := start(t, p)
	<-arrived
	<-arrived
	stop()
	require.Empty(t, p.Results())
	requireNoGoroutines(t)
}

func TestServerThatDoesNotListenYet(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	results := make(chan warmup.Result, 100)
	p := newPinger(t, warmup.Config{Observer: func(r warmup.Result) { results <- r }, Settings: warmup.Settings{Origin: "http://" + addr}})
	stop := start(t, p)
	r := <-results
	require.ErrorContains(t, r.Err, "refused")
	require.False(t, p.Ready())

	ln, err = net.Listen("tcp", addr)
	require.NoError(t, err)
	server := &http.Server{Handler: okHandler, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(ln) }()
	for !r.Warm {
		r = <-results
		require.Equal(t, "retry", r.Reason)
	}
	stop()
	require.True(t, p.Ready())
	requireNoGoroutines(t) // the transport keeps no connection
	require.NoError(t, server.Close())
}

// Many goroutines call Trigger and Reload, and there is never more than one run.
func TestRunsNeverOverlap(t *testing.T) {
	var active atomic.Int32
	var overlapped atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if active.Add(1) > 1 {
			overlapped.Store(true)
		}
		runtime.Gosched()
		active.Add(-1)
	}))
	defer server.Close()
	results := make(chan warmup.Result, 1000)
	settings := warmup.Settings{Origin: server.URL, Targets: targets("/a", "/b", "/c"), Concurrency: 1}
	p := newPinger(t, warmup.Config{Settings: settings, Observer: func(r warmup.Result) { results <- r }})
	stop := start(t, p)
	for range 5 {
		for range 20 {
			go p.Trigger()
		}
		for range 10 {
			go func() { _ = p.Reload(settings) }()
		}
		for range 3 {
			require.NoError(t, (<-results).Err)
		}
		_, _, _ = p.Ready(), p.Last(), p.Results()
	}
	triggeredAt := time.Now()
	p.Trigger()
	for r := range results {
		if strings.HasSuffix(r.URL, "/c") && r.Time.After(triggeredAt) {
			break
		}
	}
	stop()
	require.False(t, overlapped.Load())
}

func TestReloadOverTheNetwork(t *testing.T) {
	arrived, release := make(chan string, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.URL.Path
		if r.URL.Path == "/slow" {
			<-release
		}
	}))
	defer server.Close()
	settings := warmup.Settings{Origin: server.URL, Targets: targets("/slow", "/never"), Concurrency: 1}
	p := newPinger(t, warmup.Config{Settings: settings})
	stop := start(t, p)
	require.Equal(t, "/slow", <-arrived)
	settings.Targets = targets("/new")
	require.NoError(t, p.Reload(settings))
	close(release)
	require.Equal(t, "/new", <-arrived)
	stop()
}

func TestTransport(t *testing.T) {
	var asked atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	p := newPinger(t, warmup.Config{Settings: warmup.Settings{Origin: "https://app"}, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		asked.Add(1)
		cancel()
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	})})
	require.NoError(t, p.Run(ctx))
	require.Equal(t, int32(1), asked.Load())
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
