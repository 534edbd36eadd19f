package main

import (
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
					require.Equal(t, `keepalive:expired {"reason":"idle","ms":0,"path":"/keepalive/"}`, front.events[len(front.events)-1])
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
func TestInputIsSharedNowAndThen(t *testing.T) {
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
func TestInputIsIgnoredWhereItMeansNothing(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		writes := b.writes
		tb.run(key)
		require.Equal(t, writes, b.writes)
		require.Equal(t, 0.0, b.record()["input"])
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
