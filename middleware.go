package keepalive

import (
	"context"
	"maps"
	"net/http"
	"strings"
)

// LoadAndSave does for next what the LoadAndSave of scs does, without its races
// (see the package comment), serves the endpoints below Config.Path, and puts
// the script into pages that have a session, as Inject does.
//
// Differences from scs that an app can see: a request that only reads a session
// extends it without writing its data, sends no cookie for that, and skips even
// that when it would gain less than a twentieth of the idle timeout or a minute,
// whichever is less. A cookie lasts until the session's deadline, not its idle
// expiry. The session is saved on the first of Write, WriteHeader, Flush,
// ReadFrom and Hijack. When it can't be saved, what the handler writes after
// Config.ErrorFunc is dropped. After a panic nothing is saved.
//
// It may be called for several handlers, and wrapping a handler twice is the
// same as once.
func (m *Manager) LoadAndSave(next http.Handler) http.Handler {
	endpoints := m.endpoints(false)
	inject := m.Inject(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.once.Do(m.start)
		if strings.HasPrefix(r.URL.Path, m.cfg.Path) {
			endpoints.ServeHTTP(w, r)
			return
		}
		if r.Context().Value(m) != nil { // LoadAndSave stands outside
			next.ServeHTTP(w, r)
			return
		}
		if m.insideSCS(r) {
			inject.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", "Cookie")
		ctx, token, err := m.load(r)
		if err != nil {
			m.failed(r, m.key(m.token(r)), "the store could not load a session", err)
			m.cfg.ErrorFunc(w, r, err)
			return
		}
		// The mark tells a second LoadAndSave or Inject further in, also behind a
		// writer that can't be unwrapped. With Inject outside, that one injects.
		r = r.WithContext(context.WithValue(ctx, m, m))
		passive := token != "" && m.cfg.Passive != nil && m.cfg.Passive(r)
		plain := ""
		switch {
		case m.wrapped(w):
			plain = unsaid
		case passive:
			plain = "Config.Passive"
		}
		m.serve(&writer{ResponseWriter: w, m: m, r: r, token: token, save: true, passive: passive, plain: plain}, r, next, true)
	})
}

// Inject puts the script into the HTML pages that next answers with, where the
// request or the response carries a session cookie. It is for programs that
// keep the LoadAndSave of scs, inside of it:
//
//	mux.Handle(km.Path(), km.Handler())
//	mux.Handle("/", km.Inject(sm.LoadAndSave(app)))
//
// Only whole, uncompressed HTML documents are changed; see the README for the
// exact rules. A Content-Length stays exact, a strong ETag becomes weak, and
// Accept-Ranges becomes none. With Config.NoScript a frame follows the page, after
// all that next wrote. All other responses are as next made them.
//
// Wrapping a handler twice is the same as once.
func (m *Manager) Inject(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.once.Do(m.start)
		if r.Context().Value(m) != nil || m.wrapped(w) {
			next.ServeHTTP(w, r)
			return
		}
		m.serve(&writer{ResponseWriter: w, m: m, r: r}, r, next, false)
	})
}

// serve runs next. own tells that r is already a copy of the request that came.
func (m *Manager) serve(w *writer, r *http.Request, next http.Handler, own bool) {
	switch {
	case w.plain != "":
	case m.off:
		w.plain = "the configuration, as was logged"
	case m.cfg.Skip != nil && m.cfg.Skip(r):
		w.plain = "Config.Skip"
	}
	if w.plain == "" && r.Header["Accept-Encoding"] != nil && acceptsHTML(r.Header) {
		// So that a page that is fetched or compressed further in arrives
		// plain. On a copy: middleware outside may still look at the original,
		// also from another goroutine.
		if !own {
			c := *r
			r = &c
			w.r = r
		}
		r.Header = maps.Clone(r.Header)
		delete(r.Header, "Accept-Encoding")
	}
	next.ServeHTTP(w, r)
	w.finish() // not deferred: a panic must not send half a page as a whole one
}

func acceptsHTML(h http.Header) bool {
	for _, v := range h["Accept"] {
		if strings.Contains(v, "text/html") {
			return true
		}
	}
	return false
}

// wrapped tells whether m's writer is already below w.
func (m *Manager) wrapped(w http.ResponseWriter) bool {
	for {
		if kw, ok := w.(*writer); ok && kw.m == m {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}

// insideSCS tells whether scs's own LoadAndSave stands outside, where Load
// would find its session and scs would write that back after us. It says so once.
func (m *Manager) insideSCS(r *http.Request) bool {
	if r.Context().Value(m.contextKey) == nil {
		return false
	}
	if !m.warnedInner.Swap(true) {
		m.log().Error("keepalive: running inside SessionManager.LoadAndSave, which writes back what it read and so undoes logouts and writes that happen during a ping; use keepalive's LoadAndSave in its place, or mount Handler outside of it")
	}
	return true
}
