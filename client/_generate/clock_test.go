package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// setBack sets the clock of the browser's machine back. Timers go by another.
func (b *browser) setBack(d time.Duration) {
	b.now = b.now.Add(-d)
	for _, next := range b.queue {
		next.at = next.at.Add(-d)
	}
}

// To the page, it was then opened in the future, but the end is not of a session before it.
func TestEndAfterTheClockIsSetBack(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		b.sleep(5 * time.Second)
		b.setBack(time.Hour)
		s.out = true
		b.sleep(30 * time.Minute)
		require.Equal(t, 1, tb.count("expired"))
		require.Equal(t, []string{"POST", "POST"}, b.methods())
	})
}

// The page of the user who is there now is not taken for that of another.
func TestUserAfterTheClockIsSetBack(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.open(as("ann")).dead = true
		b.sleep(5 * time.Second)
		b.setBack(time.Hour)
		tb := b.open(as("bob"))
		b.sleep(time.Minute)
		require.Zero(t, tb.count("user"))
		require.Contains(t, b.disk[recordKey], `"user":"bob"`)
	})
}

func TestInputAfterTheClockIsSetBack(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{mode: "active"})
		tb.run(key)
		b.sleep(5 * time.Second)
		b.setBack(time.Hour)
		tb.run(key)
		require.Contains(t, b.disk[recordKey], fmt.Sprintf(`"input":%d`, b.now.UnixMilli()))
	})
}

func TestPresenceAfterTheClockIsSetBack(t *testing.T) {
	eachPresence(t, func(t *testing.T, b *browser) {
		tb := b.open(page{presence: "path", session: map[string]string{}})
		b.sleep(5 * time.Second)
		b.setBack(time.Hour)
		before := len(tb.beacons)
		b.sleep(10 * time.Minute)
		require.InDelta(t, 10, len(tb.beacons)-before, 1, "once a minute")
	})
}
