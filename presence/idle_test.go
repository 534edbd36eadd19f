package presence_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// used is a beat of a page that was used so long ago, 0 for unknown.
func used(t *presence.Tracker, user, session, tab, path string, idle time.Duration) {
	t.Observe(keepalive.Event{Kind: keepalive.EventHere, Request: as(user), Session: session, Tab: tab, Page: path, Idle: idle})
}

// idleTimes is how long users and their pages have been idle, such as "ann 6m0s away: /a 7m0s /b 6m0s".
func idleTimes(t *testing.T, tracker *presence.Tracker) (times string) {
	t.Helper()
	online, err := tracker.Online(t.Context())
	require.NoError(t, err)
	for i, v := range online {
		if i > 0 {
			times += "; "
		}
		times += fmt.Sprint(v.User, " ", v.Idle)
		if v.Away {
			times += " away"
		}
		times += ":"
		for _, p := range v.Pages {
			times += fmt.Sprint(" ", p.Path, " ", p.Idle)
		}
	}
	return times
}

func TestIdle(t *testing.T) {
	const minute = time.Minute
	tests := []struct {
		name  string
		beats func(tracker *presence.Tracker)
		want  string
	}{
		{name: "unknown", want: "ann 0s: /a 0s", beats: func(tracker *presence.Tracker) {
			here(tracker, "ann", "s1", "t1", "/a")
			time.Sleep(minute)
		}},
		{name: "just now", want: "ann 1ms: /a 1ms", beats: func(tracker *presence.Tracker) {
			used(tracker, "ann", "s1", "t1", "/a", 1)
		}},
		{name: "it grows without a beat", want: "ann 4m0s: /a 4m0s", beats: func(tracker *presence.Tracker) {
			used(tracker, "ann", "s1", "t1", "/a", minute)
			time.Sleep(3 * minute)
		}},
		{name: "input ends it", want: "ann 1s: /a 1s", beats: func(tracker *presence.Tracker) {
			used(tracker, "ann", "s1", "t1", "/a", 10*minute)
			time.Sleep(minute)
			used(tracker, "ann", "s1", "t1", "/a", time.Second)
		}},
		{name: "the page used last", want: "ann 1m0s: /a 8m0s /b 1m0s /c 3m0s", beats: func(tracker *presence.Tracker) {
			used(tracker, "ann", "s1", "t1", "/a", 8*minute)
			used(tracker, "ann", "s2", "t1", "/b", minute)
			used(tracker, "ann", "s1", "t2", "/c", 3*minute)
		}},
		{name: "the page used last is closed", want: "ann 2m0s: /a 9m0s", beats: func(tracker *presence.Tracker) {
			used(tracker, "ann", "s1", "t1", "/a", 8*minute)
			used(tracker, "ann", "s1", "t2", "/b", minute)
			leave(tracker, "s1", "t2")
			time.Sleep(minute)
		}},
		{name: "a page that can't say it counts as used", want: "ann 1m0s: /a 8m0s /b 0s", beats: func(tracker *presence.Tracker) {
			used(tracker, "ann", "s1", "t1", "/a", 7*minute)
			here(tracker, "ann", "s1", "t2", "/b")
			time.Sleep(minute)
		}},
		{name: "others", want: "ann 7m0s away: /a 7m0s; bob 1m0s: /a 1m0s", beats: func(tracker *presence.Tracker) {
			used(tracker, "ann", "s1", "t1", "/a", 7*minute)
			used(tracker, "bob", "s2", "t1", "/a", minute)
		}},
		{name: "another user of the session", want: "bob 1m0s: /a 1m0s", beats: func(tracker *presence.Tracker) {
			used(tracker, "ann", "s1", "t1", "/b", 1)
			used(tracker, "bob", "s1", "t1", "/a", minute)
		}},
		{name: "what is not possible", want: "ann 1m0s: /a 2m0s", beats: func(tracker *presence.Tracker) {
			used(tracker, "ann", "s1", "t1", "/a", minute)
			used(tracker, "ann", "s1", "t1", "/a", -minute) // like a page that can't say it
			time.Sleep(minute)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker := newTracker(t, presence.Config{})
				tt.beats(tracker)
				require.Equal(t, tt.want, idleTimes(t, tracker))
			})
		})
	}
}

// Who watches learns when a user goes away and comes back, and nothing in between.
func TestAwayAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{TTL: time.Hour})
		h := watch(t, tracker)
		begun := time.Now()
		beats := func(minutes int) { // of a user who does nothing
			for range minutes {
				used(tracker, "ann", "s1", "t1", "/a", time.Since(begun)+1)
				time.Sleep(time.Minute)
			}
		}
		beats(5)
		require.Equal(t, []string{"join ann /a 1"}, h.take())
		beats(60)
		require.Equal(t, []string{"away ann  1"}, h.take())
		used(tracker, "ann", "s1", "t2", "/b", 1)
		require.Equal(t, []string{"join ann /b 2", "back ann  2"}, h.take(), "by another tab")

		// However a page contradicts itself.
		for i := range 1000 {
			used(tracker, "ann", "s1", "t2", "/b", time.Duration(1+i%2*1000)*time.Minute)
			time.Sleep(time.Millisecond)
		}
		require.Empty(t, h.take())

		// Who comes back before a beat has said that they were away.
		time.Sleep(4*time.Minute + 59*time.Second)
		used(tracker, "ann", "s1", "t1", "/a", 1)
		require.Equal(t, []string{"back ann  2"}, h.take())
	})
}

func TestAwayIsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{Away: time.Hour})
		h := watch(t, tracker)
		used(tracker, "ann", "s1", "t1", "/a", time.Hour-time.Second)
		require.Equal(t, []string{"join ann /a 1"}, h.take())
		time.Sleep(time.Second)
		used(tracker, "ann", "s1", "t1", "/a", time.Hour)
		require.Equal(t, []string{"away ann  1"}, h.take())
	})
}

// Instances agree, and learn at once who comes back.
func TestIdleOnSeveralInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newSharedLog()
		one := newTracker(t, presence.Config{Log: shared.instance()})
		two := newTracker(t, presence.Config{Log: shared.instance()})
		h := watch(t, two)
		used(one, "ann", "s1", "t1", "/a", 4*time.Minute)
		time.Sleep(time.Minute)
		used(one, "ann", "s1", "t1", "/a", 5*time.Minute)
		require.Equal(t, []string{"join ann /a 1", "away ann  1"}, h.take())
		time.Sleep(time.Second) // in which the pages of others beat too
		used(one, "ann", "s1", "t1", "/a", 1)
		require.Equal(t, []string{"back ann  1"}, h.take())
		require.Equal(t, idleTimes(t, one), idleTimes(t, two))

		three := newTracker(t, presence.Config{Log: shared.instance()})
		require.Equal(t, idleTimes(t, one), idleTimes(t, three), "it reads the log")
	})
}

// JSON has milliseconds, and nothing where it is unknown.
func TestIdleInJSON(t *testing.T) {
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{name: "visitor", value: presence.Visitor{User: "ann", Idle: time.Minute, Away: true, Pages: []presence.Page{{Path: "/a", Idle: 2 * time.Second}}}, want: `
			{"user": "ann", "since": "0001-01-01T00:00:00Z", "seen": "0001-01-01T00:00:00Z", "idleMs": 60000, "away": true, "pages": [
				{"path": "/a", "since": "0001-01-01T00:00:00Z", "seen": "0001-01-01T00:00:00Z", "idleMs": 2000}]}`},
		{name: "unknown", value: presence.Page{Path: "/a"}, want: `
			{"path": "/a", "since": "0001-01-01T00:00:00Z", "seen": "0001-01-01T00:00:00Z"}`},
		{name: "event", value: presence.Event{Kind: presence.Back, User: "ann", Tabs: 1, Idle: time.Millisecond}, want: `
			{"kind": "back", "time": "0001-01-01T00:00:00Z", "user": "ann", "path": "", "tabs": 1, "idleMs": 1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(tt.value)
			require.NoError(t, err)
			require.JSONEq(t, tt.want, string(got))
		})
	}
}

// The stream of a page tells of those who have it open, whichever page they use.
func TestStreamOfPageTellsWhoIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{Away: 4 * time.Minute})
		used(tracker, "ann", "s1", "t1", "/a", 1)
		used(tracker, "ann", "s1", "t2", "/b", 1)
		used(tracker, "ann", "s1", "t3", "/a", 1)
		used(tracker, "bob", "s2", "t1", "/b", 1)
		p := &pipe{}
		stream(t.Context(), tracker, "/?path=/a", p)
		p.take()
		time.Sleep(4 * time.Minute)
		p.take()
		used(tracker, "bob", "s2", "t1", "/b", 4*time.Minute)
		require.Empty(t, p.take())
		used(tracker, "ann", "s1", "t2", "/b", 4*time.Minute)
		got := p.take()
		require.Equal(t, 1, strings.Count(got, "event: away\n"), "once for both tabs")
		require.Contains(t, got, `"idleMs":240`)
		used(tracker, "ann", "s1", "t2", "/b", 1)
		require.Contains(t, p.take(), "event: back\n")
	})
}
