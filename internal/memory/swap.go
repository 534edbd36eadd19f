package memory

import (
	"bytes"
	"context"
	"math"
	"time"
)

// Swap stores data and expiry in place of a live session whose data is old. The
// zero expiry keeps the remembered one; where that may be too early, the session
// lives until its deadline. If the data is not old, nothing is written, and current
// is what there is.
func (s *Store) Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error) {
	current, _, found, err = s.SwapOf(ctx, key, old, data, expiry, math.MaxInt64)
	return current, found, err
}

// SwapOf is Swap for a session with the idle timeout full, and returns the expiry
// that it has stored. If the remembered expiry is to be kept and may be too early,
// the session gets all of full, because a write must not make it shorter.
func (s *Store) SwapOf(ctx context.Context, key string, old, data []byte, expiry time.Time, full time.Duration) (current []byte, stored time.Time, found bool, err error) {
	st, err := s.lock(ctx, key)
	if err != nil {
		return nil, time.Time{}, false, err
	}
	defer st.unlock()
	current, remembered, _, found, err := s.findLocked(ctx, st, key)
	if err != nil || !found {
		return nil, time.Time{}, false, err
	}
	if !bytes.Equal(current, old) {
		return s.own(current), time.Time{}, true, nil
	}
	if expiry.IsZero() {
		if expiry, err = s.keptExpiry(remembered, data, full); err != nil {
			return nil, time.Time{}, false, err
		}
	}
	if err := s.commit(ctx, st, key, data, expiry); err != nil {
		return nil, time.Time{}, false, err
	}
	return nil, expiry, true, nil
}

// keptExpiry returns the expiry for a write that must not make a session shorter,
// nor longer than the deadline in its new data.
func (s *Store) keptExpiry(remembered time.Time, data []byte, full time.Duration) (time.Time, error) {
	end, err := s.deadline(data)
	if err != nil {
		return time.Time{}, err
	}
	if remembered.IsZero() || !s.exclusive {
		remembered = time.Now().Add(full)
	}
	if end.Before(remembered) {
		return end, nil
	}
	return remembered, nil
}

// Take deletes a session and returns the data that it had. Of two at once, one
// finds it.
func (s *Store) Take(ctx context.Context, key string) (data []byte, found bool, err error) {
	ctx = s.writeContext(ctx)
	st, err := s.lock(ctx, key)
	if err != nil {
		return nil, false, err
	}
	defer st.unlock()
	data, _, _, found, err = s.findLocked(ctx, st, key)
	if err != nil {
		return nil, false, err
	}
	data = s.own(data)
	if err := s.delete(ctx, st, key); err != nil {
		return nil, false, err
	}
	return data, found, nil
}
