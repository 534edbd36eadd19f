package warmup

import (
	"context"
	"sync"
)

// limiter counts unfinished requests. The limit is an argument rather than a field,
// as Reload may change it while requests of the old settings are unfinished. The
// zero value is ready for use.
type limiter struct {
	mu       sync.Mutex
	inUse    int
	released chan struct{} // closed by the next release; nil while nobody waits
}

// acquire waits until fewer than limit slots are in use and takes one. It returns
// false, without a slot, if ctx ends or stop is closed first.
func (l *limiter) acquire(ctx context.Context, stop <-chan struct{}, limit int) bool {
	for {
		if isClosed(stop) || ctx.Err() != nil { // not even a free slot is taken then
			return false
		}
		ok, released := l.tryAcquire(limit)
		if ok {
			return true
		}
		select {
		case <-released:
		case <-stop:
		case <-ctx.Done():
		}
	}
}

// tryAcquire takes a slot if one is free, or else returns a channel that the next
// release closes.
func (l *limiter) tryAcquire(limit int) (ok bool, released <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inUse < limit {
		l.inUse++
		return true, nil
	}
	if l.released == nil {
		l.released = make(chan struct{})
	}
	return false, l.released
}

func (l *limiter) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inUse--
	if l.released != nil {
		close(l.released)
		l.released = nil
	}
}

// waitIdle waits until no slot is in use. It returns false if ctx ends first.
func (l *limiter) waitIdle(ctx context.Context) bool {
	if !l.acquire(ctx, nil, 1) {
		return false
	}
	l.release()
	return true
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
