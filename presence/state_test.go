package presence_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

func TestNavigation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []string
		tracker := newTracker(t, presence.Config{OnGone: func(g presence.Gone) { gone = append(gone, g.Session+" "+g.User) }})
		h := watch(t, tracker)
		here(tracker, "ann", "s1", "t1", "/a")
		here(tracker, "ann", "s1", "t2", "/b")
		require.Equal(t, []string{"join ann /a 1", "join ann /b 2"}, h.take())

		leave(tracker, "s1", "t1") // a link
		time.Sleep(9 * time.Second)
		require.Equal(t, "ann:/a,/b", shown(t, tracker))
		here(tracker, "ann", "s1", "t1", "/c")
		time.Sleep(time.Minute)
		require.Equal(t, []string{"move ann /a/c 2"}, h.take())

		leave(tracker, "s1", "t1") // reload
		here(tracker, "ann", "s1", "t1", "/c")
		time.Sleep(time.Minute)
		require.Empty(t, h.take())

		leave(tracker, "s1", "t1")
		leave(tracker, "s1", "t1") // again
		time.Sleep(13 * time.Second)
		require.Equal(t, []string{"leave ann /c 1"}, h.take())
		require.Equal(t, "ann:/b", shown(t, tracker))
		synctest.Wait()
		require.Empty(t, gone, "a page of the session is open")

		leave(tracker, "s1", "t2")
		time.Sleep(13 * time.Second)
		require.Equal(t, []string{"leave ann /b 0"}, h.take())
		require.Equal(t, []string{"s1 ann"}, gone)
		leave(tracker, "s1", "t2") // of nobody
		time.Sleep(time.Minute)
		require.Empty(t, h.take())
		require.Len(t, gone, 1)
	})
}

// A session that another user takes over is theirs, with all its tabs.
func TestUserChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{})
		h := watch(t, tracker)
		here(tracker, "ann", "s1", "t1", "/a")
		here(tracker, "ann", "s1", "t2", "/b")
		here(tracker, "bob", "s1", "t1", "/c")
		require.Equal(t, "bob:/b,/c", shown(t, tracker))
		require.Equal(t, []string{
			"join ann /a 1", "join ann /b 2", "leave ann /b 1", "leave ann /a 0", "join bob /b 1", "join bob /a 2", "move bob /a/c 2",
		}, h.take())
		v, found, _ := tracker.User(t.Context(), "ann")
		require.False(t, found, v)
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		tracker := newTracker(t, presence.Config{MaxTabs: 3, MaxTotal: 5, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 10 {
			here(tracker, "eve", "s1", fmt.Sprint("t", i), "/")
		}
		require.Equal(t, "eve:/,/,/", shown(t, tracker))
		for i := range 10 {
			here(tracker, "ann", fmt.Sprint("a", i), "t", "/")
		}
		require.Equal(t, "ann:/,/ eve:/,/,/", shown(t, tracker))
		here(tracker, "ann", "a0", "t", "/b") // who is there may move
		require.Equal(t, "ann:/,/b eve:/,/,/", shown(t, tracker))
		synctest.Wait()
		require.Equal(t, 1, strings.Count(log.String(), "not tracked"))
		time.Sleep(6 * time.Minute)
		here(tracker, "bob", "b1", "t", "/")
		require.Equal(t, "bob:/", shown(t, tracker), "there is room again")
	})
}

// An account that anybody may use does not fill the Tracker, by however many sessions.
func TestLimitOfAUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		shared := newSharedLog()
		cfg := presence.Config{MaxTabs: 2, MaxUserTabs: 3, Log: shared.instance(), Logger: slog.New(slog.NewTextHandler(&log, nil))}
		tracker := newTracker(t, cfg)
		cfg.Log, cfg.Logger, cfg.MaxUserTabs = shared.instance(), nil, 0 // it believes the first
		other := newTracker(t, cfg)
		for i := range 10 {
			here(tracker, "eve", fmt.Sprint("s", i), "t0", "/")
			here(tracker, "eve", fmt.Sprint("s", i), "t1", "/")
		}
		here(tracker, "ann", "a1", "t0", "/")
		here(tracker, "ann", "a1", "t1", "/")
		require.Equal(t, "ann:/,/ eve:/,/,/", shown(t, tracker))
		here(tracker, "eve", "s0", "t0", "/b") // who is there may move
		require.Equal(t, "ann:/,/ eve:/,/,/b", shown(t, tracker))
		here(tracker, "eve", "a1", "t0", "/c") // a session that becomes eve's is not ann's any more
		time.Sleep(12 * time.Second)
		require.Equal(t, "eve:/,/,/b", shown(t, tracker))
		require.Equal(t, "eve:/,/,/b", shown(t, other))
		synctest.Wait() // it logs beside
		require.Equal(t, 1, strings.Count(log.String(), "not tracked"))
		leave(tracker, "s0", "t0")
		time.Sleep(12 * time.Second)
		here(tracker, "eve", "s9", "t0", "/d")
		require.Equal(t, "eve:/,/,/d", shown(t, tracker), "there is room again")
	})
}

func TestIdentifyCalls(t *testing.T) {
	tests := []struct {
		name    string
		cfg     presence.Config
		user    string // of the second tab
		session string // of the second tab
		shown   string
		calls   int
	}{
		{name: "two tabs", user: "ann", session: "s1", shown: "ann:/a,/b", calls: 2},
		{name: "a guest", user: "", session: "s2", shown: "ann:/a", calls: 1 + 10},
		{name: "beyond MaxTabs", cfg: presence.Config{MaxTabs: 1}, user: "ann", session: "s1", shown: "ann:/a", calls: 1},
		{name: "beyond MaxUserTabs", cfg: presence.Config{MaxUserTabs: 1}, user: "ann", session: "s1", shown: "ann:/a", calls: 1},
		{name: "beyond MaxUserTabs in another session", cfg: presence.Config{MaxUserTabs: 1}, user: "ann", session: "s2", shown: "ann:/a", calls: 1 + 10},
		{name: "beyond MaxTotal", cfg: presence.Config{MaxTotal: 1}, user: "bob", session: "s2", shown: "ann:/a", calls: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				tt.cfg.Identify = func(r *http.Request) (string, any) {
					calls++
					return identify(r)
				}
				tracker := newTracker(t, tt.cfg)
				for range 10 {
					here(tracker, "ann", "s1", "t1", "/a")
					here(tracker, tt.user, tt.session, "t2", "/b")
					time.Sleep(time.Minute)
				}
				require.Equal(t, tt.shown, shown(t, tracker))
				require.Equal(t, tt.calls, calls)
			})
		})
	}
}
