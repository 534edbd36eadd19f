package presence_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// eventLog are the events as short texts, until the test's context ends.
type eventLog struct {
	mu   sync.Mutex
	list []string
}

func watch(t *testing.T, tracker *presence.Tracker) *eventLog {
	t.Helper()
	_, events, err := tracker.Subscribe(t.Context())
	require.NoError(t, err)
	h := &eventLog{}
	go func() {
		for e := range events {
			h.mu.Lock()
			h.list = append(h.list, strings.TrimSpace(fmt.Sprintf("%s %s %s%s %d", e.Kind, e.User, e.From, e.Path, e.Tabs)))
			h.mu.Unlock()
		}
	}()
	return h
}

// take returns the events since the last call.
func (h *eventLog) take() []string {
	time.Sleep(50 * time.Millisecond)
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.list
	h.list = nil
	return list
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
			h.take()
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
		require.Equal(t, []string{"move ann /10/11 1"}, h.take(), "others are not held up")
	})
}

// Whoever has left, in whatever way, costs nothing.
func TestSubscribersLeave(t *testing.T) {
	tests := []struct {
		name  string
		leave func(cancel func(), events iter.Seq[presence.Event], tracker *presence.Tracker)
	}{
		{name: "before the loop", leave: func(cancel func(), _ iter.Seq[presence.Event], _ *presence.Tracker) { cancel() }},
		{name: "in the loop", leave: func(cancel func(), events iter.Seq[presence.Event], tracker *presence.Tracker) {
			here(tracker, "ann", "s", "t1", "/b")
			for range events {
				cancel()
			}
		}},
		{name: "out of the loop, and never ends the context", leave: func(_ func(), events iter.Seq[presence.Event], tracker *presence.Tracker) {
			here(tracker, "ann", "s", "t1", "/b")
			for range events {
				break
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker := newTracker(t, presence.Config{})
				for i, path := range []string{"/a", "/a", "/b", "/a"} {
					here(tracker, "ann", "s", fmt.Sprint("t", i), path)
				}
				cost := func() float64 {
					i := 0
					e := keepalive.Event{Kind: keepalive.EventHere, Request: as("ann"), Session: "s", Tab: "t0"}
					return testing.AllocsPerRun(100, func() {
						e.Page = []string{"/b", "/a"}[i&1]
						i++
						tracker.Observe(e)
					})
				}
				before := cost()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				_, events, err := tracker.Subscribe(ctx)
				require.NoError(t, err)
				require.Greater(t, cost(), before)
				tt.leave(cancel, events, tracker)
				synctest.Wait()
				require.Equal(t, before, cost())
			})
		})
	}
}

// Close ends everybody who waits, and so do the ends of their requests, in any order.
func TestEverybodyLeavesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{Buffer: 5})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 200 {
			ctx := ctx
			if i%2 == 0 {
				ctx = t.Context()
			}
			done := stream(ctx, tracker, []string{"/", "/?path=/1"}[i/2%2], &pipe{})
			wg.Go(func() { <-done })
		}
		synctest.Wait()
		wg.Go(func() {
			for i := range 1000 {
				here(tracker, "ann", "s", "t", fmt.Sprint("/", i%3))
			}
		})
		wg.Go(cancel)
		wg.Go(tracker.Close)
		begun := time.Now()
		wg.Wait()
		require.Less(t, time.Since(begun), time.Second)
	})
}
