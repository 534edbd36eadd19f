package keepalive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// EventKind says what an Event is about.
type EventKind string

const (
	// EventPing is a ping, or a frame of Config.NoScript, that touched a live
	// session.
	EventPing EventKind = "ping"
	// EventGone is a ping, a frame or an EventHere for which there is no live
	// session.
	EventGone EventKind = "gone"
	// EventTouch is an ordinary read-only request that moved the expiry.
	EventTouch EventKind = "touch"
	// EventSave is a request whose modified session was written.
	EventSave EventKind = "save"
	// EventLost is a request whose modified session could not be written,
	// because it had ended while the request ran, or because Config.Identify says that
	// it has become another user's. What the request wrote is dropped.
	EventLost EventKind = "lost"
	// EventConflict is a request that has written over what another one wrote
	// meanwhile: Keys that both have changed, or that came to a session which it has
	// cleared. What else both have written is kept. It comes without Keys where both
	// have changed the deadline, and where nothing could be merged: RenewToken has made
	// the session another user's, the other's data can't be read, or others have written
	// 100 times while the request tried. EventSave follows.
	EventConflict EventKind = "conflict"
	// EventRenew is a request that gave its session another token. Session is the
	// name that it had before; EventSave follows, with the new one.
	EventRenew EventKind = "renew"
	// EventDestroy is a request that destroyed its session, or whose cookie names one
	// that had ended before. Manager.EndAll publishes it too, with an empty Request.
	EventDestroy EventKind = "destroy"
	// EventHere is a page that reports that it is open. It does so at once, when its
	// address changes, and each minute, or twice in an idle timeout that is shorter
	// than two minutes. Some browsers report an address that changed without a page
	// load only with the next of these. Tab, Page, Sent and, with PresenceIdle, Idle are
	// set. It extends nothing.
	EventHere EventKind = "here"
	// EventLeave is a page that reports that it is left, by closing or navigation.
	// Tab and Sent are set. It may never come, and does not mean that there was a
	// session.
	EventLeave EventKind = "leave"
	// EventError is an error of the store or of Config.Payload. Err is set.
	EventError EventKind = "error"
)

// Event is something that happened to a session. Fields that its kind does not
// set are zero.
type Event struct {
	Kind EventKind

	// Request is the request that caused it. Its context holds the session,
	// except for EventPing, EventGone, EventLeave and most of EventError. It must
	// not be kept.
	Request *http.Request

	// Session is the session's name. It stays the same for as long as the session
	// has its token, in one process, or in all that have the same Config.Salt. It is
	// a salted hash that does not reveal the token. It is empty when the request
	// brought no token.
	Session string

	// Expiry is when the session ends if nothing touches it again, for
	// EventPing, EventTouch and EventSave; zero if the store does not know, and for what
	// a request of Config.Passive has written.
	Expiry time.Time

	// Deadline is when the session ends whatever happens, where Expiry is set.
	Deadline time.Time

	// Tab is the name of the tab among all tabs of the session, for EventHere and
	// EventLeave. The page chose it: valid UTF-8 of 1 to 32 bytes, but else anything.
	Tab string

	// Page is the path of the page, for EventHere. The page reported it: valid
	// UTF-8 of up to 2,000 bytes, but else anything.
	Page string

	// Idle is how long ago somebody last used the page, for EventHere with
	// PresenceIdle. Before that, it is how long ago any page of the browser was used.
	// The page reported it: from 1 ms, for just now, to 100 years; 0 where it is
	// unknown.
	Idle time.Duration

	// User is what Config.Identify returns, for EventHere.
	User string

	// Sent is the page's clock in milliseconds since 1970, for EventHere and
	// EventLeave. It puts them in order: the report of a page that is left may
	// arrive after that of the next page in the same tab. 0 where it is unknown.
	Sent int64

	// Keys are the keys of the session that two requests have changed, for
	// EventConflict, sorted.
	Keys []string

	// Err is the error, for EventError.
	Err error
}

// events publishes what happens to sessions, and logs it.
type events struct {
	logger   *slog.Logger // nil for slog.Default()
	observer func(Event)  // nil for none
	salt     []byte
	noticed  [noticeCount]atomic.Bool
}

// notice is something that is logged only once.
type notice int

const (
	noticeInsideSCS   notice = iota // the LoadAndSave of scs runs outside
	noticeAroundSCS                 // the LoadAndSave of scs runs inside
	noticePolicy                    // a Content-Security-Policy is in the way
	noticePayload                   // Config.Payload writes
	noticeCompression               // a compressor runs inside
	noticeIdentify                  // Config.Identify without LoadAndSave
	noticeSamePath                  // two Managers with one Config.Path
	noticeIdleRefused               // Config.IdleTimeout breaks Config.Policy
	noticeIdleAdvice                // Config.IdleTimeout is not as Config.Policy recommends
	noticeCount
)

// firstTime marks n as noticed, and reports whether it was not before.
func (e *events) firstTime(n notice) bool {
	return !e.noticed[n].Load() && !e.noticed[n].Swap(true)
}

func (e *events) log() *slog.Logger {
	if e.logger != nil {
		return e.logger
	}
	return slog.Default()
}

// storeFailed is report, but for an error that only says that the client has gone:
// it concerns nobody.
func (e *events) storeFailed(r *http.Request, key, what string, err error) {
	if r.Context().Err() == nil || !errors.Is(err, r.Context().Err()) {
		e.report(r, key, what, err)
	}
}

// report logs and publishes an error of the store, or of the app's Payload.
func (e *events) report(r *http.Request, key, what string, err error) {
	e.log().Error("keepalive: "+what, "session", e.sessionName(key), "error", err)
	e.publish(Event{Kind: EventError, Request: r, Err: err}, key)
}

// publish logs an event of the session with the given key, and gives it to the
// observer.
func (e *events) publish(event Event, key string) {
	tracing := e.tracing(event.Request)
	if tracing || e.observer != nil {
		event.Session = e.sessionName(key)
	}
	if tracing {
		args := []any{"session", event.Session}
		if len(event.Keys) > 0 {
			args = append(args, "keys", event.Keys)
		}
		if !event.Expiry.IsZero() {
			args = append(args, "expiry", event.Expiry, "deadline", event.Deadline)
		}
		e.trace(event.Request, string(event.Kind), args...)
	}
	if e.observer != nil {
		e.observer(event)
	}
}

// tracing reports whether trace would log anything. It is asked first, as even
// the arguments of trace cost allocations.
func (e *events) tracing(r *http.Request) bool {
	return e.log().Enabled(r.Context(), slog.LevelDebug)
}

// trace logs a decision.
func (e *events) trace(r *http.Request, what string, args ...any) {
	e.log().DebugContext(r.Context(), "keepalive: "+what, append(args, "method", r.Method, "path", r.URL.Path)...)
}

// sessionName returns the name of a session in logs and events, "" for no key.
func (e *events) sessionName(key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256(append(append(make([]byte, 0, 128), e.salt...), key...))
	return hex.EncodeToString(sum[:8])
}
