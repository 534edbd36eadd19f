package warmup_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

// visits is an app that notes when it was asked for what.
type visits struct {
	mu        sync.Mutex
	begun     time.Time
	at        map[string][]time.Duration
	now, most int // requests at a time, and the most of them
	takes     time.Duration
	broken    map[string]bool
}

func newVisits() *visits {
	return &visits{begun: time.Now(), at: make(map[string][]time.Duration), broken: make(map[string]bool)}
}

func (v *visits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	v.at[r.URL.Path] = append(v.at[r.URL.Path], time.Since(v.begun))
	v.now++
	v.most = max(v.most, v.now)
	broken := v.broken[r.URL.Path]
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		v.now--
		v.mu.Unlock()
	}()
	select {
	case <-time.After(v.takes):
	case <-r.Context().Done():
		return
	}
	if broken {
		http.Error(w, "broken", http.StatusInternalServerError)
	}
}

func (v *visits) of(path string) []time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]time.Duration(nil), v.at[path]...)
}

func (v *visits) breakPage(path string, broken bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.broken[path] = broken
}

func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits()
		v.takes = 2 * time.Second
		p := newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{Interval: time.Minute, Jitter: -1}})
		stop := start(t, p)
		time.Sleep(4 * time.Minute)
		stop()
		s := time.Second
		require.Equal(t, []time.Duration{0, 62 * s, 124 * s, 186 * s}, v.of("/"), "from the end of one run to the next")
		require.Equal(t, "start", p.Results()[0].Reason)
		require.Equal(t, "interval", p.Results()[1].Reason)
		require.Equal(t, 2*time.Second, p.Results()[0].Duration)
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits()
		stop := start(t, newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{Interval: time.Minute, Jitter: 20 * time.Second}}))
		time.Sleep(500 * time.Minute)
		stop()
		at := v.of("/")
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
			v := newVisits()
			v.breakPage("/bad", true)
			p := newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{Targets: targets("/", "/bad"), Interval: time.Hour, Jitter: -1}})
			stop := start(t, p)
			time.Sleep(59 * time.Minute)
			require.Len(t, v.of("/"), 1, "what is warm is not fetched again")
			v.breakPage("/bad", false)
			time.Sleep(50 * time.Minute)
			bad := v.of("/bad")
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
		v := newVisits()
		v.breakPage("/", true)
		p := newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{Interval: 10 * time.Second, Jitter: -1}})
		stop := start(t, p)
		time.Sleep(time.Hour - 5*time.Second)
		stop()
		at := v.of("/")
		for i := 1; i < len(at); i++ {
			require.LessOrEqual(t, at[i]-at[i-1], 10*time.Second)
		}
		require.Equal(t, len(at), p.Last()[0].Failures)
		require.Greater(t, len(at), 700, "retries stay as frequent as the interval asks for")
	})
}

func TestReady(t *testing.T) {
	code := func(p *warmup.Pinger) int {
		w := httptest.NewRecorder()
		p.ReadyHandler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		return w.Code
	}
	t.Run("when all are warm", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := newVisits()
			v.takes = 5 * time.Second
			p := newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{Targets: targets("/a", "/b"), Concurrency: 1}})
			time.Sleep(2 * time.Minute)
			require.Equal(t, 503, code(p), "not before Run")
			stop := start(t, p)
			time.Sleep(9 * time.Second)
			require.False(t, p.Ready())
			time.Sleep(time.Second)
			synctest.Wait()
			require.True(t, p.Ready())
			require.Equal(t, 200, code(p))

			v.breakPage("/a", true)
			p.Trigger()
			time.Sleep(11 * time.Second)
			require.False(t, p.Last()[0].Warm)
			require.True(t, p.Ready(), "it stays so")
			stop()
		})
	})
	t.Run("after a retry", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := newVisits()
			v.breakPage("/", true)
			p := newPinger(t, warmup.Config{Handler: v})
			stop := start(t, p)
			time.Sleep(10 * time.Second)
			require.False(t, p.Ready())
			v.breakPage("/", false)
			time.Sleep(30 * time.Second)
			require.True(t, p.Ready())
			stop()
		})
	})
	for _, name := range []string{"a page that fails", "a page that hangs"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisits()
				v.breakPage("/", true)
				if name == "a page that hangs" {
					v.takes = time.Hour
				}
				p := newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{ReadyTimeout: 20 * time.Second}})
				stop := start(t, p)
				time.Sleep(20*time.Second - 1)
				require.Equal(t, 503, code(p))
				time.Sleep(time.Nanosecond)
				require.Equal(t, 200, code(p), "it can't hold a deployment")
				stop()
			})
		})
	}
	t.Run("off", func(t *testing.T) {
		p := newPinger(t, warmup.Config{Handler: ok, Settings: warmup.Settings{Enabled: new(bool)}})
		require.Equal(t, 200, code(p))
	})
	t.Run("method", func(t *testing.T) {
		w := httptest.NewRecorder()
		newPinger(t, warmup.Config{Handler: ok}).ReadyHandler().ServeHTTP(w, httptest.NewRequest("POST", "/readyz", nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	})
}

func TestTrigger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits()
		v.takes = 10 * time.Second
		p := newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{Interval: time.Hour, Jitter: -1}})
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
		require.Equal(t, []time.Duration{0, 60100 * ms, 70100 * ms}, v.of("/"))
		require.Equal(t, "trigger", p.Last()[0].Reason)

		// The interval goes on from there: 80.1 s + 1 h.
		time.Sleep(time.Hour)
		require.Equal(t, 3680100*ms, v.of("/")[3])
		stop()
		p.Trigger()
		synctest.Wait()
		require.Len(t, v.of("/"), 4)
		require.Equal(t, 1, v.most)
	})
}

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits()
		v.takes = time.Second
		stop := start(t, newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{Targets: targets("/1", "/2", "/3", "/4", "/5", "/6", "/7"), Concurrency: 3}}))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, 3, v.most)
		require.Equal(t, []time.Duration{2 * time.Second}, v.of("/7"))
		stop()
	})
}

func TestRunTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits()
		v.takes = 4 * time.Second
		p := newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{
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
		v, free := newVisits(), make(chan struct{})
		deaf := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			v.ServeHTTP(w, r)
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
		require.Empty(t, v.of("/x"), "the only place is not free")
		cancel()
		began := time.Now()
		require.ErrorContains(t, <-done, "Config.Handler has not returned 5s after its context ended")
		require.Equal(t, 5*time.Second, time.Since(began))
		close(free)
		stop := start(t, p)
		synctest.Wait()
		require.Len(t, v.of("/x"), 1)
		stop()
	})
}

// A handler that returns because its time is over has not shown a page, whoever
// of the two sees the end of it first.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits()
		v.takes = time.Hour
		p := newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{Interval: time.Second, RequestTimeout: time.Second, History: 1000}})
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
		v := newVisits()
		v.takes = time.Hour
		var seen int
		p := newPinger(t, warmup.Config{Handler: v, Observer: func(warmup.Result) { seen++ }, Settings: warmup.Settings{Targets: targets("/1", "/2", "/3"), Concurrency: 2}})
		stop := start(t, p)
		time.Sleep(time.Second)
		require.ErrorContains(t, p.Run(t.Context()), "already running")
		began := time.Now()
		stop()
		require.Zero(t, time.Since(began))
		require.Empty(t, p.Results(), "a request that was cut off says nothing of its target")
		require.Zero(t, seen)
		require.Empty(t, v.of("/3"))
	})
}

func TestRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := warmup.Settings{Targets: targets("/"), Interval: time.Minute, Jitter: -1, History: 5, HistoryAge: 3 * time.Minute}
		p := newPinger(t, warmup.Config{Handler: ok, Settings: settings})
		stop := start(t, p)
		time.Sleep(150 * time.Second) // runs at 0, 1 and 2 min
		require.Len(t, p.Results(), 3)
		time.Sleep(time.Minute)
		ages := func() (a []time.Duration) {
			for _, r := range p.Results() {
				a = append(a, time.Since(r.Time))
			}
			return a
		}
		s := time.Second
		require.Equal(t, []time.Duration{150 * s, 90 * s, 30 * s}, ages(), "by age")
		settings.History = 2
		require.NoError(t, p.Reload(settings))
		synctest.Wait()
		require.Equal(t, []time.Duration{30 * s, 0}, ages(), "by count")
		stop()
		time.Sleep(3*time.Minute + 1)
		require.Empty(t, p.Results())
		require.False(t, p.Last()[0].Time.IsZero(), "the last result is kept whatever its age")
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits()
		settings := warmup.Settings{Targets: targets("/a"), Interval: time.Minute, Jitter: -1}
		p := newPinger(t, warmup.Config{Handler: v, Settings: settings})
		stop := start(t, p)
		time.Sleep(30 * time.Second)

		require.ErrorIs(t, p.Reload(warmup.Settings{Targets: targets("http://evil/", "/b"), Interval: -1}), warmup.ErrOrigin)
		time.Sleep(45 * time.Second) // 75 s
		require.Equal(t, []time.Duration{0, time.Minute}, v.of("/a"), "the old settings go on")
		require.Empty(t, v.of("/b"))

		settings.Targets, settings.Interval = targets("/a", "/b"), 10*time.Second
		require.NoError(t, p.Reload(settings))
		synctest.Wait()
		require.Equal(t, "reload", p.Last()[1].Reason)
		time.Sleep(25 * time.Second) // 100 s
		require.Equal(t, []time.Duration{75 * time.Second, 85 * time.Second, 95 * time.Second}, v.of("/b"))

		settings.Enabled = new(bool)
		require.NoError(t, p.Reload(settings))
		p.Trigger()
		time.Sleep(time.Hour)
		require.Len(t, v.of("/b"), 3)
		require.True(t, p.Last()[1].Warm, "what is known is kept")

		t.Setenv(warmup.Env, "on")
		require.NoError(t, p.Reload(settings))
		synctest.Wait()
		require.Len(t, v.of("/b"), 4, "the environment overrides")
		t.Setenv(warmup.Env, "off")
		settings.Enabled = nil
		require.NoError(t, p.Reload(settings))
		time.Sleep(time.Hour)
		require.Len(t, v.of("/b"), 4)
		stop()
	})
}

func TestReloadDuringARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits()
		v.takes = 10 * time.Second
		settings := warmup.Settings{Targets: targets("/a", "/b", "/c"), Concurrency: 1, Interval: time.Hour}
		p := newPinger(t, warmup.Config{Handler: v, Settings: settings})
		stop := start(t, p)
		time.Sleep(5 * time.Second)
		settings.Targets = targets("/c", "/d")
		require.NoError(t, p.Reload(settings))
		time.Sleep(time.Minute)
		require.Equal(t, []time.Duration{0}, v.of("/a"), "what is under way ends")
		require.Empty(t, v.of("/b"), "nothing else begins")
		require.Equal(t, []time.Duration{10 * time.Second}, v.of("/c"))
		require.Equal(t, []time.Duration{20 * time.Second}, v.of("/d"))
		require.Equal(t, 1, v.most)
		require.Len(t, p.Results(), 3)
		require.True(t, p.Ready())
		stop()
	})
}
