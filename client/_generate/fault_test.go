package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const inFront = " from a proxy, sign-in page or CSRF check, or nothing is mounted at https://example.org/keepalive/ping"

// What answers in the place of the endpoints is not the server's word on the session.
func TestForeignAnswers(t *testing.T) {
	tests := []struct {
		name  string
		reply reply
		fault string // in the console, "" for none
	}{
		{name: "redirect to a sign-in page", reply: reply{status: 302}, fault: "a redirect" + inFront},
		{name: "page of a captive portal", reply: reply{status: 200, body: "<!doctype html>"}, fault: "200" + inFront},
		{name: "JSON of another", reply: reply{status: 200, body: `{"ok":true}`}, fault: "200" + inFront},
		{name: "400 of CSRF middleware", reply: reply{status: 400, body: "Bad Request"}, fault: "400" + inFront},
		{name: "401 of the app", reply: reply{status: 401, body: "Unauthorized"}, fault: "401" + inFront},
		{name: "403 of CSRF middleware", reply: reply{status: 403, body: "Forbidden"}, fault: "403" + inFront},
		{name: "not mounted", reply: reply{status: 404, body: "404 page not found"}, fault: "404" + inFront},
		{name: "410", reply: reply{status: 410}, fault: "410" + inFront},
		{name: "502 of a proxy, which passes", reply: reply{status: 502, body: "Bad Gateway"}},
		{name: "no network", reply: reply{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.reply.foreign = true
			var lines []string
			if test.fault != "" {
				lines = []string{"keepalive: " + test.fault}
			}
			each(t, func(t *testing.T, b *browser, s *session) {
				tb := b.open(page{})
				for range 2 {
					tb.events = nil
					b.sleep(5 * time.Minute)
					b.server = func(string, time.Time) reply { return test.reply }
					b.sleep(10 * time.Minute)
					require.Equal(t, lines, tb.warned, "once")
					require.Zero(t, tb.count("expired"))
					b.server = s.serve
					b.sleep(5*time.Minute - time.Second)
					require.Positive(t, tb.count("ping"))
					require.True(t, b.now.Before(s.expiry))
				}
				s.out = true
				b.sleep(15 * time.Minute)
				require.Equal(t, 1, tb.count("expired"))
				require.Empty(t, tb.errors)
			})
		})
	}
}

// A proxy that is being set up answers in one way, and then in another.
func TestAnotherFaultIsNews(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		b.sleep(5 * time.Minute)
		for _, status := range []int{404, 401} {
			b.server = func(string, time.Time) reply { return reply{status: status, foreign: true} }
			b.sleep(10 * time.Minute)
		}
		require.Equal(t, []string{"keepalive: 404" + inFront, "keepalive: 401" + inFront}, tb.warned)
	})
}

// The second question, which confirms the end, may reach somebody else.
func TestEndIsConfirmedByTheServerOnly(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{cached: true})
		b.server = func(string, time.Time) reply { return reply{status: 401, foreign: len(b.asked) > 1} }
		b.sleep(5 * time.Minute)
		require.Greater(t, len(b.asked), 2)
		require.Zero(t, tb.count("expired"))
	})
}

// Instances of an older version answer without the mark while a new one is rolled out.
func TestGoodAnswerNeedsNoMark(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.server = func(method string, at time.Time) reply {
			r := s.serve(method, at)
			r.foreign = true
			return r
		}
		tb := b.open(page{})
		b.sleep(time.Hour)
		require.Equal(t, len(b.asked), tb.count("ping"))
		require.True(t, b.now.Before(s.expiry))
		require.Empty(t, tb.warned)
	})
}
