package keepalive

import (
	"hash/maphash"
	"sync"
	"time"
)

// maxEnds bounds one generation of what ends remembers; two are kept.
const maxEnds = 1 << 14

var endsSeed = maphash.MakeSeed()

// ends remembers when sessions end, as far as this process knows, so that an end is
// reported once, and with its reason. Without an Observer it is not used.
type ends struct {
	mu       sync.Mutex
	known    recent[uint64, sessionEnd] // by the hash of the key
	reported recent[uint64, struct{}]   // apart, so that made-up cookies displace no sessions
}

// sessionEnd is when a session ends if nothing extends it, and why.
type sessionEnd struct {
	at     time.Time
	reason Reason
}

// complete learns from an event when its session ends, or adds the reason of its end.
func (e *ends) complete(event *Event, key string) {
	switch {
	case !event.Expiry.IsZero():
		e.note(key, event.Expiry, event.Deadline)
	case event.Kind == EventGone:
		event.Reason = e.report(key)
	case event.Kind == EventDestroy && e.report(key) != "":
		event.Reason = ReasonLogout
	case event.Kind == EventRenew: // its old name ends, not the session
		e.report(key)
	}
}

func (e *ends) note(key string, expiry, deadline time.Time) {
	end := sessionEnd{expiry, ReasonIdle}
	if !expiry.Before(deadline) {
		end.reason = ReasonLifetime
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known.put(maphash.String(endsSeed, key), end, maxEnds)
}

// report returns why a session has ended that is gone, "" where that was reported
// before, and where no session is named.
func (e *ends) report(key string) Reason {
	if key == "" {
		return ""
	}
	hash := maphash.String(endsSeed, key)
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.reported.get(hash); ok {
		return ""
	}
	e.reported.put(hash, struct{}{}, maxEnds)
	if end, ok := e.known.get(hash); ok && !time.Now().Before(end.at) {
		return end.reason
	}
	return ReasonUnknown
}
