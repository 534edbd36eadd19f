// Package memory makes any scs store able to act on a session only if it is
// there, within one process: a keepalive.Store. Every write of a session happens
// under a lock. scs stores do not report a session's expiry, so it is remembered
// as the writes pass by. Where other processes write too, what is remembered never
// ends a session: one that the inner store still finds is alive, because another
// process may have extended it.
package memory

import (
	"bytes"
	"context"
	"hash/maphash"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
)

// stripes is the number of locks of a Store. Sessions that share one only wait
// for each other.
const stripes = 64

// Store is a keepalive.Store around any scs.Store. Its methods may be used
// concurrently.
type Store struct {
	inner     scs.Store
	deadline  func([]byte) (time.Time, error)
	exclusive bool // no other process writes to inner
	takesCtx  bool // inner is an scs.CtxStore
	// shared is set for stores whose Find may return memory that their Commit
	// invalidates, such as boltstore's mapped pages.
	shared  bool
	seed    maphash.Seed
	stripes [stripes]stripe
}

type stripe struct {
	// lock is a channel of capacity 1, not a Mutex, so that waiting for a slow
	// store ends with the request's context.
	lock   chan struct{}
	expiry map[string]time.Time
}

// IterableStore is a Store around one that supports iteration. scs asks for that
// ability by type, so only stores that have it may show it.
type IterableStore struct{ *Store }

// New returns a Store around inner, or an IterableStore where inner supports
// iteration. exclusive reports that no other process writes to inner. deadline reads
// a session's deadline from its data.
func New(inner scs.Store, exclusive bool, deadline func(data []byte) (time.Time, error)) scs.Store {
	_, isMem := inner.(*memstore.MemStore)
	_, takesCtx := inner.(scs.CtxStore)
	s := &Store{inner: inner, deadline: deadline, exclusive: exclusive, takesCtx: takesCtx, shared: !isMem, seed: maphash.MakeSeed()}
	for i := range s.stripes {
		s.stripes[i] = stripe{lock: make(chan struct{}, 1), expiry: make(map[string]time.Time)}
	}
	switch inner.(type) {
	case scs.IterableStore, scs.IterableCtxStore:
		return IterableStore{s}
	}
	return s
}

// IsExclusive reports whether no other process writes to the inner store.
func (s *Store) IsExclusive() bool { return s.exclusive }

func (s *Store) lock(ctx context.Context, key string) (*stripe, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	st := &s.stripes[maphash.String(s.seed, key)%stripes]
	select {
	case st.lock <- struct{}{}:
		return st, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// writeContext returns the context for a Commit or a Delete. scs gives none to a
// store that takes none, so there a logout goes through although the client has
// hung up.
func (s *Store) writeContext(ctx context.Context) context.Context {
	if s.takesCtx {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

func (st *stripe) unlock() { <-st.lock }

// remember stores the expiry of a session. With each new session it drops up to
// two ended ones, found where the map's random iteration starts. So memory
// follows the number of live sessions without a goroutine to stop.
func (st *stripe) remember(key string, expiry, now time.Time) {
	if _, known := st.expiry[key]; !known {
		looked := 0
		for k, e := range st.expiry {
			if !now.Before(e) {
				delete(st.expiry, k)
			}
			if looked++; looked == 2 {
				break
			}
		}
	}
	st.expiry[key] = expiry
}

// find returns the data of a session that is in the store and not past its
// deadline. Data that no deadline can be read from is returned as it is: whoever
// decodes it will say what is wrong with it.
func (s *Store) find(ctx context.Context, key string) (data []byte, end time.Time, found bool, err error) {
	if s.takesCtx {
		data, found, err = s.inner.(scs.CtxStore).FindCtx(ctx, key)
	} else {
		data, found, err = s.inner.Find(key)
	}
	if err != nil || !found {
		return nil, end, false, err
	}
	if end, err = s.deadline(data); err == nil && !time.Now().Before(end) {
		return nil, end, false, nil
	}
	return data, end, true, nil
}

// own returns data in memory that the inner store does not change.
func (s *Store) own(data []byte) []byte {
	if s.shared {
		return bytes.Clone(data)
	}
	return data
}

func (s *Store) commit(ctx context.Context, st *stripe, key string, data []byte, expiry time.Time) error {
	var err error
	key = strings.Clone(key) // both maps keep it: a token is a part of the whole Cookie line
	if s.takesCtx {
		err = s.inner.(scs.CtxStore).CommitCtx(ctx, key, data, expiry)
	} else {
		err = s.inner.Commit(key, data, expiry)
	}
	if err != nil {
		delete(st.expiry, key) // it may have been written all the same
		return err
	}
	st.remember(key, expiry, time.Now())
	return nil
}

func (s *Store) delete(ctx context.Context, st *stripe, key string) error {
	delete(st.expiry, key)
	if s.takesCtx {
		return s.inner.(scs.CtxStore).DeleteCtx(ctx, key)
	}
	return s.inner.Delete(key)
}

// Touch implements keepalive.Store. It takes idle for the session's whole idle
// timeout.
func (s *Store) Touch(ctx context.Context, key string, idle time.Duration, deadline func([]byte) (time.Time, error)) (time.Time, bool, error) {
	return s.TouchOf(ctx, key, idle, idle, deadline)
}

// TouchOf is Touch for a session with the idle timeout full. If the session's expiry
// is not known, it may last for all of that from now, and must not get shorter.
func (s *Store) TouchOf(ctx context.Context, key string, idle, full time.Duration, deadline func([]byte) (time.Time, error)) (time.Time, bool, error) {
	st, err := s.lock(ctx, key)
	if err != nil {
		return time.Time{}, false, err
	}
	defer st.unlock()
	data, current, _, found, err := s.findLocked(ctx, st, key)
	if err != nil || !found {
		return time.Time{}, false, err
	}
	end, err := deadline(data)
	if err != nil {
		return time.Time{}, false, err
	}
	now := time.Now()
	next := now.Add(idle)
	switch {
	case expired(current, now), !now.Before(end): // while it was read
		return time.Time{}, false, nil
	case current.After(next):
		next = current
	case current.IsZero() && idle <= 0:
		return time.Time{}, true, nil
	case current.IsZero():
		next = now.Add(full)
	}
	if end.Before(next) {
		next = end
	}
	if next.Equal(current) {
		return next, true, nil
	}
	return next, true, s.commit(ctx, st, key, s.own(data), next)
}

// findLocked returns a live session with its remembered expiry, the zero time if
// that is not known, and its deadline.
func (s *Store) findLocked(ctx context.Context, st *stripe, key string) (data []byte, expiry, end time.Time, found bool, err error) {
	data, end, found, err = s.find(ctx, key)
	if err != nil || !found {
		return nil, expiry, end, false, err
	}
	expiry = st.expiry[key]
	switch {
	case !expired(expiry, time.Now()):
	case s.exclusive: // the inner store is only slow to notice
		return nil, expiry, end, false, nil
	default: // another process has extended it since
		expiry = time.Time{}
	}
	return data, expiry, end, true, nil
}

// expired reports whether a remembered expiry has passed.
func expired(expiry, now time.Time) bool { return !expiry.IsZero() && !now.Before(expiry) }

// Replace implements keepalive.Store.
func (s *Store) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (bool, error) {
	st, err := s.lock(ctx, key)
	if err != nil {
		return false, err
	}
	defer st.unlock()
	if _, _, _, found, err := s.findLocked(ctx, st, key); err != nil || !found {
		return false, err
	}
	return true, s.commit(ctx, st, key, data, expiry)
}

// Expiry implements keepalive.Store. It returns the zero time for a session whose
// expiry is not known: this process has not written it yet, or another one has
// extended it since.
func (s *Store) Expiry(ctx context.Context, key string) (time.Time, bool, error) {
	st, err := s.lock(ctx, key)
	if err != nil {
		return time.Time{}, false, err
	}
	defer st.unlock()
	_, expiry, end, found, err := s.findLocked(ctx, st, key)
	if err != nil || !found {
		return time.Time{}, false, err
	}
	if !end.IsZero() && end.Before(expiry) {
		expiry = end
	}
	return expiry, true, nil
}

// FindCtx implements scs.CtxStore.
func (s *Store) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	data, _, found, err := s.find(ctx, key)
	return s.own(data), found, err
}

// CommitCtx implements scs.CtxStore.
func (s *Store) CommitCtx(ctx context.Context, key string, data []byte, expiry time.Time) error {
	st, err := s.lock(s.writeContext(ctx), key)
	if err != nil {
		return err
	}
	defer st.unlock()
	return s.commit(ctx, st, key, data, expiry)
}

// DeleteCtx implements scs.CtxStore.
func (s *Store) DeleteCtx(ctx context.Context, key string) error {
	st, err := s.lock(s.writeContext(ctx), key)
	if err != nil {
		return err
	}
	defer st.unlock()
	return s.delete(ctx, st, key)
}

// Find implements scs.Store.
func (s *Store) Find(key string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), key)
}

// Commit implements scs.Store.
func (s *Store) Commit(key string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), key, data, expiry)
}

// Delete implements scs.Store.
func (s *Store) Delete(key string) error {
	return s.DeleteCtx(context.Background(), key)
}

// AllCtx implements scs.IterableCtxStore.
func (s IterableStore) AllCtx(ctx context.Context) (map[string][]byte, error) {
	var all map[string][]byte
	var err error
	if c, ok := s.inner.(scs.IterableCtxStore); ok {
		all, err = c.AllCtx(ctx)
	} else {
		all, err = s.inner.(scs.IterableStore).All()
	}
	now := time.Now()
	for key, data := range all {
		if end, derr := s.deadline(data); derr == nil && !now.Before(end) {
			delete(all, key)
		} else {
			all[key] = s.own(data)
		}
	}
	return all, err
}

// All implements scs.IterableStore.
func (s IterableStore) All() (map[string][]byte, error) {
	return s.AllCtx(context.Background())
}
