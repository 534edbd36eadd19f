package presence_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// memLog is a Log of one instance. What it appends is in sharedLog.
type memLog struct {
	shared *sharedLog
	next   int // the first record that was not read
}

// sharedLog is what instances share. It can fail.
type sharedLog struct {
	mu      sync.Mutex
	records [][]byte
	at      []time.Time
	more    chan struct{} // closed when there are more records, or down changes
	down    bool
}

func newSharedLog() *sharedLog { return &sharedLog{more: make(chan struct{})} }

func (s *sharedLog) instance() *memLog { return &memLog{shared: s} }

func (s *sharedLog) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	close(s.more)
	s.more = make(chan struct{})
}

var errDown = errors.New("it is down")

func (l *memLog) Append(_ context.Context, _ time.Duration, records [][]byte) error {
	l.shared.mu.Lock()
	if l.shared.down {
		l.shared.mu.Unlock()
		return errDown
	}
	for _, r := range records {
		l.shared.records, l.shared.at = append(l.shared.records, slices.Clone(r)), append(l.shared.at, time.Now())
	}
	l.shared.mu.Unlock()
	l.shared.set(false)
	return nil
}

func (l *memLog) Follow(ctx context.Context, keep time.Duration, record func([]byte, time.Duration), live func()) error {
	for once := false; ; once = true {
		l.shared.mu.Lock()
		records, at, more, down := l.shared.records[l.next:], l.shared.at[l.next:], l.shared.more, l.shared.down
		l.shared.mu.Unlock()
		if down {
			return errDown
		}
		l.next += len(records)
		for i, r := range records {
			if age := time.Since(at[i]); age <= keep {
				record(r, age)
			}
		}
		if !once {
			live()
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestTwoInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newSharedLog()
		var mu sync.Mutex
		var gone []string
		cfg := func(name string) presence.Config {
			return presence.Config{Log: shared.instance(), OnGone: func(g presence.Gone) {
				mu.Lock()
				defer mu.Unlock()
				gone = append(gone, name+" "+g.Session)
			}}
		}
		one, two := newTracker(t, cfg("one")), newTracker(t, cfg("two"))
		h := watch(t, two)
		both := func(want string) {
			t.Helper()
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			require.Equal(t, want, shown(t, one))
			require.Equal(t, want, shown(t, two))
		}
		here(one, "ann", "s1", "t1", "/a")
		both("ann:/a") // else either beat may be the first that two knows
		here(two, "ann", "s1", "t2", "/b")
		here(one, "bob", "s2", "t1", "/b")
		both("ann:/a,/b bob:/b")
		require.Equal(t, []string{"join ann /a 1", "join ann /b 2", "join bob /b 1"}, h.take())

		for range 10 { // beats of one tab arrive here and there
			time.Sleep(time.Minute)
			here(one, "ann", "s1", "t1", "/a")
			time.Sleep(time.Minute)
			here(two, "ann", "s1", "t1", "/a")
			here(two, "ann", "s1", "t2", "/b")
			here(two, "bob", "s2", "t1", "/b")
		}
		both("ann:/a,/b bob:/b")

		leave(one, "s1", "t1") // and comes again elsewhere
		here(two, "ann", "s1", "t1", "/c")
		time.Sleep(20 * time.Second)
		both("ann:/b,/c bob:/b")
		require.Equal(t, []string{"move ann /a/c 2"}, h.take())
		require.Empty(t, gone)

		here(one, "ann", "s1", "t1", "/c")
		leave(one, "s1", "t1") // a reload, sooner than a beat would be sent to others
		here(one, "ann", "s1", "t1", "/c")
		time.Sleep(20 * time.Second)
		both("ann:/b,/c bob:/b")
		here(two, "bob", "s2", "t1", "/d")
		here(two, "bob", "s2", "t1", "/b")
		require.Equal(t, []string{"move bob /b/d 1", "move bob /d/b 1"}, h.take(), "it ignores its own records")

		three := newTracker(t, cfg("three")) // starts later, and knows at once
		require.Equal(t, "ann:/b,/c bob:/b", shown(t, three))
		v, _, _ := three.User(t.Context(), "bob")
		w, _, _ := two.User(t.Context(), "bob")
		require.WithinDuration(t, w.Seen, v.Seen, time.Second)

		leave(three, "s2", "t1")
		end(one, "s1")
		time.Sleep(15 * time.Second)
		both("")
		require.Empty(t, shown(t, three))
		require.ElementsMatch(t, []string{"one s1", "one s2", "two s1", "two s2", "three s1", "three s2"}, gone)
	})
}

// An end that is reported again, such as by each ping of a page that stays open, is
// sent to other instances once.
func TestEndIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newSharedLog()
		tracker := newTracker(t, presence.Config{Log: shared.instance()})
		here(tracker, "ann", "s1", "t1", "/a")
		here(tracker, "ann", "s1", "t2", "/b")
		leave(tracker, "s1", "t1")
		for range 5 {
			end(tracker, "s1")
		}
		synctest.Wait()
		require.Len(t, shared.records, 4, "two beats, a page that was left, and the end")
		time.Sleep(time.Minute)
		require.Empty(t, shown(t, tracker))
	})
}

// Instances that got different users for a session at the same time agree with the next beat.
func TestInstancesAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newSharedLog()
		one, two := newTracker(t, presence.Config{Log: shared.instance()}), newTracker(t, presence.Config{Log: shared.instance()})
		here(one, "ann", "s1", "t1", "/a")
		here(two, "bob", "s1", "t1", "/a")
		time.Sleep(time.Minute)
		here(one, "ann", "s1", "t1", "/a")
		time.Sleep(time.Second)
		require.NotEmpty(t, shown(t, one))
		require.Equal(t, shown(t, one), shown(t, two))
	})
}

// An instance that starts late lets tabs leave in time, by the age of what it reads.
func TestStartsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newSharedLog()
		here(newTracker(t, presence.Config{Log: shared.instance()}), "ann", "s1", "t1", "/a")
		time.Sleep(5*time.Minute + time.Second)
		two := newTracker(t, presence.Config{Log: shared.instance()})
		require.NotEmpty(t, shown(t, two))
		time.Sleep(3 * time.Second)
		require.Empty(t, shown(t, two))
	})
}

// A tab whose instance dies in an outage has time to beat at another one.
func TestInstanceDiesInOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newSharedLog()
		one := newTracker(t, presence.Config{Log: shared.instance(), OnGone: func(presence.Gone) { t.Error("gone") }})
		two := newTracker(t, presence.Config{Log: shared.instance()})
		here(two, "ann", "s1", "t1", "/a")
		time.Sleep(time.Second)
		shared.set(true)
		time.Sleep(time.Hour)
		two.Close()
		shared.set(false)
		time.Sleep(2 * time.Minute)
		here(one, "ann", "s1", "t1", "/a")
		time.Sleep(4 * time.Minute)
		require.Equal(t, "ann:/a", shown(t, one))
		one.Close()
	})
}

// While the log is down nobody is held up, and nobody leaves.
func TestLogDown(t *testing.T) {
	for _, outage := range []time.Duration{10 * time.Second, time.Hour} {
		t.Run(outage.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newSharedLog()
				var log bytes.Buffer
				logger := slog.New(slog.NewTextHandler(&log, nil))
				var gone atomic.Int32
				cfg := func() presence.Config {
					return presence.Config{Log: shared.instance(), OnGone: func(presence.Gone) { gone.Add(1) }, Logger: logger}
				}
				one, two := newTracker(t, cfg()), newTracker(t, cfg())
				here(one, "ann", "s1", "t1", "/a")
				here(two, "bob", "s2", "t1", "/b")
				time.Sleep(time.Second)
				shared.set(true)
				begun := time.Now()
				for i := 0; time.Since(begun) < outage; i++ {
					at := time.Now()
					here(one, "ann", "s1", "t1", "/a")
					here(two, "bob", "s2", "t1", fmt.Sprint("/", i))
					here(two, "cleo", "s3", "t1", "/c")
					require.Equal(t, at, time.Now())
					time.Sleep(5 * time.Second)
				}
				require.Equal(t, "ann:/a bob:/b", shown(t, one))
				three := newTracker(t, cfg()) // starts in the outage, and does not wait for its end
				require.Empty(t, shown(t, three))

				shared.set(false)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				require.Equal(t, shown(t, two), shown(t, one))
				require.Equal(t, shown(t, two), shown(t, three))
				require.Contains(t, shown(t, one), "cleo:/c")
				require.Zero(t, gone.Load())
				text := log.String()
				require.Equal(t, 3, strings.Count(text, "nobody leaves"), "once for each instance")
				require.GreaterOrEqual(t, strings.Count(text, "works again"), 3)
				time.Sleep(10 * time.Minute)
				require.Empty(t, shown(t, one))
				require.Empty(t, shown(t, two))
				require.EqualValues(t, 3*3, gone.Load())
			})
		})
	}
}

// Beats beyond the queue are made up for by the next ones.
func TestQueueOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newSharedLog()
		var log bytes.Buffer
		const n = 20_000
		cfg := presence.Config{MaxUserTabs: n, Log: shared.instance(), Logger: slog.New(slog.NewTextHandler(&log, nil))}
		one := newTracker(t, cfg)
		cfg.Log = shared.instance()
		two := newTracker(t, cfg)
		synctest.Wait()
		shared.set(true)
		beat := func() {
			for i := range n {
				here(one, "ann", fmt.Sprint("s", i), "t", "/")
			}
		}
		beat()
		shared.set(false)
		tabs := func() int {
			count, err := two.Count(t.Context())
			require.NoError(t, err)
			return count.Tabs
		}
		time.Sleep(time.Minute)
		require.Less(t, tabs(), n)
		require.Contains(t, log.String(), "not sent")
		for tabs() < n {
			beat()
			time.Sleep(time.Minute)
		}
	})
}

func TestReadersWaitForTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{Log: silent{}, OnGone: func(presence.Gone) { t.Error("gone") }})
		here(tracker, "ann", "s1", "t1", "/a")
		time.Sleep(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := tracker.Online(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, _, err = tracker.User(ctx, "ann")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = tracker.Count(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, _, err = tracker.Subscribe(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// silent neither answers nor fails.
type silent struct{}

func (silent) Append(ctx context.Context, _ time.Duration, _ [][]byte) error {
	<-ctx.Done()
	return ctx.Err()
}

func (silent) Follow(ctx context.Context, _ time.Duration, _ func([]byte, time.Duration), _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}
