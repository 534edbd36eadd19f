package main

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := newApp(options{drop: 30 * time.Second, build: time.Second, visit: time.Hour})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { require.NoError(t, a.warm.Run(ctx)) })
		wg.Go(func() { a.dropCaches(ctx) })
		wg.Go(func() { a.sendVisitors(ctx) })
		time.Sleep(2 * time.Second) // after the start, and then after each drop
		for range 3 {
			start := time.Now()
			for _, l := range a.lanes {
				a.request(ctx, l)
			}
			time.Sleep(time.Until(start.Add(30 * time.Second)))
		}
		p := a.picture(time.Now())
		require.Equal(t, 3, p.Lanes[0].Visits)
		require.Equal(t, 0, p.Lanes[0].Slow)
		require.Equal(t, 3, p.Lanes[1].Slow)
		require.Equal(t, "1\u00a0s", p.Lanes[1].Worst)

		w := httptest.NewRecorder()
		a.handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		require.Empty(t, w.Header().Get("Refresh"), "browsers that run the script must not reload")
		require.Contains(t, w.Body.String(), `<noscript><meta http-equiv="refresh"`)
		require.Contains(t, w.Body.String(), `<line class="slow"`)
		require.NotContains(t, w.Body.String(), "ZgotmplZ")
		stop()
		wg.Wait()
	})
}

func TestRun(t *testing.T) {
	opt := options{addr: "127.0.0.1:0", drop: time.Minute, build: time.Millisecond, visit: time.Minute}
	ctx, stop := context.WithCancel(t.Context())
	stdout, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, opt, out) }()
	line := make([]byte, 200)
	n, err := stdout.Read(line)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(line[:n]), "Open http://127.0.0.1:"))
	stop()
	require.NoError(t, <-done)

	opt.drop = 0
	require.ErrorContains(t, run(t.Context(), opt, io.Discard), "must be above 0")
	opt.drop, opt.addr = time.Minute, "nowhere"
	require.ErrorContains(t, run(t.Context(), opt, io.Discard), "nowhere")
}
