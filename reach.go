package keepalive

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// What must have gone out before reach believes that no browser finds the
// endpoints, rather than that few have opened a page yet.
const (
	reachPages    = 20
	reachSessions = 3
)

var reachSeed = maphash.MakeSeed()

// reach notices that pages go out with the script while nothing below Config.Path
// is ever asked for, as where LoadAndSave is on some routes only.
type reach struct {
	known atomic.Bool // the endpoints were reached, or it was reported that they are not

	mu       sync.Mutex
	since    time.Time
	pages    int
	sessions []uint64 // hashes
}

// reached is called with each request of an endpoint.
func (r *reach) reached() {
	if !r.known.Load() {
		r.known.Store(true)
	}
}

// isMissed is called with each page that got the script. It reports, once, that
// the endpoints should have been asked for by now.
func (r *reach) isMissed(session string, idle time.Duration) bool {
	if r.known.Load() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pages++; r.pages == 1 {
		r.since = time.Now()
	}
	if len(r.sessions) < reachSessions {
		if hash := maphash.String(reachSeed, session); !slices.Contains(r.sessions, hash) {
			r.sessions = append(r.sessions, hash)
		}
	}
	enough := r.pages >= reachPages && len(r.sessions) >= reachSessions && time.Since(r.since) >= idle
	return enough && !r.known.Swap(true)
}
