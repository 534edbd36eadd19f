package keepalive

import (
	"context"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
)

// saveTimeout is how long a write may still take after the client has hung up.
const saveTimeout = 2 * time.Second

// outliving returns a context that ends the given time after ctx: what a handler
// has done is not lost because its client hangs up.
func outliving(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(after, cancel) })
	return longer, func() { stop(); cancel() }
}

// commit writes a modified session, and the cookie.
func (s *sessions) commit(w http.ResponseWriter, r *http.Request, token string, idle time.Duration, passive bool) (hasSession bool, err error) {
	ctx, cancel := outliving(r.Context(), saveTimeout)
	defer cancel()
	loadedKey := s.key(token)
	// Destroy takes the token away, and what is put afterwards begins another
	// session. RenewToken gives the session another token.
	isDestroyed := loadedKey != "" && s.manager.Token(ctx) == ""
	if isDestroyed {
		s.events.publish(Event{Kind: EventDestroy, Request: r}, loadedKey)
	}
	store := &commitStore{Store: s.store, loadedKey: loadedKey, idle: idle, passive: passive}
	sm := *s.manager
	sm.Store, sm.IdleTimeout = store, idle
	if token, _, err = sm.Commit(ctx); err != nil {
		return false, err
	}
	if store.gone {
		s.events.publish(Event{Kind: EventLost, Request: r}, loadedKey)
		return false, nil
	}
	key, deadline := s.key(token), s.manager.Deadline(ctx)
	if loadedKey != "" && key != loadedKey && !isDestroyed {
		s.events.publish(Event{Kind: EventRenew, Request: r}, loadedKey)
	}
	s.hints.note(key, store.expiry)
	// The cookie lives until the deadline; that the session may end sooner is
	// for the store to know. So no touch has to send it again.
	s.manager.WriteSessionCookie(ctx, w, token, deadline)
	s.events.publish(Event{Kind: EventSave, Request: r, Expiry: store.expiry, Deadline: deadline}, key)
	return true, nil
}

// commitStore is the store for one commit: the session that the request was
// loaded with is replaced if it still exists, any other is created.
type commitStore struct {
	Store
	loadedKey string // of the session that was loaded, "" for none
	idle      time.Duration
	passive   bool      // the request leaves that session's expiry as it is
	expiry    time.Time // what was written
	gone      bool      // nothing was written: the session that was loaded has ended
}

// CommitCtx is what scs calls.
func (s *commitStore) CommitCtx(ctx context.Context, key string, data []byte, expiry time.Time) (err error) {
	s.expiry = expiry
	if key != s.loadedKey || s.loadedKey == "" {
		if c, ok := s.Store.(scs.CtxStore); ok {
			return c.CommitCtx(ctx, key, data, expiry)
		}
		return s.Store.Commit(key, data, expiry)
	}
	found := true
	if keeper, ok := s.Store.(expiryKeeper); ok && s.passive {
		s.expiry, found, err = keeper.ReplaceData(ctx, key, data, s.idle)
		s.gone = err == nil && !found
		return err
	}
	if s.passive {
		var current time.Time
		if current, found, err = s.Store.Expiry(ctx, key); err == nil && found && current.Before(expiry) {
			s.expiry = current
		}
	}
	if err == nil && found {
		found, err = s.Replace(ctx, key, data, s.expiry)
	}
	s.gone = err == nil && !found
	return err
}

// expiryKeeper is a Store that can write a live session's data and leave its
// expiry as it is. The in-process store must decide that by itself, because it
// may not know the expiry.
type expiryKeeper interface {
	ReplaceData(ctx context.Context, key string, data []byte, full time.Duration) (expiry time.Time, found bool, err error)
}
