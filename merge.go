package keepalive

import (
	"context"
	"reflect"
	"slices"
	"time"
)

// contents is what a session holds.
type contents struct {
	deadline time.Time
	values   map[string]any
}

// decode returns what data holds. It shares nothing with any session in memory.
func (s *sessions) decode(data []byte) (c contents, err error) {
	c.deadline, c.values, err = s.loader.Codec.Decode(data)
	return c, err
}

// merge returns mine with what others have changed from base to theirs. A key, or
// the deadline, that both have changed is mine. isLost reports whether that drops
// something of theirs, and conflicts are the keys of it.
//
// If mine has none of the keys of base, they were cleared, and so is what others have
// put there.
func merge(base, mine, theirs contents) (merged contents, conflicts []string, isLost bool) {
	if isCleared(base, mine) {
		for key := range theirs.values {
			if !sameValue(key, theirs, base) && !sameValue(key, theirs, mine) {
				conflicts = append(conflicts, key)
			}
		}
		slices.Sort(conflicts)
		return mine, conflicts, len(conflicts) > 0
	}
	merged = contents{theirs.deadline, make(map[string]any)}
	if !mine.deadline.Equal(base.deadline) {
		merged.deadline = mine.deadline
		isLost = !theirs.deadline.Equal(base.deadline) && !theirs.deadline.Equal(mine.deadline)
	}
	for key := range mine.values {
		if !sameValue(key, mine, base) || sameValue(key, mine, theirs) {
			merged.values[key] = mine.values[key]
		}
	}
	for key, value := range theirs.values {
		if sameValue(key, mine, base) {
			merged.values[key] = value
		}
	}
	for _, values := range []map[string]any{base.values, mine.values, theirs.values} {
		for key := range values {
			if !sameValue(key, mine, base) && !sameValue(key, theirs, base) && !sameValue(key, mine, theirs) {
				conflicts = append(conflicts, key)
			}
		}
	}
	slices.Sort(conflicts)
	return merged, slices.Compact(conflicts), isLost || len(conflicts) > 0
}

// isCleared reports whether all keys of base are gone.
func isCleared(base, mine contents) bool {
	for key := range base.values {
		if _, ok := mine.values[key]; ok {
			return false
		}
	}
	return len(base.values) > 0
}

// sameValue reports whether a key stands for the same in both.
func sameValue(key string, a, b contents) bool {
	x, inA := a.values[key]
	y, inB := b.values[key]
	return inA == inB && reflect.DeepEqual(x, y)
}

// apply changes the session in ctx, which holds mine, to merged.
func (s *sessions) apply(ctx context.Context, mine, merged contents) {
	for key, value := range merged.values {
		if !sameValue(key, mine, merged) {
			s.manager.Put(ctx, key, value)
		}
	}
	for key := range mine.values {
		if _, ok := merged.values[key]; !ok {
			s.manager.Remove(ctx, key)
		}
	}
	if !merged.deadline.Equal(mine.deadline) {
		s.manager.SetDeadline(ctx, merged.deadline)
	}
}

// mayMerge reports whether what others have written may become part of the session
// in ctx: with Config.Identify only if it is of the same user. What a guest has put
// into a session stays there when that becomes a user's, as it does in scs. isSameUser
// reports that the request itself has not made it another user's.
func (s *sessions) mayMerge(ctx context.Context, base, theirs []byte) (may, isSameUser bool, err error) {
	if s.identify == nil {
		return true, true, nil
	}
	loaded, err := s.userOf(ctx, base)
	if err != nil {
		return false, false, err
	}
	their, err := s.userOf(ctx, theirs)
	mine := s.identify(ctx)
	return their == mine || their == "" && loaded == "", mine == loaded, err
}

// currentUser returns the user of the session in ctx, for an event.
func (s *sessions) currentUser(ctx context.Context) string {
	if s.identify == nil || s.events.observer == nil {
		return ""
	}
	return s.identify(ctx)
}

// loadedUser returns the user of the session that a request has loaded, for an event.
func (s *sessions) loadedUser(c *sessionContext) string {
	if s.identify == nil || s.events.observer == nil || c.token == "" {
		return ""
	}
	user, _ := s.userOf(c, c.data) // "" for what can't be read
	return user
}

// userOf returns what Config.Identify says of the session that data holds.
func (s *sessions) userOf(ctx context.Context, data []byte) (string, error) {
	c, err := s.fromData(ctx, "any", "", data) // scs makes an empty session without a token
	if err != nil {
		return "", err
	}
	return s.identify(c), nil
}
