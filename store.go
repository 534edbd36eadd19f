package keepalive

import (
	"bytes"
	"context"
	"hash/maphash"
	"path"
	"reflect"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
)

// Store is an scs store that can act on a session only if the session is
// there. It is what makes a ping safe beside a logout, a login or a write.
//
// key is the store's own key: the session token, or its hash when
// SessionManager.HashTokenInStore is set. An implementation never sees the
// other form.
//
// Every method must be safe for concurrent use, and atomic against each other
// and against Commit and Delete from any process that uses the same storage.
// A cancelled context ends a call with the context's error. "Not found" is no
// error: it is found=false with a nil error, for a session that was deleted, has
// expired or never was.
//
// New wraps any other scs.Store so that these promises hold within the process.
type Store interface {
	scs.Store

	// Touch moves the expiry of a live session to
	//
	//	min(max(current expiry, now+idle), deadline)
	//
	// and returns it. It never creates a session, never changes its data, and
	// never moves the expiry backwards unless it lies past the deadline. idle
	// may be zero or negative; the expiry is then only held below the deadline.
	//
	// deadline reads the session's deadline from its data. The deadline that
	// counts is that of the data stored at the moment of the write. An error
	// from deadline is returned as it is.
	//
	// A store may try deadline with the beginning of the data first, which fails
	// unless the deadline can be told from that alone. One that remembers the
	// deadline of data that has not changed need not call it. It should then
	// also have a method TouchDeadline, with the same parameters, that returns
	// the deadline after the expiry, or the core must read the data for it.
	Touch(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry time.Time, found bool, err error)

	// Replace stores data and expiry in place of a live session. It never
	// creates one.
	Replace(ctx context.Context, key string, data []byte, expiry time.Time) (found bool, err error)

	// Expiry returns when the session will end if nothing touches it.
	Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error)
}

// stripes is the number of locks of a localStore. Sessions that share one only
// wait for each other.
const stripes = 64

// localStore makes any scs.Store a Store within one process: every write of a
// session happens under the lock of its stripe. scs stores do not tell a
// session's expiry, so it is remembered as the writes pass by.
type localStore struct {
	inner    scs.Store
	deadline func([]byte) (time.Time, error)
	// hasCtx tells whether inner takes a context.
	hasCtx bool
	// clone is set for stores whose Find may return memory that their Commit
	// invalidates, such as boltstore's mapped pages.
	clone   bool
	seed    maphash.Seed
	stripes [stripes]stripe
}

type stripe struct {
	// lock is a channel of capacity 1, not a Mutex, so that waiting for a slow
	// store ends with the request's context.
	lock   chan struct{}
	expiry map[string]time.Time
}

// iterableStore is a localStore around a store that supports iteration. scs
// asks for that ability by type, so only stores that have it may show it.
type iterableStore struct{ *localStore }

func newLocalStore(inner scs.Store, deadline func([]byte) (time.Time, error)) Store {
	_, isMem := inner.(*memstore.MemStore)
	_, hasCtx := inner.(scs.CtxStore)
	s := &localStore{inner: inner, deadline: deadline, hasCtx: hasCtx, clone: !isMem, seed: maphash.MakeSeed()}
	for i := range s.stripes {
		s.stripes[i] = stripe{lock: make(chan struct{}, 1), expiry: make(map[string]time.Time)}
	}
	switch inner.(type) {
	case scs.IterableStore, scs.IterableCtxStore:
		return iterableStore{s}
	}
	return s
}

func (s *localStore) lock(ctx context.Context, key string) (*stripe, error) {
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

// own is the context of a Commit or a Delete. scs gives none to a store that
// takes none, so there a logout goes through although the client has hung up.
func (s *localStore) own(ctx context.Context) context.Context {
	if s.hasCtx {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

func (st *stripe) unlock() { <-st.lock }

// remember notes the expiry of a session. With each new one it drops up to two
// ended ones, found where the map's random iteration starts, so that memory
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
func (s *localStore) find(ctx context.Context, key string) (data []byte, end time.Time, found bool, err error) {
	if s.hasCtx {
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

func (s *localStore) commit(ctx context.Context, st *stripe, key string, data []byte, expiry time.Time) error {
	var err error
	if s.hasCtx {
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

func (s *localStore) Touch(ctx context.Context, key string, idle time.Duration, deadline func([]byte) (time.Time, error)) (time.Time, bool, error) {
	st, err := s.lock(ctx, key)
	if err != nil {
		return time.Time{}, false, err
	}
	defer st.unlock()
	data, _, found, err := s.find(ctx, key)
	if err != nil || !found {
		return time.Time{}, false, err
	}
	end, err := deadline(data)
	if err != nil {
		return time.Time{}, false, err
	}
	now := time.Now()
	current, known := st.expiry[key]
	next := now.Add(idle)
	switch {
	case known && !now.Before(current), !now.Before(end):
		return time.Time{}, false, nil
	case known && next.Before(current):
		next = current
	case !known && idle <= 0:
		// Written before this process began: it lives, nobody here knows how
		// long, and writing a guess could end it.
		return now, true, nil
	}
	if end.Before(next) {
		next = end
	}
	if known && next.Equal(current) {
		return next, true, nil
	}
	if s.clone {
		data = bytes.Clone(data)
	}
	return next, true, s.commit(ctx, st, key, data, next)
}

func (s *localStore) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (bool, error) {
	st, err := s.lock(ctx, key)
	if err != nil {
		return false, err
	}
	defer st.unlock()
	if _, _, found, err := s.find(ctx, key); err != nil || !found {
		return false, err
	}
	if current, known := st.expiry[key]; known && !time.Now().Before(current) {
		return false, nil
	}
	return true, s.commit(ctx, st, key, data, expiry)
}

// Expiry of a session that was written before this process began is now: it is
// alive, and nothing longer is certain until the first touch.
func (s *localStore) Expiry(ctx context.Context, key string) (time.Time, bool, error) {
	st, err := s.lock(ctx, key)
	if err != nil {
		return time.Time{}, false, err
	}
	defer st.unlock()
	_, end, found, err := s.find(ctx, key)
	if err != nil || !found {
		return time.Time{}, false, err
	}
	now := time.Now()
	current, known := st.expiry[key]
	switch {
	case !known:
		return now, true, nil
	case !now.Before(current):
		return time.Time{}, false, nil
	case !end.IsZero() && end.Before(current):
		return end, true, nil
	}
	return current, true, nil
}

func (s *localStore) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	data, _, found, err := s.find(ctx, key)
	return data, found, err
}

func (s *localStore) CommitCtx(ctx context.Context, key string, data []byte, expiry time.Time) error {
	st, err := s.lock(s.own(ctx), key)
	if err != nil {
		return err
	}
	defer st.unlock()
	return s.commit(ctx, st, key, data, expiry)
}

func (s *localStore) DeleteCtx(ctx context.Context, key string) error {
	st, err := s.lock(s.own(ctx), key)
	if err != nil {
		return err
	}
	defer st.unlock()
	delete(st.expiry, key)
	if s.hasCtx {
		return s.inner.(scs.CtxStore).DeleteCtx(ctx, key)
	}
	return s.inner.Delete(key)
}

func (s *localStore) Find(key string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), key)
}

func (s *localStore) Commit(key string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), key, data, expiry)
}

func (s *localStore) Delete(key string) error {
	return s.DeleteCtx(context.Background(), key)
}

func (s iterableStore) AllCtx(ctx context.Context) (map[string][]byte, error) {
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
		}
	}
	return all, err
}

func (s iterableStore) All() (map[string][]byte, error) {
	return s.AllCtx(context.Background())
}

// storePackage is the name of the package that a store comes from.
func storePackage(s scs.Store) string {
	t := reflect.TypeOf(s)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return path.Base(t.PkgPath())
}
