package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	key    = `dispatchEvent({type: 'keydown', isTrusted: true})`
	forged = `dispatchEvent({type: 'keydown', isTrusted: false})`
	moved  = `dispatchEvent({type: 'pointermove', isTrusted: true, movementX: 1, movementY: 0})`
	rests  = `dispatchEvent({type: 'pointermove', isTrusted: true, movementX: 0, movementY: 0})`
)

// The idle timeout counts from the last input, wherever it was.
func TestUserActive(t *testing.T) {
	tests := []struct {
		name  string
		input string
		lives bool
	}{
		{name: "keys", input: key, lives: true},
		{name: "a pointer that moves", input: moved, lives: true},
		{name: "a page that moves under the pointer", input: rests},
		{name: "events of the page's own", input: forged},
		{name: "nobody"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				front := b.open(page{mode: "active"})
				back := b.open(page{mode: "active", hidden: true})
				var last time.Time
				for range 90 {
					b.sleep(time.Minute)
					front.run(test.input)
					last = b.now
				}
				require.Equal(t, test.lives, b.now.Before(s.expiry))
				if !test.lives {
					require.Equal(t, `keepalive:expired {"reason":"idle","ms":0}`, front.events[len(front.events)-1])
					for _, method := range b.methods() {
						require.Equal(t, "GET", method)
					}
					return
				}
				posts := 0
				for _, method := range b.methods() {
					if method == "POST" {
						posts++
					}
				}
				require.InDelta(t, 9, posts, 2, "half of the time left, as ever")
				b.sleep(time.Hour)
				require.WithinDuration(t, last.Add(idleTimeout), s.expiry, 2*time.Second)
				require.Equal(t, 1, front.count("expired"))
				require.Equal(t, 1, back.count("expired"))
			})
		})
	}
}

// Busy typing must not write to the disk at each key.
func TestInputIsNotedSometimes(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{mode: "active"})
		writes := b.writes
		for range 600 {
			b.sleep(100 * time.Millisecond)
			tb.run(key)
		}
		require.LessOrEqual(t, b.writes-writes, 13)
	})
}

// Input is not listened to where it means nothing.
func TestInputIsNobodysConcern(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		writes := b.writes
		tb.run(key)
		require.Equal(t, writes, b.writes)
		require.Equal(t, 0.0, b.record()["input"])
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

func TestMaxUnattended(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{max: time.Hour})
		b.sleep(50 * time.Minute)
		tb.run(key)
		b.sleep(55 * time.Minute)
		require.True(t, b.now.Before(s.expiry))
		b.sleep(30 * time.Minute)
		require.False(t, b.now.Before(s.expiry), "an hour and an idle timeout after the last input")
		require.Equal(t, 1, tb.count("expired"))
	})
}

// The warning comes in all tabs, input does not close it, and Stay in one does in all.
func TestWarningOfTheIdleEnd(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		front := b.open(page{mode: "active", warn: 2 * time.Minute})
		back := b.open(page{mode: "active", warn: 2 * time.Minute, hidden: true})
		b.sleep(17 * time.Minute)
		require.Zero(t, front.count("warning"))
		b.sleep(90 * time.Second)
		require.Equal(t, 1, front.count("warning"))
		require.Equal(t, 1, back.count("warning"))
		require.Equal(t, []string{"https://example.org/keepalive/ping/../dialog?en"}, front.loads, "loaded before it was needed")
		front.run(key)
		b.sleep(10 * time.Second)
		require.Zero(t, front.count("resumed"))
		require.NotContains(t, b.methods(), "POST")

		front.run(`keepalive.stay()`)
		b.sleep(3 * time.Second)
		require.Equal(t, "POST", b.methods()[len(b.asked)-1])
		require.Empty(t, b.asked[len(b.asked)-1].body)
		require.Equal(t, 1, front.count("resumed"))
		require.Equal(t, 1, back.count("resumed"))
		require.Greater(t, s.expiry.Sub(b.now), 19*time.Minute)

		b.sleep(18*time.Minute + 30*time.Second)
		require.Equal(t, 2, front.count("warning"), "the next time it comes again")
		b.sleep(2 * time.Minute)
		require.Contains(t, front.events, `keepalive:expired {"reason":"idle","ms":0}`)
	})
}

// Another device, or a request of the app, extended the session meanwhile.
func TestWarningEndsWhenTheServerKnowsBetter(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{mode: "active", warn: 2 * time.Minute})
		b.sleep(18*time.Minute + 30*time.Second)
		require.Equal(t, 1, tb.count("warning"))
		s.expiry = b.now.Add(s.idle)
		b.sleep(35 * time.Second)
		require.Equal(t, 1, tb.count("resumed"))
		require.NotContains(t, b.methods(), "POST")
	})
}

func TestStop(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		tb.run(`keepalive.stop()`)
		b.sleep(time.Hour)
		require.Empty(t, b.asked)
		tb.run(`keepalive.look()`)
		b.sleep(3 * time.Second)
		require.Len(t, b.asked, 2, "it starts again, and hears that the session has ended")
		require.Equal(t, 1, tb.count("expired"))
	})
}

func TestState(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{cached: true})
		b.sleep(time.Second)
		tb.run(`if (keepalive.state.gone || keepalive.state.reason || Math.abs(keepalive.state.end - Date.now() - 1199000) > 1000) throw new Error(JSON.stringify(keepalive.state))`)
	})
}

// The readable script says why, and the other is silent.
func TestTrace(t *testing.T) {
	for variant, script := range variants(t) {
		s := newSession(idleTimeout, 12*time.Hour)
		b := newBrowser(t, script, s.serve)
		s.b = b
		tb := b.open(page{})
		b.sleep(10 * time.Minute)
		if variant == "source" {
			require.Contains(t, strings.Join(tb.debug, "\n"), "keepalive: wait half of the time left")
			require.Contains(t, strings.Join(tb.debug, "\n"), "keepalive: POST half of the time left")
		} else {
			require.Empty(t, tb.debug)
		}
	}
}
