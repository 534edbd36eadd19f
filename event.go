package keepalive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/seed4a306b22/keepalive/internal/inject"
)

// EventKind says what an Event is about.
type EventKind string

const (
	// EventPing is a ping, or a frame of Config.NoScript, that touched a live
	// session.
	EventPing EventKind = "ping"
	// EventGone is a request with a session cookie, a ping, a frame or an EventHere for
	// which there is no live session. Reason is set where it shows the end of a session
	// that this process has not reported before.
	EventGone EventKind = "gone"
	// EventStart is a request that has begun a session, by a login or the first value
	// that it has put there. EventSave follows.
	EventStart EventKind = "start"
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
	// EventRenew is a request that gave its session another token, as a login does with
	// the session of a guest. Session is the name that it had before; EventSave follows,
	// with the new one.
	EventRenew EventKind = "renew"
	// EventDestroy is a request that destroyed its session, or whose cookie names one
	// that had ended before. Manager.EndAll publishes it too, with an empty Request.
	// Reason is set as for EventGone.
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
	// EventRefused is a request that an endpoint has refused, for a Reason that lies in
	// the request.
	EventRefused EventKind = "refused"
	// EventInject is a page that gets the script, and EventSkip a response that may be
	// a page and gets none. Reason is set. There is one of these for each such response.
	EventInject EventKind = "inject"
	EventSkip   EventKind = "skip"
	// EventStore is a call of the store for a request, by keepalive, Destroy or
	// RenewToken. Call, Took and, if it failed, Err are set. Most requests with a session
	// have one or two.
	EventStore EventKind = "store"
)

// Reason says why an event has happened.
type Reason string

const (
	// ReasonLogout is the end of a session that the app has destroyed.
	ReasonLogout Reason = "logout"
	// ReasonIdle is the end of a session whose idle timeout has passed, and
	// ReasonLifetime that of one whose deadline has, as far as this process knows. Where
	// instances share a store, another one may have extended the session after that,
	// and ended it.
	ReasonIdle     Reason = "idle"
	ReasonLifetime Reason = "lifetime"
	// ReasonUnknown is the end of a session that was deleted elsewhere, that this process
	// has not seen among the last 16,384, or that never was.
	ReasonUnknown Reason = "unknown"

	// ReasonBody is a body that can't be read, which an endpoint answers with 400.
	ReasonBody Reason = "body"
	// ReasonOrigin is a request from another origin: 403.
	ReasonOrigin Reason = "origin"
	// ReasonPath is a path of no endpoint, or of one that is switched off: 404.
	ReasonPath Reason = "path"
	// ReasonMethod is a method that the endpoint does not have: 405.
	ReasonMethod Reason = "method"
	// ReasonTimeout is a body that took longer than 10 seconds: 408.
	ReasonTimeout Reason = "timeout"
)

// Reasons returns all reasons that events of this kind may have, for those who count
// them. Those of EventInject and EventSkip are words for people, which another version
// may change. The result is the caller's.
func (k EventKind) Reasons() []Reason {
	switch k {
	case EventGone:
		return []Reason{ReasonIdle, ReasonLifetime, ReasonUnknown}
	case EventDestroy:
		return []Reason{ReasonLogout}
	case EventRefused:
		return []Reason{ReasonBody, ReasonOrigin, ReasonPath, ReasonMethod, ReasonTimeout}
	case EventInject:
		return []Reason{injectSession, injectAnonymous}
	case EventSkip:
		reasons := []Reason{skipPassive, skipConfig, skipSkip, skipStateless, skipNoSession}
		for _, reason := range inject.SkipReasons {
			reasons = append(reasons, Reason(reason))
		}
		return reasons
	}
	return nil
}

// Event is something that happened to a session. Fields that its kind does not
// set are zero.
type Event struct {
	Kind EventKind

	// Request is the request that caused it. Its context holds the session, except for
	// EventPing, EventGone, EventLeave, EventRefused, EventStore and most of EventError,
	// and with Inject alone for EventInject and EventSkip. It must not be kept.
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

	// User is what Config.Identify returns, for EventHere, and for EventStart,
	// EventSave, EventRenew, EventConflict and EventLost, with the session as the request
	// left it. For EventDestroy it is the user of the session that has ended.
	// EventGone has none; the start and the writes of the same Session have.
	User string

	// Reason says why, for EventGone, EventDestroy, EventRefused, EventInject and
	// EventSkip.
	Reason Reason

	// Call is the method of the store that was called, for EventStore: "find", "touch",
	// "expiry", "commit" (a new session), "swap", "replace" or "delete" (also by Take).
	Call string

	// Took is how long that took.
	Took time.Duration

	// Sent is the page's clock in milliseconds since 1970, for EventHere and
	// EventLeave. It puts them in order: the report of a page that is left may
	// arrive after that of the next page in the same tab. 0 where it is unknown.
	Sent int64

	// Keys are the keys of the session that two requests have changed, for
	// EventConflict, sorted.
	Keys []string

	// Err is the error, for EventError and EventStore.
	Err error
}

// events publishes what happens to sessions, and logs it.
type events struct {
	logger   *slog.Logger // nil for slog.Default()
	observer func(Event)  // nil for none
	salt     []byte
	noticed  [noticeCount]atomic.Bool
	ends     ends
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
	if e.observer != nil {
		e.ends.complete(&event, key)
	}
	if tracing {
		args := []any{"session", event.Session}
		if event.Reason != "" {
			args = append(args, "reason", event.Reason)
		}
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
	path := ""
	if r.URL != nil { // else no request has caused it
		path = r.URL.Path
	}
	e.log().DebugContext(r.Context(), "keepalive: "+what, append(args, "method", r.Method, "path", path)...)
}

// noteEnd notes that a session has ended at its deadline, which the store has not
// noticed.
func (e *events) noteEnd(key string, deadline time.Time) {
	if e.observer != nil {
		e.ends.note(key, deadline, deadline)
	}
}

// startCall returns the time if somebody wants to know how long a call of the store
// takes.
func (e *events) startCall() (start time.Time) {
	if e.observer != nil {
		start = time.Now()
	}
	return start
}

// endCall publishes a call of the store. The context of r must not hold the session:
// scs holds the lock of that while it saves or deletes.
func (e *events) endCall(r *http.Request, key, call string, start time.Time, err error) {
	if e.observer != nil {
		e.observer(Event{Kind: EventStore, Request: r, Session: e.sessionName(key), Call: call, Took: time.Since(start), Err: err})
	}
}

// sessionName returns the name of a session in logs and events, "" for no key.
func (e *events) sessionName(key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256(append(append(make([]byte, 0, 128), e.salt...), key...))
	return hex.EncodeToString(sum[:8])
}
