package presence_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// Whatever a page sends changes nothing for other sessions, and of its own only
// what it may.
func FuzzBeat(f *testing.F) {
	f.Add("t1", "/a", int64(0), int64(0), false)
	f.Add("t1", "/a?b#c", int64(1), int64(1), true)
	f.Add("", "\x00/\u202e", int64(-1), int64(-1), false)
	f.Add(strings.Repeat("9", 33), "/"+strings.Repeat("%", 300), int64(1)<<62, int64(math.MaxInt64), true)
	f.Add("t2", "/a", int64(0), int64(math.MinInt64), false)
	f.Fuzz(func(t *testing.T, tab, path string, sent, idle int64, leave bool) {
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
		tracker.Observe(keepalive.Event{Kind: kind, Request: as("eve"), Session: "s2", Tab: tab, Page: path, Sent: sent, Idle: time.Duration(idle)})

		after, found, _ := tracker.User(t.Context(), "ann")
		require.True(t, found)
		require.Equal(t, before, after)
		own, found, _ := tracker.User(t.Context(), "eve")
		require.True(t, found)
		require.LessOrEqual(t, len(own.Pages), 2)
		require.GreaterOrEqual(t, own.Idle, time.Duration(0))
		for _, p := range own.Pages {
			require.LessOrEqual(t, len(p.Path), 256)
			require.True(t, utf8.ValidString(p.Path))
			require.True(t, p.Path == "" || strings.HasPrefix(path, p.Path) || p.Path == "/a")
			require.NotContains(t, p.Path, "?")
		}
	})
}

// FuzzTracker compares the Tracker with a model of a few lines.
//
// Tabs leave with a tick, the first at or after they are due. Ticks come each second
// from the beat of the first tab on. Each operation is at a millisecond of its own,
// so none ever meets a tick, and what is due at that time is certain.
func FuzzTracker(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 64, 65, 66, 128, 255, 255, 200, 9, 8, 7})
	random := rand.NewChaCha8([32]byte{})
	for range 20 {
		ops := make([]byte, 300)
		_, _ = random.Read(ops) // never fails
		f.Add(ops)
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		synctest.Test(t, func(t *testing.T) {
			var gone atomic.Int32
			tracker := newTracker(t, presence.Config{TTL: modelTTL, Grace: modelGrace, OnGone: func(presence.Gone) { gone.Add(1) }})
			m := model{tabs: map[modelKey]*modelTab{}, users: map[string]string{}, inputs: map[string]time.Time{}}
			for i, op := range ops[:min(len(ops), 300)] {
				time.Sleep(time.Millisecond)
				m.tick()
				key := modelKey{session: fmt.Sprint("s", op&3), tab: fmt.Sprint("t", op>>2&1)}
				user, path := fmt.Sprint("u", op>>4&1), fmt.Sprint("/", op>>3&1)
				switch op >> 5 {
				case 0, 1, 2, 3:
					idle := time.Duration(i%3) * time.Duration(i) * time.Second // unknown for a third
					used(tracker, user, key.session, key.tab, path, idle)
					m.here(key, user, path, idle)
				case 4:
					leave(tracker, key.session, key.tab)
					m.leave(func(k modelKey) bool { return k == key })
				case 5:
					end(tracker, key.session)
					m.leave(func(k modelKey) bool { return k.session == key.session })
				case 6:
					time.Sleep(time.Duration(op&31) * 10 * time.Second)
				case 7:
					time.Sleep(time.Duration(op&31) * time.Second)
				}
				m.tick()
				synctest.Wait()
				online, err := tracker.Online(t.Context())
				require.NoError(t, err)
				require.Equal(t, m.shown(), names(online))
				for _, v := range online {
					found, _, err := tracker.User(t.Context(), v.User)
					require.NoError(t, err)
					require.Equal(t, v, found)
					require.Equal(t, m.idle(v.User), v.Idle)
				}
				counts, err := tracker.Count(t.Context())
				require.NoError(t, err)
				require.Equal(t, m.counts(), counts)
				require.EqualValues(t, m.gone, gone.Load())
			}
		})
	})
}

const modelTTL, modelGrace = 3 * time.Minute, 10 * time.Second

type model struct {
	tabs  map[modelKey]*modelTab
	users map[string]string // by session
	first time.Time         // the beat from which ticks are counted
	gone  int

	inputs map[string]time.Time // of users
}

type modelKey struct{ session, tab string }

type modelTab struct {
	path    string
	due     time.Time
	leaving bool
}

// here is a beat. Identify is not asked about a tab that stays on its page.
func (m *model) here(key modelKey, user, path string, idle time.Duration) {
	if len(m.tabs) == 0 {
		m.first = time.Now()
	}
	if tab := m.tabs[key]; tab == nil || tab.path != path || tab.leaving {
		m.users[key.session] = user
	}
	m.tabs[key] = &modelTab{path: path, due: time.Now().Add(modelTTL)}
	m.forgetUsers()
	user = m.users[key.session]
	last, known := m.inputs[user]
	if input := time.Now().Add(-idle); (known || idle > 0) && input.After(last) {
		m.inputs[user] = input
	}
}

// forgetUsers forgets the last input of users who have no tab any more.
func (m *model) forgetUsers() {
	maps.DeleteFunc(m.inputs, func(user string, _ time.Time) bool {
		for key := range m.tabs {
			if m.users[key.session] == user {
				return false
			}
		}
		return true
	})
}

// idle returns how long a user has been idle, 0 where that is unknown.
func (m *model) idle(user string) time.Duration {
	if input, known := m.inputs[user]; known {
		return max(time.Since(input), time.Millisecond)
	}
	return 0
}

func (m *model) leave(which func(modelKey) bool) {
	for key, tab := range m.tabs {
		if which(key) && !tab.leaving {
			tab.due, tab.leaving = time.Now().Add(modelGrace), true
		}
	}
}

// tick removes what was due at the last tick.
func (m *model) tick() {
	last := m.first.Add(time.Since(m.first).Truncate(time.Second))
	before := m.counts().Sessions
	maps.DeleteFunc(m.tabs, func(_ modelKey, tab *modelTab) bool { return !tab.due.After(last) })
	m.gone += before - m.counts().Sessions
	m.forgetUsers()
}

// shown returns what names returns for the Tracker.
func (m *model) shown() string {
	paths := map[string][]string{}
	for key, tab := range m.tabs {
		user := m.users[key.session]
		paths[user] = append(paths[user], tab.path)
	}
	var users []string
	for user, list := range paths {
		slices.Sort(list)
		users = append(users, user+":"+strings.Join(list, ","))
	}
	slices.Sort(users)
	return strings.Join(users, " ")
}

func (m *model) counts() presence.Counts {
	users, sessions, paths := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for key, tab := range m.tabs {
		users[m.users[key.session]], sessions[key.session], paths[tab.path] = true, true, true
	}
	return presence.Counts{Users: len(users), Sessions: len(sessions), Tabs: len(m.tabs), Paths: len(paths)}
}
