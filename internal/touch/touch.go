// Package touch is what the stores for shared storages have in common: they
// read a session's deadline, then move its expiry on the condition that the data
// which the deadline was read from has not changed.
//
// It is a contract between modules. Each store is a module of its own that
// imports this package, and a user may upgrade the root module alone. So every
// released store must build, and pass its tests, with every later root of the
// same major version: what is exported here is only added to, never changed or
// removed. `make released` checks it (RELEASING.md). Keep it small.
package touch

import (
	"context"
	"errors"
	"time"
)

// maxTries bounds how often a call begins again because others have written in
// the meantime.
const maxTries = 100

var errBusy = errors.New("the session's data changed each time before it could be touched")

// ReadDeadline returns the deadline that a session's data holds, as the function
// that keepalive.Store's Touch is given.
type ReadDeadline = func(data []byte) (time.Time, error)

// Storage is what a Toucher needs from a shared storage. Each function takes one
// round trip, acts on live sessions only and may be called concurrently.
type Storage struct {
	// Head returns the first HeadSize bytes of a session's data.
	Head func(ctx context.Context, key string) (head []byte, found bool, err error)
	// Find returns all of it.
	Find func(ctx context.Context, key string) (data []byte, found bool, err error)
	// Digest returns a value that the storage can compute of its data too, to
	// compare them: the data itself will do.
	Digest func(data []byte) string
	// Peek returns the expiry of a session whose data meets the condition and
	// writes nothing. It is called where a touch extends nothing. Default: nil,
	// for storages in which a Move that changes nothing costs nothing.
	Peek func(ctx context.Context, key string, cond Condition) (expiry time.Time, found bool, err error)
	// Move sets the expiry of a session whose data meets the condition to
	// min(max(current expiry, next), cond.Deadline()), in one atomic step.
	Move func(ctx context.Context, key string, cond Condition, next time.Time) (expiry time.Time, found bool, err error)
}

// Toucher extends sessions in a Storage. It is safe for concurrent use.
type Toucher struct {
	storage Storage
	cache   *cache
}

// New returns a Toucher. All functions of the Storage but Peek must be there.
func New(s Storage) *Toucher {
	return &Toucher{storage: s, cache: newCache()}
}

// Touch moves the expiry of a live session to min(max(current expiry, now+idle),
// deadline). It returns the new expiry, and the deadline that is stored with the
// session at that moment. found is false for a session that has gone or is past
// its deadline.
func (t *Toucher) Touch(ctx context.Context, key string, idle time.Duration, read ReadDeadline) (expiry, deadline time.Time, found bool, err error) {
	cond, cached := t.cache.get(key)
	for range maxTries {
		if err := ctx.Err(); err != nil {
			return time.Time{}, time.Time{}, false, err
		}
		if !cached {
			cond, found, err = t.readCondition(ctx, key, read)
			if err != nil || !found {
				return time.Time{}, time.Time{}, false, err
			}
		}
		expiry, found, err = t.move(ctx, key, cond, time.Now().Add(idle))
		switch {
		case err != nil:
			return time.Time{}, time.Time{}, false, err
		case found && !time.Now().Before(cond.deadline):
			return time.Time{}, time.Time{}, false, nil
		case found:
			if !cached {
				t.cache.put(key, cond)
			}
			return expiry, cond.deadline, true, nil
		}
		cached = false // the session has gone, or its data has changed
	}
	return time.Time{}, time.Time{}, false, errBusy
}

// readCondition reads the stored data: its head, and all of it only if the
// deadline does not stand there.
func (t *Toucher) readCondition(ctx context.Context, key string, read ReadDeadline) (cond Condition, found bool, err error) {
	head, found, err := t.storage.Head(ctx, key)
	if err != nil || !found {
		return Condition{}, false, err
	}
	if cond, ok := headCondition(head, read); ok {
		return cond, true, nil
	}
	data, found, err := t.storage.Find(ctx, key)
	if err != nil || !found {
		return Condition{}, false, err
	}
	deadline, err := read(data)
	if err != nil {
		return Condition{}, false, err
	}
	return digestCondition(deadline, t.storage.Digest(data)), true, nil
}

// move is Move, but does not write where nothing would change.
func (t *Toucher) move(ctx context.Context, key string, cond Condition, next time.Time) (expiry time.Time, found bool, err error) {
	if t.storage.Peek != nil && !next.After(time.Now()) {
		expiry, found, err = t.storage.Peek(ctx, key, cond)
		if err != nil || !found || !expiry.After(cond.deadline) {
			return expiry, found, err
		}
	}
	return t.storage.Move(ctx, key, cond, next)
}
