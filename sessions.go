package keepalive

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/textproto"
	"path"
	"reflect"
	"slices"
	"strings"
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

	// customIdle is Config.IdleTimeout, nil for none.
	customIdle func(context.Context) time.Duration

	// contextKey is the key under which scs keeps a request's session.
	contextKey any

	// writesCookies is set where LoadAndSave is used. Its cookies last until the
	// deadline, those of scs until the idle expiry.
	writesCookies atomic.Bool

	store Store

	// What follows is set by start, at the first request.

	deadline func(data []byte) (time.Time, error)
	// loader is a copy of manager without an idle timeout. With one, scs marks
	// every loaded session as modified, and writes it back. The copy shares the
	// context key, so that the app's own manager finds the session. Its codec
	// decodes faster.
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
	s.wrapStore()
	s.store = sm.Store.(Store)
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
	if s.manager.Store == nil {
		s.events.log().Error("keepalive: SessionManager.Store has been set to nil after New; the store from before goes on")
		s.manager.Store = s.store
	}
	s.wrapStore()
	s.store = s.manager.Store.(Store)
	s.deadline = deadlineReader(s.manager.Codec)
	loader := *s.manager
	loader.IdleTimeout = 0
	loader.Codec = fasterCodec(s.manager.Codec)
	s.loader = &loader
}

// Packages of scs's stores.
var (
	// embeddedStores are those that no other process can write to.
	embeddedStores = []string{"memstore", "boltstore", "badgerstore", "buntdbstore", "leveldbstore"}
	// replacedStores have a module of the same name here, which New names.
	replacedStores = []string{"goredisstore", "pgxstore", "mysqlstore", "sqlite3store"}
)

// wrapStore makes the session manager's store a Store.
func (s *sessions) wrapStore() {
	inner := s.manager.Store
	if _, ok := inner.(Store); ok {
		return
	}
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
	s.manager.Store = memory.New(inner, exclusive, deadlineReader(s.manager.Codec))
}

// Without these, wrapStore and start would panic.
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

// token returns the session token that the request brings, "" for none.
func (s *sessions) token(r *http.Request) string {
	if c, err := r.Cookie(s.manager.Cookie.Name); err == nil {
		return c.Value
	}
	return ""
}

// key returns the name under which the store keeps a token's session.
func (s *sessions) key(token string) string {
	if token == "" || !s.manager.HashTokenInStore {
		return token
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
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
	for _, line := range r.Header["Cookie"] { // as r.Cookie does, which allocates
		for pair := range strings.SplitSeq(line, ";") {
			if name, value, _ := strings.Cut(textproto.TrimString(pair), "="); name == s.manager.Cookie.Name {
				return value != ""
			}
		}
	}
	return false
}

// load reads the request's session into a context. Its token is "" when there
// is none, or when it is past its deadline: a store may keep it longer than
// that, as goredisstore does with one that was written too late.
func (s *sessions) load(r *http.Request) (ctx context.Context, token string, err error) {
	if ctx, err = s.loader.Load(r.Context(), s.token(r)); err != nil {
		return nil, "", err
	}
	token = s.manager.Token(ctx)
	if token != "" && !time.Now().Before(s.manager.Deadline(ctx)) {
		token = ""
		ctx, err = s.loadNone(r)
	}
	return ctx, token, err
}

// loadNone gives the request an empty session, whatever cookie it brings.
func (s *sessions) loadNone(r *http.Request) (context.Context, error) {
	return s.loader.Load(r.Context(), "")
}

// idleTimeout returns the idle timeout of the session in ctx, or that of the
// session manager where there is none.
func (s *sessions) idleTimeout(ctx context.Context) time.Duration {
	if s.customIdle != nil && s.inContext(ctx) {
		if idle := s.customIdle(ctx); idle > 0 {
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
}

// save writes, touches or removes the session that was loaded with token, as the
// handler left it. It runs once, before the header goes out.
func (s *sessions) save(w http.ResponseWriter, r *http.Request, token string, passive bool) (after sessionState, err error) {
	ctx := r.Context()
	status := s.manager.Status(ctx)
	if status != scs.Unmodified {
		s.warnIfCookieSet(w.Header())
	}
	switch {
	case status == scs.Destroyed:
		s.manager.WriteSessionCookie(ctx, w, "", time.Time{})
		// Of a session that has ended before, the cookie still has the name.
		s.events.publish(Event{Kind: EventDestroy, Request: r}, s.key(cmp.Or(token, s.token(r))))
		return sessionState{}, nil
	case status == scs.Unmodified && token == "":
		return sessionState{}, nil
	}
	after.idle = s.idleTimeout(ctx)
	switch {
	case status == scs.Modified:
		after.hasSession, err = s.commit(w, r, token, after.idle, passive)
	case passive:
		s.traceNoTouch(r, s.key(token), "passive")
		after.hasSession = true
	default:
		after.hasSession = s.touch(r, token, after.idle)
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
// was.
func (s *sessions) touch(r *http.Request, token string, idle time.Duration) (hasSession bool) {
	want, deadline := time.Now().Add(idle), s.manager.Deadline(r.Context())
	if deadline.Before(want) {
		want = deadline
	}
	key := s.key(token)
	if idle <= 0 || !s.hints.claim(key, want, leastGain(idle)) {
		s.traceNoTouch(r, key, "gains too little")
		return true
	}
	expiry, found, err := s.store.Touch(r.Context(), key, idle, s.deadline)
	if err != nil || !found {
		s.hints.forget(key)
	}
	switch {
	case err != nil:
		s.events.storeFailed(r, key, "the store could not touch a session", err)
		return true
	case found:
		s.events.publish(Event{Kind: EventTouch, Request: r, Expiry: expiry, Deadline: deadline}, key)
	default:
		s.traceNoTouch(r, key, "ended meanwhile")
	}
	return found
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
	ctx := r.Context()
	if !s.manager.Cookie.Persist {
		var err error
		if ctx, err = s.loader.Load(ctx, token); err != nil || !s.manager.GetBool(ctx, "__rememberMe") {
			return err
		}
	}
	s.manager.WriteSessionCookie(ctx, w, token, deadline)
	w.Header()["Cache-Control"] = noStore // scs adds a weaker one
	return nil
}
