package presence_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// A beat each minute, which becomes two in a hidden tab and four when one of them
// is lost, keeps a tab; without beats it goes.
func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{})
		for range 20 {
			here(tracker, "ann", "s1", "t1", "/")
			here(tracker, "bob", "s2", "t1", "/")
			time.Sleep(4*time.Minute + 50*time.Second)
			require.Equal(t, "ann:/ bob:/", shown(t, tracker))
		}
		here(tracker, "ann", "s1", "t1", "/")
		time.Sleep(12 * time.Second)
		require.Equal(t, "ann:/", shown(t, tracker))
		time.Sleep(4 * time.Minute)
		require.Equal(t, "ann:/", shown(t, tracker))
		time.Sleep(time.Minute)
		require.Empty(t, shown(t, tracker))
		count, _ := tracker.Count(t.Context())
		require.Zero(t, count)
	})
}

// Thousands of tabs leave one after the other, each when it is due.
func TestLongTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{TTL: 12 * time.Hour})
		for i := range 3000 {
			here(tracker, fmt.Sprint("u", i), fmt.Sprint("s", i), "t", "/")
			time.Sleep(time.Second)
		}
		time.Sleep(12*time.Hour - 2999*time.Second)
		for i := range 3000 {
			count, _ := tracker.Count(t.Context())
			require.InDelta(t, 3000-i, count.Tabs, 3)
			time.Sleep(time.Second)
		}
	})
}

func TestGone(t *testing.T) {
	tests := []struct {
		name string
		end  func(*presence.Tracker)
		in   time.Duration
	}{
		{name: "page left", end: func(tr *presence.Tracker) { leave(tr, "s1", "t1") }, in: 12 * time.Second},
		{name: "browser crashed", end: func(*presence.Tracker) {}, in: 5*time.Minute + 2*time.Second},
		{name: "session destroyed", end: func(tr *presence.Tracker) { end(tr, "s1") }, in: 12 * time.Second},
		{name: "no user any more", end: func(tr *presence.Tracker) { here(tr, "", "s1", "t1", "/b") }, in: 12 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var gone []presence.Gone
				tracker := newTracker(t, presence.Config{
					Identify: func(r *http.Request) (string, any) { return r.Header.Get("User"), map[string]int{"a": 1} },
					OnGone:   func(g presence.Gone) { gone = append(gone, g) },
				})
				here(tracker, "ann", "s1", "t1", "/a")
				here(tracker, "ann", "s2", "t1", "/a")
				tt.end(tracker)
				for range 10 { // the other session goes on
					time.Sleep(tt.in / 10)
					here(tracker, "ann", "s2", "t1", "/a")
				}
				time.Sleep(time.Second)
				synctest.Wait()
				require.Len(t, gone, 1)
				require.Equal(t, "s1", gone[0].Session)
				require.Equal(t, "ann", gone[0].User)
				require.JSONEq(t, `{"a":1}`, string(gone[0].Meta))
				require.WithinDuration(t, time.Now(), gone[0].Time, 4*time.Second)
				require.Equal(t, "ann:/a", shown(t, tracker))
			})
		})
	}
}

// While OnGone runs nobody leaves, and beats do not wait for it.
func TestSlowOnGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		gone := make(chan string, 10)
		tracker := newTracker(t, presence.Config{OnGone: func(g presence.Gone) {
			gone <- g.User
			<-release
		}})
		here(tracker, "ann", "s1", "t", "/")
		time.Sleep(time.Minute)
		here(tracker, "bob", "s2", "t", "/")
		time.Sleep(time.Hour)
		require.Equal(t, "ann", <-gone)
		require.Empty(t, gone)
		require.Equal(t, "bob:/", shown(t, tracker))
		begun := time.Now()
		here(tracker, "cleo", "s3", "t", "/")
		require.Equal(t, begun, time.Now())
		close(release)
		time.Sleep(2 * time.Second)
		require.Equal(t, "bob", <-gone)
		require.Equal(t, "cleo:/", shown(t, tracker))
	})
}
