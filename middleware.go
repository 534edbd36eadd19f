package keepalive

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed4a306b22/keepalive/internal/inject"
	"github.com/seed4a306b22/keepalive/internal/inject/csp"
)

// LoadAndSave does for next what the LoadAndSave of scs does, without its races
// (see the package comment). It also serves the endpoints below Config.Path, as
// Handler does, and puts the script into pages that have a session, as Inject
// does.
//
// An app can see these differences from scs. Two requests that modify a session at
// the same time are merged, key by key; a key that both have changed is of the one
// that ends later, and EventConflict says so. One that leaves none of the keys it has
// loaded has cleared the session, also of what others have put there. With
// Config.Identify nothing is merged into another user's session. RenewToken, and an
// explicit SessionManager.Commit, create nothing where the session has ended since the
// request began. A request that only reads a session
// extends it without writing its data, and sends no cookie for that. Even this
// touch is skipped when it would gain less than a twentieth of the idle timeout
// or a minute, whichever is less. A cookie lasts until the session's deadline,
// not its idle expiry. HTML of a session for which the handler sets none of
// Cache-Control, Expires and Pragma gets "private, no-cache", because no cookie keeps
// shared caches away. Responses that no shared cache may use without asking say in
// Server-Timing how long the session lasts. The session is saved on the first of
// Write, WriteHeader, Flush, ReadFrom and Hijack. When it cannot be saved, what the
// handler writes after Config.ErrorFunc is dropped. After a panic nothing is saved.
//
// It may be called for several handlers. Wrapping a handler twice is the same as
// once.
func (m *Manager) LoadAndSave(next http.Handler) http.Handler {
	m.sessions.writesCookies.Store(true)
	m.sessions.guardStore()
	ours := endpoints{m}
	injected := m.Inject(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, m.cfg.Path):
			ours.ServeHTTP(w, r)
		case !m.ready(w, r):
		case m.ranBefore(r): // LoadAndSave stands outside
			next.ServeHTTP(w, r)
		case m.sessions.isInsideSCS(r):
			injected.ServeHTTP(w, r)
		default:
			m.loadAndSave(w, r, next)
		}
	})
}

// loadAndSave serves one request with its session.
func (m *Manager) loadAndSave(w http.ResponseWriter, r *http.Request, next http.Handler) {
	w.Header().Add("Vary", "Cookie")
	if m.isStateless(r) {
		next.ServeHTTP(w, r.WithContext(m.marked(m.sessions.withoutSession(r.Context()), r)))
		return
	}
	c, err := m.sessions.load(r)
	if err != nil {
		m.events.storeFailed(r, m.sessions.key(m.sessions.token(r)), "the store could not load a session", err)
		m.cfg.ErrorFunc(w, r, err)
		return
	}
	if c.token == "" {
		if token := m.sessions.token(r); token != "" {
			m.events.publish(Event{Kind: EventGone, Request: r}, m.sessions.key(token))
		}
	}
	r = r.WithContext(m.marked(c, r))
	res := &response{m: m, r: r, loaded: c}
	res.passive = c.token != "" && m.cfg.Passive != nil && m.cfg.Passive(r)
	if m.injects(w) { // an Inject outside
		res.skipReason = otherWriter
	}
	res.serve(w, next, true)
}

// Inject puts the script into the HTML pages that next answers with, where the
// request or the response carries a session cookie. It is for programs that
// keep the LoadAndSave of scs, inside of it:
//
//	mux.Handle(km.Path(), km.Handler())
//	mux.Handle("/", km.Inject(sm.LoadAndSave(app)))
//
// Only whole, uncompressed HTML documents are changed; docs/how-it-works has the
// exact rules. A Content-Length stays exact, a strong ETag becomes weak, and
// Accept-Ranges becomes none. With Config.NoScript a frame follows the page, after
// all that next wrote. All other responses are as next made them.
//
// Wrapping a handler twice is the same as once.
func (m *Manager) Inject(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !m.ready(w, r) {
			return
		}
		if m.ranBefore(r) || m.injects(w) {
			next.ServeHTTP(w, r)
			return
		}
		res := &response{m: m, r: r}
		res.serve(w, next, false)
	})
}

func (m *Manager) isStateless(r *http.Request) bool {
	return m.cfg.Stateless != nil && m.cfg.Stateless(r)
}

// contextMark is the key under which the context of a request has the Manager with
// this Config.Path that runs further out.
type contextMark string

// marked returns c, the context of r, with a mark by which a second LoadAndSave or
// Inject further in knows that one has run, also behind a writer that cannot be
// unwrapped.
func (m *Manager) marked(c *sessionContext, r *http.Request) context.Context {
	c.mark, c.marked, c.request = m.mark, m, r
	return c
}

// ranBefore reports whether LoadAndSave runs further out. Another Manager with the
// same path there answers the pings of this one's pages, which are for another
// session.
func (m *Manager) ranBefore(r *http.Request) bool {
	outer := r.Context().Value(m.mark)
	if outer != nil && outer != m && m.events.firstTime(noticeSamePath) {
		m.events.log().Error("keepalive: another Manager with the same Config.Path runs outside and answers the pings for this one's session, which nothing extends; give each its own Config.Path", "Path", m.cfg.Path)
	}
	return outer == m
}

// injects reports whether a writer of m lies below w.
func (m *Manager) injects(w http.ResponseWriter) bool {
	return inject.Find(w, func(h inject.Hooks) bool {
		res, ok := h.(*response)
		return ok && res.m == m
	})
}

// response is the answer to one request. Its writer asks it when to save the
// session, and what goes into the page.
type response struct {
	writer inject.Writer
	m      *Manager
	r      *http.Request

	loaded  *sessionContext // the session, ours to save; nil with Inject alone
	passive bool            // the request must not extend its session
	// askedUncompressed is set where Accept-Encoding was taken away.
	askedUncompressed bool
	session           sessionState // known when the header goes out
	skipReason        string       // why nothing is to be put in, known before the handler runs
}

// otherWriter is the skip reason where a writer further out decides, and logs.
const otherWriter = "another writer decides"

// Other reasons of EventInject and EventSkip. Those that a response shows are in
// internal/inject.
const (
	injectSession   = "session"
	injectAnonymous = "Config.Anonymous"

	skipPassive   = "Config.Passive"
	skipConfig    = "the configuration, as was logged"
	skipSkip      = "Config.Skip"
	skipStateless = "Config.Stateless"
	skipNoSession = "no session"
)

// serve runs next. isCopy reports whether res.r has already been copied.
func (res *response) serve(w http.ResponseWriter, next http.Handler, isCopy bool) {
	if res.skipReason == "" {
		res.skipReason = res.configuredSkip()
	}
	res.writer.Init(w, res)
	if res.skipReason != otherWriter {
		res.r, res.askedUncompressed = res.writer.Prepare(res.r, isCopy, res.skipReason != "", res.expected)
	}
	res.writer.Serve(next, res.r)
}

// expected returns what would go into the page if the handler changed nothing
// about the session.
func (res *response) expected() *inject.Insertion {
	var session sessionState
	if res.loaded == nil {
		session = res.guessSession(nil)
	} else if res.loaded.token != "" {
		session = sessionState{hasSession: true, idle: res.m.sessions.idleTimeout(res.r.Context())}
	}
	ins, _ := res.insertion(session)
	return ins
}

// guessSession guesses from the cookies whether there is a session, because Inject
// does not load it.
func (res *response) guessSession(h http.Header) sessionState {
	s := &res.m.sessions
	return sessionState{hasSession: s.cookieInUse(h, res.r), idle: s.manager.IdleTimeout}
}

// configuredSkip returns why the request or the configuration leaves the response
// as it is, "" for no reason.
func (res *response) configuredSkip() string {
	m, r := res.m, res.r
	switch {
	case res.passive && m.cfg.Mode != UserActive: // there the input of its user counts
		return skipPassive
	case m.pages.disabled:
		return skipConfig
	case m.cfg.Skip != nil && m.cfg.Skip(r):
		return skipSkip
	case res.loaded == nil && m.isStateless(r):
		return skipStateless
	}
	return ""
}

// BeforeHeader implements inject.Hooks.
func (res *response) BeforeHeader(w http.ResponseWriter, status int) (err error) {
	if res.loaded == nil {
		return nil
	}
	s := &res.m.sessions
	isSilent := !saysCaching(w.Header()) // before scs adds to it
	if res.session, err = s.save(w, res.r, res.loaded, res.passive); err != nil {
		res.m.events.report(res.r, res.loaded.key, "the store could not save a session", err)
		return err
	}
	timing := res.addServerTiming(w.Header(), status)
	if isSilent && (res.session.hasSession || res.loaded.token != "") { // a page was made of one that ends here, too
		res.writer.SetIfHTML(privatePage, timing)
	}
	return nil
}

// privatePage is the Cache-Control of pages whose handler says nothing about
// caching. scs sends a cookie with each of them, which keeps most shared caches
// away. Here they must be told (RFC 9111 sections 4.2.2 and 5.2.2). It is shared,
// because net/http only reads it.
var privatePage = []string{"private, no-cache"}

// saysCaching reports whether the handler, or middleware around it, has said whether
// the response may be stored.
func saysCaching(h http.Header) bool {
	for _, name := range [...]string{"Cache-Control", "Expires", "Pragma"} {
		if _, ok := h[name]; ok {
			return true
		}
	}
	return false
}

// AnswerError implements inject.Hooks.
func (res *response) AnswerError(w http.ResponseWriter, err error) {
	res.m.cfg.ErrorFunc(w, res.r, err)
}

// Insertion implements inject.Hooks.
func (res *response) Insertion(h http.Header) (*inject.Insertion, string) {
	if res.loaded == nil && res.skipReason == "" {
		res.session = res.guessSession(h)
	}
	return res.insertion(res.session)
}

// insertion returns what goes into a page of this session, or nil and the reason
// why nothing does.
func (res *response) insertion(session sessionState) (*inject.Insertion, string) {
	switch {
	case res.skipReason != "":
		return nil, res.skipReason
	case session.hasSession:
		return res.m.pages.insertion(session.idle, res.user(), res.passive), ""
	case res.m.cfg.Anonymous:
		return res.m.pages.anonymous, ""
	}
	return nil, skipNoSession
}

// user returns the session's user, nil where that is not known.
func (res *response) user() *string {
	m := res.m
	if m.cfg.Identify == nil {
		return nil
	}
	if res.loaded == nil {
		if m.events.firstTime(noticeIdentify) {
			m.events.log().Warn("keepalive: Config.Identify is not called without LoadAndSave, because Inject has no session; pages do not notice another user")
		}
		return nil
	}
	user := m.cfg.Identify(res.r.Context())
	return &user
}

// Skipped implements inject.Hooks.
func (res *response) Skipped(reason string) {
	if res.skipReason != otherWriter {
		res.publishPage(EventSkip, reason)
	}
}

// Inserted implements inject.Hooks.
func (res *response) Inserted(h http.Header, nonce string) {
	if res.session.hasSession {
		res.publishPage(EventInject, injectSession)
	} else {
		res.publishPage(EventInject, injectAnonymous)
	}
	res.checkPolicy(h, nonce)
	res.checkCompression(h)
	res.checkReach()
}

// publishPage logs and publishes what has become of a response that may be a page.
func (res *response) publishPage(kind EventKind, reason string) {
	e, s := &res.m.events, &res.m.sessions
	if e.tracing(res.r) {
		e.trace(res.r, "page", "script", kind == EventInject, "reason", reason)
	}
	if e.observer != nil {
		e.observer(Event{Kind: kind, Request: res.r, Session: e.sessionName(s.key(s.token(res.r))), Reason: Reason(reason)})
	}
}

// checkPolicy logs once that a page's Content-Security-Policy stops what was put
// into it.
func (res *response) checkPolicy(h http.Header, nonce string) {
	e := &res.m.events
	if h["Content-Security-Policy"] == nil || e.noticed[noticePolicy].Load() {
		return
	}
	self := &url.URL{Host: res.r.Host, Path: res.m.cfg.PublicPath}
	if res.r.TLS != nil { // without TLS here, a proxy outside may still use https
		self.Scheme = "https"
	}
	directive := csp.Blocks(h, nonce, self, res.m.pages.hasFrame())
	if directive != "" && e.firstTime(noticePolicy) {
		e.log().Warn("keepalive: a page's Content-Security-Policy stops the script, its pings or the frame of Config.NoScript; let it have script-src 'self' or a nonce, connect-src 'self', and frame-src 'self' for the frame", "path", res.r.URL.Path, "directive", directive)
	}
}

// checkCompression logs once that a page would have been compressed further in.
func (res *response) checkCompression(h http.Header) {
	if e := &res.m.events; res.askedUncompressed && hasVary(h, "Accept-Encoding") && e.firstTime(noticeCompression) {
		e.log().Info("keepalive: a page goes out uncompressed, because compressing middleware runs inside keepalive and could not let it have the script; put it outside: compress(km.LoadAndSave(mux))", "path", res.r.URL.Path)
	}
}

// checkReach logs once that browsers seem not to find the endpoints. Another
// instance may have been asked, so it is no error.
func (res *response) checkReach() {
	m := res.m
	if !res.session.hasSession || m.reach.known.Load() {
		return
	}
	var session string
	if cookies := res.r.Header["Cookie"]; res.loaded != nil && res.loaded.token != "" {
		session = res.loaded.token
	} else if len(cookies) > 0 {
		session = cookies[0] // one that begins here, or Inject alone
	}
	if m.reach.isMissed(session, m.sessions.manager.IdleTimeout) {
		m.events.log().Info("keepalive: pages went out with the script, and no browser has asked for anything below Config.Path within an idle timeout; if LoadAndSave is on some routes only, add the endpoints: mux.Handle(km.Path(), km.Handler())", "Path", m.cfg.Path)
	}
}
