package keepalive

import (
	"strings"
	"sync"
	"time"
)

// maxHints bounds one generation of hints; two are kept.
const maxHints = 1 << 14

// hints remembers up to when this process has extended the sessions that it saw
// last, so that the requests of one page share one write. Forgetting costs a
// touch, never a session.
type hints struct {
	mu     sync.Mutex
	recent recent[string, hint]
}

// hint is what is remembered of a session.
type hint struct {
	// expiry is never later than the session's own, zero if that is not known.
	expiry time.Time
	// claimed is what a touch that has begun will make of it.
	claimed time.Time
	// idle is the session's idle timeout at the time. Another instance may have
	// made it shorter since, and the expiry with it.
	idle time.Duration
}

// claim reports whether moving the expiry to want would gain enough. If so it notes
// want at once, so that only one of several requests does it. If not it returns the
// expiry that is known.
func (h *hints) claim(key string, want time.Time, idle time.Duration) (expiry time.Time, claimed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known, _ := h.recent.get(key)
	if idle < known.idle {
		known = hint{}
	}
	if want.Sub(known.claimed) < leastGain(idle) {
		return known.expiry, false
	}
	h.put(key, hint{known.expiry, want, idle})
	return time.Time{}, true
}

// note remembers the expiry of a session with this idle timeout. A save by another
// instance may set it to as little as one idle timeout from now.
func (h *hints) note(key string, expiry time.Time, idle time.Duration) {
	if least := time.Now().Add(idle); least.Before(expiry) {
		expiry = least
	}
	h.mu.Lock()
	h.put(key, hint{expiry, expiry, idle})
	h.mu.Unlock()
}

// forget makes the next request touch the session.
func (h *hints) forget(key string) { h.note(key, time.Time{}, 0) }

func (h *hints) put(key string, known hint) {
	h.recent.put(strings.Clone(key), known, maxHints) // a token is a part of the whole Cookie line
}
