package keepalive

import (
	"context"
	"time"

	"github.com/alexedwards/scs/v2"
)

// guard is the store of the session manager. When scs deletes the session of the
// request, in Destroy and RenewToken, guard notes whether it was still there.
type guard struct {
	Store
	manager *scs.SessionManager
}

// iterableGuard is a guard of a store that supports iteration.
type iterableGuard struct{ guard }

// newGuard returns a guard of inner for a session manager.
func newGuard(inner Store, sm *scs.SessionManager) Store {
	g := guard{inner, sm}
	switch inner.(type) {
	case scs.IterableStore, scs.IterableCtxStore:
		return iterableGuard{g}
	}
	return g
}

// guarded is a guard.
type guarded interface {
	unguarded() Store
	guards(sm *scs.SessionManager) bool
}

func (g guard) unguarded() Store { return g.Store }

func (g guard) guards(sm *scs.SessionManager) bool { return g.manager == sm }

// request returns the request in ctx, nil for none, and whether key is the name of the
// session that it has loaded.
func (g guard) request(ctx context.Context, key string) (c *sessionContext, isLoaded bool) {
	c, _ = ctx.Value(requestKey{g.manager}).(*sessionContext)
	return c, c != nil && key != "" && key == c.key
}

// DeleteCtx implements scs.CtxStore.
func (g guard) DeleteCtx(ctx context.Context, key string) (err error) {
	c, isLoaded := g.request(ctx, key)
	if c != nil && c.request != nil {
		start := c.sessions.events.startCall()
		defer func() { c.sessions.events.endCall(c.request, key, "delete", start, err) }()
	}
	if isLoaded {
		if data, found, err := take(ctx, g.Store, key); err == nil {
			c.noteTaken(data, found)
			return nil
		}
	}
	return remove(ctx, g.Store, key) // also what can't be read
}

// taker is a Store that can tell what it deletes.
type taker interface {
	Take(ctx context.Context, key string) (data []byte, found bool, err error)
}

// take deletes a session and returns what it held.
func take(ctx context.Context, store Store, key string) (data []byte, found bool, err error) {
	if t, ok := store.(taker); ok {
		return t.Take(ctx, key)
	}
	if data, found, err = find(ctx, store, key); err == nil {
		err = remove(ctx, store, key)
	}
	return data, found, err
}

// remove deletes a session.
func remove(ctx context.Context, store Store, key string) error {
	if c, ok := store.(scs.CtxStore); ok {
		return c.DeleteCtx(ctx, key)
	}
	return store.Delete(key)
}

// create stores a session, whether or not there was one.
func create(ctx context.Context, store Store, key string, data []byte, expiry time.Time) error {
	if c, ok := store.(scs.CtxStore); ok {
		return c.CommitCtx(ctx, key, data, expiry)
	}
	return store.Commit(key, data, expiry)
}

// FindCtx implements scs.CtxStore.
func (g guard) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	return find(ctx, g.Store, key)
}

// CommitCtx implements scs.CtxStore. A handler that calls SessionManager.Commit by itself
// writes what it has, and the request goes on from there. That brings no session back
// either.
func (g guard) CommitCtx(ctx context.Context, key string, data []byte, expiry time.Time) error {
	c, isLoaded := g.request(ctx, key)
	switch {
	case isLoaded:
		found, err := g.Replace(ctx, key, data, expiry)
		if err == nil && found {
			c.data = data
		}
		return err
	case c != nil && c.renewedAfterEnd():
		return nil
	}
	return create(ctx, g.Store, key, data, expiry)
}

// AllCtx implements scs.IterableCtxStore.
func (g iterableGuard) AllCtx(ctx context.Context) (map[string][]byte, error) {
	if c, ok := g.Store.(scs.IterableCtxStore); ok {
		return c.AllCtx(ctx)
	}
	return g.Store.(scs.IterableStore).All()
}

// All implements scs.IterableStore.
func (g iterableGuard) All() (map[string][]byte, error) { return g.AllCtx(context.Background()) }
