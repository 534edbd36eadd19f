package warmup_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.delay = 2 * time.Second
		p := newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{Interval: time.Minute, Jitter: -1}})
		stop := start(t, p)
		time.Sleep(4 * time.Minute)
		stop()
		s := time.Second
		require.Equal(t, []time.Duration{0, 62 * s, 124 * s, 186 * s}, app.requests("/"), "the interval counts from the end of a run")
		require.Equal(t, "start", p.Results()[0].Reason)
		require.Equal(t, "interval", p.Results()[1].Reason)
		require.Equal(t, 2*time.Second, p.Results()[0].Duration)
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		stop := start(t, newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{Interval: time.Minute, Jitter: 20 * time.Second}}))
		time.Sleep(500 * time.Minute)
		stop()
		at := app.requests("/")
		shortest, longest := time.Hour, time.Duration(0)
		for i := 1; i < len(at); i++ {
			shortest, longest = min(shortest, at[i]-at[i-1]), max(longest, at[i]-at[i-1])
		}
		require.GreaterOrEqual(t, shortest, 40*time.Second)
		require.LessOrEqual(t, longest, 80*time.Second)
		// With right code these two fail once in 10^27 times: when none of 400 intervals
		// is in the lowest or the highest eighth of the range.
		require.Less(t, shortest, 45*time.Second)
		require.Greater(t, longest, 75*time.Second)
		require.InDelta(t, 500, len(at), 30)
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rounds = 60
		var longest, shortest [12]time.Duration
		for range rounds {
			app := newTestApp()
			app.setFailing("/bad", true)
			p := newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{Targets: targets("/", "/bad"), Interval: time.Hour, Jitter: -1}})
			stop := start(t, p)
			time.Sleep(59 * time.Minute)
			require.Len(t, app.requests("/"), 1, "a warm target is not retried")
			app.setFailing("/bad", false)
			time.Sleep(50 * time.Minute)
			bad := app.requests("/bad")
			for i := range min(len(bad)-1, len(longest)) {
				wait, limit := bad[i+1]-bad[i], time.Second<<i
				require.Less(t, wait, limit, "wait %d", i)
				longest[i] = max(longest[i], wait)
				if shortest[i] == 0 {
					shortest[i] = wait
				}
				shortest[i] = min(shortest[i], wait)
			}
			last := p.Last()[1]
			require.True(t, last.Warm, "retries go on until the target is warm")
			require.Zero(t, last.Failures)
			stop()
		}
		for i := range 8 {
			require.Greater(t, longest[i], (time.Second<<i)*7/10, "wait %d varies over its whole range", i)
			require.Less(t, shortest[i], (time.Second<<i)*3/10, "wait %d", i)
		}
	})
}

func TestBackoffIsAtMostTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.setFailing("/", true)
		p := newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{Interval: 10 * time.Second, Jitter: -1}})
		stop := start(t, p)
		time.Sleep(time.Hour - 5*time.Second)
		stop()
		at := app.requests("/")
		for i := 1; i < len(at); i++ {
			require.LessOrEqual(t, at[i]-at[i-1], 10*time.Second)
		}
		require.Equal(t, len(at), p.Last()[0].Failures)
		require.Greater(t, len(at), 700, "two retries for each interval on average, or nearly")
	})
}

func TestTrigger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.delay = 10 * time.Second
		p := newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{Interval: time.Hour, Jitter: -1}})
		stop := start(t, p)
		burst := func() {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(p.Trigger)
			}
			wg.Wait()
		}
		time.Sleep(time.Minute)
		burst()
		time.Sleep(50 * time.Millisecond)
		burst() // 60.05 s
		time.Sleep(5 * time.Second)
		burst() // 65.05 s: in the middle of the run
		time.Sleep(time.Second)
		burst()
		time.Sleep(30 * time.Minute)
		ms := time.Millisecond
		require.Equal(t, []time.Duration{0, 60100 * ms, 70100 * ms}, app.requests("/"))
		require.Equal(t, "trigger", p.Last()[0].Reason)

		// The next interval counts from the end of the triggered run: 80.1 s + 1 h.
		time.Sleep(time.Hour)
		require.Equal(t, 3680100*ms, app.requests("/")[3])
		stop()
		p.Trigger()
		synctest.Wait()
		require.Len(t, app.requests("/"), 4)
		require.Equal(t, 1, app.maxActive)
	})
}

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.delay = time.Second
		stop := start(t, newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{Targets: targets("/1", "/2", "/3", "/4", "/5", "/6", "/7"), Concurrency: 3}}))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, 3, app.maxActive)
		require.Equal(t, []time.Duration{2 * time.Second}, app.requests("/7"))
		stop()
	})
}

func TestRunTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.delay = 4 * time.Second
		p := newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{
			Targets: targets("/1", "/2", "/3"), Concurrency: 1, RequestTimeout: 5 * time.Second, RunTimeout: 6 * time.Second, Interval: time.Hour,
		}})
		stop := start(t, p)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		require.Len(t, p.Results(), 3)
		results := p.Last()
		require.True(t, results[0].Warm)
		require.EqualError(t, results[1].Err, "the run took more than 6s")
		require.Equal(t, 2*time.Second, results[1].Duration)
		require.EqualError(t, results[2].Err, "not begun: the run took more than 6s")
		stop()
	})
}

// A handler that ignores its context occupies its slot, but does not delay the run.
func TestHandlerIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, release := newTestApp(), make(chan struct{})
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			app.ServeHTTP(w, r)
			if r.URL.Path == "/stuck" {
				w.(http.Flusher).Flush()
				<-release
			}
		})
		p := newPinger(t, warmup.Config{Handler: handler, Settings: warmup.Settings{
			Targets: targets("/stuck", "/next"), Concurrency: 1, RequestTimeout: 5 * time.Second, Interval: time.Hour, Jitter: -1, ReadyTimeout: time.Hour,
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(19 * time.Second)
		require.EqualError(t, p.Last()[0].Err, "the request took more than 5s")
		require.Equal(t, 200, p.Last()[0].Status)
		require.Empty(t, app.requests("/next"), "the only slot is in use")
		cancel()
		cancelled := time.Now()
		require.ErrorContains(t, <-done, "Config.Handler has not returned 5s after its context ended")
		require.Equal(t, 5*time.Second, time.Since(cancelled))
		close(release)
		stop := start(t, p)
		synctest.Wait()
		require.Len(t, app.requests("/next"), 1)
		stop()
	})
}

// A handler that returns because of its timeout has not written a whole page. Many
// runs, as handler and client see the timeout in either order.
func TestHandlerReturnsAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.delay = time.Hour
		p := newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{Interval: time.Second, RequestTimeout: time.Second, History: 1000}})
		stop := start(t, p)
		time.Sleep(10 * time.Minute)
		stop()
		require.Greater(t, len(p.Results()), 300)
		for _, r := range p.Results() {
			require.EqualError(t, r.Err, "the request took more than 1s")
		}
	})
}

// synctest.Test fails if a goroutine is left.
func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.delay = time.Hour
		var observed int
		p := newPinger(t, warmup.Config{Handler: app, Observer: func(warmup.Result) { observed++ }, Settings: warmup.Settings{Targets: targets("/1", "/2", "/3"), Concurrency: 2}})
		stop := start(t, p)
		time.Sleep(time.Second)
		require.ErrorContains(t, p.Run(t.Context()), "already running")
		cancelled := time.Now()
		stop()
		require.Zero(t, time.Since(cancelled), "Run waits for no page")
		require.Empty(t, p.Results(), "a request that Run has cancelled proves nothing about its target")
		require.Zero(t, observed)
		require.Empty(t, app.requests("/3"))
	})
}
