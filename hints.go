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
	recent recent[string, time.Time]
}

// claim reports whether moving the expiry to want would gain at least the given
// time. If so it notes want at once, so that only one of several requests does it.
func (h *hints) claim(key string, want time.Time, gain time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if have, _ := h.recent.get(key); want.Sub(have) < gain {
		return false
	}
	h.put(key, want)
	return true
}

// note remembers a session's expiry.
func (h *hints) note(key string, expiry time.Time) {
	h.mu.Lock()
	h.put(key, expiry)
	h.mu.Unlock()
}

// forget makes the next request touch the session.
func (h *hints) forget(key string) { h.note(key, time.Time{}) }

func (h *hints) put(key string, expiry time.Time) {
	h.recent.put(strings.Clone(key), expiry, maxHints) // a token is a part of the whole Cookie line
}
