package presence_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

func TestCounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		tracker := newTracker(t, presence.Config{})
		begun := time.Now()
		here(tracker, "bob", "s3", "t1", "/a")
		time.Sleep(10 * time.Second)
		here(tracker, "ann", "s1", "t1", "/b")
		here(tracker, "ann", "s1", "t2", "/a")
		here(tracker, "ann", "s2", "t1", "/a") // the same tab's name in another session is another tab
		here(tracker, "", "s4", "t1", "/a")
		time.Sleep(time.Minute)
		here(tracker, "ann", "s1", "t2", "/a")

		online, err := tracker.Online(ctx)
		require.NoError(t, err)
		at := func(s int) time.Time { return begun.Add(time.Duration(s) * time.Second) }
		require.Equal(t, []presence.Visitor{
			{User: "ann", Since: at(10), Seen: at(70), Pages: []presence.Page{
				{Path: "/a", Since: at(10), Seen: at(10)}, {Path: "/a", Since: at(10), Seen: at(70)}, {Path: "/b", Since: at(10), Seen: at(10)},
			}},
			{User: "bob", Since: at(0), Seen: at(0), Pages: []presence.Page{{Path: "/a", Since: at(0), Seen: at(0)}}},
		}, online)
		count, err := tracker.Count(ctx)
		require.NoError(t, err)
		require.Equal(t, presence.Counts{Users: 2, Sessions: 3, Tabs: 4, Paths: 2}, count)

		page := func(path string) string {
			online, err := tracker.Page(ctx, path)
			require.NoError(t, err)
			return names(online)
		}
		require.Equal(t, "ann:/a,/a bob:/a", page("/a"))
		require.Equal(t, "ann:/b", page("/b"))
		require.Empty(t, page("/c"))
		v, found, err := tracker.User(ctx, "ann")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, online[0], v)
		_, found, _ = tracker.User(ctx, "eve")
		require.False(t, found)
		v, found, _ = tracker.Session(ctx, "s2")
		require.True(t, found)
		require.Equal(t, "ann:/a", names([]presence.Visitor{v}))
		_, found, _ = tracker.Session(ctx, "s4")
		require.False(t, found)
	})
}
