package presence_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
