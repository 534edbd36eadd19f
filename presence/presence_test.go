package presence_test

import (
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

	"github.com/seed4a306b22/keepalive"
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
	t.Observe(keepalive.Event{Kind: keepalive.EventHere, Request: as(user), Session: session, Tab: tab, Page: path})
}

func leave(t *presence.Tracker, session, tab string) {
	t.Observe(keepalive.Event{Kind: keepalive.EventLeave, Request: as(""), Session: session, Tab: tab})
}

func end(t *presence.Tracker, session string) {
	t.Observe(keepalive.Event{Kind: keepalive.EventDestroy, Session: session})
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
		{name: "users from keepalive", cfg: presence.Config{}},
		{name: "shorter than the slowest beat", cfg: presence.Config{Identify: identify, TTL: 2 * time.Minute}, errs: []string{"Config.TTL is 2m0s; write 3m0s to 12h0m0s"}},
		{name: "away before input is known", cfg: presence.Config{Away: time.Minute}, errs: []string{"Config.Away is 1m0s; write 3m0s to 12h0m0s"}},
		{name: "every problem", cfg: presence.Config{TTL: -1, Grace: -1, Away: -1, MaxTabs: -1, MaxUserTabs: -1, MaxTotal: -1, MaxPath: 1 << 20, Buffer: -1},
			errs: []string{"TTL", "Grace", "Away", "MaxTabs", "MaxUserTabs", "MaxTotal", "MaxPath", "Buffer"}},
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
						end(tracker, session)
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
		require.NotEmpty(t, h.take())
		time.Sleep(10 * time.Minute)
		count, err := tracker.Count(t.Context())
		require.NoError(t, err)
		require.Zero(t, count)
	})
}
