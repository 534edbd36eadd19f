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
		require.Equal(t, []time.Duration{0, 62 * s, 124 * s, 186 * s}, app.requests("/"), "from the end of one run to the next")
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
		least, most := time.Hour, time.Duration(0)
		for i := 1; i < len(at); i++ {
			least, most = min(least, at[i]-at[i-1]), max(most, at[i]-at[i-1])
		}
		require.GreaterOrEqual(t, least, 40*time.Second)
		require.LessOrEqual(t, most, 80*time.Second)
		// Not so once in 10^27: that none of 400 is in the outer eighth of either side.
		require.Less(t, least, 45*time.Second)
		require.Greater(t, most, 75*time.Second)
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
			require.Len(t, app.requests("/"), 1, "what is warm is not fetched again")
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
			require.True(t, last.Warm, "it never stops for good")
			require.Zero(t, last.Failures)
			stop()
		}
		for i := range 8 {
			require.Greater(t, longest[i], (time.Second<<i)*7/10, "wait %d is spread over all of its range", i)
			require.Less(t, shortest[i], (time.Second<<i)*3/10, "wait %d", i)
		}
	})
}

func TestBackoffIsCappedByTheInterval(t *testing.T) {
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
		require.Greater(t, len(at), 700, "retries stay as frequent as the interval asks for")
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

		// The interval goes on from there: 80.1 s + 1 h.
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

// A handler that does not listen to its context holds its place, not the run.
func TestDeafHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, free := newTestApp(), make(chan struct{})
		deaf := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			app.ServeHTTP(w, r)
			if r.URL.Path == "/deaf" {
				w.(http.Flusher).Flush()
				<-free
			}
		})
		p := newPinger(t, warmup.Config{Handler: deaf, Settings: warmup.Settings{
			Targets: targets("/deaf", "/x"), Concurrency: 1, RequestTimeout: 5 * time.Second, Interval: time.Hour, Jitter: -1, ReadyTimeout: time.Hour,
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(19 * time.Second)
		require.EqualError(t, p.Last()[0].Err, "the request took more than 5s")
		require.Equal(t, 200, p.Last()[0].Status)
		require.Empty(t, app.requests("/x"), "the only place is not free")
		cancel()
		began := time.Now()
		require.ErrorContains(t, <-done, "Config.Handler has not returned 5s after its context ended")
		require.Equal(t, 5*time.Second, time.Since(began))
		close(free)
		stop := start(t, p)
		synctest.Wait()
		require.Len(t, app.requests("/x"), 1)
		stop()
	})
}

// A handler that returns because its time is over has not shown a page, whoever
// of the two sees the end of it first.
func TestGivingUp(t *testing.T) {
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

// The bubble fails if a goroutine is left.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.delay = time.Hour
		var seen int
		p := newPinger(t, warmup.Config{Handler: app, Observer: func(warmup.Result) { seen++ }, Settings: warmup.Settings{Targets: targets("/1", "/2", "/3"), Concurrency: 2}})
		stop := start(t, p)
		time.Sleep(time.Second)
		require.ErrorContains(t, p.Run(t.Context()), "already running")
		began := time.Now()
		stop()
		require.Zero(t, time.Since(began))
		require.Empty(t, p.Results(), "a request that was cut off says nothing of its target")
		require.Zero(t, seen)
		require.Empty(t, app.requests("/3"))
	})
}
