package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// each runs a scenario on the source and on the minified file, with a session of 20 minutes and 12 hours.
func each(t *testing.T, scenario func(t *testing.T, b *browser, s *session)) {
	for variant, script := range variants(t) {
		t.Run(variant, func(t *testing.T) {
			s := newSession(idleTimeout, 12*time.Hour)
			s.b = newBrowser(t, script, s.serve)
			scenario(t, s.b, s)
		})
	}
}

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
		{name: "three minutes, hidden", hidden: 3, idle: 3 * time.Minute, pings: 360},
		{name: "three minutes, hidden, without Web Locks", hidden: 3, idle: 3 * time.Minute, noLocks: true, pings: 360},
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

// The network comes back in all tabs at the same moment, and the lock is faster than localStorage.
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
					tb.run(`dispatchEvent({type: 'online'})`)
				}
				b.sleep(time.Minute)
				require.Len(t, b.asked, 1)
			})
		})
	}
}

func TestBusyUserDoesNotPutPingsOff(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		for range 60 {
			b.sleep(time.Minute)
			tb.run(`dispatchEvent({type: 'focus'})`)
		}
		posts := 0
		for _, method := range b.methods() {
			if method == "POST" {
				posts++
			}
		}
		require.InDelta(t, 6, posts, 1)
		require.LessOrEqual(t, len(tb.timers), 2, "timers pile up")
	})
}

func TestRecord(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		loaded := float64(now - 250) // requestStart is 50 ms after the navigation's start, the script runs at 300
		require.Equal(t, map[string]float64{"at": loaded, "idle": 19 * 60_000, "full": 19 * 60_000, "life": 0, "fails": 0}, b.record(),
			"a page load gives a minute less: the server skips touches that gain less than that")

		b.server = func(string, time.Time) reply { return reply{status: 500} }
		b.sleep(15 * time.Minute)
		require.Equal(t, float64(len(b.asked)), b.record()["fails"])
		b.server = func(method string, at time.Time) reply {
			r := s.serve(method, at)
			r.delay = 8 * time.Second
			return r
		}
		tb.show(true)
		b.sleep(10 * time.Second)
		r := b.record()
		require.Equal(t, float64(b.asked[len(b.asked)-1].at.UnixMilli()), r["at"], "the time left counts from before the question")
		require.Equal(t, float64(20*60_000), r["idle"])
		require.Equal(t, float64(20*60_000), r["full"])
		require.Zero(t, r["fails"])
		require.Zero(t, r["claim"])

		b.sleep(10 * time.Second)
		b.open(page{})
		require.Greater(t, b.record()["at"], r["at"])
		require.Equal(t, r["life"], b.record()["life"], "a page load tells nothing of the deadline, and forgets nothing")
	})
}

func TestPingEventHasTheWholeAnswer(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{cached: true})
		b.sleep(time.Second)
		require.Len(t, tb.events, 1)
		require.Regexp(t, `^keepalive:ping {"idleMs":1200000,"lifetimeMs":43199\d\d\d,"data":"x"}$`, tb.events[0])
	})
}

func TestPageLoad(t *testing.T) {
	tests := []struct {
		name string
		page page
		ask  []string // within five seconds
	}{
		{name: "from the network", ask: nil},
		{name: "reloaded", page: page{kind: "reload"}, ask: nil},
		{name: "by back or forward", page: page{kind: "back_forward"}, ask: []string{"POST"}},
		{name: "from the cache", page: page{cached: true}, ask: []string{"POST"}},
		{name: "from the network, with a warning to give", page: page{warn: 2 * time.Minute}, ask: []string{"GET"}},
		{name: "prerendered", page: page{prerendering: true, cached: true}, ask: nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.open(test.page)
				b.sleep(5 * time.Second)
				require.Equal(t, test.ask, b.methods())
			})
		})
	}
}

func TestPrerenderedPageStartsWhenShown(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{prerendering: true})
		b.sleep(15 * time.Minute)
		require.Empty(t, b.asked)
		tb.run(`document.prerendering = false; document.dispatchEvent({type: 'prerenderingchange'})`)
		b.sleep(time.Second)
		require.Equal(t, []string{"POST"}, b.methods())
	})
}

func TestFirstShowIsNoWakeUp(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		b.sleep(8 * time.Second)
		tb.run(`dispatchEvent({type: 'pageshow', persisted: false})`)
		tb.show(false)
		b.sleep(time.Minute)
		require.Empty(t, b.asked)
	})
}

func TestDeadlineIsAskedForOnceInABrowser(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		for range 5 {
			b.open(page{warn: 2 * time.Minute})
			b.sleep(time.Minute)
		}
		require.Equal(t, []string{"GET"}, b.methods())
	})
}

func TestTwiceInOneWindow(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		tb.run(b.script)
		tb.run(b.script)
		b.sleep(time.Hour)
		require.LessOrEqual(t, len(b.asked), 8)

		s.out = true
		b.sleep(15 * time.Minute)
		require.Equal(t, 1, tb.count("expired"))
		s.out, s.expiry = false, b.now.Add(s.idle)
		before := tb.count("ping")
		tb.run(b.script) // the framework showed a page that has a session
		b.sleep(15 * time.Minute)
		require.Equal(t, 1, tb.count("expired"))
		require.Equal(t, before+2, tb.count("ping"))
	})
}

func TestNonsenseInTheRecord(t *testing.T) {
	records := []string{
		`{`, `null`, `[]`, `"x"`,
		`{"at":"x","fails":"x","by":{},"claim":[]}`,
		`{"at":9e15,"claim":9e15,"gone":9e15,"failed":9e15}`,
	}
	for _, record := range records {
		t.Run(fmt.Sprintf("%q", record), func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.disk[recordKey] = record
				b.open(page{cached: true})
				b.sleep(time.Second)
				require.Equal(t, []string{"POST"}, b.methods())
				b.sleep(time.Hour)
				require.InDelta(t, 7, len(b.asked), 1)
			})
		})
	}
}
