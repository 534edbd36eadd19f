// Package keepalive keeps the sessions of github.com/alexedwards/scs/v2 alive
// while a page is open. Its middleware puts a small script into HTML pages; the
// script pings; a ping moves the session's idle expiry and nothing else. The
// session's lifetime is never lengthened, and a closed page lets it end on time.
//
//	km, err := keepalive.New(sessionManager, keepalive.Config{})
//	http.ListenAndServe(addr, km.LoadAndSave(mux)) // was sessionManager.LoadAndSave(mux)
//
// # Rules of interaction
//
// [Manager.LoadAndSave] MUST replace the LoadAndSave of scs. It must neither wrap
// it nor run inside it: scs writes back a copy of the session that it read when
// the request began, which undoes what other requests wrote meanwhile, logouts
// among them.
//
// Compressing middleware MUST stand outside: compress(km.LoadAndSave(mux)). A
// page that is compressed further in cannot be changed and gets no script. To
// prevent that, requests for HTML lose their Accept-Encoding on the way in.
//
// A router, middleware or proxy outside that strips a path prefix needs
// [Config.PublicPath], the path that browsers see.
//
// A Content-Security-Policy MUST let the page load a script from its own origin
// (script-src 'self', or a nonce, which is found and used) and fetch from it
// (connect-src 'self'). Policies are read, never edited.
//
// A handler that runs outside LoadAndSave, such as a health check, has no
// session, as with scs.
//
// # Requests that write at the same time
//
// A request that only reads a session never writes its data. One that modifies
// it writes it only if the session still exists. When two requests modify the same
// session at the same time, each keeps what it has changed, added and removed; a key
// that both have changed is of the one that ends later (EventConflict). A store that
// can't compare what it replaces (see [Store]) has the last one win, as in scs. A write
// to a session that has no token yet creates one. RenewToken does unless the session
// has ended since the request began.
//
// # Events
//
// [Config.Observer] receives an [Event] for each start, ping, touch, save and end of a
// session, for each page and call of the store, and for errors. The modules prometheus
// and otel make metrics of them. With [Config.Presence] it also receives
// where users are, which package presence turns into a list of who is online.
// Sessions have a name in events and logs that does not reveal their token;
// [Manager.SessionName] returns it for the session of a request.
//
// In the browser the script dispatches its events on document:
//
//   - keepalive:warning before the end, and keepalive:expired after it, which can
//     be cancelled to show a dialog of the app's own;
//   - keepalive:resumed when a warning or an end is no longer true;
//   - keepalive:user when another user has signed in (see [Config.Identify]), and
//     keepalive:hold when a form is held back that would be lost or be sent as theirs;
//   - keepalive:state when what the page knows has changed;
//   - keepalive:ping with each answer, and keepalive:logout before signing out.
//
// An app dispatches keepalive:check after it has signed somebody in or out without
// a page load. The file client/keepalive.d.ts has their types.
package keepalive

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"

	"github.com/alexedwards/scs/v2"
)

// Manager keeps the sessions of one scs.SessionManager alive. Make one with
// New; the zero value cannot be used. Its methods are safe for concurrent use.
type Manager struct {
	cfg      Config
	events   events
	sessions sessions
	pages    pages
	reach    reach
	mark     any    // the key under which a request's context has the Manager
	metric   string // the name of what Server-Timing says of the session

	// refused is why Config.Policy refuses all requests, nil if it does not. start sets it.
	refused error

	// once guards start, which runs at the first request, because programs set
	// the fields of the scs.SessionManager at any time before.
	once sync.Once
}

// New returns a Manager for sm. The fields of sm may still be changed until the
// first request. IdleTimeout, Lifetime, Store and Cookie are checked then, and
// what is wrong with them is reported through Config.Logger.
//
// If sm.Store is not a [Store], New replaces it with a wrapper that makes it one
// within this process. It warns when other processes may use the same storage. A
// store that is set later is wrapped by the next call of LoadAndSave or Handler.
// One that is set after those is used, but not guarded, which is reported.
//
// With Config.Policy those fields must be set before: New checks them, and so does the
// first request.
//
// The error joins all problems of cfg. errors.Is and errors.As reach each.
func New(sm *scs.SessionManager, cfg Config) (*Manager, error) {
	if sm == nil {
		return nil, errors.New("keepalive: the *scs.SessionManager is nil; pass the one whose LoadAndSave you would use")
	}
	cfg.setDefaults()
	if err := cfg.check(sm); err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, mark: contextMark(cfg.Path), metric: metricName(cfg.PublicPath)}
	m.events.logger, m.events.observer = cfg.Logger, cfg.Observer
	m.events.salt = []byte(cmp.Or(cfg.Salt, rand.Text()))
	if err := m.sessions.init(sm, &m.events); err != nil {
		return nil, err
	}
	m.sessions.customIdle, m.sessions.identify = cfg.IdleTimeout, cfg.Identify
	m.sessions.allowsIdle = m.allowsIdle
	m.pages.scripts = scriptsFor(cfg.Presence)
	m.pages.dialog = dialog{texts: cfg.Texts, loginURL: cfg.LoginURL, logoutURL: cfg.LogoutURL, afterEnd: cfg.AfterEnd}
	m.pages.salt = cfg.Salt
	return m, nil
}

// start completes the Manager at the first request.
func (m *Manager) start() {
	sm := m.sessions.manager
	m.sessions.start()
	if m.cfg.ErrorFunc == nil {
		m.cfg.ErrorFunc = sm.ErrorFunc
	}
	m.refused = m.checkPolicy()
	cfg := m.cfg // Statement goes on reading the other
	m.pages.disabled = !cfg.checkSessionManager(sm, m.events.log())
	var frame []byte
	if m.cfg.NoScript && sm.IdleTimeout > 0 {
		frame = frameElement(m.cfg.PublicPath)
	}
	m.pages.start(tag{
		path:          m.cfg.PublicPath,
		debug:         m.cfg.Debug,
		idle:          sm.IdleTimeout,
		mode:          m.cfg.Mode.attribute(),
		maxUnattended: m.cfg.MaxUnattended,
		warnBefore:    cfg.WarnBefore,
		blank:         m.cfg.AfterEnd == BlankPage,
		presence:      m.cfg.Presence,
	}, frame)
}

// ready completes the Manager at the first request. If Config.Policy refuses what that
// found, ready answers the request and returns false.
func (m *Manager) ready(w http.ResponseWriter, r *http.Request) bool {
	m.once.Do(m.start)
	if m.refused != nil {
		m.cfg.ErrorFunc(w, r, m.refused)
	}
	return m.refused == nil
}

// Path returns Config.Path, for mounting Handler:
//
//	mux.Handle(km.Path(), km.Handler())
func (m *Manager) Path() string { return m.cfg.Path }

// SessionName returns the name by which events and logs call the session of ctx,
// as Event.Session explains. An app can store it with what the session has
// locked, and release that on EventGone.
//
// It is "" without a session, and for a session that begins in this request,
// unless RenewToken has given it a token. ctx is that of a request inside
// LoadAndSave; with any other the result is "".
func (m *Manager) SessionName(ctx context.Context) string {
	s := &m.sessions
	if c, ok := ctx.Value(requestKey{s.manager}).(*sessionContext); ok && !c.opened.Load() {
		return m.events.sessionName(c.key)
	}
	if !s.inContext(ctx) {
		return ""
	}
	return m.events.sessionName(s.key(s.manager.Token(ctx)))
}
