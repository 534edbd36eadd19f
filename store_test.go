package keepalive_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// countingStore counts what reaches the store below, and fails when told to.
type countingStore struct {
	scs.Store
	finds, commits atomic.Int64
	err            atomic.Pointer[error]
}

func (s *countingStore) fail(err error) { s.err.Store(&err) }

func (s *countingStore) failure() error {
	if p := s.err.Load(); p != nil {
		return *p
	}
	return nil
}

func (s *countingStore) Find(key string) ([]byte, bool, error) {
	s.finds.Add(1)
	if err := s.failure(); err != nil {
		return nil, false, err
	}
	return s.Store.Find(key)
}

func (s *countingStore) Commit(key string, data []byte, expiry time.Time) error {
	s.commits.Add(1)
	if err := s.failure(); err != nil {
		return err
	}
	return s.Store.Commit(key, data, expiry)
}

func (s *countingStore) Delete(key string) error {
	if err := s.failure(); err != nil {
		return err
	}
	return s.Store.Delete(key)
}

// newStore is the in-process Store around a memstore, with one session "k" that
// has the given time until its deadline and its expiry.
func newStore(t *testing.T, deadline, expiry time.Duration) (s keepalive.Store, data []byte, read func([]byte) (time.Time, error)) {
	sm := newSessions()
	newManager(t, sm, keepalive.Config{})
	s = sm.Store.(keepalive.Store)
	data, err := sm.Codec.Encode(time.Now().Add(deadline), map[string]any{"v": "x"})
	require.NoError(t, err)
	require.NoError(t, s.Commit("k", data, time.Now().Add(expiry)))
	return s, data, func(b []byte) (time.Time, error) {
		t, _, err := sm.Codec.Decode(b)
		return t, err
	}
}

func TestTouch(t *testing.T) {
	tests := []struct {
		name                   string
		deadline, expiry, idle time.Duration
		want                   time.Duration
		gone                   bool
	}{
		{name: "extends", deadline: time.Hour, expiry: time.Minute, idle: 20 * time.Minute, want: 20 * time.Minute},
		{name: "never backwards", deadline: time.Hour, expiry: 30 * time.Minute, idle: 20 * time.Minute, want: 30 * time.Minute},
		{name: "not beyond the deadline", deadline: 10 * time.Minute, expiry: time.Minute, idle: 20 * time.Minute, want: 10 * time.Minute},
		{name: "back to the deadline", deadline: 10 * time.Minute, expiry: 30 * time.Minute, idle: 20 * time.Minute, want: 10 * time.Minute},
		{name: "idle zero", deadline: time.Hour, expiry: time.Minute, idle: 0, want: time.Minute},
		{name: "idle negative", deadline: time.Hour, expiry: time.Minute, idle: -time.Hour, want: time.Minute},
		{name: "precise", deadline: time.Hour, expiry: time.Minute, idle: time.Minute + time.Nanosecond, want: time.Minute + time.Nanosecond},
		{name: "expired", deadline: time.Hour, expiry: -time.Nanosecond, idle: 20 * time.Minute, gone: true},
		{name: "past the deadline", deadline: -time.Nanosecond, expiry: time.Hour, idle: 20 * time.Minute, gone: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, data, read := newStore(t, tt.deadline, tt.expiry)
				ctx := t.Context()
				expiry, found, err := s.Touch(ctx, "k", tt.idle, read)
				require.NoError(t, err)
				require.Equal(t, !tt.gone, found)
				if tt.gone {
					_, found, err = s.Find("k")
					require.NoError(t, err)
					require.False(t, found)
					_, found, err = s.Expiry(ctx, "k")
					require.NoError(t, err)
					require.False(t, found)
					found, err = s.Replace(ctx, "k", data, time.Now().Add(time.Hour))
					require.NoError(t, err)
					require.False(t, found)
					return
				}
				require.Equal(t, tt.want, time.Until(expiry))
				again, found, err := s.Expiry(ctx, "k")
				require.NoError(t, err)
				require.True(t, found)
				require.Equal(t, expiry, again)
				kept, found, err := s.Find("k")
				require.NoError(t, err)
				require.True(t, found)
				require.Equal(t, data, kept)
				time.Sleep(tt.want + time.Nanosecond)
				_, found, err = s.Find("k")
				require.NoError(t, err)
				require.False(t, found, "the store below must know the new expiry too")
			})
		})
	}
}

func TestStoreNeverCreates(t *testing.T) {
	s, data, read := newStore(t, time.Hour, time.Hour)
	_, found, err := s.Touch(t.Context(), "other", time.Hour, read)
	require.NoError(t, err)
	require.False(t, found)
	found, err = s.Replace(t.Context(), "other", data, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.False(t, found)
	_, found, err = s.Find("other")
	require.NoError(t, err)
	require.False(t, found)
}

func TestReplace(t *testing.T) {
	s, data, _ := newStore(t, time.Hour, time.Hour)
	expiry := time.Now().Add(time.Minute)
	data = append(data[:len(data):len(data)], 0)
	found, err := s.Replace(t.Context(), "k", data, expiry)
	require.NoError(t, err)
	require.True(t, found)
	got, _, err := s.Find("k")
	require.NoError(t, err)
	require.Equal(t, data, got)
	e, _, err := s.Expiry(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, expiry, e)
}

func TestTouchReturnsTheErrorOfDeadline(t *testing.T) {
	s, _, _ := newStore(t, time.Hour, time.Minute)
	broken := errors.New("broken")
	_, found, err := s.Touch(t.Context(), "k", time.Hour, func([]byte) (time.Time, error) { return time.Time{}, broken })
	require.ErrorIs(t, err, broken)
	require.False(t, found)
}

func TestCancelledContext(t *testing.T) {
	s, data, read := newStore(t, time.Hour, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.Touch(ctx, "k", time.Hour, read)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Replace(ctx, "k", data, time.Now())
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = s.Expiry(ctx, "k")
	require.ErrorIs(t, err, context.Canceled)
	// scs gives a memstore no context, so a logout goes through.
	require.NoError(t, s.(scs.CtxStore).DeleteCtx(ctx, "k"))
	_, found, err := s.Find("k")
	require.NoError(t, err)
	require.False(t, found)
}

// A touch that waits for a slow store ends with its context.
func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		sm.Store = gateStore{memstore.NewWithCleanupInterval(0)}
		newManager(t, sm, keepalive.Config{})
		s := sm.Store.(keepalive.Store)
		g := apptest.NewGate()
		slow := context.WithValue(context.WithValue(t.Context(), apptest.GateKey{}, g), inStore{}, true)
		go func() { _, _, _ = s.Expiry(slow, "k") }()
		<-g.Reached
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := s.Expiry(ctx, "k")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		close(g.Open)
	})
}

// A session that was written before the process began lives on, and its first
// touch makes its expiry known.
func TestUnknownExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		data, err := sm.Codec.Encode(time.Now().Add(time.Hour), nil)
		require.NoError(t, err)
		require.NoError(t, sm.Store.Commit("k", data, time.Now().Add(time.Minute)))
		newManager(t, sm, keepalive.Config{})
		s := sm.Store.(keepalive.Store)
		for range 2 {
			expiry, found, err := s.Expiry(t.Context(), "k")
			require.NoError(t, err)
			require.True(t, found)
			require.Zero(t, expiry)
			expiry, found, err = s.Touch(t.Context(), "k", -time.Minute, func([]byte) (time.Time, error) { return time.Now().Add(time.Hour), nil })
			require.NoError(t, err)
			require.True(t, found)
			require.Zero(t, expiry)
		}
		expiry, found, err := s.Touch(t.Context(), "k", 50*time.Millisecond, func([]byte) (time.Time, error) { return time.Now().Add(time.Hour), nil })
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, 20*time.Minute, time.Until(expiry))
	})
}

// plainStore has none of the optional abilities.
type plainStore struct{ scs.Store }

type iterableCtxStore struct{ gateStore }

func (s iterableCtxStore) AllCtx(context.Context) (map[string][]byte, error) { return s.MemStore.All() }

func TestAbilitiesAreKept(t *testing.T) {
	mem := memstore.NewWithCleanupInterval(0)
	tests := []struct {
		name     string
		store    scs.Store
		iterable bool
		warns    bool
	}{
		{name: "memstore", store: mem, iterable: true},
		{name: "unknown store", store: plainStore{mem}, warns: true},
		{name: "store with contexts", store: gateStore{mem}, iterable: true, warns: true},
		{name: "iterable by context", store: iterableCtxStore{gateStore{mem}}, iterable: true, warns: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log strings.Builder
			sm := newSessions()
			sm.Store = tt.store
			newManager(t, sm, keepalive.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			require.Implements(t, (*keepalive.Store)(nil), sm.Store)
			require.Implements(t, (*scs.CtxStore)(nil), sm.Store)
			_, iterable := sm.Store.(scs.IterableStore)
			require.Equal(t, tt.iterable, iterable)
			require.Equal(t, tt.warns, strings.Contains(log.String(), "several instances"))
			if iterable {
				for name, left := range map[string]time.Duration{"alive": time.Hour, "past its deadline": -time.Hour} {
					data, err := sm.Codec.Encode(time.Now().Add(left), map[string]any{"name": name})
					require.NoError(t, err)
					require.NoError(t, sm.Store.Commit(name, data, time.Now().Add(time.Hour)))
				}
				var names []string
				require.NoError(t, sm.Iterate(t.Context(), func(ctx context.Context) error {
					names = append(names, sm.GetString(ctx, "name"))
					return nil
				}))
				require.Equal(t, []string{"alive"}, names)
			}
			before := sm.Store
			newManager(t, sm, keepalive.Config{})
			require.True(t, before == sm.Store, "a Store is not wrapped again")
		})
	}
}

// mappedStore hands out memory that its next Commit overwrites, as a store on
// mapped memory does.
type mappedStore struct {
	scs.Store
	out []byte
}

func (s *mappedStore) Find(key string) ([]byte, bool, error) {
	data, found, err := s.Store.Find(key)
	s.out = bytes.Clone(data)
	return s.out, found, err
}

func (s *mappedStore) Commit(key string, data []byte, expiry time.Time) error {
	clear(s.out)
	return s.Store.Commit(key, bytes.Clone(data), expiry)
}

func TestTouchOfMappedMemory(t *testing.T) {
	sm := newSessions()
	sm.Store = &mappedStore{Store: sm.Store}
	c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
	c.Get("/put?v=x")
	readAnswer(t, c.Ping())
	_, values, _ := apptest.Stored(t, sm, c.Token)
	require.Equal(t, map[string]any{"v": "x"}, values)
}

// After a Commit that failed nobody knows which expiry the store has.
func TestFailedCommitForgetsTheExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		counted := &countingStore{Store: sm.Store}
		sm.Store = counted
		c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
		c.Get("/login")
		s := sm.Store.(keepalive.Store)
		data, _, err := s.Find(c.Token)
		require.NoError(t, err)
		counted.fail(errors.New("broken"))
		require.Error(t, s.Commit(c.Token, data, time.Now().Add(time.Hour)))
		counted.fail(nil)
		expiry, found, err := s.Expiry(t.Context(), c.Token)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, time.Time{}, expiry, "no longer than is certain")
	})
}
