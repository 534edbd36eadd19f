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
	"github.com/stretchr/testify/require"
)

// What a Store makes of the store that it is put around.

// ctxStore is a memstore that takes contexts. Its FindCtx waits for wait, if any.
type ctxStore struct {
	*memstore.MemStore
	reached, wait chan struct{}
}

func (s ctxStore) FindCtx(_ context.Context, key string) ([]byte, bool, error) {
	if s.wait != nil {
		close(s.reached)
		<-s.wait
	}
	return s.Find(key)
}

func (s ctxStore) CommitCtx(ctx context.Context, key string, data []byte, expiry time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Commit(key, data, expiry)
}

func (s ctxStore) DeleteCtx(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Delete(key)
}

// A store that takes contexts gets them, so that a write ends with its request.
func TestContextReachesTheStore(t *testing.T) {
	s := newStore(ctxStore{MemStore: memstore.NewWithCleanupInterval(0)}).(scs.CtxStore)
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, s.CommitCtx(ctx, "k", encode(t, time.Hour), time.Now().Add(time.Hour)))
	cancel()
	require.ErrorIs(t, s.CommitCtx(ctx, "k", encode(t, time.Hour), time.Now()), context.Canceled)
	require.ErrorIs(t, s.DeleteCtx(ctx, "k"), context.Canceled)
	_, found, err := s.Find("k")
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, s.DeleteCtx(t.Context(), "k"))
	_, found, err = s.Find("k")
	require.NoError(t, err)
	require.False(t, found)
}

// A call that waits for a slow one of the same session ends with its context.
func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := ctxStore{MemStore: memstore.NewWithCleanupInterval(0), reached: make(chan struct{}), wait: make(chan struct{})}
		s := newStore(slow)
		go func() { _, _, _ = s.Expiry(t.Context(), "k") }()
		<-slow.reached
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := s.Expiry(ctx, "k")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		close(slow.wait)
	})
}

// plainStore hides all that a store can do beyond scs.Store.
type plainStore struct{ scs.Store }

// iterableCtxStore can iterate with a context only.
type iterableCtxStore struct {
	plainStore
	mem *memstore.MemStore
}

func (s iterableCtxStore) AllCtx(context.Context) (map[string][]byte, error) { return s.mem.All() }

// scs finds optional abilities by type, so a wrapped store has those of the one
// below.
func TestAbilitiesAreKept(t *testing.T) {
	mem := memstore.NewWithCleanupInterval(0)
	tests := []struct {
		name     string
		inner    scs.Store
		iterable bool
	}{
		{name: "memstore", inner: mem, iterable: true},
		{name: "nothing more than a store", inner: plainStore{mem}},
		{name: "with contexts", inner: ctxStore{MemStore: mem}, iterable: true},
		{name: "iterable by context", inner: iterableCtxStore{plainStore{mem}, mem}, iterable: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(tt.inner)
			require.Implements(t, (*scs.CtxStore)(nil), s)
			byCtx, ok := s.(scs.IterableCtxStore)
			require.Equal(t, tt.iterable, ok)
			all, ok := s.(scs.IterableStore)
			require.Equal(t, tt.iterable, ok)
			alive := encode(t, time.Hour)
			require.NoError(t, s.Commit("k", alive, time.Now().Add(time.Hour)))
			require.NoError(t, s.Commit("past its deadline", encode(t, -time.Hour), time.Now().Add(time.Hour)))
			requireFound(t, s, alive)
			if !tt.iterable {
				return
			}
			got, err := all.All()
			require.NoError(t, err)
			require.Equal(t, map[string][]byte{"k": alive}, got)
			got, err = byCtx.AllCtx(t.Context())
			require.NoError(t, err)
			require.Equal(t, map[string][]byte{"k": alive}, got)
		})
	}
}

// mappedStore returns memory that each Commit overwrites, as a store on mapped
// memory does.
type mappedStore struct {
	scs.Store
	returned [][]byte
}

func (s *mappedStore) Find(key string) ([]byte, bool, error) {
	data, found, err := s.Store.Find(key)
	data = bytes.Clone(data)
	s.returned = append(s.returned, data)
	return data, found, err
}

func (s *mappedStore) Commit(key string, data []byte, expiry time.Time) error {
	for _, b := range s.returned {
		clear(b)
	}
	return s.Store.Commit(key, bytes.Clone(data), expiry)
}

// mappedList is a mappedStore that can list its only session.
type mappedList struct{ *mappedStore }

func (s mappedList) All() (map[string][]byte, error) {
	data, _, err := s.Find("k")
	return map[string][]byte{"k": data}, err
}

func TestAllOfMappedMemory(t *testing.T) {
	s := newStore(mappedList{&mappedStore{Store: memstore.NewWithCleanupInterval(0)}})
	data := encode(t, time.Hour)
	require.NoError(t, s.Commit("k", data, time.Now().Add(time.Minute)))
	all, err := s.(scs.IterableStore).All()
	require.NoError(t, err)
	require.NoError(t, s.Commit("k", encode(t, time.Hour), time.Now().Add(time.Minute)))
	require.Equal(t, data, all["k"])
}

func TestTouchOfMappedMemory(t *testing.T) {
	s := newStore(&mappedStore{Store: memstore.NewWithCleanupInterval(0)})
	data := encode(t, time.Hour)
	require.NoError(t, s.Commit("k", data, time.Now().Add(time.Minute)))
	_, found, err := s.Touch(t.Context(), "k", 20*time.Minute, readDeadline)
	require.NoError(t, err)
	require.True(t, found)
	requireFound(t, s, data)
}

// failingStore fails on request.
type failingStore struct {
	scs.Store
	err, deleteErr error
}

func (s *failingStore) Delete(key string) error {
	if s.deleteErr != nil {
		return s.deleteErr
	}
	return s.Store.Delete(key)
}

func (s *failingStore) Find(key string) ([]byte, bool, error) {
	if s.err != nil {
		return nil, false, s.err
	}
	return s.Store.Find(key)
}

func (s *failingStore) Commit(key string, data []byte, expiry time.Time) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Commit(key, data, expiry)
}

func TestErrorsOfTheStore(t *testing.T) {
	inner := &failingStore{Store: memstore.NewWithCleanupInterval(0)}
	s := newStore(inner)
	data := encode(t, time.Hour)
	require.NoError(t, s.Commit("k", data, time.Now().Add(time.Hour)))
	inner.err = errors.New("no route to the store")
	_, _, err := s.Touch(t.Context(), "k", time.Hour, readDeadline)
	require.ErrorIs(t, err, inner.err)
	_, err = s.Replace(t.Context(), "k", data, time.Now())
	require.ErrorIs(t, err, inner.err)
	_, _, err = s.Expiry(t.Context(), "k")
	require.ErrorIs(t, err, inner.err)
	_, _, err = s.Find("k")
	require.ErrorIs(t, err, inner.err)
}

// After a Commit that failed nobody knows which expiry the store has.
func TestFailedCommitForgetsTheExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &failingStore{Store: memstore.NewWithCleanupInterval(0)}
		s := newStore(inner)
		data := encode(t, time.Hour)
		require.NoError(t, s.Commit("k", data, time.Now().Add(20*time.Minute)))
		inner.err = errors.New("no route to the store")
		require.Error(t, s.Commit("k", data, time.Now().Add(time.Hour)))
		inner.err = nil
		expiry, found, err := s.Expiry(t.Context(), "k")
		require.NoError(t, err)
		require.True(t, found)
		require.Zero(t, expiry)
	})
}

// keepingStore keeps sessions longer than it is told to.
type keepingStore struct{ scs.Store }

func (s keepingStore) Commit(key string, data []byte, _ time.Time) error {
	return s.Store.Commit(key, data, time.Now().Add(24*time.Hour))
}

func TestExpiredSessionInTheStoreBelow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(keepingStore{memstore.NewWithCleanupInterval(0)})
		data := encode(t, time.Hour)
		require.NoError(t, s.Commit("k", data, time.Now().Add(time.Minute)))
		time.Sleep(time.Minute)
		_, found, err := s.Touch(t.Context(), "k", time.Hour, readDeadline)
		require.NoError(t, err)
		require.False(t, found)
		found, err = s.Replace(t.Context(), "k", data, time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.False(t, found)
		_, found, err = s.Expiry(t.Context(), "k")
		require.NoError(t, err)
		require.False(t, found)
	})
}
