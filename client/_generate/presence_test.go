package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	hereURL  = "https://example.org/keepalive/here"
	leaveURL = "https://example.org/keepalive/leave"
)

// eachPresence runs a scenario on the scripts that report the page.
func eachPresence(t *testing.T, scenario func(t *testing.T, b *browser)) {
	for _, file := range []string{"presence.min.js", "keepalive.debug.js"} {
		t.Run(file, func(t *testing.T) {
			s := newSession(idleTimeout, 12*time.Hour)
			s.b = newBrowser(t, committed(t, file), s.serve)
			scenario(t, s.b)
		})
	}
}

func TestPresenceReportsThePage(t *testing.T) {
	tests := []struct {
		name, presence, page string
		oldEngine            bool
	}{
		{name: "off"},
		{name: "path", presence: "path", page: "/orders"},
		{name: "engine without fetch that outlives a page", presence: "path", page: "/orders", oldEngine: true},
		{name: "query", presence: "query", page: "/orders?open=1"},
		{name: "hash", presence: "path hash", page: "/orders#/new"},
		{name: "query and hash", presence: "query hash", page: "/orders?open=1#/new"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			eachPresence(t, func(t *testing.T, b *browser) {
				tb := b.open(page{presence: test.presence, session: map[string]string{}, oldEngine: test.oldEngine})
				way := "fetch"
				if test.oldEngine {
					way = "beacon"
				}
				if test.page == "" {
					b.sleep(time.Hour)
					tb.run(`dispatchEvent({type: 'pagehide'})`)
					require.Empty(t, tb.beacons)
					return
				}
				require.Len(t, tb.beacons, 1)
				report := tb.beacons[0]
				require.NotEmpty(t, report.Tab)
				require.Equal(t, beacon{way: way, url: hereURL, Tab: report.Tab, Page: test.page, Sent: strconv.FormatInt(now, 10)}, report)

				b.sleep(time.Hour)
				require.InDelta(t, 60, len(tb.beacons), 3, "once a minute")
				before := len(tb.beacons)
				tb.run(`location.pathname = '/stock'; dispatchEvent({type: 'popstate'})`)
				require.Len(t, tb.beacons, before+1)
				require.Equal(t, report.Tab, tb.beacons[before].Tab)
				require.Contains(t, tb.beacons[before].Page, "/stock")
				require.Empty(t, tb.beacons[before].Idle)

				tb.run(`location.hash = '#/'; dispatchEvent({type: 'hashchange'})`)
				if strings.Contains(test.presence, "hash") {
					require.Len(t, tb.beacons, before+2)
					require.Contains(t, tb.beacons[before+1].Page, "#/")
				} else {
					require.Len(t, tb.beacons, before+1)
				}
			})
		})
	}
}

// The name goes with the tab to its next page, and a copy of the tab made meanwhile gets one of its own.
func TestPresenceNamesTheTab(t *testing.T) {
	eachPresence(t, func(t *testing.T, b *browser) {
		session := map[string]string{}
		first := b.open(page{presence: "path", session: session})
		name := first.beacons[0].Tab
		first.run(`dispatchEvent({type: 'pagehide'}); dispatchEvent({type: 'focus'})`)
		require.Len(t, first.beacons, 2)
		require.Equal(t, leaveURL, first.beacons[1].url)
		require.Equal(t, name, first.beacons[1].Tab)

		second := b.open(page{presence: "path", session: session})
		require.Equal(t, name, second.beacons[0].Tab)
		require.Empty(t, session, "a copy of the tab would take it")
		other := b.open(page{presence: "path", session: map[string]string{}})
		require.NotEqual(t, name, other.beacons[0].Tab)
	})
}

// A page out of the back/forward cache reports at once.
func TestPresenceOfAPageThatComesBack(t *testing.T) {
	eachPresence(t, func(t *testing.T, b *browser) {
		tb := b.open(page{presence: "path", session: map[string]string{}})
		name := tb.beacons[0].Tab
		tb.run(`dispatchEvent({type: 'pagehide'}); dispatchEvent({type: 'pageshow', persisted: true})`)
		require.Len(t, tb.beacons, 3)
		require.Equal(t, hereURL, tb.beacons[2].url)
		require.Equal(t, name, tb.beacons[2].Tab)
	})
}

// idleTimes returns how long the page has been idle by each of its reports.
func (tb *tab) idleTimes(t *testing.T) (times []time.Duration) {
	t.Helper()
	for _, b := range tb.beacons {
		ms, err := strconv.ParseInt(b.Idle, 10, 64)
		require.NoError(t, err)
		times = append(times, (time.Duration(ms) * time.Millisecond).Round(time.Second))
	}
	return times
}

// Each report says how long ago the page was used, and the page is not used by being loaded.
func TestPresenceReportsIdle(t *testing.T) {
	const minute = time.Minute
	tests := []struct {
		name   string
		mode   string
		before string        // input in another page
		pause  time.Duration // after it
		after  []string      // input in the page, a minute from each other
		want   []time.Duration
	}{
		{name: "never used", after: []string{"", "", ""}, want: []time.Duration{0, minute, 2 * minute, 3 * minute}},
		{name: "never used with UserActive", mode: "active", after: []string{"", ""}, want: []time.Duration{0, minute, 2 * minute}},
		{name: "used before it was loaded", before: key, pause: 10 * minute, after: []string{"", ""}, want: []time.Duration{10 * minute, 11 * minute, 12 * minute}},
		{name: "the same with UserActive", mode: "active", before: key, pause: 10 * minute, after: []string{""}, want: []time.Duration{10 * minute, 11 * minute}},
		{name: "used each minute", after: []string{key, key, key}, want: []time.Duration{0, minute, minute, minute}},
		{name: "forged input", after: []string{forged, ""}, want: []time.Duration{0, minute, 2 * minute}},
		{name: "who comes back is reported at once", before: key, pause: 10 * minute, after: []string{key, ""},
			want: []time.Duration{10 * minute, 11 * minute, 0, minute}},
		{name: "not for a short break", before: key, pause: minute / 2, after: []string{key, key}, want: []time.Duration{minute / 2, 3 * minute / 2, minute}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			eachPresence(t, func(t *testing.T, b *browser) {
				opened := page{mode: test.mode, presence: "path idle", session: map[string]string{}}
				if test.before != "" {
					b.open(opened).run(test.before)
				}
				b.sleep(test.pause)
				tb := b.open(opened)
				for _, input := range test.after {
					b.sleep(minute + 50*time.Millisecond)
					tb.run(input)
				}
				require.Equal(t, test.want, tb.idleTimes(t))
			})
		})
	}
}

// Without its path a page still says that it is there, and no page listens to input for nothing.
func TestPresenceReportsIdleOnly(t *testing.T) {
	eachPresence(t, func(t *testing.T, b *browser) {
		tb := b.open(page{presence: "idle", session: map[string]string{}})
		require.Len(t, tb.beacons, 1)
		require.Empty(t, tb.beacons[0].Page)
		require.Equal(t, "1", tb.beacons[0].Idle)
		other := b.open(page{presence: "path", session: map[string]string{}})
		writes := b.writes
		other.run(key)
		require.Equal(t, writes, b.writes)
	})
}
