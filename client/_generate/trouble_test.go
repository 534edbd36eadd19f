package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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

func TestLockThatIsNeverGivenBack(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.open(page{})
		holder := b.open(page{})
		b.locks[recordKey] = holder
		holder.frozen = true
		b.sleep(3 * time.Hour)
		require.InDelta(t, 19, len(b.asked), 1)
	})
}

func TestLocksThatNeverAnswer(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		tb.run(`navigator.locks.request = () => new Promise(() => {})`)
		b.sleep(3 * time.Hour)
		require.InDelta(t, 19, len(b.asked), 1)
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
				b.sleep(12*time.Minute + 30*time.Second)
				require.Len(t, b.asked, 2)
				require.InDelta(t, 126*time.Second, b.asked[1].at.Sub(b.asked[0].at), float64(7*time.Second))
				b.server = s.serve
				b.sleep(5 * time.Minute)
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
				require.GreaterOrEqual(t, len(b.asked), 4)
				require.LessOrEqual(t, len(b.asked), 40)
				require.Empty(t, tb.events)
				require.Empty(t, tb.errors)
				b.server = s.serve
				b.sleep(90 * time.Second)
				require.Equal(t, 1, tb.count("ping"), "within a quarter of what was left")
			})
		})
	}
}

func TestForbidden(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.server = func(string, time.Time) reply { return reply{status: 403} }
		tb := b.open(page{})
		b.sleep(3 * time.Hour)
		tb.show(true)
		b.sleep(time.Hour)
		require.Len(t, b.asked, 1)
		require.Len(t, tb.errors, 1)
		require.Equal(t, "keepalive stopped: 403", tb.errors[0])
		require.Empty(t, tb.events)
	})
}

func TestBlockedByPolicy(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		tb.run(`
			fetch = async () => { throw new TypeError('blocked'); };
			const violation = {type: 'securitypolicyviolation', blockedURI: 'https://example.org/keepalive/ping', disposition: 'report'};
			document.dispatchEvent(violation);`)
		require.Empty(t, tb.errors, "a report-only policy blocks nothing")
		tb.run(`violation.disposition = 'enforce'; document.dispatchEvent(violation)`)
		require.Len(t, tb.errors, 1)
		require.Equal(t, "keepalive stopped: connect-src", tb.errors[0])
		b.sleep(3 * time.Hour)
		require.Empty(t, tb.events)
	})
}

func TestOffline(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		b.sleep(time.Minute)
		b.server = func(string, time.Time) reply { return reply{} }
		tb.online(false)
		b.sleep(15 * time.Minute)
		require.InDelta(t, 6, len(b.asked), 2, "once a minute from the ninth on")
		b.server = s.serve
		tb.online(true)
		b.sleep(time.Second)
		require.Equal(t, 1, tb.count("ping"))
	})
}

func TestServerThatGivesNoTime(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.server = func(string, time.Time) reply { return reply{status: 200, body: `{"idleMs":0,"lifetimeMs":9000}`} }
		b.open(page{cached: true})
		b.sleep(time.Minute)
		require.LessOrEqual(t, len(b.asked), 61)
	})
}

// An app that asks for more at each answer.
func TestCheckInALoop(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{cached: true})
		tb.run(`document.addEventListener('keepalive:ping', () => document.dispatchEvent({type: 'keepalive:check'}))`)
		b.sleep(time.Minute)
		require.InDelta(t, 55, len(b.asked), 6)
	})
}
