package keepalive

import (
	"context"
	"net/http"
	"time"
)

// sessionTimes is when a session ends.
type sessionTimes struct {
	expiry   time.Time // if nothing touches it again
	deadline time.Time // in any case
	found    bool      // false if there is no such session
	guessed  bool      // expiry is a cautious guess, see guessExpiry
}

// deadlineStore is a Store that returns the deadline with the expiry, so that a
// store which remembers deadlines need not be asked for the data.
type deadlineStore interface {
	TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry, end time.Time, found bool, err error)
}

// guessExpiry fills in an expiry that the store does not know: a quarter of the
// idle timeout, so that a page asks again soon.
func guessExpiry(times sessionTimes, idle time.Duration) sessionTimes {
	if times.expiry.IsZero() {
		times.guessed, times.expiry = true, time.Now().Add(idle/4)
		if times.deadline.Before(times.expiry) {
			times.expiry = times.deadline
		}
	}
	return times
}

// fullToucher is a Store that may not know a session's expiry, and so must be told
// its whole idle timeout by a touch for less.
type fullToucher interface {
	TouchOf(ctx context.Context, key string, idle, full time.Duration, deadline func(data []byte) (time.Time, error)) (expiry time.Time, found bool, err error)
}

// extend touches a session whose idle timeout is full, for idle from now.
func (s *sessions) extend(r *http.Request, key string, idle, full time.Duration) (times sessionTimes, err error) {
	readDeadline := func(data []byte) (t time.Time, err error) {
		times.deadline, err = s.deadline(data)
		return times.deadline, err
	}
	ctx, start := r.Context(), s.events.startCall()
	switch store := s.store.(type) {
	case deadlineStore:
		times.expiry, times.deadline, times.found, err = store.TouchDeadline(ctx, key, idle, s.deadline)
	case fullToucher:
		times.expiry, times.found, err = store.TouchOf(ctx, key, idle, full, readDeadline)
	default:
		times.expiry, times.found, err = s.store.Touch(ctx, key, idle, readDeadline)
	}
	s.events.endCall(r, key, "touch", start, err)
	if err != nil || !times.found {
		return times, err
	}
	if full > 0 { // else it was only read
		s.hints.note(key, times.expiry, full)
	}
	if times.deadline.IsZero() { // the store remembered it
		return s.readDeadline(r, key, times)
	}
	return times, nil
}

// peek reads when a session ends, and extends nothing.
func (s *sessions) peek(r *http.Request, key string) (times sessionTimes, err error) {
	if _, ok := s.store.(deadlineStore); ok {
		return s.extend(r, key, noExtension, 0)
	}
	start := s.events.startCall()
	times.expiry, times.found, err = s.store.Expiry(r.Context(), key)
	s.events.endCall(r, key, "expiry", start, err)
	if err != nil || !times.found {
		return times, err
	}
	return s.readDeadline(r, key, times)
}

// readDeadline adds the deadline to times, from the session's data.
func (s *sessions) readDeadline(r *http.Request, key string, times sessionTimes) (sessionTimes, error) {
	data, found, err := s.find(r, key)
	if times.found = found; err == nil && found {
		times.deadline, err = s.deadline(data)
	}
	return times, err
}
