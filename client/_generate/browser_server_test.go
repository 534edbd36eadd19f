package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// each runs a scenario on the readable and on the minified script, with a session of 20 minutes and 12 hours.
func each(t *testing.T, scenario func(t *testing.T, b *browser, s *session)) {
	for variant, script := range variants(t) {
		t.Run(variant, func(t *testing.T) {
			s := newSession(idleTimeout, 12*time.Hour)
			s.b = newBrowser(t, script, s.serve)
			scenario(t, s.b, s)
		})
	}
}

// session is a server's session, for browser.server.
type session struct {
	idle     time.Duration
	expiry   time.Time
	deadline time.Time
	out      bool // signed out
	b        *browser
}

func newSession(idle, lifetime time.Duration) *session {
	start := time.UnixMilli(now)
	return &session{idle: idle, expiry: start.Add(idle), deadline: start.Add(lifetime)}
}

func (s *session) serve(method string, at time.Time) reply {
	if s.out || !at.Before(s.expiry) {
		return reply{status: 401}
	}
	if method == "POST" {
		inactive, _ := strconv.Atoi(strings.TrimPrefix(s.b.asked[len(s.b.asked)-1].body, "inactive="))
		if expiry := at.Add(s.idle - time.Duration(inactive)*time.Millisecond); expiry.After(s.expiry) {
			s.expiry = expiry
		}
		if s.expiry.After(s.deadline) {
			s.expiry = s.deadline
		}
	}
	return reply{status: 200, body: fmt.Sprintf(`{"idleMs":%d,"lifetimeMs":%d,"data":"x"}`, s.expiry.Sub(at).Milliseconds(), s.deadline.Sub(at).Milliseconds())}
}
