package keepalive

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
)

// saveTimeout is how long a write may still take after the client has hung up.
const saveTimeout = 5 * time.Second

// token is the session token that the request brings, "" for none.
func (m *Manager) token(r *http.Request) string {
	if c, err := r.Cookie(m.sm.Cookie.Name); err == nil {
		return c.Value
	}
	return ""
}

// key is the name under which the store keeps a token's session.
func (m *Manager) key(token string) string {
	if token == "" || !m.sm.HashTokenInStore {
		return token
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// load reads the request's session into a context. Its token is "" when there
// is none, or when it is past its deadline: a store may keep it longer than
// that, as goredisstore does with one that was written too late.
func (m *Manager) load(r *http.Request) (context.Context, string, error) {
	ctx, err := m.loader.Load(r.Context(), m.token(r))
	if err != nil {
		return nil, "", err
	}
	token := m.sm.Token(ctx)
	if token != "" && !time.Now().Before(m.sm.Deadline(ctx)) {
		token = ""
		ctx, err = m.loader.Load(r.Context(), "")
	}
	return ctx, token, err
}

// save ends the request's session, where token is the one it was loaded with.
// It runs once, before the header goes out. live tells whether the page that is
// answered has a session.
func (m *Manager) save(w http.ResponseWriter, r *http.Request, token string, passive bool) (live bool, err error) {
	ctx := r.Context()
	status := m.sm.Status(ctx)
	if status != scs.Unmodified {
		m.checkOuter(w.Header())
	}
	switch status {
	case scs.Modified:
		return m.commit(w, r, token, passive)
	case scs.Destroyed:
		m.sm.WriteSessionCookie(ctx, w, "", time.Time{})
		m.observe(Event{Kind: EventDestroy, Request: r}, m.key(token))
		return false, nil
	}
	if token == "" {
		return false, nil
	}
	if passive {
		m.notTouched(r, m.key(token), "passive")
		return true, nil
	}
	return m.touch(r, token), nil
}

// checkOuter says once that something further in has written the session cookie
// before us, and with it the session, whether or not that still exists.
func (m *Manager) checkOuter(h http.Header) {
	for _, line := range h["Set-Cookie"] {
		if strings.HasPrefix(line, m.sm.Cookie.Name+"=") && !m.warnedOuter.Swap(true) {
			m.log().Error("keepalive: SessionManager.LoadAndSave (or WriteSessionCookie) runs inside keepalive's LoadAndSave and brings back sessions that have ended meanwhile; remove it")
		}
	}
}

// touch extends a session that was only read, unless that gains too little. An
// error of the store is reported and the page is served: the session is as it
// was.
func (m *Manager) touch(r *http.Request, token string) (live bool) {
	idle := m.sm.IdleTimeout
	want, deadline := time.Now().Add(idle), m.sm.Deadline(r.Context())
	if deadline.Before(want) {
		want = deadline
	}
	key := m.key(token)
	if idle <= 0 || !m.hints.claim(key, want, min(idle/20, time.Minute)) {
		m.notTouched(r, key, "gains too little")
		return true
	}
	expiry, found, err := m.store.Touch(r.Context(), key, idle, m.deadline)
	if err != nil || !found {
		m.hints.forget(key)
	}
	if err != nil {
		m.failed(r, key, "the store could not touch a session", err)
		return true
	}
	if found {
		m.observe(Event{Kind: EventTouch, Request: r, Expiry: expiry, Deadline: deadline}, key)
	} else {
		m.notTouched(r, key, "ended meanwhile")
	}
	return found
}

func (m *Manager) notTouched(r *http.Request, key, reason string) {
	if m.tracing(r) {
		m.trace(r, "no touch", "session", m.name(key), "reason", reason)
	}
}

// commit writes a modified session, and the cookie.
func (m *Manager) commit(w http.ResponseWriter, r *http.Request, token string, passive bool) (live bool, err error) {
	ctx := r.Context()
	if ctx.Err() != nil { // what a handler has done is not lost because its client hung up
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
	}
	key := m.key(token)
	cs := &commitStore{Store: m.store, loaded: key, passive: passive}
	sm := *m.sm
	sm.Store = cs
	if token, _, err = sm.Commit(ctx); err != nil {
		return false, err
	}
	if cs.gone {
		m.observe(Event{Kind: EventLost, Request: r}, key)
		return false, nil
	}
	deadline := m.sm.Deadline(ctx)
	if key = m.key(token); cs.loaded != "" && key != cs.loaded {
		m.observe(Event{Kind: EventRenew, Request: r}, cs.loaded)
	}
	m.hints.note(key, cs.expiry)
	// The cookie lives until the deadline; that the session may end sooner is
	// for the store to know. So no touch has to send it again.
	m.sm.WriteSessionCookie(ctx, w, token, deadline)
	m.observe(Event{Kind: EventSave, Request: r, Expiry: cs.expiry, Deadline: deadline}, key)
	return true, nil
}

// commitStore is the store for one commit: the session that the request was
// loaded with is replaced if it still exists, any other is created.
type commitStore struct {
	Store
	loaded  string    // the key of the session that was loaded, "" for none
	passive bool      // whether that one keeps its expiry
	expiry  time.Time // what was written
	gone    bool      // nothing was: the session that was loaded has ended
}

// CommitCtx is what scs calls.
func (s *commitStore) CommitCtx(ctx context.Context, key string, data []byte, expiry time.Time) (err error) {
	s.expiry = expiry
	if key != s.loaded || s.loaded == "" {
		if c, ok := s.Store.(scs.CtxStore); ok {
			return c.CommitCtx(ctx, key, data, expiry)
		}
		return s.Store.Commit(key, data, expiry)
	}
	found := true
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
