package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnePingPerInterval(t *testing.T) {
	tests := []struct {
		name    string
		visible int
		hidden  int
		noLocks bool
		blocked string
		idle    time.Duration // the server's, if not the page's
		pings   int           // at most, in six hours
	}{
		{name: "one tab", visible: 1, pings: 40},
		{name: "five tabs", visible: 1, hidden: 4, pings: 40},
		{name: "five windows", visible: 5, pings: 40},
		{name: "five hidden tabs", hidden: 5, pings: 40},
		{name: "five tabs without Web Locks", visible: 1, hidden: 4, noLocks: true, pings: 40},
		{name: "five windows without Web Locks", visible: 5, noLocks: true, pings: 40},
		{name: "five hidden tabs without Web Locks", hidden: 5, noLocks: true, pings: 40},
		{name: "three tabs without localStorage each work alone", visible: 1, hidden: 2, blocked: "throws", pings: 3 * 40},
		{name: "three tabs whose localStorage forgets", visible: 1, hidden: 2, blocked: "ignores", pings: 3 * 40},
		{name: "three minutes, hidden: when the timers wake", hidden: 3, idle: 3 * time.Minute, pings: 6 * 80},
		{name: "three minutes, hidden, without Web Locks", hidden: 3, idle: 3 * time.Minute, noLocks: true, pings: 6 * 80},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.noLocks, b.blocked = test.noLocks, test.blocked
				if test.idle > 0 {
					s.idle, s.expiry = test.idle, b.now.Add(test.idle)
				}
				for i := range test.visible + test.hidden {
					b.open(page{hidden: i >= test.visible, cached: test.idle > 0})
					b.sleep(time.Second)
				}
				b.sleep(6 * time.Hour)
				require.LessOrEqual(t, len(b.asked), test.pings)
				require.GreaterOrEqual(t, len(b.asked), 24)
				events := 0
				for _, tb := range b.tabs {
					require.Zero(t, tb.count("expired"))
					require.Empty(t, tb.errors)
					events += tb.count("ping")
				}
				require.Equal(t, len(b.asked), events, "each ping is an event in the tab that asked, and in no other")
			})
		})
	}
}

// A machine that has slept wakes all tabs at the same moment, and the lock is faster than localStorage.
func TestAllTabsWakeAtOnce(t *testing.T) {
	tests := []struct {
		name    string
		lag     time.Duration
		noLocks bool
	}{
		{name: "with Web Locks", lag: 5 * time.Millisecond},
		{name: "with Web Locks and a slow localStorage", lag: 100 * time.Millisecond},
		{name: "without Web Locks", lag: 5 * time.Millisecond, noLocks: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.lag, b.noLocks = test.lag, test.noLocks
				for range 5 {
					b.open(page{})
				}
				b.sleep(time.Minute)
				for _, tb := range b.tabs {
					tb.run(`dispatchEvent({type: 'resume'})`)
				}
				b.sleep(time.Minute)
				require.Len(t, b.asked, 1)
			})
		})
	}
}

func TestTabThatDiesWhileItAsks(t *testing.T) {
	tests := []struct {
		name    string
		noLocks bool
		stop    func(tb *tab)
	}{
		{name: "killed", stop: func(tb *tab) { tb.dead = true }},
		{name: "frozen", stop: func(tb *tab) { tb.frozen = true }},
		{name: "killed without Web Locks", noLocks: true, stop: func(tb *tab) { tb.dead = true }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.noLocks = test.noLocks
				for i := range 5 {
					b.open(page{hidden: i > 0})
				}
				b.server = func(string, time.Time) reply {
					b.server = s.serve
					test.stop(b.asked[0].tab)
					return reply{delay: -1}
				}
				b.sleep(12 * time.Minute)
				require.Len(t, b.asked, 2)
				require.NotSame(t, b.asked[0].tab, b.asked[1].tab)
				require.LessOrEqual(t, b.asked[1].at.Sub(b.asked[0].at), 75*time.Second)
				require.True(t, b.now.Before(s.expiry))
			})
		})
	}
}

// A page that is left while it asks gets no answer. The next page of the tab must not wait for that.
func TestPageLeftWhileItAsks(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		b.sleep(time.Minute)
		b.server = func(string, time.Time) reply {
			b.server = s.serve
			return reply{delay: -1}
		}
		tb.run(`keepalive.look()`)
		b.sleep(time.Second)
		require.Len(t, b.asked, 1)
		tb.run(`dispatchEvent({type: 'pagehide'})`)
		tb.dead = true
		next := b.open(page{kind: "back_forward"})
		b.sleep(time.Second)
		require.Len(t, b.asked, 2)
		require.Equal(t, 1, next.count("ping"))
	})
}

func TestLockThatIsNeverGivenBack(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.open(page{})
		holder := b.open(page{})
		b.locks[recordKey] = holder
		holder.frozen = true
		b.sleep(3 * time.Hour)
		require.InDelta(t, 19, len(b.asked), 2)
	})
}

func TestLocksThatNeverAnswer(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		tb.run(`navigator.locks.request = () => new Promise(() => {})`)
		b.sleep(3 * time.Hour)
		require.InDelta(t, 19, len(b.asked), 2)
	})
}

func TestStoreFails(t *testing.T) {
	tests := []struct {
		name  string
		retry func(at time.Time) string
	}{
		{name: "seconds", retry: func(time.Time) string { return "120" }},
		{name: "a date", retry: func(at time.Time) string { return at.Add(120 * time.Second).UTC().Format(http.TimeFormat) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.server = func(_ string, at time.Time) reply { return reply{status: 503, retry: test.retry(at)} }
				for i := range 3 {
					b.open(page{hidden: i > 0})
				}
				b.sleep(16 * time.Minute)
				require.GreaterOrEqual(t, len(b.asked), 2)
				require.GreaterOrEqual(t, b.asked[1].at.Sub(b.asked[0].at), 119*time.Second)
				require.LessOrEqual(t, b.asked[1].at.Sub(b.asked[0].at), 6*time.Minute)
				b.server = s.serve
				b.sleep(100 * time.Second)
				for _, tb := range b.tabs {
					require.Zero(t, tb.count("expired"))
				}
				require.True(t, s.expiry.After(b.now.Add(10*time.Minute)))
			})
		})
	}
}

func TestTrouble(t *testing.T) {
	tests := []struct {
		name  string
		reply reply
	}{
		{name: "network error", reply: reply{}},
		{name: "500", reply: reply{status: 500, body: "{}"}},
		{name: "404", reply: reply{status: 404}},
		{name: "204", reply: reply{status: 204}},
		{name: "not JSON", reply: reply{status: 200, body: "<!doctype html>"}},
		{name: "null", reply: reply{status: 200, body: "null"}},
		{name: "no times", reply: reply{status: 200, body: "{}"}},
		{name: "no lifetime", reply: reply{status: 200, body: `{"idleMs":1200000}`}},
		{name: "no idle time", reply: reply{status: 200, body: `{"lifetimeMs":1200000}`}},
		{name: "nonsense times", reply: reply{status: 200, body: `{"idleMs":"9","lifetimeMs":1e999}`}},
		{name: "negative times", reply: reply{status: 200, body: `{"idleMs":-1,"lifetimeMs":5}`}},
		{name: "odd Retry-After", reply: reply{status: 503, retry: "soon"}},
		{name: "no answer", reply: reply{delay: -1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.server = func(string, time.Time) reply { return test.reply }
				tb := b.open(page{})
				b.sleep(18 * time.Minute)
				require.GreaterOrEqual(t, len(b.asked), 3)
				require.LessOrEqual(t, len(b.asked), 40)
				require.Empty(t, tb.events)
				require.Empty(t, tb.errors)
				require.Empty(t, tb.warned, "what is the endpoint's own is in the log of the server")
				b.server = s.serve
				b.sleep(90 * time.Second)
				require.Equal(t, 1, tb.count("ping"), "within a quarter of what was left")
			})
		})
	}
}

func TestServerThatGivesNoTime(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.server = func(string, time.Time) reply { return reply{status: 200, body: `{"idleMs":0,"lifetimeMs":9000}`} }
		b.open(page{cached: true})
		b.sleep(time.Minute)
		require.LessOrEqual(t, len(b.asked), 61)
	})
}

// What is wanted while an older question is on its way gets an answer of its own.
func TestWishDuringAQuestion(t *testing.T) {
	for _, test := range []struct{ name, first, wish string }{
		{name: "a look during a ping", wish: `dispatchEvent({type: 'pagehide'}); dispatchEvent({type: 'pageshow', persisted: true})`},
		{name: "stay during a ping", wish: `keepalive.stay()`},
		{name: "stay during a look", first: `keepalive.look()`, wish: `keepalive.stay()`},
		{name: "stay during that of another stay", first: `keepalive.stay()`, wish: `keepalive.stay()`},
	} {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.server = func(method string, at time.Time) reply {
					r := s.serve(method, at)
					r.delay = 2 * time.Second
					return r
				}
				tb := b.open(page{})
				b.sleep(time.Minute)
				if test.first != "" {
					tb.run(test.first)
				}
				for len(b.asked) == 0 {
					b.sleep(500 * time.Millisecond)
				}
				require.Len(t, b.asked, 1)
				s.out = true
				tb.run(test.wish)
				b.sleep(10 * time.Second)
				require.Equal(t, 1, tb.count("expired"))
			})
		})
	}
}
