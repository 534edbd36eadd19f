package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// timing is a header Server-Timing as scripts see it.
func timing(idle, lifetime time.Duration) []map[string]any {
	return []map[string]any{
		{"name": "db", "duration": 53.2, "description": ""},
		{"name": "keepalive", "duration": idle.Milliseconds(), "description": fmt.Sprint(lifetime.Milliseconds())},
	}
}

// appAsks lets the app ask the server just now, which extends the session. The fields of the entry are JavaScript.
func (tb *tab) appAsks(s *session, fields string) {
	s.expiry = tb.b.now.Add(s.idle)
	require.NoError(tb.b.t, tb.vm.Set("timing", timing(s.idle, s.deadline.Sub(tb.b.now))))
	tb.run(`requested({serverTiming: timing, ` + fields + `})`)
}

// loaded is a page that came with the header.
func loaded(s *session, p page) page {
	p.timing = timing(s.idle, s.deadline.Sub(s.b.now))
	return p
}

func TestPageThatAsksSendsNoPing(t *testing.T) {
	tests := []struct {
		name  string
		page  page
		tabs  int
		every time.Duration
	}{
		{name: "each minute", tabs: 1, every: time.Minute},
		{name: "each second", tabs: 1, every: time.Second},
		{name: "each minute, in one of ten tabs", tabs: 10, every: time.Minute},
		{name: "each minute, hidden", page: page{hidden: true}, tabs: 1, every: time.Minute},
		{name: "with a warning", page: page{warn: 2 * time.Minute}, tabs: 1, every: time.Minute},
		{name: "without input", page: page{warn: 2 * time.Minute, mode: "active"}, tabs: 1, every: time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				for range test.tabs {
					b.open(loaded(s, test.page))
				}
				writes := b.writes
				for range time.Hour / test.every {
					b.sleep(test.every)
					b.tabs[0].appAsks(s, "")
				}
				require.Empty(t, b.asked)
				require.LessOrEqual(t, b.writes-writes, 61, "not more often than the server writes")
				require.Zero(t, b.tabs[0].count("warning"))
			})
		})
	}
}

func TestPageLoadWithTimes(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		s.deadline = b.now.Add(time.Hour)
		tb := b.open(loaded(s, page{warn: 2 * time.Minute}))
		b.sleep(5 * time.Second)
		require.Empty(t, b.asked)
		require.Equal(t, float64(20*60_000), b.record()["idle"])
		require.InDelta(t, s.deadline.UnixMilli(), b.record()["life"], 300)
		b.sleep(58 * time.Minute)
		require.Equal(t, 1, tb.count("warning"), "it knows the deadline")
	})
	t.Run("without a value, as on 304", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			b.open(page{timing: []map[string]any{{"name": "keepalive", "duration": 0, "description": ""}}})
			b.sleep(5 * time.Second)
			require.Empty(t, b.asked)
			require.Equal(t, float64(19*60_000), b.record()["idle"])
		})
	})
	t.Run("of a new session", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			b.disk[recordKey] = fmt.Sprintf(`{"at":%d,"idle":1200000,"full":1200000,"life":%d}`, now-60_000, now+3_600_000)
			b.open(loaded(s, page{warn: 2 * time.Minute}))
			b.sleep(5 * time.Second)
			require.Empty(t, b.asked)
			require.InDelta(t, s.deadline.UnixMilli(), b.record()["life"], 300)
		})
	})
	t.Run("out of the cache", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			b.open(loaded(s, page{cached: true}))
			b.sleep(5 * time.Second)
			require.Equal(t, []string{"POST"}, b.methods())
		})
	})
	t.Run("that is Passive", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			b.open(loaded(s, page{data: map[string]string{"passive": ""}}))
			b.sleep(5 * time.Second)
			require.Equal(t, []string{"POST"}, b.methods())
		})
	})
}

func TestWhatIsNotBelieved(t *testing.T) {
	tests := []struct{ name, fields string }{
		{name: "out of the cache", fields: `transferSize: 0`},
		{name: "out of the cache, by its delivery", fields: `deliveryType: 'cache'`},
		{name: "304", fields: `transferSize: 300`},
		{name: "304 where only the header counts", fields: `transferSize: 180`},
		{name: "a service worker's", fields: `workerStart: 12`},
		{name: "an engine without sizes", fields: `transferSize: undefined`},
		{name: "another origin's", fields: `name: 'https://example.com/orders'`},
		{name: "of an origin that begins like this one", fields: `name: 'https://example.org.example.com/orders'`},
		{name: "another Manager's", fields: `serverTiming: [{...timing[1], name: 'admin|keepalive'}]`},
		{name: "others' alone", fields: `serverTiming: [timing[0]]`},
		{name: "without a value, as on 304", fields: `serverTiming: [{name: 'keepalive', duration: 0, description: ''}]`},
		{name: "nonsense", fields: `serverTiming: [{name: 'keepalive', duration: 1e99, description: 'x'}]`},
		{name: "negative", fields: `serverTiming: [{name: 'keepalive', duration: -1, description: '-1'}]`},
		{name: "an insecure context", fields: `serverTiming: undefined`},
		{name: "older than what is known", fields: `requestStart: 20`},
		{name: "with a later deadline, as of a copy", fields: `serverTiming: [{...timing[1], description: String(Number(timing[1].description) + 6*60_000)}]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				tb := b.open(loaded(s, page{}))
				b.sleep(5 * time.Minute)
				before := b.disk[recordKey]
				tb.appAsks(s, test.fields)
				require.Equal(t, before, b.disk[recordKey])
				tb.appAsks(s, "")
				require.InDelta(t, b.now.UnixMilli()-50, b.record()["at"], 0, "and the real one is")
			})
		})
	}
}

// The clock of performance stands still while the machine sleeps, so that an answer from before seems to be young.
func TestRequestAcrossASleep(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(loaded(s, page{}))
		b.sleep(5 * time.Minute)
		require.NoError(t, tb.vm.Set("timing", timing(s.idle, s.deadline.Sub(b.now))))
		b.suspend(15 * time.Minute)
		tb.run(`requested({serverTiming: timing})`)
		require.InDelta(t, now, b.record()["at"], 300)
	})
}

func TestRequestAfterTheEnd(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(loaded(s, page{}))
		b.sleep(5 * time.Minute)
		s.out = true
		tb.run(`dispatchEvent({type: 'focus'})`)
		b.sleep(5 * time.Second)
		require.Equal(t, 1, tb.count("expired"))
		before := b.disk[recordKey]
		tb.appAsks(s, `requestStart: performance.now() - 5000`)
		require.Equal(t, before, b.disk[recordKey], "it was on its way before")
	})
}

// An answer that arrives late says less than a younger one.
func TestRequestOlderThanALook(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(loaded(s, page{}))
		b.sleep(5 * time.Minute)
		tb.run(`dispatchEvent({type: 'focus'})`)
		b.sleep(time.Second)
		at := b.record()["at"]
		tb.appAsks(s, `requestStart: performance.now() - 5000`)
		require.Equal(t, at, b.record()["at"])
	})
}

func TestRequestEndsFailures(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(loaded(s, page{warn: 2 * time.Minute}))
		b.server = func(string, time.Time) reply { return reply{status: 503} }
		b.sleep(18*time.Minute + 30*time.Second)
		require.Equal(t, 1, tb.count("warning"))
		tb.appAsks(s, "")
		require.Equal(t, 1, tb.count("resumed"))
		asked := len(b.asked)
		b.sleep(6 * time.Minute)
		require.Len(t, b.asked, asked)
	})
}

// Input and the app's requests extend the session, looks do not.
func TestRequestEndsTheWarning(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(loaded(s, page{mode: "active", warn: 2 * time.Minute}))
		b.sleep(18*time.Minute + 30*time.Second)
		require.Equal(t, 1, tb.count("warning"))
		tb.appAsks(s, "")
		require.Equal(t, 1, tb.count("resumed"))
	})
}

func TestWithoutPerformanceObserver(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.open(page{before: `PerformanceObserver = undefined`})
		b.sleep(time.Hour)
		require.True(t, b.now.Before(s.expiry))
	})
}

// A cache that ignores Cache-Control sends the app the same copy again and again. Each is only a little older.
func TestCopyThatIsAskedForAgainAndAgain(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(loaded(s, page{}))
		require.NoError(t, tb.vm.Set("timing", timing(s.idle, s.deadline.Sub(b.now))))
		for range 60 {
			b.sleep(time.Minute)
			tb.run(`requested({serverTiming: timing})`)
			require.True(t, b.now.Before(s.expiry))
		}
		require.Zero(t, tb.count("expired"))
		require.NotEmpty(t, b.asked)
	})
}
