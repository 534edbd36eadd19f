package presence_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// identify takes the user and the meta from the request's headers.
func identify(r *http.Request) (string, any) {
	if m := r.Header.Get("Meta"); m != "" {
		return r.Header.Get("User"), m
	}
	return r.Header.Get("User"), nil
}

func as(user string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/keepalive/here", nil)
	r.Header.Set("User", user)
	return r
}

func newTracker(t testing.TB, cfg presence.Config) *presence.Tracker {
	t.Helper()
	if cfg.Identify == nil {
		cfg.Identify = identify
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	tracker, err := presence.New(cfg)
	require.NoError(t, err)
	t.Cleanup(tracker.Close)
	return tracker
}

func here(t *presence.Tracker, user, session, tab, path string) {
	t.Observe(as(user), presence.Beat{Session: session, Tab: tab, Path: path})
}

func leave(t *presence.Tracker, session, tab string) {
	t.Observe(as(""), presence.Beat{Session: session, Tab: tab, Leave: true})
}

// shown is who is where, such as "ann:/a,/b bob:/".
func shown(t testing.TB, tracker *presence.Tracker) string {
	t.Helper()
	online, err := tracker.Online(t.Context())
	require.NoError(t, err)
	return names(online)
}

func names(online []presence.Visitor) string {
	var users []string
	for _, v := range online {
		var paths []string
		for _, p := range v.Pages {
			paths = append(paths, p.Path)
		}
		users = append(users, v.User+":"+strings.Join(paths, ","))
	}
	return strings.Join(users, " ")
}

func TestNew(t *testing.T) {
	tests := []struct {
		name string
		cfg  presence.Config
		errs []string // none: it is valid
	}{
		{name: "defaults", cfg: presence.Config{Identify: identify}},
		{name: "nobody to identify", errs: []string{"Config.Identify is nil"}},
		{name: "shorter than the slowest beat", cfg: presence.Config{Identify: identify, TTL: 2 * time.Minute}, errs: []string{"Config.TTL is 2m0s; write 3m0s to 12h0m0s"}},
		{name: "every problem", cfg: presence.Config{TTL: -1, Grace: -1, MaxTabs: -1, MaxTotal: -1, MaxPath: 1 << 20, Buffer: -1},
			errs: []string{"Identify", "TTL", "Grace", "MaxTabs", "MaxTotal", "MaxPath", "Buffer"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tracker, err := presence.New(tt.cfg)
			if tt.errs == nil {
				require.NoError(t, err)
				tracker.Close()
			}
			for _, text := range tt.errs {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

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

// The wheel turns several times in a long time to live.
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

// happenings are the events as short texts, until the test's context ends.
type happenings struct {
	mu   sync.Mutex
	list []string
}

func watch(t *testing.T, tracker *presence.Tracker) *happenings {
	t.Helper()
	_, events, err := tracker.Subscribe(t.Context())
	require.NoError(t, err)
	h := &happenings{}
	go func() {
		for e := range events {
			h.mu.Lock()
			h.list = append(h.list, strings.TrimSpace(fmt.Sprintf("%s %s %s%s %d", e.Kind, e.User, e.From, e.Path, e.Tabs)))
			h.mu.Unlock()
		}
	}()
	return h
}

// taken returns what has happened since it was last called.
func (h *happenings) taken() []string {
	time.Sleep(50 * time.Millisecond)
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.list
	h.list = nil
	return list
}

func TestNavigation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []string
		tracker := newTracker(t, presence.Config{OnGone: func(g presence.Gone) { gone = append(gone, g.Session+" "+g.User) }})
		h := watch(t, tracker)
		here(tracker, "ann", "s1", "t1", "/a")
		here(tracker, "ann", "s1", "t2", "/b")
		require.Equal(t, []string{"join ann /a 1", "join ann /b 2"}, h.taken())

		leave(tracker, "s1", "t1") // a link
		time.Sleep(9 * time.Second)
		require.Equal(t, "ann:/a,/b", shown(t, tracker))
		here(tracker, "ann", "s1", "t1", "/c")
		time.Sleep(time.Minute)
		require.Equal(t, []string{"move ann /a/c 2"}, h.taken())

		leave(tracker, "s1", "t1") // reload
		here(tracker, "ann", "s1", "t1", "/c")
		time.Sleep(time.Minute)
		require.Empty(t, h.taken())

		leave(tracker, "s1", "t1")
		leave(tracker, "s1", "t1") // again
		time.Sleep(13 * time.Second)
		require.Equal(t, []string{"leave ann /c 1"}, h.taken())
		require.Equal(t, "ann:/b", shown(t, tracker))
		synctest.Wait()
		require.Empty(t, gone, "a page of the session is open")

		leave(tracker, "s1", "t2")
		time.Sleep(13 * time.Second)
		require.Equal(t, []string{"leave ann /b 0"}, h.taken())
		require.Equal(t, []string{"s1 ann"}, gone)
		leave(tracker, "s1", "t2") // of nobody
		time.Sleep(time.Minute)
		require.Empty(t, h.taken())
		require.Len(t, gone, 1)
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
		{name: "session ended", end: func(tr *presence.Tracker) { tr.End("s1") }, in: 12 * time.Second},
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
		}, h.taken())
		v, found, _ := tracker.User(t.Context(), "ann")
		require.False(t, found, v)
	})
}

func TestMeta(t *testing.T) {
	var log bytes.Buffer
	var meta any
	tracker := newTracker(t, presence.Config{
		Identify: func(*http.Request) (string, any) { return "ann", meta },
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
	require.Equal(t, 2, strings.Count(log.String(), "can't be shown"))
}

// A message that overtook another one wins.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{})
		send := func(sent int64, path string, leave bool) {
			tracker.Observe(as("ann"), presence.Beat{Session: "s", Tab: "t", Path: path, Sent: sent, Leave: leave})
		}
		now := time.Now().UnixMilli()
		send(now, "/b", false)
		send(now-20, "", true)
		send(now-30, "/a", false)
		time.Sleep(time.Minute)
		require.Equal(t, "ann:/b", shown(t, tracker))
		send(now-time.Hour.Milliseconds(), "/c", false) // somebody has set the clock
		require.Equal(t, "ann:/c", shown(t, tracker))
		send(0, "/d", false)
		require.Equal(t, "ann:/d", shown(t, tracker))
		send(0, "/c", true) // of a page that has been followed by another one
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
		go tracker.Observe(slow, presence.Beat{Session: "s", Tab: "t", Path: "/a", Sent: 1000})
		synctest.Wait()
		tracker.Observe(as("ann"), presence.Beat{Session: "s", Tab: "t", Path: "/b", Sent: 1001})
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

func TestSlowSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{Buffer: 10})
		h := watch(t, tracker)
		online, events, err := tracker.Subscribe(t.Context())
		require.NoError(t, err)
		require.Empty(t, online)
		for i := range 11 {
			here(tracker, "ann", "s", "t", fmt.Sprint("/", i))
			h.taken()
		}
		for range events {
			t.Fatal("an event after others were lost")
		}
		online, events, err = tracker.Subscribe(t.Context())
		require.NoError(t, err)
		require.Equal(t, "ann:/10", names(online))
		here(tracker, "ann", "s", "t", "/11")
		for e := range events {
			require.Equal(t, "/11", e.Path)
			break
		}
		require.Equal(t, []string{"move ann /10/11 1"}, h.taken(), "others are not held up")
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{})
		_, events, err := tracker.Subscribe(t.Context())
		require.NoError(t, err)
		ended := make(chan struct{})
		go func() {
			for range events {
			}
			close(ended)
		}()
		synctest.Wait()
		tracker.Close()
		tracker.Close()
		<-ended
		_, _, err = tracker.Subscribe(t.Context())
		require.ErrorIs(t, err, presence.ErrClosed)
		here(tracker, "ann", "s", "t", "/")
		require.Empty(t, shown(t, tracker))
	})
}

// 1,000 tabs with subscribers cost no goroutine.
func TestGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	tracker := newTracker(t, presence.Config{})
	for i := range 1000 {
		_, _, err := tracker.Subscribe(t.Context())
		require.NoError(t, err)
		here(tracker, "ann", fmt.Sprint(i), "t", "/")
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
}

func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{OnGone: func(presence.Gone) {}})
		h := watch(t, tracker)
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				user := fmt.Sprint("u", i%4)
				for j := range 500 {
					session, tab := fmt.Sprint("s", i), fmt.Sprint("t", j%5)
					here(tracker, user, session, tab, fmt.Sprint("/", j%7))
					switch j % 50 {
					case 10:
						leave(tracker, session, tab)
					case 20:
						tracker.End(session)
					case 30:
						_, _ = tracker.Online(t.Context())
						_, _, _ = tracker.User(t.Context(), user)
					case 40:
						time.Sleep(6 * time.Second)
					}
				}
			})
		}
		wg.Wait()
		require.NotEmpty(t, h.taken())
		time.Sleep(10 * time.Minute)
		count, err := tracker.Count(t.Context())
		require.NoError(t, err)
		require.Zero(t, count)
	})
}
