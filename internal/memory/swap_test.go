package memory_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive/internal/memory"
	"github.com/stretchr/testify/require"
)

// A swap writes data in place of what was read, with an expiry or with the one
// that is there.
func TestSwapOf(t *testing.T) {
	tests := []struct {
		name             string
		shared           bool // with other processes
		unseen           bool // another process has written the session
		deadline, expiry time.Duration
		to               time.Duration // 0 keeps the expiry
		want             time.Duration
		gone             bool
	}{
		{name: "longer", deadline: time.Hour, expiry: time.Minute, to: 20 * time.Minute, want: 20 * time.Minute},
		{name: "shorter", deadline: time.Hour, expiry: 20 * time.Minute, to: time.Minute, want: time.Minute},
		{name: "kept", deadline: time.Hour, expiry: time.Minute, want: time.Minute},
		{name: "kept, not beyond the deadline", deadline: time.Minute, expiry: time.Hour, want: time.Minute},
		{name: "unknown", unseen: true, deadline: time.Hour, expiry: time.Minute, want: 30 * time.Minute},
		{name: "unknown, not beyond the deadline", unseen: true, deadline: 10 * time.Minute, expiry: time.Minute, want: 10 * time.Minute},
		{name: "maybe longer elsewhere", shared: true, deadline: time.Hour, expiry: time.Minute, want: 30 * time.Minute},
		{name: "expired", deadline: time.Hour, expiry: -time.Nanosecond, gone: true},
		{name: "past the deadline", deadline: -time.Nanosecond, expiry: time.Hour, gone: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := memstore.NewWithCleanupInterval(0)
				s := memory.New(inner, !tt.shared, readDeadline).(memory.IterableStore)
				old, data := encode(t, tt.deadline), append(encode(t, tt.deadline), 0)
				write := s.Commit
				if tt.unseen {
					write = inner.Commit
				}
				require.NoError(t, write("k", old, time.Now().Add(tt.expiry)))
				var to time.Time
				if tt.to > 0 {
					to = time.Now().Add(tt.to)
				}
				current, stored, found, err := s.SwapOf(t.Context(), "k", old, data, to, 30*time.Minute)
				require.NoError(t, err)
				require.Nil(t, current)
				require.Equal(t, !tt.gone, found)
				if tt.gone {
					requireGone(t, s, "k")
					return
				}
				require.Equal(t, tt.want, time.Until(stored))
				requireFound(t, s, data)
				time.Sleep(tt.want - time.Nanosecond)
				requireFound(t, s, data)
				time.Sleep(2 * time.Nanosecond)
				requireGone(t, s, "k")
			})
		})
	}
}

func TestSwapOfOtherDataWritesNothing(t *testing.T) {
	s, data := newStoreWithSession(t, time.Hour, time.Minute)
	before, _, err := s.Expiry(t.Context(), "k")
	require.NoError(t, err)
	for _, old := range [][]byte{nil, {}, data[:len(data)-1], append(bytes.Clone(data), 0)} {
		current, found, err := s.(memory.IterableStore).Swap(t.Context(), "k", old, []byte("new"), time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, data, current)
		requireFound(t, s, data)
		after, _, err := s.Expiry(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
}

// Without an idle timeout to go by, a session whose expiry is not known gets all
// the time to its deadline.
func TestSwapOfUnknownExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, data := memstore.NewWithCleanupInterval(0), encode(t, time.Hour)
		require.NoError(t, inner.Commit("k", data, time.Now().Add(time.Minute)))
		s := newStore(inner)
		_, found, err := s.(memory.IterableStore).Swap(t.Context(), "k", data, data, time.Time{})
		require.NoError(t, err)
		require.True(t, found)
		expiry, _, err := s.Expiry(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, time.Hour, time.Until(expiry))
	})
}

func TestTake(t *testing.T) {
	tests := []struct {
		name             string
		deadline, expiry time.Duration
		found            bool
	}{
		{name: "live", deadline: time.Hour, expiry: time.Minute, found: true},
		{name: "expired", deadline: time.Hour, expiry: -time.Nanosecond},
		{name: "past the deadline", deadline: -time.Nanosecond, expiry: time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, data := memstore.NewWithCleanupInterval(0), encode(t, tt.deadline)
				s := newStore(keepingStore{inner})
				require.NoError(t, s.Commit("k", data, time.Now().Add(tt.expiry)))
				got, found, err := s.(*memory.Store).Take(t.Context(), "k")
				require.NoError(t, err)
				require.Equal(t, tt.found, found)
				if found {
					require.Equal(t, data, got)
				}
				_, found, err = inner.Find("k")
				require.NoError(t, err)
				require.False(t, found, "it is deleted in any case")
				requireGone(t, s, "k")
			})
		})
	}
}

// Of many takes at once, one finds the session.
func TestTakeFindsOnce(t *testing.T) {
	s, _ := newStoreWithSession(t, time.Hour, time.Hour)
	found := make(chan bool, 100)
	var wg sync.WaitGroup
	for range cap(found) {
		wg.Go(func() {
			_, ok, err := s.(memory.IterableStore).Take(t.Context(), "k")
			found <- ok && err == nil
		})
	}
	wg.Wait()
	close(found)
	n := 0
	for ok := range found {
		if ok {
			n++
		}
	}
	require.Equal(t, 1, n)
}

// A context that has ended ends a swap, and a take only where it ends a delete.
func TestSwapAndTakeWithCancelledContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, data := newStoreWithSession(t, time.Hour, time.Hour)
	_, _, err := s.(memory.IterableStore).Swap(ctx, "k", data, append(bytes.Clone(data), 0), time.Time{})
	require.ErrorIs(t, err, context.Canceled)
	requireFound(t, s, data)
	got, found, err := s.(memory.IterableStore).Take(ctx, "k")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, data, got)

	s = newStore(ctxStore{MemStore: memstore.NewWithCleanupInterval(0)})
	require.NoError(t, s.Commit("k", data, time.Now().Add(time.Hour)))
	_, _, err = s.(memory.IterableStore).Take(ctx, "k")
	require.ErrorIs(t, err, context.Canceled)
	requireFound(t, s, data)
}

// Data that is handed out is not overwritten by a later write of the store below.
func TestDataOfMappedMemoryIsCloned(t *testing.T) {
	s := newStore(&mappedStore{Store: memstore.NewWithCleanupInterval(0)}).(*memory.Store)
	data, next := encode(t, time.Hour), append(encode(t, time.Hour), 0)
	require.NoError(t, s.Commit("k", data, time.Now().Add(time.Hour)))
	loaded, _, err := s.Find("k")
	require.NoError(t, err)
	current, found, err := s.Swap(t.Context(), "k", nil, next, time.Time{})
	require.NoError(t, err)
	require.True(t, found)
	_, _, err = s.Swap(t.Context(), "k", data, next, time.Time{})
	require.NoError(t, err)
	require.Equal(t, data, loaded)
	require.Equal(t, data, current)
	taken, _, err := s.Take(t.Context(), "k")
	require.NoError(t, err)
	require.NoError(t, s.Commit("k", data, time.Now().Add(time.Hour)))
	require.Equal(t, next, taken)
}

func TestSwapAndTakeReturnErrorsOfTheStore(t *testing.T) {
	inner := &failingStore{Store: memstore.NewWithCleanupInterval(0)}
	s := newStore(inner).(*memory.Store)
	data := encode(t, time.Hour)
	require.NoError(t, s.Commit("k", data, time.Now().Add(time.Hour)))
	_, found, err := s.Swap(t.Context(), "k", data, []byte("no deadline"), time.Time{})
	require.Error(t, err)
	require.False(t, found)
	requireFound(t, s, data)
	inner.err = errors.New("no route to the store")
	_, found, err = s.Swap(t.Context(), "k", data, data, time.Time{})
	require.ErrorIs(t, err, inner.err)
	require.False(t, found)
	_, found, err = s.Take(t.Context(), "k")
	require.ErrorIs(t, err, inner.err)
	require.False(t, found)
	inner.err = nil
	inner.deleteErr = errors.New("read-only")
	_, found, err = s.Take(t.Context(), "k")
	require.ErrorIs(t, err, inner.deleteErr)
	require.False(t, found)
}
