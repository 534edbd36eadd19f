package keepalive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"
)

// EndAll ends the sessions for which end returns true, as for all sessions of a user
// whose account is disabled (ASVS 5.0, 7.4.2 and 7.4.5). end is called in this goroutine,
// for one live session after another, in no order. The context that it gets holds that
// session, as with SessionManager.Iterate, also where HashTokenInStore is set.
// SessionName works there too. The session must only be read: what end writes is
// dropped.
//
// A session that was ended stays ended, as after a logout: requests that have loaded it
// before can't write it again (EventLost), except by the LoadAndSave of scs. Open pages
// learn of it by their next ping.
//
// Two kinds of sessions can be missed: one that begins meanwhile, and one to which a
// request in flight gives another token. So keep the user from signing in first, and
// call EndAll again when requests from before are over.
//
// Each session that was ended is an EventDestroy. Its Request is empty, but its context
// is the one that end got.
//
// The error joins all problems. A session whose data can't be decoded, or that the store
// can't delete, is not ended, and the others are. Nothing is ended if the store can't
// list its sessions: it must be an scs.IterableStore or an scs.IterableCtxStore. When ctx
// ends, EndAll stops, and its error is among those returned. All sessions are in memory
// at once. It may be called concurrently, and with the context of a request.
func (m *Manager) EndAll(ctx context.Context, end func(ctx context.Context) bool) error {
	s := &m.sessions
	store, loader := s.current()
	all, err := list(ctx, store)
	if err != nil {
		return fmt.Errorf("keepalive: EndAll has ended nothing: %w", err)
	}
	var errs []error
	fail := func(key string, err error) {
		errs = append(errs, fmt.Errorf("keepalive: EndAll has not ended session %s: %w", m.events.sessionName(key), err))
	}
	for key, data := range all {
		if err := ctx.Err(); err != nil {
			errs = append(errs, err)
			break
		}
		loaded, err := loader.Load(&loading{Context: ctx, sessions: s, key: key, data: data}, key)
		if err != nil {
			fail(key, err)
			continue
		}
		if !time.Now().Before(loader.Deadline(loaded)) || !end(loaded) {
			continue
		}
		// Not by the guard, which would take it for a step of the request in ctx.
		_, found, err := take(ctx, store, key)
		if err != nil && remove(ctx, store, key) == nil { // what can't be read can be deleted all the same
			found, err = true, nil
		}
		if err != nil {
			fail(key, err)
		} else if found {
			r := &http.Request{URL: &url.URL{}, Header: http.Header{}}
			m.events.publish(Event{Kind: EventDestroy, Request: r.WithContext(loaded), User: s.currentUser(loaded)}, key)
		}
	}
	return errors.Join(errs...)
}

// list returns the data of all sessions, by their keys.
func list(ctx context.Context, store Store) (map[string][]byte, error) {
	switch store := store.(type) {
	case scs.IterableCtxStore:
		return store.AllCtx(ctx)
	case scs.IterableStore:
		return store.All()
	}
	return nil, errors.New("SessionManager.Store can't list its sessions; use one that is an scs.IterableStore or an scs.IterableCtxStore")
}
