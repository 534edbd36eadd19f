package presence_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// Whatever a page says changes nothing for other sessions, and of its own only
// what it may.
func FuzzBeat(f *testing.F) {
	f.Add("t1", "/a", int64(0), false)
	f.Add("t1", "/a?b#c", int64(1), true)
	f.Add("", "\x00/\u202e", int64(-1), false)
	f.Add(strings.Repeat("9", 33), "/"+strings.Repeat("%", 300), int64(1)<<62, true)
	f.Fuzz(func(t *testing.T, tab, path string, sent int64, leave bool) {
		tracker := newTracker(t, presence.Config{MaxTabs: 3})
		here(tracker, "ann", "s1", "t1", "/a")
		here(tracker, "eve", "s2", "t1", "/a")
		before, found, err := tracker.User(t.Context(), "ann")
		require.NoError(t, err)
		require.True(t, found)

		kind := keepalive.EventHere
		if leave {
			kind = keepalive.EventLeave
		}
		tracker.Observe(keepalive.Event{Kind: kind, Request: as("eve"), Session: "s2", Tab: tab, Page: path, Sent: sent})

		after, found, _ := tracker.User(t.Context(), "ann")
		require.True(t, found)
		require.Equal(t, before, after)
		own, found, _ := tracker.User(t.Context(), "eve")
		require.True(t, found)
		require.LessOrEqual(t, len(own.Pages), 2)
		for _, p := range own.Pages {
			require.LessOrEqual(t, len(p.Path), 256)
			require.True(t, utf8.ValidString(p.Path))
			require.True(t, p.Path == "" || strings.HasPrefix(path, p.Path) || p.Path == "/a")
			require.NotContains(t, p.Path, "?")
		}
	})
}

// The Tracker is what a few lines say that count slowly.
func FuzzTracker(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 64, 65, 66, 128, 255, 255, 200, 9, 8, 7})
	f.Add([]byte(strings.Repeat("Who is there? ", 20)))
	type open struct {
		path    string
		due     time.Time
		leaving bool
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		synctest.Test(t, func(t *testing.T) {
			const ttl, grace = 3*time.Minute + time.Second, 11 * time.Second
			gone := 0
			tracker := newTracker(t, presence.Config{TTL: 3 * time.Minute, OnGone: func(presence.Gone) { gone++ }})
			model, users := map[string]*open{}, map[string]string{} // by session and tab; by session
			for _, op := range ops[:min(len(ops), 300)] {
				session, tab, path := fmt.Sprint("s", op&3), fmt.Sprint("t", op>>2&1), fmt.Sprint("/", op>>3&1)
				user := fmt.Sprint("u", op>>4&1)
				now := time.Now()
				m := model[session+tab]
				switch op >> 5 {
				case 0, 1, 2, 3:
					same := m != nil && m.path == path && !m.leaving
					here(tracker, user, session, tab, path)
					if same { // nobody is asked who it is, as nobody has left
						m.due, m.leaving = now.Add(ttl), false
						break
					}
					model[session+tab] = &open{path: path, due: now.Add(ttl)}
					users[session] = user
				case 4:
					leave(tracker, session, tab)
					if m != nil && !m.leaving {
						m.due, m.leaving = now.Add(grace), true
					}
				case 5:
					end(tracker, session)
					for k, m := range model {
						if strings.HasPrefix(k, session) && !m.leaving {
							m.due, m.leaving = now.Add(grace), true
						}
					}
				case 6:
					time.Sleep(time.Duration(op&31) * 10 * time.Second)
				case 7:
					time.Sleep(time.Duration(op&31) * time.Second)
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				var want []string
				for k, m := range model {
					if !time.Now().Before(m.due) {
						delete(model, k)
						continue
					}
					want = append(want, users[k[:2]]+m.path)
				}
				slices.Sort(want)
				var got []string
				online, err := tracker.Online(t.Context())
				require.NoError(t, err)
				for _, v := range online {
					for _, p := range v.Pages {
						got = append(got, v.User+p.Path)
					}
				}
				require.Equal(t, want, got)
				count, _ := tracker.Count(t.Context())
				require.Equal(t, presence.Counts{Users: len(online), Sessions: sessions(model), Tabs: len(got), Paths: count.Paths}, count)
				time.Sleep(time.Second - time.Duration(time.Now().Nanosecond()))
			}
		})
	})
}

func sessions[T any](model map[string]T) int {
	names := map[string]bool{}
	for k := range model {
		names[k[:2]] = true
	}
	return len(names)
}
