// Package touch is how the stores of shared storages extend a session: read what
// the deadline hangs on, then move the expiry on the condition that it has not
// changed.
//
// Each store's module holds a copy of this file, so that it needs no other
// module. `go test ./internal/touch -update` writes the copies.
package touch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
	"unique"
)

const (
	// headSize is how many bytes of a session are read to find its deadline. In
	// what scs.GobCodec writes it ends within the first 128.
	headSize = 128
	// maxHints bounds one generation of hints; two are kept, of about 110 bytes
	// a hint, and 320 with a codec whose sessions are told by a digest.
	maxHints = 1 << 17
	// maxTries bounds how often a call begins again because others have written
	// meanwhile.
	maxTries = 100
	// leaveTime is how long a call may still take when its context has ended.
	leaveTime = 5 * time.Second
)

var errBusy = errors.New("the session's data has changed each time before it could be touched")

// table is a storage, seen as what it can do in one round trip.
type table interface {
	// head returns the first headSize bytes of a live session's data.
	head(ctx context.Context, key string) (head []byte, found bool, err error)
	// FindCtx returns all of it.
	FindCtx(ctx context.Context, key string) (data []byte, found bool, err error)
	// digest returns what the storage can tell data by.
	digest(data []byte) string
	// move sets the expiry of a live session to min(max(current, next),
	// h.deadline), in one step and only if its data is what h says.
	move(ctx context.Context, key string, h hint, next time.Time) (expiry time.Time, found bool, err error)
}

// hint is what a session's deadline was read from. It may be out of date: a
// storage compares it with the data whenever it acts on it.
type hint struct {
	deadline time.Time
	// start is the data in front of the deadline, or the digest of all data.
	start unique.Handle[string]
	whole bool // start is a digest
}

// guard returns the first bytes of the data, up to and including the deadline,
// or the digest of all of it.
func (h hint) guard() []byte {
	if h.whole {
		return []byte(h.start.Value())
	}
	b, _ := h.deadline.MarshalBinary() // as in newHint, where it went well
	return append([]byte(h.start.Value()), b...)
}

// newHint looks for the deadline in the first bytes of the data: there it must
// stand as encoding/gob writes it, and deadline must be able to tell it from what
// comes up to its end, which keepalive.Store allows only if nothing behind can
// change it.
func newHint(head []byte, deadline func([]byte) (time.Time, error)) (h hint, ok bool) {
	t, err := deadline(head)
	if err != nil {
		return h, false
	}
	b, err := t.MarshalBinary()
	i := bytes.Index(head, b)
	if err != nil || i < 0 {
		return h, false
	}
	if again, err := deadline(head[:i+len(b)]); err != nil || !again.Equal(t) {
		return h, false
	}
	return hint{deadline: t, start: unique.Make(string(head[:i]))}, true
}

// read makes the hint of a session from what is stored.
func read(ctx context.Context, t table, key string, deadline func([]byte) (time.Time, error)) (h hint, found bool, err error) {
	head, found, err := t.head(ctx, key)
	if err != nil || !found {
		return h, false, err
	}
	if h, ok := newHint(head, deadline); ok {
		return h, true, nil
	}
	data, found, err := t.FindCtx(ctx, key)
	if err != nil || !found {
		return h, false, err
	}
	if h.deadline, err = deadline(data); err != nil {
		return h, false, err
	}
	h.start, h.whole = unique.Make(t.digest(data)), true
	return h, true, nil
}

// hints remembers the sessions that were touched last. Forgetting one costs a
// round trip or two.
type hints struct {
	mu         sync.Mutex
	seed       maphash.Seed
	young, old map[uint64]hint
}

func newHints() *hints {
	return &hints{seed: maphash.MakeSeed(), young: make(map[uint64]hint)}
}

func (hs *hints) get(key string) (h hint, ok bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	id := maphash.String(hs.seed, key)
	if h, ok = hs.young[id]; ok {
		return h, true
	}
	if h, ok = hs.old[id]; ok {
		hs.put(id, h)
	}
	return h, ok
}

func (hs *hints) note(key string, h hint) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.put(maphash.String(hs.seed, key), h)
}

func (hs *hints) put(id uint64, h hint) {
	if len(hs.young) >= maxHints {
		hs.young, hs.old = make(map[uint64]hint), hs.young
	}
	hs.young[id] = h
}

// touch extends a session. end is its deadline.
func (hs *hints) touch(ctx context.Context, t table, key string, idle time.Duration, deadline func([]byte) (time.Time, error)) (expiry, end time.Time, found bool, err error) {
	h, known := hs.get(key)
	for range maxTries {
		if err := ctx.Err(); err != nil {
			return expiry, end, false, err
		}
		if !known {
			if h, found, err = read(ctx, t, key, deadline); err != nil || !found {
				return expiry, end, false, err
			}
		}
		expiry, found, err = t.move(ctx, key, h, time.Now().Add(idle))
		switch {
		case err != nil:
			return time.Time{}, end, false, err
		case found && !time.Now().Before(h.deadline):
			return time.Time{}, end, false, nil
		case found:
			if !known && len(h.start.Value()) <= headSize {
				hs.note(key, h)
			}
			return expiry, h.deadline, true, nil
		}
		known = false // it has gone, or its data has changed
	}
	return time.Time{}, end, false, errBusy
}

// because returns err with the context's error, if that has ended: drivers give
// errors of their own then.
func because(ctx context.Context, err error) error {
	if cause := ctx.Err(); err != nil && cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// finish carries a call out although its context has ended: a logout must not
// get lost because its client hangs up. The caller waits no longer than its
// context.
func finish(ctx context.Context, call func(context.Context) error) error {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- call(own)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
