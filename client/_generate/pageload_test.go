package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPageLoad(t *testing.T) {
	tests := []struct {
		name string
		page page
		ask  []string // within six seconds
	}{
		{name: "from the network", ask: nil},
		{name: "reloaded", page: page{kind: "reload"}, ask: nil},
		{name: "by back or forward", page: page{kind: "back_forward"}, ask: []string{"GET"}},
		{name: "from the cache", page: page{cached: true}, ask: []string{"POST"}},
		{name: "from the network, with a warning to give", page: page{warn: 2 * time.Minute}, ask: []string{"GET"}},
		{name: "prerendered", page: page{prerendering: true, cached: true}, ask: nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.open(test.page)
				b.sleep(6 * time.Second)
				require.Equal(t, test.ask, b.methods())
			})
		})
	}
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

// A page was on its way to the browser when another tab found out that the session is gone.
func TestPageOlderThanTheEnd(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.disk[recordKey] = fmt.Sprintf(`{"gone":%d}`, now-100)
		late := b.open(page{}) // asked for 250 ms ago
		b.sleep(time.Minute)
		require.Equal(t, 1, late.count("expired"))
		b.disk[recordKey] = fmt.Sprintf(`{"gone":%d}`, b.now.UnixMilli()-300)
		require.Zero(t, b.open(page{}).count("expired"))
	})
}

// The end of the session before was found while the clock was ahead. It must not count when the clock comes to it.
func TestEndThatIsYetToCome(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.disk[recordKey] = fmt.Sprintf(`{"at":%d,"gone":%d}`, now-60_000, now+300_000)
		tb := b.open(page{})
		b.sleep(time.Second)
		require.Equal(t, []string{"GET"}, b.methods())
		b.sleep(time.Hour)
		require.Zero(t, tb.count("expired"))
		require.Greater(t, len(b.methods()), 4)
	})
}

func TestPageFromTheCacheAsksEvenIfAnotherTabKnows(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.open(page{})
		b.sleep(time.Minute)
		s.out = true
		back := b.open(page{kind: "back_forward"})
		b.sleep(2 * time.Second)
		require.Equal(t, 1, back.count("expired"))
	})
}

// A page that came without a session asks nothing until the app has signed in.
func TestAnonymousPage(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		s.out = true
		tb := b.open(page{anonymous: true})
		b.sleep(3 * time.Hour)
		tb.show(false)
		tb.show(true)
		b.sleep(time.Minute)
		require.Empty(t, b.asked)
		require.Empty(t, tb.events)
		s.out = false
		s.expiry, s.deadline = b.now.Add(s.idle), b.now.Add(12*time.Hour)
		tb.run(`document.dispatchEvent({type: 'keepalive:check'})`)
		b.sleep(time.Hour)
		require.Greater(t, tb.count("ping"), 4)
		require.Zero(t, tb.count("expired"))
	})
}

// Other tabs that believe in a session ask, as the server has sent a page without one.
func TestAnonymousPageMakesOthersAsk(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		other := b.open(page{})
		b.sleep(time.Minute)
		s.out = true
		tb := b.open(page{anonymous: true})
		b.sleep(10 * time.Second)
		require.Equal(t, 1, other.count("expired"))
		require.Empty(t, tb.events)
	})
}

// Firefox often knows only at the load event that a page came from the server.
func TestPageLoadThatIsKnownLate(t *testing.T) {
	known := `performance.getEntriesByType = () => [{type: 'navigate', transferSize: 900, deliveryType: '', workerStart: 0, requestStart: 50}];
		dispatchEvent({type: 'load'}); dispatchEvent({type: 'pageshow', persisted: false})`
	t.Run("after signing in again", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			b.disk[recordKey] = fmt.Sprintf(`{"gone":%d}`, now-1000)
			tb := b.open(page{cached: true})
			b.sleep(time.Minute)
			tb.run(known)
			require.Zero(t, tb.count("expired"), "the page does not believe in an end before it")
			require.Equal(t, []string{"GET"}, b.methods())
		})
	})
	t.Run("and asks nothing", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			tb := b.open(page{cached: true, loading: true})
			b.sleep(6 * time.Second)
			tb.run(`dispatchEvent({type: 'focus'})`)
			b.sleep(3 * time.Second)
			tb.run(known)
			b.sleep(time.Minute)
			require.Empty(t, b.methods())
		})
	})
	t.Run("after the machine slept, as some clocks do too", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			tb := b.open(page{cached: true, loading: true, before: `performance.now = () => 300`})
			b.suspend(15 * time.Minute)
			tb.run(known)
			b.sleep(time.Hour)
			require.True(t, b.now.Before(s.expiry))
		})
	})
	t.Run("but does not wait for it for long", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			b.open(page{cached: true, loading: true})
			b.sleep(11 * time.Second)
			require.Equal(t, []string{"POST"}, b.methods())
		})
	})
	t.Run("unless the app wants an answer", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			tb := b.open(page{cached: true, loading: true})
			tb.run(`keepalive.stay()`)
			b.sleep(time.Second)
			require.Equal(t, []string{"POST"}, b.methods())
		})
	})
	t.Run("nor asks for the deadline before what the server said of it can be read", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			tb := b.open(page{cached: true, loading: true, warn: 2 * time.Minute})
			b.sleep(9 * time.Second)
			tb.run(known)
			b.sleep(4 * time.Second)
			require.Empty(t, b.methods())
			b.sleep(2 * time.Second)
			require.Equal(t, []string{"GET"}, b.methods())
		})
	})
	t.Run("the load counts for all tabs", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			b.disk[recordKey] = fmt.Sprintf(`{"at":%d,"idle":1200000,"full":1200000,"life":%d}`, now-3000, now+36_000_000)
			tb := b.open(page{cached: true})
			tb.run(known)
			require.InDelta(t, now-250, b.record()["at"], 0)
			b.sleep(5 * time.Second)
			require.Empty(t, b.methods())
		})
	})
	t.Run("a later answer stays", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			tb := b.open(page{cached: true})
			b.sleep(10 * time.Second)
			at := b.record()["at"]
			require.NotZero(t, at)
			tb.run(`performance.now = () => 10300;` + known)
			require.Equal(t, at, b.record()["at"])
		})
	})
}
