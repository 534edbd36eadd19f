package keepalive

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
)

// retryAfter is how many seconds a page waits after a ping that met a failing
// store.
const retryAfter = "5"

// Header values that every ping sends. They are shared, because net/http only
// reads them.
var (
	noSniff    = []string{"nosniff"}
	jsonType   = []string{"application/json"}
	ourMark    = []string{"1"}
	sameOrigin = []string{"same-origin"}
	denied     = []string{"DENY"}
	closed     = []string{"close"}
)

// Handler serves the endpoints below Config.Path, for programs that keep the
// LoadAndSave of scs. It must stand outside of that, or every ping would write
// back a copy of the session. If it finds itself inside, it says so once through
// Config.Logger.
//
//	POST ping                 extends the session, never beyond its deadline
//	GET  ping                 reports how long it will last, and extends nothing
//	GET  keepalive.<hash>.js  the script, which browsers may keep for ever
//	GET  keepalive.debug.js   the readable script, for Config.Debug
//	GET  dialog               the words and the look of its dialogs
//	GET  dialog.<hash>.js     what shows them
//	GET  after.js             what BlankPage and OpenLogin add
//	GET  extras.<hash>.js     what the script can do without in a page's first seconds
//	GET  frame                what Config.NoScript puts into pages; extends the session
//	POST here, leave          what Config.Presence lets pages report; extend nothing
//
// keepalive.js, and a hash that is not the current one, also answer with the
// current script, which browsers then check each time.
//
// Both pings answer 200 with {"idleMs":N,"lifetimeMs":N}, the milliseconds left
// until the session ends if nothing touches it again, and until it ends in any
// case. They answer 401 with {"gone":true} without a live session, 403 to a POST from another origin,
// 405 to other methods, and 503 with Retry-After when the store fails. With
// Config.Payload the answer has its result as data. A body is read only of a request
// with a session cookie; one that takes longer than 10 seconds answers 408.
//
// The answer has "unknown":true where the store does not know how long the
// session would last, as after a restart. idleMs is then a cautious guess.
//
// A POST may carry inactive=N, the milliseconds since the user's last input, as a
// form or plain text of up to 4 KB. The idle timeout is then counted from there,
// which can only shorten what the ping gains. A number that cannot be read
// answers 400.
//
// POST here and POST leave carry tab, page, sent and idle as such a form. They answer
// 204; 400 without a usable tab, 403 to another origin, 404 with PresenceOff, 405 to other
// methods; here also 401 and 503.
//
// Every answer has the header "Keepalive: 1". The script believes a 401 or 403 only
// with it, because a proxy or other middleware may answer in the endpoints' place.
// Pages of other origins can neither load nor frame what is below Config.Path.
//
// A persistent cookie of scs lasts only until the idle expiry, so a POST and the
// frame send it again. Where the Manager's own LoadAndSave is used, on whatever
// route, cookies last until the deadline, and none is sent again.
func (m *Manager) Handler() http.Handler {
	m.sessions.guardStore()
	return endpoints{m}
}

// endpoints serves what lies below Config.Path.
type endpoints struct{ m *Manager }

// ServeHTTP implements http.Handler.
func (e endpoints) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.m.once.Do(e.m.start)
	e.m.reach.reached()
	h := w.Header()
	h["Keepalive"] = ourMark
	h["Cross-Origin-Resource-Policy"] = sameOrigin
	h["X-Frame-Options"] = denied // but for frame, which says otherwise
	if e.m.refused != nil {
		h.Set("Retry-After", retryAfter)
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	limitBody(w, r)
	name, found := strings.CutPrefix(r.URL.Path, e.m.cfg.Path)
	if !found { // http.StripPrefix outside has taken Path away, with its last slash or not
		name = strings.TrimPrefix(name, "/")
	}
	switch name {
	case "ping":
		e.ping(w, r)
	case "dialog":
		e.dialog(w, r)
	case "frame":
		e.frame(w, r)
	case "here":
		e.here(w, r)
	case "leave":
		e.leave(w, r)
	default:
		for _, s := range []script{e.m.pages.scripts.main, e.m.pages.scripts.dialogs, e.m.pages.scripts.after, e.m.pages.scripts.extras} {
			if s.hasName(name) {
				e.serveScript(w, r, s, name)
				return
			}
		}
		e.notFound(w, r)
	}
}

func (e endpoints) ping(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	if !e.allowMethods(w, r, "GET, HEAD, POST") {
		return
	}
	form, ok := e.readForm(w, r)
	if !ok {
		return
	}
	inactive, err := inactivity(form)
	if err != nil {
		e.refuse(w, r, http.StatusBadRequest, ReasonBody, err.Error())
		return
	}
	extend := r.Method == http.MethodPost
	session, status := e.checkSession(w, r, extend, inactive)
	var data []byte
	if status == http.StatusOK && e.m.cfg.Payload != nil {
		data, status = e.payload(w, r, session.key)
	}
	body := goneBody
	switch status {
	case http.StatusOK:
		body = pingBody(guessExpiry(session.times, session.idle), data)
	case http.StatusUnauthorized:
	default:
		http.Error(w, http.StatusText(status), status)
		return
	}
	h["Content-Type"] = jsonType
	w.WriteHeader(status) // a router outside may have preset another
	_, _ = w.Write(body)  // the client has gone, or the answer is out
}

// goneBody is what a ping answers without a live session.
var goneBody = []byte(`{"gone":true}`)

// pingBody is the JSON that a ping answers.
func pingBody(times sessionTimes, data []byte) []byte {
	now := time.Now()
	lifetime := max(times.deadline.Sub(now), 0)
	idle := min(max(times.expiry.Sub(now), 0), lifetime)
	body := append(make([]byte, 0, 64), `{"idleMs":`...)
	body = strconv.AppendInt(body, idle.Milliseconds(), 10)
	body = append(body, `,"lifetimeMs":`...)
	body = strconv.AppendInt(body, lifetime.Milliseconds(), 10)
	if times.guessed {
		body = append(body, `,"unknown":true`...)
	}
	if data != nil {
		body = append(append(body, `,"data":`...), data...)
	}
	return append(body, '}')
}

func (e endpoints) serveScript(w http.ResponseWriter, r *http.Request, s script, name string) {
	if e.allowMethods(w, r, "GET, HEAD") {
		s.serve(w, r, name)
	}
}

func (e endpoints) dialog(w http.ResponseWriter, r *http.Request) {
	if e.allowMethods(w, r, "GET, HEAD") {
		e.m.pages.dialog.serve(w, r)
	}
}

// frame serves the document that stands for the script in browsers without
// JavaScript. It extends the session as a ping does, and reloads itself for as
// long as there is one.
func (e endpoints) frame(w http.ResponseWriter, r *http.Request) {
	if !e.m.pages.hasFrame() {
		e.notFound(w, r)
		return
	}
	setFrameHeader(w.Header())
	if !e.allowMethods(w, r, "GET, HEAD") {
		return
	}
	status, refresh := http.StatusForbidden, time.Duration(0)
	if isFramed(r.Header) {
		var session checkedSession
		if session, status = e.checkSession(w, r, true, 0); status != http.StatusUnauthorized {
			refresh = session.idle / frameReloads
		}
	} else {
		e.publishRefusal(r, ReasonOrigin)
	}
	writeFrame(w, status, refresh)
}

// here receives that a page is open. It needs a live session.
func (e endpoints) here(w http.ResponseWriter, r *http.Request) {
	event, key, ok := e.readPresence(w, r)
	if !ok {
		return
	}
	e.m.sessions.isInsideSCS(r) // which logs it
	c, err := e.m.sessions.load(r)
	status := http.StatusNoContent
	switch {
	case err != nil:
		status = e.unavailable(w, r, key, err)
	case c.token == "":
		status = e.gone(r, key)
	}
	if status != http.StatusNoContent {
		http.Error(w, http.StatusText(status), status)
		return
	}
	// The context holds the session, so that observers can read it.
	event.Kind, event.Request = EventHere, r.WithContext(c)
	if e.m.cfg.Identify != nil {
		event.User = e.m.cfg.Identify(c)
	}
	e.m.events.publish(event, key)
	w.WriteHeader(status)
}

// leave receives that a page is left. It needs no session, only its name: a
// logout must not hide that the page was left.
func (e endpoints) leave(w http.ResponseWriter, r *http.Request) {
	event, key, ok := e.readPresence(w, r)
	if !ok {
		return
	}
	if key != "" {
		event.Kind, event.Request, event.Page, event.Idle = EventLeave, r, "", 0
		e.m.events.publish(event, key)
	}
	w.WriteHeader(http.StatusNoContent)
}

// readPresence reads what a POST here or leave reports, and the key of its
// session. If ok is false it has answered.
func (e endpoints) readPresence(w http.ResponseWriter, r *http.Request) (event Event, key string, ok bool) {
	if e.m.cfg.Presence == PresenceOff {
		e.notFound(w, r)
		return event, "", false
	}
	w.Header()["Cache-Control"] = noStore
	if !e.allowMethods(w, r, http.MethodPost) {
		return event, "", false
	}
	form, ok := e.readForm(w, r)
	if !ok {
		return event, "", false
	}
	if key = e.m.sessions.key(e.m.sessions.token(r)); key == "" { // then readForm has read nothing
		return event, "", true
	}
	if event, ok = e.m.cfg.Presence.parse(form); !ok {
		e.refuse(w, r, http.StatusBadRequest, ReasonBody, "tab must be 1 to 32 bytes of UTF-8")
	}
	return event, key, ok
}

// allowMethods answers 405 to a method that is not in the list.
func (e endpoints) allowMethods(w http.ResponseWriter, r *http.Request, methods string) bool {
	for method := range strings.SplitSeq(methods, ", ") {
		if r.Method == method {
			return true
		}
	}
	w.Header().Set("Allow", methods)
	e.refuse(w, r, http.StatusMethodNotAllowed, ReasonMethod, http.StatusText(http.StatusMethodNotAllowed))
	return false
}

func (e endpoints) notFound(w http.ResponseWriter, r *http.Request) {
	e.refuse(w, r, http.StatusNotFound, ReasonPath, "404 page not found")
}

// refuse answers a request that is refused.
func (e endpoints) refuse(w http.ResponseWriter, r *http.Request, status int, reason Reason, text string) {
	e.publishRefusal(r, reason)
	http.Error(w, text, status)
}

func (e endpoints) publishRefusal(r *http.Request, reason Reason) {
	s := &e.m.sessions
	e.m.events.publish(Event{Kind: EventRefused, Request: r, Reason: reason}, s.key(s.token(r)))
}

// checkedSession is the result of checkSession.
type checkedSession struct {
	key   string
	idle  time.Duration // its idle timeout
	times sessionTimes
}

// checkSession extends the request's session, or only reads its times, and
// returns the status to answer: 200, 401 without a live session, or 503 with
// Retry-After. With Config.IdleTimeout it reads the session first.
func (e endpoints) checkSession(w http.ResponseWriter, r *http.Request, extend bool, inactive time.Duration) (c checkedSession, status int) {
	s := &e.m.sessions
	s.isInsideSCS(r) // which logs it
	token := s.token(r)
	c.key, c.idle = s.key(token), s.manager.IdleTimeout
	var err error
	if token != "" && s.customIdle != nil {
		var session *sessionContext
		if session, err = s.load(r); err == nil {
			token, c.idle = session.token, s.idleTimeout(session)
		}
	}
	switch {
	case token == "" || err != nil:
	case extend:
		if c.times, err = s.extend(r, c.key, c.idle-inactive, c.idle); err == nil && c.times.found && !s.writesCookies.Load() {
			err = s.resendCookie(w, r, token, c.times.deadline)
		}
	default:
		c.times, err = s.peek(r, c.key)
	}
	switch {
	case err != nil:
		return c, e.unavailable(w, r, c.key, err)
	case !c.times.found:
		return c, e.gone(r, c.key)
	case !time.Now().Before(c.times.deadline):
		s.events.noteEnd(c.key, c.times.deadline)
		return c, e.gone(r, c.key)
	case extend:
		e.m.events.publish(Event{Kind: EventPing, Request: r, Expiry: c.times.expiry, Deadline: c.times.deadline}, c.key)
	}
	return c, http.StatusOK
}

// unavailable reports an error of the store, and returns the status for it.
func (e endpoints) unavailable(w http.ResponseWriter, r *http.Request, key string, err error) (status int) {
	e.m.events.storeFailed(r, key, "the store could not read or extend a session", err)
	w.Header().Set("Retry-After", retryAfter)
	return http.StatusServiceUnavailable
}

// gone reports that there is no live session, and returns the status for it.
func (e endpoints) gone(r *http.Request, key string) (status int) {
	e.m.events.publish(Event{Kind: EventGone, Request: r}, key)
	return http.StatusUnauthorized
}

// payload returns the JSON of what Config.Payload returns, nil after an error of
// it. status is that of the ping: the session may have ended since it was checked.
func (e endpoints) payload(w http.ResponseWriter, r *http.Request, key string) (data []byte, status int) {
	c, err := e.m.sessions.load(r)
	if err != nil {
		return nil, e.unavailable(w, r, key, err)
	}
	if c.token == "" {
		return nil, e.gone(r, key)
	}
	events := &e.m.events
	value, err := e.m.cfg.Payload(c, r.WithContext(c))
	if err == nil {
		data, err = json.Marshal(value)
	}
	if err != nil {
		events.storeFailed(r, key, "Config.Payload failed, so a ping was answered without data", err)
	}
	if c.status() != scs.Unmodified && events.firstTime(noticePayload) {
		events.log().Error("keepalive: Config.Payload modified the session, and pings write no data; write it in a request of the app, and only read it in Payload", "session", events.sessionName(key))
	}
	return data, http.StatusOK
}
