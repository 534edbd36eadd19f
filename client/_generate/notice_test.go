package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWarningBeforeTheLifetimeEnds(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		s.deadline = b.now.Add(time.Hour)
		front := b.open(page{warn: 2 * time.Minute})
		b.open(page{warn: 2 * time.Minute, hidden: true})
		b.sleep(58*time.Minute - time.Second)
		require.Zero(t, front.count("warning"))
		b.sleep(3 * time.Second)
		require.Equal(t, 1, front.count("warning"))
		require.Regexp(t, `keepalive:warning {"reason":"lifetime","ms":1(19|20)\d\d\d,"path":"/keepalive/"}`, strings.Join(front.events, "\n"))
		require.Equal(t, "GET", b.asked[len(b.asked)-1].method)
		b.sleep(2*time.Minute + 5*time.Second)
		for _, tb := range b.tabs {
			require.Equal(t, 1, tb.count("warning"))
			require.Equal(t, 1, tb.count("expired"))
		}
	})
}

func TestWarningWhenPingsFail(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{warn: 2 * time.Minute})
		b.sleep(time.Minute)
		for outage := range 2 {
			b.server = func(string, time.Time) reply { return reply{status: 500} }
			b.sleep(19*time.Minute + 30*time.Second)
			require.Equal(t, outage+1, tb.count("warning"), "once for each outage")
			b.server = s.serve
			s.expiry = b.now.Add(s.idle) // another device extended it
			b.sleep(7 * time.Minute)
		}
		require.Zero(t, tb.count("expired"))
	})
}

func TestNoWarningWithoutTheServersWord(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.disk[recordKey] = fmt.Sprintf(`{"at":%d,"idle":60000,"life":60000}`, now-1000) // of a session before this one
		tb := b.open(page{warn: 2 * time.Minute})
		b.sleep(5 * time.Minute)
		require.Equal(t, "GET", b.asked[0].method)
		require.Zero(t, tb.count("warning"))
	})
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{warn: 2 * time.Minute})
		b.sleep(time.Minute)
		b.suspend(8 * time.Hour)
		b.server = func(string, time.Time) reply { return reply{} }
		b.sleep(time.Hour)
		require.Zero(t, tb.count("warning"), "it would be too late for one")
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
		require.Contains(t, front.imports, dialogURL, "loaded before it was needed")
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
		require.Contains(t, front.events, `keepalive:expired {"reason":"idle","ms":0,"path":"/keepalive/"}`)
	})
}

// Until the dialog can be shown, the user is not asked, so input counts.
func TestInputWhileADialogIsToCome(t *testing.T) {
	tests := []struct {
		name    string
		dialogs bool
		method  string
	}{
		{name: "the app has asked the user", method: "GET"},
		{name: "the dialog is to come", dialogs: true, method: "POST"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.importsFail = true
				tb := b.open(page{mode: "active", warn: 2 * time.Minute, dialogs: test.dialogs})
				b.sleep(18*time.Minute + 30*time.Second)
				require.Equal(t, 1, tb.count("warning"))
				tb.run(key)
				b.sleep(40 * time.Second)
				require.Equal(t, test.method, b.methods()[len(b.asked)-1])
			})
		})
	}
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
