package main

import (
	"strconv"
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

// Where beats are to say how long ago the last input was, input is noted in every mode.
func TestPresenceNotesInput(t *testing.T) {
	for presence, noted := range map[string]bool{"path": false, "path idle": true} {
		t.Run(presence, func(t *testing.T) {
			eachPresence(t, func(t *testing.T, b *browser) {
				tb := b.open(page{presence: presence, session: map[string]string{}})
				tb.run(key)
				require.Equal(t, noted, b.record()["input"] > 0)
			})
		})
	}
}
