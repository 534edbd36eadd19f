package presence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// Events come from keepalive as an app sees them: nothing but Observer is set.
func TestObserver(t *testing.T) {
	for _, own := range []bool{true, false} {
		t.Run(fmt.Sprintf("own Identify %v", own), func(t *testing.T) { testObserver(t, own) })
	}
}

// testObserver lets the tracker ask for the user itself, or keepalive.
func testObserver(t *testing.T, own bool) {
	sessions := scs.New()
	sessions.Store = memstore.NewWithCleanupInterval(0)
	sessions.IdleTimeout = 20 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		user := func(ctx context.Context) string { return sessions.GetString(ctx, "user") }
		cfg, kcfg := presence.Config{}, keepalive.Config{Presence: keepalive.PresencePath}
		if own {
			cfg.Identify = func(r *http.Request) (string, any) { return user(r.Context()), nil }
		} else {
			kcfg.Identify, kcfg.Salt = user, "secret"
		}
		tracker, err := presence.New(cfg)
		require.NoError(t, err)
		defer tracker.Close()
		kcfg.Observer = tracker.Observe
		km, err := keepalive.New(sessions, kcfg)
		require.NoError(t, err)
		mux := http.NewServeMux()
		mux.HandleFunc("POST /sign-in", func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, sessions.RenewToken(r.Context()))
			sessions.Put(r.Context(), "user", r.FormValue("user"))
		})
		mux.HandleFunc("POST /sign-out", func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, sessions.Destroy(r.Context()))
		})
		b := &browser{handler: km.LoadAndSave(mux)}

		b.post("/sign-in?user=ann", "")
		b.post("/keepalive/here", "tab=t1&page=%2Fa%3Fb&sent=1")
		b.post("/keepalive/here", "tab=t2&page=%2Fb&sent=1")
		require.Equal(t, "ann:/a,/b", shown(t, tracker))
		b.post("/keepalive/leave", "tab=t1&sent=2")
		time.Sleep(15 * time.Second)
		require.Equal(t, "ann:/b", shown(t, tracker))

		b.post("/sign-in?user=bob", "") // in the other tab, which renews the token
		b.post("/keepalive/here", "tab=t2&page=%2Fb&sent=3")
		require.Equal(t, "ann:/b bob:/b", shown(t, tracker))
		time.Sleep(15 * time.Second)
		require.Equal(t, "bob:/b", shown(t, tracker))

		b.post("/sign-out", "")
		time.Sleep(15 * time.Second)
		require.Empty(t, shown(t, tracker))

		b.post("/sign-in?user=cleo", "")
		b.post("/keepalive/here", "tab=t2&page=%2Fc&sent=4")
		require.Equal(t, "cleo:/c", shown(t, tracker))
		require.NoError(t, sessions.Store.Delete(b.cookie.Value)) // the app does not know
		b.post("/keepalive/ping", "")
		time.Sleep(15 * time.Second)
		require.Empty(t, shown(t, tracker))
	})
}

// browser has one cookie.
type browser struct {
	handler http.Handler
	cookie  *http.Cookie
}

func (b *browser) post(url, form string) {
	r := httptest.NewRequest(http.MethodPost, url, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookie = c
	}
}

func TestEventKinds(t *testing.T) {
	tests := []struct {
		kind keepalive.EventKind
		want string // after the grace
	}{
		{kind: keepalive.EventPing, want: "ann:/a bob:/a"},
		{kind: keepalive.EventTouch, want: "ann:/a bob:/a"},
		{kind: keepalive.EventSave, want: "ann:/a bob:/a"},
		{kind: keepalive.EventLost, want: "ann:/a bob:/a"},
		{kind: keepalive.EventError, want: "ann:/a bob:/a"},
		{kind: keepalive.EventStart, want: "ann:/a bob:/a"},
		{kind: keepalive.EventRefused, want: "ann:/a bob:/a"},
		{kind: keepalive.EventInject, want: "ann:/a bob:/a"},
		{kind: keepalive.EventSkip, want: "ann:/a bob:/a"},
		{kind: keepalive.EventStore, want: "ann:/a bob:/a"},
		{kind: keepalive.EventHere, want: "ann:/a,/b bob:/a"},
		{kind: keepalive.EventLeave, want: "ann:/a bob:/a"}, // of a tab that is not known
		{kind: keepalive.EventDestroy, want: "bob:/a"},
		{kind: keepalive.EventGone, want: "bob:/a"},
		{kind: keepalive.EventRenew, want: "bob:/a"},
	}
	for _, tt := range tests {
		t.Run(string(tt.kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker := newTracker(t, presence.Config{})
				here(tracker, "ann", "s1", "t1", "/a")
				here(tracker, "bob", "s2", "t1", "/a")
				tracker.Observe(keepalive.Event{Kind: tt.kind, Request: as("ann"), Session: "s1", Tab: "t2", Page: "/b"})
				tracker.Observe(keepalive.Event{Kind: tt.kind, Request: as("ann"), Tab: "t1", Page: "/b"}) // without a session
				time.Sleep(15 * time.Second)
				require.Equal(t, tt.want, shown(t, tracker))
			})
		})
	}
}

func TestMeta(t *testing.T) {
	var log bytes.Buffer
	var meta any
	user := "ann"
	tracker := newTracker(t, presence.Config{
		Identify: func(*http.Request) (string, any) { return user, meta },
		Logger:   slog.New(slog.NewTextHandler(&log, nil)),
	})
	for i, tt := range []struct {
		meta any
		want string
	}{
		{nil, ""},
		{map[string]string{"name": "<b>"}, `{"name":"\u003cb\u003e"}`},
		{strings.Repeat("x", 2000), ""},
		{json.RawMessage("{\"a\":\n1}"), `{"a":1}`},
		{make(chan int), ""},
	} {
		meta = tt.meta
		here(tracker, "ann", "s1", "t1", fmt.Sprintf("/%d", i))
		v, found, err := tracker.User(t.Context(), "ann")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, tt.want, string(v.Meta))
	}
	user, meta = strings.Repeat("x", 1<<10), nil
	here(tracker, "", "s2", "t1", "/")
	require.Contains(t, shown(t, tracker), user)
	user += "x"
	here(tracker, "", "s3", "t1", "/")
	require.NotContains(t, shown(t, tracker), user)
	require.Equal(t, 1, strings.Count(log.String(), "can't be shown"))
}

// What was sent later wins, even if it arrives first.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{})
		send := func(sent int64, path string, kind keepalive.EventKind) {
			tracker.Observe(keepalive.Event{Kind: kind, Request: as("ann"), Session: "s", Tab: "t", Page: path, Sent: sent})
		}
		now := time.Now().UnixMilli()
		send(now, "/b", keepalive.EventHere)
		send(now-20, "", keepalive.EventLeave)
		send(now-30, "/a", keepalive.EventHere)
		time.Sleep(time.Minute)
		require.Equal(t, "ann:/b", shown(t, tracker))
		send(now-time.Hour.Milliseconds(), "/c", keepalive.EventHere) // somebody has set the clock
		require.Equal(t, "ann:/c", shown(t, tracker))
		send(0, "/d", keepalive.EventHere)
		require.Equal(t, "ann:/d", shown(t, tracker))
		send(0, "/c", keepalive.EventLeave) // of a page that has been followed by another one
		time.Sleep(time.Minute)
		require.Equal(t, "ann:/d", shown(t, tracker))
	})
}

// A beat that waits for Identify does not undo a later one.
func TestSlowIdentify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{Identify: func(r *http.Request) (string, any) {
			if r.Header.Get("Meta") != "" {
				time.Sleep(time.Second)
			}
			return identify(r)
		}})
		here(tracker, "ann", "s", "t", "/")
		slow := as("ann")
		slow.Header.Set("Meta", "slow")
		beat := keepalive.Event{Kind: keepalive.EventHere, Request: slow, Session: "s", Tab: "t", Page: "/a", Sent: 1000}
		go tracker.Observe(beat)
		synctest.Wait()
		beat.Request, beat.Page, beat.Sent = as("ann"), "/b", 1001
		tracker.Observe(beat)
		time.Sleep(2 * time.Second)
		require.Equal(t, "ann:/b", shown(t, tracker))
	})
}

func TestHostile(t *testing.T) {
	long := "/" + strings.Repeat("x", 300)
	tests := []struct {
		name         string
		cfg          presence.Config
		session, tab string
		path, want   string
	}{
		{name: "plain", path: "/a%20b", want: "eve:/a%20b"},
		{name: "query", path: "/a?secret=1", want: "eve:/a"},
		{name: "query asked for", cfg: presence.Config{Query: true}, path: "/a?b=1", want: "eve:/a?b=1"},
		{name: "fragment", path: "/a#b", want: "eve:/a"},
		{name: "fragment asked for", cfg: presence.Config{Hash: true}, path: "/a?b#/c?d", want: "eve:/a#/c"},
		{name: "fragment and query asked for", cfg: presence.Config{Hash: true, Query: true}, path: "/a?b#/c?d", want: "eve:/a?b#/c?d"},
		{name: "empty fragment", cfg: presence.Config{Hash: true}, path: "/a#", want: "eve:/a"},
		{name: "long fragment", cfg: presence.Config{Hash: true}, path: "/a#" + long, want: "eve:"},
		{name: "line break in a fragment", cfg: presence.Config{Hash: true}, path: "/a#\n", want: "eve:"},
		{name: "long path", path: long, want: "eve:"},
		{name: "long path allowed", cfg: presence.Config{MaxPath: 400}, path: long, want: "eve:" + long},
		{name: "long query", path: "/a?" + long, want: "eve:/a"},
		{name: "line break", path: "/a\nevent: leave", want: "eve:"},
		{name: "NUL", path: "/a\x00", want: "eve:"},
		{name: "right to left", path: "/a\u202eb", want: "eve:"},
		{name: "no UTF-8", path: "/\xff", want: "eve:"},
		{name: "no path", path: "javascript:alert(1)", want: "eve:"},
		{name: "empty path", path: "", want: "eve:"},
		{name: "no tab", tab: "-", path: "/a"},
		{name: "long tab", tab: strings.Repeat("x", 33), path: "/a"},
		{name: "tab with a NUL", tab: "a\x00b", path: "/a"},
		{name: "no session", session: "-", path: "/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tracker := newTracker(t, tt.cfg)
			here(tracker, "ann", "s1", "t1", "/a")
			session, tab := "s2", "t1"
			if tt.session != "" {
				session = ""
			}
			if tt.tab != "" {
				tab = tt.tab
			}
			here(tracker, "eve", session, tab, tt.path)
			require.Equal(t, strings.TrimSpace("ann:/a "+tt.want), shown(t, tracker))
		})
	}
}
