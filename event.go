package keepalive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// EventKind says what an Event is about.
type EventKind string

const (
	// EventPing is a ping, or a frame of Config.NoScript, that touched a live
	// session.
	EventPing EventKind = "ping"
	// EventGone is a ping, a frame or a page that says it is open for which there
	// is no live session.
	EventGone EventKind = "gone"
	// EventTouch is an ordinary read-only request that moved the expiry.
	EventTouch EventKind = "touch"
	// EventSave is a request whose modified session was written.
	EventSave EventKind = "save"
	// EventLost is a request whose modified session could not be written,
	// because it had ended while the request ran. What it wrote is dropped.
	EventLost EventKind = "lost"
	// EventRenew is a request that gave its session another token. Session is the
	// name that it had before; EventSave follows, with the new one.
	EventRenew EventKind = "renew"
	// EventDestroy is a request that destroyed its session.
	EventDestroy EventKind = "destroy"
	// EventHere is a page that says it is open: at once, when its address changes
	// (without a page load in some browsers only with the next of these),
	// and each minute, or twice in an idle timeout that is shorter than two. Tab
	// and Page are set. It extends nothing.
	EventHere EventKind = "here"
	// EventLeave is a page that says it is left, by closing or navigation. Tab is
	// set. It may never come, and does not mean that there was a session.
	EventLeave EventKind = "leave"
	// EventError is an error of the store or of Config.Payload. Err is set.
	EventError EventKind = "error"
)

// Event is something that happened to a session.
type Event struct {
	Kind EventKind

	// Request is the request that caused it. Its context holds the session,
	// except for EventPing, EventGone, EventLeave and most of EventError. It must
	// not be kept.
	Request *http.Request

	// Session names the session for as long as its token lasts, and the process
	// runs, but for Config.Salt. It is a salted hash, from which the token can't
	// be found. Empty when the request brought no token.
	Session string

	// Expiry is when the session ends if nothing touches it again, for
	// EventPing, EventTouch and EventSave.
	Expiry time.Time

	// Deadline is when the session ends whatever happens, where Expiry is set.
	Deadline time.Time

	// Tab and Page are what the page said, for EventHere, and Tab for EventLeave:
	// the name of the tab among all tabs of the session, and the page's path. They
	// are no more than 32 and 2,000 bytes long and valid UTF-8, but else anything.
	Tab, Page string

	// Sent is the page's clock in milliseconds since 1970, for EventHere and
	// EventLeave: a page that is left and the one that comes after it in the same
	// tab may arrive in the wrong order. 0 where it said none.
	Sent int64

	// Err is the error, for EventError.
	Err error
}

// failed reports an error of the store. One that only says that the client has
// gone is nobody's concern.
func (m *Manager) failed(r *http.Request, key, doing string, err error) {
	if r.Context().Err() != nil && errors.Is(err, r.Context().Err()) {
		return
	}
	m.log().Error("keepalive: "+doing, "session", m.name(key), "error", err)
	m.observe(Event{Kind: EventError, Request: r, Err: err}, key)
}

func (m *Manager) observe(e Event, key string) {
	tracing := m.tracing(e.Request)
	if tracing || m.cfg.Observer != nil {
		e.Session = m.name(key)
	}
	if tracing {
		args := []any{"session", e.Session}
		if !e.Expiry.IsZero() {
			args = append(args, "expiry", e.Expiry, "deadline", e.Deadline)
		}
		m.trace(e.Request, string(e.Kind), args...)
	}
	if m.cfg.Observer != nil {
		m.cfg.Observer(e)
	}
}

// tracing tells whether trace would log anything. To be asked first, as even the
// arguments of trace cost allocations.
func (m *Manager) tracing(r *http.Request) bool {
	return m.log().Enabled(r.Context(), slog.LevelDebug)
}

// trace logs a decision.
func (m *Manager) trace(r *http.Request, what string, args ...any) {
	m.log().DebugContext(r.Context(), "keepalive: "+what, append(args, "method", r.Method, "path", r.URL.Path)...)
}

// name is how a session is called in logs and events.
func (m *Manager) name(key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256(append(append(make([]byte, 0, 128), m.salt...), key...))
	return hex.EncodeToString(sum[:8])
}
