package keepalive

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// saveTimeout is how long a write may still take after the client has hung up.
const saveTimeout = 2 * time.Second

// maxMerges bounds how often a session is merged with what others have written
// meanwhile. After that many it is written as it is.
const maxMerges = 100

// maxMergeDelay bounds the random wait before each but the first merges, so that many
// writers get out of each other's way.
const maxMergeDelay = 5 * time.Millisecond

// outliving returns a context that ends the given time after ctx: what a handler
// has done is not lost because its client hangs up.
func outliving(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(after, cancel) })
	return longer, func() { stop(); cancel() }
}

// commit writes a modified session, and the cookie.
func (s *sessions) commit(w http.ResponseWriter, r *http.Request, c *sessionContext, passive bool) (after sessionState, err error) {
	ctx, cancel := outliving(r.Context(), saveTimeout)
	defer cancel()
	// Destroy takes the token away, and what is put afterwards begins another
	// session. RenewToken gives the session another token.
	c.noteFate()
	isDestroyed := c.token != "" && (c.fate.Load() == fateDestroyed || s.manager.Token(ctx) == "")
	if isDestroyed {
		s.events.publish(Event{Kind: EventDestroy, Request: r, User: s.loadedUser(c)}, c.key)
	}
	store := &commitStore{Store: s.store, events: s.events, request: c.request, loadedKey: c.key, old: c.data, passive: passive}
	if c.fate.Load() == fateRenewed {
		store.taken = s.renewedFrom(ctx, c)
	}
	sm := *s.manager
	sm.Store = store
	var token string
	for err = errDiffers; errors.Is(err, errDiffers) && !store.gone; {
		after.idle = s.idleTimeout(ctx) // of the merged session
		sm.IdleTimeout, store.idle = after.idle, after.idle
		if token, _, err = sm.Commit(ctx); errors.Is(err, errDiffers) {
			s.mergeInto(ctx, store)
		}
	}
	if err != nil && !store.gone {
		return after, err
	}
	user := s.currentUser(ctx)
	if store.gone {
		s.events.publish(Event{Kind: EventLost, Request: r, User: user}, c.key)
		return after, nil
	}
	key, deadline := s.key(token), s.manager.Deadline(ctx)
	switch {
	case key == c.key:
	case c.key == "" || isDestroyed:
		s.events.publish(Event{Kind: EventStart, Request: r, User: user}, key)
	default:
		s.events.publish(Event{Kind: EventRenew, Request: r, User: user}, c.key)
	}
	s.hints.note(key, store.expiry, after.idle)
	// The cookie lives until the deadline; that the session may end sooner is
	// for the store to know. So no touch has to send it again.
	s.manager.WriteSessionCookie(ctx, w, token, deadline)
	if store.conflict {
		s.events.publish(Event{Kind: EventConflict, Request: r, User: user, Keys: store.conflicts}, key)
	}
	s.events.publish(Event{Kind: EventSave, Request: r, User: user, Expiry: store.expiry, Deadline: deadline}, key)
	after.times = sessionTimes{expiry: store.expiry, deadline: deadline, found: true}
	return after, nil
}

// renewedFrom returns what RenewToken has deleted: if nothing, the session must not
// come back. That of a guest may, because nobody has signed out of it: two logins from
// one page, by a double click, must not both fail.
func (s *sessions) renewedFrom(ctx context.Context, c *sessionContext) *takenSession {
	taken := c.taken.Load()
	if !taken.found && s.identify != nil {
		if user, err := s.userOf(ctx, c.data); err == nil && user == "" {
			return nil
		}
	}
	return taken
}

// errDiffers says that the stored session is no longer what the request has loaded.
var errDiffers = errors.New("keepalive: the session has changed meanwhile")

// commitStore is the store for one commit: the session that the request was
// loaded with is replaced if it still exists, any other is created.
type commitStore struct {
	Store
	events    *events
	request   *http.Request // without the session
	loadedKey string        // of the session that was loaded, "" for none
	old       []byte        // what that held
	idle      time.Duration
	passive   bool          // the request leaves that session's expiry as it is
	taken     *takenSession // what a renewal has deleted, nil for none

	expiry time.Time // what was written, zero if that is not known
	gone   bool      // nothing was written: the session that was loaded has ended

	mine, theirs []byte // after errDiffers: what was to be written, and what is there
	merges       int
	conflict     bool     // something that others have written is lost
	conflicts    []string // the keys that others have changed, too
}

// CommitCtx is what scs calls.
func (s *commitStore) CommitCtx(ctx context.Context, key string, data []byte, expiry time.Time) (err error) {
	s.mine, s.expiry = data, expiry
	call, found, start := "", true, s.events.startCall()
	switch swapper, canSwap := s.Store.(swapper); {
	case s.taken != nil && !s.taken.found:
		found = false
	case s.taken != nil && !bytes.Equal(s.taken.data, s.old):
		s.theirs = s.taken.data
	case key != s.loadedKey || key == "":
		call, err = "commit", create(ctx, s.Store, key, data, expiry)
	case canSwap && s.merges < maxMerges:
		call = "swap"
		s.theirs, found, err = s.swap(ctx, swapper, key, data)
	default:
		call, s.conflict = "replace", canSwap
		found, err = s.replace(ctx, key, data)
	}
	if call != "" {
		s.events.endCall(s.request, key, call, start, err)
	}
	s.gone = err == nil && !found
	if err == nil && found && s.theirs != nil {
		return errDiffers
	}
	return err
}

// swapper is a Store that can replace a session if it holds what is expected.
type swapper interface {
	Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error)
}

// unsureSwapper is a swapper that may not know a session's expiry, and so must be told
// its whole idle timeout where that is to be kept. It returns the expiry.
type unsureSwapper interface {
	SwapOf(ctx context.Context, key string, old, data []byte, expiry time.Time, full time.Duration) (current []byte, stored time.Time, found bool, err error)
}

// swap replaces the loaded session if it is still what was loaded, and else returns
// what it is.
func (s *commitStore) swap(ctx context.Context, store swapper, key string, data []byte) (current []byte, found bool, err error) {
	if s.passive {
		s.expiry = time.Time{}
	}
	if unsure, ok := store.(unsureSwapper); ok {
		current, s.expiry, found, err = unsure.SwapOf(ctx, key, s.old, data, s.expiry, s.idle)
		return current, found, err
	}
	return store.Swap(ctx, key, s.old, data, s.expiry)
}

// replace replaces the loaded session, whatever it holds now.
func (s *commitStore) replace(ctx context.Context, key string, data []byte) (found bool, err error) {
	if s.passive {
		current, found, err := s.Store.Expiry(ctx, key)
		if err != nil || !found {
			return found, err
		}
		if !current.IsZero() && current.Before(s.expiry) {
			s.expiry = current
		}
	}
	return s.Replace(ctx, key, data, s.expiry)
}

// mergeInto merges what is stored into the session in ctx, or decides that it can't be
// merged.
func (s *sessions) mergeInto(ctx context.Context, store *commitStore) {
	theirs := store.theirs
	store.theirs = nil
	if store.merges++; store.merges > 3 {
		time.Sleep(rand.N(maxMergeDelay))
	}
	may, isSameUser, err := s.mayMerge(ctx, store.old, theirs)
	var held [3]contents
	for i, data := range [][]byte{store.old, store.mine, theirs} {
		if err == nil {
			held[i], err = s.decode(data)
		}
	}
	switch {
	case err != nil: // what can't be read can't be merged, and scs would write over it
		store.conflict, store.merges, store.taken = true, maxMerges, nil
	case !may && (store.taken == nil || isSameUser):
		store.gone = true
	case !may: // a login, which has deleted what is not merged
		store.conflict, store.taken = true, nil
	default:
		merged, conflicts, isLost := merge(held[0], held[1], held[2])
		s.apply(ctx, held[1], merged)
		store.old = theirs
		store.conflict = store.conflict || isLost
		store.conflicts = append(store.conflicts, conflicts...)
	}
}
