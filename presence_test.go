package keepalive_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// The Observer receives what pages report. What cannot be used is refused.
func TestPresence(t *testing.T) {
	long := strings.Repeat("/ä", 1000) // 3,000 bytes
	tests := []struct {
		name, method, target, token, body string
		header                            map[string]string
		status                            int
		tab, page                         string
		sent                              int64
		idle                              time.Duration
		noIdle                            bool // Config.Presence does not ask for it
	}{
		{name: "here", target: "here", body: "tab=a1&page=/inbox&sent=1800000000000", sent: 1_800_000_000_000, status: 204, tab: "a1", page: "/inbox"},
		{name: "here with a query", target: "here", body: "tab=a1&page=%2Finbox%3Fq%3D1", status: 204, tab: "a1", page: "/inbox?q=1"},
		{name: "here without a page", target: "here", body: "tab=a1", status: 204, tab: "a1"},
		{name: "a long page is cut", target: "here", body: "tab=a1&page=" + long, status: 204, tab: "a1", page: long[:1999]},
		{name: "page that is not UTF-8", target: "here", body: "tab=a1&page=%FF/x%FE", status: 204, tab: "a1", page: "/x"},
		{name: "idle", target: "here", body: "tab=a1&idle=61000", status: 204, tab: "a1", idle: 61 * time.Second},
		{name: "idle that was not asked for", target: "here", body: "tab=a1&idle=61000", noIdle: true, status: 204, tab: "a1"},
		{name: "used just now", target: "here", body: "tab=a1&idle=0", status: 204, tab: "a1", idle: time.Millisecond},
		{name: "idle in the future", target: "here", body: "tab=a1&idle=-5", status: 204, tab: "a1", idle: time.Millisecond},
		{name: "idle for ever", target: "here", body: "tab=a1&idle=9223372036854775807", status: 204, tab: "a1", idle: 100 * 365 * 24 * time.Hour},
		{name: "idle beyond numbers", target: "here", body: "tab=a1&idle=9223372036854775808", status: 204, tab: "a1"},
		{name: "idle that is no number", target: "here", body: "tab=a1&idle=NaN", status: 204, tab: "a1"},
		{name: "leave with what is not of it", target: "leave", body: "tab=a1&page=/&idle=5", status: 204, tab: "a1"},
		{name: "leave", target: "leave", body: "tab=a1&sent=soon", status: 204, tab: "a1"},
		{name: "leave after a logout", target: "leave", token: unknownToken, body: "tab=a1", status: 204, tab: "a1"},
		{name: "leave without a cookie", target: "leave", token: "none", body: "tab=a1", status: 204},
		{name: "here without a session", target: "here", token: "gone", body: "tab=a1&page=/", status: 401},
		{name: "no tab", target: "here", body: "page=/", status: 400},
		{name: "no body", target: "leave", status: 400},
		{name: "long tab", target: "here", body: "tab=" + strings.Repeat("x", 33), status: 400},
		{name: "tab that is not UTF-8", target: "leave", body: "tab=%FF", status: 400},
		{name: "body too long", target: "here", body: "tab=a1&page=" + strings.Repeat("x", 5<<10), status: 400},
		{name: "no form", target: "here", body: "%zz", status: 400},
		{name: "cross-site", target: "leave", body: "tab=a1", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403},
		{name: "GET", method: "GET", target: "here", status: 405},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var events []keepalive.Event
			sm := newSessions()
			users := map[string]string{}
			presence := keepalive.PresencePath
			if !tt.noIdle {
				presence |= keepalive.PresenceIdle
			}
			c := newClient(t, sm, keepalive.Config{Presence: presence, Observer: func(e keepalive.Event) {
				if e.Kind == keepalive.EventHere || e.Kind == keepalive.EventLeave {
					events = append(events, e)
				}
				if e.Kind == keepalive.EventHere {
					users[e.Tab] = sm.GetString(e.Request.Context(), "user")
				}
			}})
			c.Get("/login")
			method, token := "POST", c.Token
			if tt.method != "" {
				method = tt.method
			}
			if tt.token != "" {
				token = tt.token
			}
			r := httptest.NewRequest(method, "http://app.example/keepalive/"+tt.target, strings.NewReader(tt.body))
			if token != "none" {
				r.AddCookie(&http.Cookie{Name: "session", Value: token})
			}
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			c.Handler.ServeHTTP(w, r)
			require.Equal(t, tt.status, w.Code)
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Empty(t, w.Result().Cookies())
			if tt.tab == "" {
				require.Empty(t, events)
				return
			}
			require.Len(t, events, 1)
			require.Equal(t, keepalive.EventKind(tt.target), events[0].Kind)
			require.Equal(t, tt.tab, events[0].Tab)
			require.Equal(t, tt.page, events[0].Page)
			require.Equal(t, tt.sent, events[0].Sent)
			require.Equal(t, tt.idle, events[0].Idle)
			require.True(t, utf8.ValidString(events[0].Page))
			require.NotEmpty(t, events[0].Session)
			if tt.target == "here" {
				require.Equal(t, map[string]string{"a1": "ann"}, users)
			}
		})
	}
}

// The script element says what the page is to report.
func TestPresenceAttribute(t *testing.T) {
	const path, query, hash, idle = keepalive.PresencePath, keepalive.PresenceQuery, keepalive.PresenceHash, keepalive.PresenceIdle
	tests := []struct {
		name      string
		presence  keepalive.Presence
		attribute string
	}{
		{name: "off", presence: keepalive.PresenceOff},
		{name: "path", presence: path, attribute: "path"},
		{name: "query", presence: query, attribute: "query"},
		{name: "the query includes the path", presence: path | query, attribute: "query"},
		{name: "hash", presence: hash, attribute: "path hash"},
		{name: "path and hash", presence: path | hash, attribute: "path hash"},
		{name: "idle alone", presence: idle, attribute: "idle"},
		{name: "path and idle", presence: path | idle, attribute: "path idle"},
		{name: "all", presence: path | query | hash | idle, attribute: "query hash idle"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, found, _ := strings.Cut(signedInPage(t, keepalive.Config{Presence: tt.presence}), ` data-presence="`)
			attribute, _, _ := strings.Cut(found, `"`)
			require.Equal(t, tt.attribute, attribute)
		})
	}
}

func TestPresenceOff(t *testing.T) {
	sm := newSessions()
	c := newClient(t, sm, keepalive.Config{})
	for _, target := range []string{"here", "leave"} {
		require.Equal(t, http.StatusNotFound, c.Do("POST", "/keepalive/"+target, t.Context(), "tab=a").StatusCode)
	}
}

// Reports of pages do not keep a session alive.
func TestPresenceExtendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		c := newClient(t, sm, keepalive.Config{Presence: keepalive.PresencePath})
		c.Get("/login")
		report := func() int {
			return c.Do("POST", "/keepalive/here", t.Context(), url.Values{"tab": {"a"}, "page": {"/"}}.Encode()).StatusCode
		}
		for range 19 {
			time.Sleep(time.Minute)
			require.Equal(t, http.StatusNoContent, report())
		}
		time.Sleep(time.Minute + time.Second)
		require.Equal(t, http.StatusUnauthorized, report())
	})
}
