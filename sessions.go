package keepalive

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive/internal/memory"
)

// maxInactive is longer than any idle timeout.
const maxInactive = 100 * 365 * 24 * time.Hour

// noExtension is the idle timeout of a touch that extends nothing.
const noExtension = -maxInactive

// sessions loads, saves and extends the sessions of one scs.SessionManager.
type sessions struct {
	manager *scs.SessionManager
	events  *events

	customIdle func(context.Context) time.Duration // Config.IdleTimeout, nil for none
	allowsIdle func(time.Duration) bool            // whether what it returns may be used
	identify   func(context.Context) string        // Config.Identify, nil for none

	// contextKey is the key under which scs keeps a request's session.
	contextKey any

	// writesCookies is set where LoadAndSave is used. Its cookies last until the
	// deadline, those of scs until the idle expiry.
	writesCookies atomic.Bool

	installed Store      // what New has found or made
	isGuarded bool       // guardStore was called
	setup     sync.Mutex // guards installStore and start against each other

	// What follows is set by start, at the first request.

	started  bool
	store    Store
	isShared bool // other processes may write to it, and what it remembers of them is old
	deadline func(data []byte) (time.Time, error)
	// readable reports whether internal/gob can read data, to the end.
	readable func(data []byte) (deadline time.Time, ok bool)
	// loader is a copy of manager without an idle timeout. With one, scs marks
	// every loaded session as modified, and writes it back. The copy shares the
	// context key, so that the app's own manager finds the session. Its store has
	// the data that was read, and its codec decodes faster.
	loader *scs.SessionManager
	hints  hints
}

func (s *sessions) init(sm *scs.SessionManager, e *events) error {
	s.manager, s.events = sm, e
	spy := keySpy{Context: context.Background()}
	if _, err := sm.Load(&spy, ""); err != nil {
		return fmt.Errorf("keepalive: SessionManager.Load: %w", err)
	}
	s.contextKey = spy.key
	s.installStore()
	s.installed = sm.Store.(Store)
	return nil
}

// keySpy is a context that notes the key it was last asked for. scs does not
// export the key of its session data, and asks for it in Load.
type keySpy struct {
	context.Context
	key any
}

func (s *keySpy) Value(key any) any {
	s.key = key
	return nil
}

// start reads what the program has set on the session manager by the time of
// the first request.
func (s *sessions) start() {
	s.setup.Lock()
	defer s.setup.Unlock()
	s.started = true
	switch store := s.manager.Store.(type) {
	case nil:
		s.events.log().Error("keepalive: SessionManager.Store has been set to nil after New; the store from before goes on")
		s.manager.Store, s.store = s.installed, s.installed
	case guarded:
		s.store = store.unguarded()
	case Store:
		if s.isGuarded {
			s.events.log().Warn("keepalive: SessionManager.Store has been set after LoadAndSave or Handler was called, too late to see what scs deletes: RenewToken may bring back a session that has ended; set it before")
		}
		s.store = store
	default:
		s.events.log().Error("keepalive: SessionManager.Store has been set after LoadAndSave or Handler was called, too late to guard it: a logout may be undone by a ping at the same time; set it before")
		s.store = s.wrap(store)
	}
	if wrapper, ok := s.store.(interface{ IsExclusive() bool }); ok {
		s.isShared = !wrapper.IsExclusive()
	}
	s.deadline = deadlineReader(s.manager.Codec)
	s.loader, s.readable = newLoader(s.manager)
	if c, ok := s.store.(checker); ok {
		go s.check(c)
	}
}

// newLoader returns what sessions.loader and sessions.readable are for sm.
func newLoader(sm *scs.SessionManager) (loader *scs.SessionManager, readable func(data []byte) (time.Time, bool)) {
	manager := *sm
	manager.IdleTimeout, manager.HashTokenInStore, manager.Store = 0, false, loadedStore{}
	manager.Codec, readable = fasterCodec(sm.Codec)
	return &manager, readable
}

// current returns the store, and a loader, before the first request or after it.
func (s *sessions) current() (Store, *scs.SessionManager) {
	s.installStore()
	s.setup.Lock()
	defer s.setup.Unlock()
	loader, _ := newLoader(s.manager)
	switch store := s.manager.Store.(type) {
	case guarded:
		return store.unguarded(), loader
	case Store:
		return store, loader
	}
	return s.store, loader // one that can't be guarded, or nil before the first request
}

// checker is a Store that can tell what is wrong with its storage.
type checker interface{ Check(context.Context) error }

// check runs beside the first request, which must not wait for it.
func (s *sessions) check(c checker) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Check(ctx); err != nil {
		s.events.log().Warn("keepalive: the store reports a fault of its storage", "error", err)
	}
}

// Packages of scs's stores.
var (
	// embeddedStores are those that no other process can write to.
	embeddedStores = []string{"memstore", "boltstore", "badgerstore", "buntdbstore", "leveldbstore"}
	// replacedStores have a module of the same name here, which New names.
	replacedStores = []string{"goredisstore", "redisstore", "pgxstore", "postgresstore", "mysqlstore", "sqlite3store"}
)

// installStore makes the session manager's store a Store. New calls it, and again
// LoadAndSave and Handler, as programs may set another store in between. Requests
// do not write that field: scs reads it in Iterate, which may run at any time.
func (s *sessions) installStore() {
	s.setup.Lock()
	defer s.setup.Unlock()
	if s.started || s.manager.Store == nil {
		return
	}
	if _, ok := s.manager.Store.(Store); !ok {
		s.manager.Store = s.wrap(s.manager.Store)
	}
}

// guardStore is installStore, and lets scs's deletions be seen.
func (s *sessions) guardStore() {
	s.installStore()
	s.setup.Lock()
	defer s.setup.Unlock()
	store, ok := s.manager.Store.(Store)
	if !ok || s.started {
		return
	}
	s.isGuarded = true
	if g, ok := store.(guarded); ok {
		if g.guards(s.manager) {
			return
		}
		store = g.unguarded() // of the session manager that the program has it from
	}
	s.manager.Store = newGuard(store, s.manager)
}

// wrap returns inner as a Store.
func (s *sessions) wrap(inner scs.Store) Store {
	exclusive := false
	name := storePackage(inner)
	const warning = "keepalive: this store can't touch a session by itself, so pings and writes are kept apart within this process only; if several instances of the app share it, use a store that is a keepalive.Store"
	switch {
	case slices.Contains(embeddedStores, name):
		exclusive = true
	case slices.Contains(replacedStores, name):
		s.events.log().Warn(warning, "store", fmt.Sprintf("%T", inner), "import", "github.com/seed4a306b22/keepalive/"+name)
	default:
		s.events.log().Warn(warning, "store", fmt.Sprintf("%T", inner))
	}
	return memory.New(inner, exclusive, deadlineReader(s.manager.Codec)).(Store)
}

// Without these, wrap would panic.
var (
	_ Store = (*memory.Store)(nil)
	_ Store = memory.IterableStore{}
)

// storePackage returns the name of the package that a store comes from.
func storePackage(s scs.Store) string {
	t := reflect.TypeOf(s)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return path.Base(t.PkgPath())
}

// inContext reports whether a session has been loaded into ctx already.
func (s *sessions) inContext(ctx context.Context) bool { return ctx.Value(s.contextKey) != nil }

// isInsideSCS reports whether the LoadAndSave of scs runs outside, and logs that
// once. Load would find its session there, and scs would write that back after us.
func (s *sessions) isInsideSCS(r *http.Request) bool {
	if !s.inContext(r.Context()) {
		return false
	}
	if s.events.firstTime(noticeInsideSCS) {
		s.events.log().Error("keepalive: running inside SessionManager.LoadAndSave, which writes back what it read and so undoes logouts and writes that happen during a ping; use keepalive's LoadAndSave in its place, or mount Handler outside of it")
	}
	return true
}

// cookieInUse reports whether there is a session, as far as cookies show: by the
// session cookie that the response sets or deletes, or else by the request's.
func (s *sessions) cookieInUse(h http.Header, r *http.Request) bool {
	lines := h["Set-Cookie"]
	for i := len(lines) - 1; i >= 0; i-- {
		if c, err := http.ParseSetCookie(lines[i]); err == nil && c.Name == s.manager.Cookie.Name {
			return c.Value != "" && c.MaxAge >= 0
		}
	}
	return s.token(r) != ""
}

// idleTimeout returns the idle timeout of the session in ctx, or that of the
// session manager where there is none.
func (s *sessions) idleTimeout(ctx context.Context) time.Duration {
	if s.customIdle != nil && s.inContext(ctx) {
		if idle := s.customIdle(ctx); idle > 0 && s.allowsIdle(idle) {
			return idle
		}
	}
	return s.manager.IdleTimeout
}

// leastGain returns what a touch must gain, or it is skipped.
func leastGain(idle time.Duration) time.Duration { return min(idle/20, time.Minute) }

// sessionState is what is known of a session when the header goes out.
type sessionState struct {
	hasSession bool          // the response belongs to a live session
	idle       time.Duration // its idle timeout
	times      sessionTimes  // when it ends, as far as that is certain
}

// save writes, touches or removes the session that was loaded, as the handler left
// it. It runs once, before the header goes out.
func (s *sessions) save(w http.ResponseWriter, r *http.Request, c *sessionContext, passive bool) (after sessionState, err error) {
	status := c.status()
	if status != scs.Unmodified {
		s.warnIfCookieSet(w.Header())
	}
	switch {
	case status == scs.Destroyed:
		s.manager.WriteSessionCookie(r.Context(), w, "", time.Time{})
		// Of a session that has ended before, the cookie still has the name.
		s.events.publish(Event{Kind: EventDestroy, Request: r, User: s.loadedUser(c)}, s.key(cmp.Or(c.token, s.token(r))))
		return sessionState{}, nil
	case status == scs.Unmodified && c.token == "":
		return sessionState{}, nil
	}
	switch after.idle = s.idleTimeout(r.Context()); {
	case status == scs.Modified:
		after, err = s.commit(w, r, c, passive)
	case passive:
		s.traceNoTouch(r, c.key, "passive")
		after.times.found = true
	default:
		after.times = s.touch(r, c, after.idle)
	}
	after.hasSession = after.times.found
	if c.opened.Load() {
		c.data = nil // a response that streams for hours need not hold it
	}
	return after, err
}

// warnIfCookieSet logs once that something further in has written the session
// cookie before us, and with it the session, whether or not that still exists.
func (s *sessions) warnIfCookieSet(h http.Header) {
	for _, line := range h["Set-Cookie"] {
		if strings.HasPrefix(line, s.manager.Cookie.Name+"=") && s.events.firstTime(noticeAroundSCS) {
			s.events.log().Error("keepalive: SessionManager.LoadAndSave (or WriteSessionCookie) runs inside keepalive's LoadAndSave and brings back sessions that have ended meanwhile; remove it")
		}
	}
}

// touch extends a session that was only read, unless that gains too little. An
// error of the store is reported and the page is served: the session is as it
// was. The expiry that it returns is zero where none is certain.
func (s *sessions) touch(r *http.Request, c *sessionContext, idle time.Duration) sessionTimes {
	key, want := c.key, time.Now().Add(idle)
	if c.deadline.Before(want) {
		want = c.deadline
	}
	times := sessionTimes{deadline: c.deadline, found: true}
	known, claimed := s.hints.claim(key, want, idle)
	if idle <= 0 || !claimed {
		s.traceNoTouch(r, key, "gains too little")
		if !s.isShared {
			times.expiry = known
		}
		return times
	}
	start := s.events.startCall()
	expiry, found, err := s.store.Touch(r.Context(), key, idle, s.deadline)
	s.events.endCall(c.request, key, "touch", start, err)
	switch {
	case err != nil:
		s.hints.forget(key)
		s.events.storeFailed(r, key, "the store could not touch a session", err)
	case found:
		s.hints.note(key, expiry, idle)
		s.events.publish(Event{Kind: EventTouch, Request: r, Expiry: expiry, Deadline: c.deadline}, key)
		if !s.isShared || expiry.Before(c.deadline) && !expiry.After(time.Now().Add(idle)) { // it was written
			times.expiry = expiry
		}
	default:
		s.hints.forget(key)
		s.traceNoTouch(r, key, "ended meanwhile")
		times.found = false
	}
	return times
}

func (s *sessions) traceNoTouch(r *http.Request, key, reason string) {
	if s.events.tracing(r) {
		s.events.trace(r, "no touch", "session", s.events.sessionName(key), "reason", reason)
	}
}

// noStore is a header value. It is shared, because net/http only reads it.
var noStore = []string{"no-store"}

// resendCookie writes the cookie of a session that was extended, if it is one
// that outlives the browser. That may be a value of the session itself.
func (s *sessions) resendCookie(w http.ResponseWriter, r *http.Request, token string, deadline time.Time) error {
	c, err := s.loadToken(r, token)
	if err != nil || !s.manager.Cookie.Persist && !s.manager.GetBool(c, "__rememberMe") {
		return err
	}
	s.manager.WriteSessionCookie(c, w, token, deadline)
	w.Header()["Cache-Control"] = noStore // scs adds a weaker one
	return nil
}
