package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSleep(t *testing.T) {
	for _, wake := range []string{
		``,
		`dispatchEvent({type: 'focus'})`,
		`document.dispatchEvent({type: 'resume'})`,
		`document.dispatchEvent({type: 'visibilitychange'})`,
		`dispatchEvent({type: 'online'})`,
		`dispatchEvent({type: 'pagehide'}); dispatchEvent({type: 'pageshow', persisted: true})`,
	} {
		t.Run("woken by "+wake, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				tb := b.open(page{})
				b.sleep(time.Minute)
				require.Empty(t, b.asked)
				b.suspend(8 * time.Hour)
				tb.run(wake)
				if wake == "" {
					b.sleep(time.Minute) // the end of a slice
				}
				b.sleep(2 * time.Second)
				require.Len(t, b.methods(), 2)
				require.Equal(t, 1, tb.count("expired"))
			})
		})
	}
}

func TestBackForwardCache(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		b.sleep(time.Minute)
		tb.frozen = true
		s.out = true
		b.sleep(time.Minute)
		tb.frozen = false
		tb.run(`dispatchEvent({type: 'pagehide'}); dispatchEvent({type: 'pageshow', persisted: true})`)
		b.sleep(2 * time.Second)
		require.Equal(t, []string{"GET", "GET"}, b.methods())
		require.Equal(t, 1, tb.count("expired"))
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

func TestPageVisible(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{mode: "visible"})
		other := b.open(page{mode: "visible", hidden: true})
		b.sleep(3 * time.Hour)
		require.True(t, b.now.Before(s.expiry))
		require.InDelta(t, 19, len(b.asked), 2, "the hidden one lets the visible one ask")
		tb.show(false)
		b.sleep(21 * time.Minute)
		require.False(t, b.now.Before(s.expiry))
		require.Equal(t, 1, other.count("expired"))
	})
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{mode: "visible"})
		for range 20 { // looked at now and then
			tb.show(false)
			b.sleep(15 * time.Minute)
			tb.show(true)
			b.sleep(5 * time.Second)
		}
		require.True(t, b.now.Before(s.expiry))
	})
}

func TestOffline(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		b.sleep(time.Minute)
		b.server = func(string, time.Time) reply { return reply{} }
		tb.online(false)
		b.sleep(15 * time.Minute)
		require.InDelta(t, 3, len(b.asked), 2)
		b.server = s.serve
		tb.online(true)
		b.sleep(time.Minute)
		require.Equal(t, 1, tb.count("ping"), "within a quarter of what was left")
	})
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

func TestBlockedByPolicy(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		b.sleep(time.Second)
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

// The readable script says why, and the other is silent.
func TestTrace(t *testing.T) {
	for variant, script := range variants(t) {
		s := newSession(idleTimeout, 12*time.Hour)
		b := newBrowser(t, script, s.serve)
		s.b = b
		tb := b.open(page{})
		b.sleep(12 * time.Minute)
		if variant == "debug" {
			require.Contains(t, strings.Join(tb.debug, "\n"), "keepalive: wait the time drawn for the next ping")
			require.Contains(t, strings.Join(tb.debug, "\n"), "keepalive: POST the time drawn for the next ping")
		} else {
			require.Empty(t, tb.debug)
		}
	}
}
