package memory_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/memory"
	"github.com/stretchr/testify/require"
)

// encode returns the data of a session that has the given time to its deadline.
func encode(t *testing.T, left time.Duration) []byte {
	data, err := scs.GobCodec{}.Encode(time.Now().Add(left), map[string]any{"v": "x"})
	require.NoError(t, err)
	return data
}

func readDeadline(data []byte) (time.Time, error) {
	deadline, _, err := scs.GobCodec{}.Decode(data)
	return deadline, err
}

// newStore returns a Store around one that no other process writes to.
func newStore(inner scs.Store) keepalive.Store {
	return memory.New(inner, true, readDeadline).(keepalive.Store)
}

// newStoreWithSession returns a Store around a memstore with one session "k",
// that has the given time to its deadline and its expiry.
func newStoreWithSession(t *testing.T, deadline, expiry time.Duration) (s keepalive.Store, data []byte) {
	s, data = newStore(memstore.NewWithCleanupInterval(0)), encode(t, deadline)
	require.NoError(t, s.Commit("k", data, time.Now().Add(expiry)))
	return s, data
}

// requireFound requires that the session "k" is in the store with this data.
func requireFound(t *testing.T, s scs.Store, data []byte) {
	t.Helper()
	got, found, err := s.Find("k")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, data, got)
}

// requireGone requires that no method finds the session with this key.
func requireGone(t *testing.T, s keepalive.Store, key string) {
	t.Helper()
	_, found, err := s.Find(key)
	require.NoError(t, err)
	require.False(t, found)
	_, found, err = s.Expiry(t.Context(), key)
	require.NoError(t, err)
	require.False(t, found)
	_, found, err = s.Touch(t.Context(), key, time.Hour, readDeadline)
	require.NoError(t, err)
	require.False(t, found)
	found, err = s.Replace(t.Context(), key, encode(t, time.Hour), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.False(t, found)
}

// A touch moves the expiry between what it was and the deadline, and changes
// nothing else.
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
				s, data := newStoreWithSession(t, tt.deadline, tt.expiry)
				expiry, found, err := s.Touch(t.Context(), "k", tt.idle, readDeadline)
				require.NoError(t, err)
				require.Equal(t, !tt.gone, found)
				if tt.gone {
					requireGone(t, s, "k")
					return
				}
				require.Equal(t, tt.want, time.Until(expiry))
				again, found, err := s.Expiry(t.Context(), "k")
				require.NoError(t, err)
				require.True(t, found)
				require.Equal(t, expiry, again)
				requireFound(t, s, data)
				time.Sleep(tt.want + time.Nanosecond)
				_, found, err = s.Find("k")
				require.NoError(t, err)
				require.False(t, found, "the store below must know the new expiry too")
			})
		})
	}
}

func TestTouchAndReplaceNeverCreate(t *testing.T) {
	s, _ := newStoreWithSession(t, time.Hour, time.Hour)
	requireGone(t, s, "other")
	requireGone(t, s, "other") // also after these calls
}

func TestDeletedSessionIsGone(t *testing.T) {
	s, _ := newStoreWithSession(t, time.Hour, time.Hour)
	require.NoError(t, s.Delete("k"))
	requireGone(t, s, "k")
}

func TestReplaceWritesDataAndExpiry(t *testing.T) {
	s, data := newStoreWithSession(t, time.Hour, time.Hour)
	expiry := time.Now().Add(time.Minute)
	data = append(bytes.Clone(data), 0)
	found, err := s.Replace(t.Context(), "k", data, expiry)
	require.NoError(t, err)
	require.True(t, found)
	requireFound(t, s, data)
	got, _, err := s.Expiry(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, expiry, got)
}

func TestTouchReturnsTheErrorOfDeadline(t *testing.T) {
	s, _ := newStoreWithSession(t, time.Hour, time.Minute)
	failure := errors.New("unreadable")
	_, found, err := s.Touch(t.Context(), "k", time.Hour, func([]byte) (time.Time, error) { return time.Time{}, failure })
	require.ErrorIs(t, err, failure)
	require.False(t, found)
}

func TestCancelledContext(t *testing.T) {
	s, data := newStoreWithSession(t, time.Hour, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.Touch(ctx, "k", time.Hour, readDeadline)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Replace(ctx, "k", data, time.Now())
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = s.Expiry(ctx, "k")
	require.ErrorIs(t, err, context.Canceled)
	// scs gives a memstore no context, so a logout goes through.
	require.NoError(t, s.(scs.CtxStore).DeleteCtx(ctx, "k"))
	requireGone(t, s, "k")
}

// Expiry never goes beyond the deadline.
func TestExpiryIsNotBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newStoreWithSession(t, time.Minute, time.Hour)
		expiry, found, err := s.Expiry(t.Context(), "k")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, time.Minute, time.Until(expiry))
	})
}

// A session that was written before the process began lives on, and its first
// touch makes its expiry known.
func TestUnknownExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memstore.NewWithCleanupInterval(0)
		require.NoError(t, inner.Commit("k", encode(t, time.Hour), time.Now().Add(time.Minute)))
		s := newStore(inner)
		for range 2 {
			expiry, found, err := s.Expiry(t.Context(), "k")
			require.NoError(t, err)
			require.True(t, found)
			require.Zero(t, expiry)
			expiry, found, err = s.Touch(t.Context(), "k", -time.Minute, readDeadline)
			require.NoError(t, err)
			require.True(t, found)
			require.Zero(t, expiry)
		}
		expiry, found, err := s.(memory.IterableStore).TouchOf(t.Context(), "k", 50*time.Millisecond, 20*time.Minute, readDeadline)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, 20*time.Minute, time.Until(expiry), "a whole idle timeout, so that it cannot get shorter")
	})
}
