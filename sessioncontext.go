package keepalive

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
)

// sessionContext is the context of a request with its session. Of data that
// internal/gob has checked, the session of scs is made only when somebody asks for
// it. It is safe for concurrent use.
type sessionContext struct {
	context.Context // of the request
	sessions        *sessions
	request         *http.Request // without the session
	mark, marked    any           // a key of the context and its value

	// What follows is of the session that was loaded, and zero where there is none.

	token, key string
	data       []byte
	deadline   time.Time

	once   sync.Once
	opened atomic.Bool     // inner is set
	inner  context.Context // with the session of scs
	err    error

	taken atomic.Pointer[takenSession]
	fate  atomic.Int32
}

// takenSession is what became of the loaded session when scs deleted it.
type takenSession struct {
	data  []byte // what it held then
	found bool
}

// Fates of a session that scs has deleted.
const (
	fateDestroyed int32 = 1 + iota
	fateRenewed
)

// requestKey is the key under which a context has the sessionContext of a session
// manager.
type requestKey struct{ *scs.SessionManager }

// Value implements context.Context.
func (c *sessionContext) Value(key any) any {
	switch key {
	case c.sessions.contextKey:
		if err := c.open(); err != nil {
			panic(fmt.Errorf("keepalive: a session that was checked can't be decoded: %w", err))
		}
		c.noteFate()
		return c.inner.Value(key)
	case requestKey{c.sessions.manager}:
		return c
	case c.mark:
		return c.marked
	}
	return c.Context.Value(key)
}

// open makes the session of scs.
func (c *sessionContext) open() error {
	c.once.Do(func() {
		c.inner, c.err = c.sessions.loader.Load((*loading)(c), c.token)
		c.opened.Store(true)
	})
	return c.err
}

// status returns whether the handler has changed the session.
func (c *sessionContext) status() scs.Status {
	if !c.opened.Load() {
		return scs.Unmodified
	}
	return c.sessions.manager.Status(c)
}

// noteTaken notes that scs deletes the loaded session. A program may do that more
// than once, with SessionManager.Iterate too.
func (c *sessionContext) noteTaken(data []byte, found bool) {
	if found || c.taken.Load() == nil {
		c.taken.Store(&takenSession{data, found})
	}
}

// noteFate tells a Destroy, also one after a RenewToken, from a RenewToken alone. Both
// delete under the lock of scs, which must not be asked anything then. It has to be
// called before anything else is done to the session, and so whenever scs asks for it.
func (c *sessionContext) noteFate() {
	if c.taken.Load() == nil || c.fate.Load() == fateDestroyed {
		return
	}
	switch c.sessions.manager.Token(c.inner) {
	case c.token: // it was deleted by its name, and nothing has happened to it here
	case "":
		c.fate.Store(fateDestroyed)
	default:
		c.fate.CompareAndSwap(0, fateRenewed)
	}
}

// renewedAfterEnd reports whether the handler has renewed a session that had ended
// before.
func (c *sessionContext) renewedAfterEnd() bool {
	return c.fate.Load() == fateRenewed && !c.taken.Load().found
}

// loading is the context from which scs makes the session: without one, whatever
// runs further out.
type loading sessionContext

// Value implements context.Context.
func (l *loading) Value(key any) any {
	switch key {
	case l.sessions.contextKey:
		return nil
	case requestKey{l.sessions.manager}:
		return (*sessionContext)(l)
	}
	return l.Context.Value(key)
}

// loadedStore is the store from which scs makes a session that has been read.
type loadedStore struct{ scs.Store }

// FindCtx implements scs.CtxStore.
func (loadedStore) FindCtx(ctx context.Context, _ string) ([]byte, bool, error) {
	return ctx.(*loading).data, true, nil
}

// CommitCtx and DeleteCtx complete scs.CtxStore. Load does not call them.
func (loadedStore) CommitCtx(context.Context, string, []byte, time.Time) error { return nil }

// DeleteCtx implements scs.CtxStore.
func (loadedStore) DeleteCtx(context.Context, string) error { return nil }

// withoutSession returns a context with an empty session, whatever cookie the request
// brings.
func (s *sessions) withoutSession(ctx context.Context) *sessionContext {
	return &sessionContext{Context: ctx, sessions: s}
}

// load reads the request's session into a context.
func (s *sessions) load(r *http.Request) (*sessionContext, error) {
	return s.loadToken(r, s.token(r))
}

// loadToken reads a session into a context. Its token is "" when there is none, or
// when it is past its deadline: a store may keep it longer than that, as goredisstore
// does with one that was written too late.
func (s *sessions) loadToken(r *http.Request, token string) (*sessionContext, error) {
	none := s.withoutSession(r.Context())
	if token == "" {
		return none, nil
	}
	key := s.key(token)
	data, found, err := s.find(r, key)
	if err != nil || !found {
		return none, err
	}
	c, err := s.fromData(r.Context(), token, key, data)
	if err == nil && !time.Now().Before(c.deadline) {
		s.events.noteEnd(key, c.deadline)
		c = none
	}
	return c, err
}

// fromData returns a context with the session that data holds. What is wrong with
// it is said at once, whether or not the handler asks for the session.
func (s *sessions) fromData(ctx context.Context, token, key string, data []byte) (c *sessionContext, err error) {
	c = &sessionContext{Context: ctx, sessions: s, token: token, key: key, data: data}
	var isChecked bool
	if c.deadline, isChecked = s.readable(data); isChecked {
		return c, nil
	}
	if err = c.open(); err == nil {
		c.deadline = s.manager.Deadline(c.inner)
	}
	return c, err
}

// find reads a session's data for a request.
func (s *sessions) find(r *http.Request, key string) (data []byte, found bool, err error) {
	start := s.events.startCall()
	data, found, err = find(r.Context(), s.store, key)
	s.events.endCall(r, key, "find", start, err)
	return data, found, err
}

// find reads a session's data from a store.
func find(ctx context.Context, store Store, key string) (data []byte, found bool, err error) {
	if c, ok := store.(scs.CtxStore); ok {
		return c.FindCtx(ctx, key)
	}
	return store.Find(key)
}
