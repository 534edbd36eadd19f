package keepalive

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
)

// maxBody bounds what a ping may carry.
const maxBody = 4 << 10

// retryAfter is how many seconds a page waits after a ping that met a failing
// store.
const retryAfter = "5"

// Handler serves the endpoints below Config.Path, for programs that keep the
// LoadAndSave of scs. It must stand outside of that, or every ping would write
// back a copy of the session; if it finds itself inside, it says so once through
// Config.Logger.
//
//	POST ping         extends the session, never beyond its deadline
//	GET  ping         looks and extends nothing
//	GET  keepalive.js the script
//	GET  dialog       the words and the look of its dialogs
//	GET  frame        what Config.NoScript puts into pages; extends the session
//	POST here, leave  what Config.Presence lets pages say; extends nothing
//
// Both pings answer 200 with {"idleMs":N,"lifetimeMs":N}, the milliseconds left
// until the session ends if nothing touches it again and until it ends in any
// case; 401 without a live session; 403 to a POST from another origin; 405 to
// other methods; 503 with Retry-After when the store fails. A POST may carry
// inactive=N, the milliseconds since the user's last input, as a form or plain
// text of up to 4 KB: the idle timeout is then counted from there. That can only
// shorten what the ping gains. A number that can't be read answers 400. With
// Config.Payload the answer has its result as data.
//
// POST here and POST leave carry tab, page and sent as such a form. They answer 204,
// or 400 without a good tab; here also 401 and 503.
//
// A persistent cookie of scs lasts only until the idle expiry, so a POST and the
// frame send it again. (Below the Manager's own LoadAndSave cookies last until
// the deadline, and pings send none.)
func (m *Manager) Handler() http.Handler { return m.endpoints(true) }

// endpoints is Handler. resend tells that scs wrote the cookies.
func (m *Manager) endpoints(resend bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.once.Do(m.start)
		switch strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, m.cfg.Path), "/") {
		case "ping":
			m.ping(w, r, resend)
		case "keepalive.js":
			if allowed(w, r, "GET, HEAD") {
				m.script.serve(w, r)
			}
		case "dialog":
			if allowed(w, r, "GET, HEAD") {
				m.dialogs(w, r)
			}
		case "frame":
			m.serveFrame(w, r, resend)
		case "here":
			m.presence(w, r, EventHere)
		case "leave":
			m.presence(w, r, EventLeave)
		default:
			http.NotFound(w, r)
		}
	})
}

// allowed answers 405 to a method that is not in the list.
func allowed(w http.ResponseWriter, r *http.Request, methods string) bool {
	for method := range strings.SplitSeq(methods, ", ") {
		if r.Method == method {
			return true
		}
	}
	w.Header().Set("Allow", methods)
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	return false
}

// Header values that every ping sends. Shared, as net/http only reads them.
var (
	noStore  = []string{"no-store"}
	noSniff  = []string{"nosniff"}
	jsonType = []string{"application/json"}
)

func (m *Manager) ping(w http.ResponseWriter, r *http.Request, resend bool) {
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	if !allowed(w, r, "GET, HEAD, POST") {
		return
	}
	post := r.Method == http.MethodPost
	said, ok := m.said(w, r)
	if !ok {
		return
	}
	inactive, err := inactivity(said)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s, key, status := m.sight(w, r, post, m.sm.IdleTimeout-inactive, resend)
	var data []byte
	if status == http.StatusOK && m.cfg.Payload != nil {
		data, status = m.payload(w, r, key)
	}
	if status != http.StatusOK {
		http.Error(w, http.StatusText(status), status)
		return
	}
	now := time.Now()
	lifetime := max(s.deadline.Sub(now), 0)
	left := min(max(s.expiry.Sub(now), 0), lifetime)
	h["Content-Type"] = jsonType
	body := append(make([]byte, 0, 64), `{"idleMs":`...)
	body = strconv.AppendInt(body, left.Milliseconds(), 10)
	body = append(body, `,"lifetimeMs":`...)
	body = strconv.AppendInt(body, lifetime.Milliseconds(), 10)
	if data != nil {
		body = append(append(body, `,"data":`...), data...)
	}
	_, _ = w.Write(append(body, '}')) // the client has gone, or the answer is out
}

// sight extends the request's session, or only looks at it, and says what to
// answer: 200, 401 without a live session, or 503 with Retry-After.
func (m *Manager) sight(w http.ResponseWriter, r *http.Request, extend bool, idle time.Duration, resend bool) (s sighting, key string, status int) {
	m.insideSCS(r)
	token := m.token(r)
	key = m.key(token)
	var err error
	if token != "" {
		if extend {
			s, err = m.extend(r.Context(), key, idle)
		} else {
			s, err = m.look(r.Context(), key)
		}
		if err == nil && s.found && extend && resend {
			err = m.resend(w, r, token, s.deadline)
		}
	}
	switch {
	case err != nil:
		return s, key, m.unavailable(w, r, key, err)
	case !s.found || !time.Now().Before(s.deadline):
		return s, key, m.gone(r, key)
	case extend:
		m.observe(Event{Kind: EventPing, Request: r, Expiry: s.expiry, Deadline: s.deadline}, key)
	}
	return s, key, http.StatusOK
}

func (m *Manager) unavailable(w http.ResponseWriter, r *http.Request, key string, err error) int {
	m.failed(r, key, "the store could not answer a ping", err)
	w.Header().Set("Retry-After", retryAfter)
	return http.StatusServiceUnavailable
}

func (m *Manager) gone(r *http.Request, key string) int {
	m.observe(Event{Kind: EventGone, Request: r}, key)
	return http.StatusUnauthorized
}

// payload is the JSON of what Config.Payload returns, nil after an error of it.
// status is that of the ping: the session may have ended since it was sighted.
func (m *Manager) payload(w http.ResponseWriter, r *http.Request, key string) (data []byte, status int) {
	ctx, token, err := m.load(r)
	if err != nil {
		return nil, m.unavailable(w, r, key, err)
	}
	if token == "" {
		return nil, m.gone(r, key)
	}
	r = r.WithContext(ctx)
	before := m.sm.Status(ctx) // inside of scs's LoadAndSave it is scs.Modified from the start
	value, err := m.cfg.Payload(ctx, r)
	if err == nil {
		data, err = json.Marshal(value)
	}
	if err != nil {
		m.failed(r, key, "Config.Payload failed, so a ping was answered without data", err)
	}
	if m.sm.Status(ctx) != before && !m.warnedPayload.Swap(true) {
		m.log().Error("keepalive: Config.Payload modified the session, and pings write no data; write it in a request of the app, and only read it in Payload", "session", m.name(key))
	}
	return data, http.StatusOK
}

// sighting is what the store said of a session.
type sighting struct {
	expiry, deadline time.Time
	found            bool
}

// deadlineStore is a Store that returns the deadline with the expiry, so that a
// store which remembers deadlines has no need to be asked for the data.
type deadlineStore interface {
	TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry, end time.Time, found bool, err error)
}

// extend touches a session.
func (m *Manager) extend(ctx context.Context, key string, idle time.Duration) (s sighting, err error) {
	if d, ok := m.store.(deadlineStore); ok {
		s.expiry, s.deadline, s.found, err = d.TouchDeadline(ctx, key, idle, m.deadline)
	} else {
		s.expiry, s.found, err = m.store.Touch(ctx, key, idle, func(data []byte) (t time.Time, err error) {
			s.deadline, err = m.deadline(data)
			return s.deadline, err
		})
	}
	if err != nil || !s.found {
		return s, err
	}
	m.hints.note(key, s.expiry)
	if s.deadline.IsZero() { // the store remembered it
		return m.withDeadline(ctx, key, s)
	}
	return s, nil
}

// look reads when a session ends.
func (m *Manager) look(ctx context.Context, key string) (s sighting, err error) {
	if _, ok := m.store.(deadlineStore); ok {
		return m.extend(ctx, key, -maxInactive) // by nothing
	}
	if s.expiry, s.found, err = m.store.Expiry(ctx, key); err != nil || !s.found {
		return s, err
	}
	return m.withDeadline(ctx, key, s)
}

func (m *Manager) withDeadline(ctx context.Context, key string, s sighting) (sighting, error) {
	var data []byte
	var err error
	if c, ok := m.store.(scs.CtxStore); ok {
		data, s.found, err = c.FindCtx(ctx, key)
	} else {
		data, s.found, err = m.store.Find(key)
	}
	if err == nil && s.found {
		s.deadline, err = m.deadline(data)
	}
	return s, err
}

// resend writes the cookie of a session that was extended, if it is one that
// outlives the browser. Whether it is may be a value of the session itself.
func (m *Manager) resend(w http.ResponseWriter, r *http.Request, token string, deadline time.Time) error {
	ctx := r.Context()
	if !m.sm.Cookie.Persist {
		var err error
		if ctx, err = m.loader.Load(ctx, token); err != nil || !m.sm.GetBool(ctx, "__rememberMe") {
			return err
		}
	}
	m.sm.WriteSessionCookie(ctx, w, token, deadline)
	w.Header()["Cache-Control"] = noStore // scs adds a weaker one
	return nil
}

// said is what a POST carries. It has answered, and ok is false, when that comes
// from another origin or can't be read. No content type is asked for, so that a
// beacon passes.
func (m *Manager) said(w http.ResponseWriter, r *http.Request) (form url.Values, ok bool) {
	if r.Method != http.MethodPost {
		return nil, true
	}
	if err := m.cfg.CrossOrigin.Check(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return nil, false
	}
	if r.ContentLength == 0 {
		return nil, true
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		form, err = url.ParseQuery(strings.TrimSpace(string(body)))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return form, err == nil
}

// inactivity is how long ago the user's last input was.
func inactivity(form url.Values) (time.Duration, error) {
	if !form.Has("inactive") {
		return 0, nil
	}
	ms, err := strconv.ParseInt(form.Get("inactive"), 10, 64)
	if err != nil {
		return 0, errors.New("inactive must be a whole number of milliseconds")
	}
	// Not before now, and not so long ago that a duration can't hold it.
	return time.Duration(min(max(ms, 0), int64(maxInactive/time.Millisecond))) * time.Millisecond, nil
}

// maxInactive is longer than any idle timeout.
const maxInactive = 100 * 365 * 24 * time.Hour
