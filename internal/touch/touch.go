// Package touch is what the stores for shared storages have in common: how a
// session's expiry moves to a time that depends on the deadline in its data.
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
// round trip, acts on live sessions only and may be called concurrently. A next
// that has passed extends nothing, and may lie a century back.
type Storage struct {
	// Extend sets the expiry of a session to min(max(current expiry, next),
	// deadline), in one atomic step. The storage itself reads the deadline, from data
	// that begins with GobHead. Of other data, Extend changes nothing and returns
	// found and the zero deadline.
	Extend func(ctx context.Context, key string, next time.Time) (expiry, deadline time.Time, found bool, err error)

	// What follows is for sessions that begin otherwise.

	// Find returns a session's data.
	Find func(ctx context.Context, key string) (data []byte, found bool, err error)
	// Digest returns a value that the storage can compute of its data too, to
	// compare them: the data itself will do.
	Digest func(data []byte) string
	// Peek returns the expiry of a session whose data has the digest and writes
	// nothing. It is called where a touch extends nothing. Default: nil, for storages
	// in which a Move that changes nothing costs nothing.
	Peek func(ctx context.Context, key, digest string) (expiry time.Time, found bool, err error)
	// Move sets the expiry of a session whose data has the digest to
	// min(max(current expiry, next), deadline), in one atomic step.
	Move func(ctx context.Context, key, digest string, deadline, next time.Time) (expiry time.Time, found bool, err error)
}

// Toucher extends sessions in a Storage. It is safe for concurrent use.
type Toucher struct{ storage Storage }

// New returns a Toucher. All functions of the Storage but Peek must be there.
func New(s Storage) *Toucher { return &Toucher{s} }

// Touch moves the expiry of a live session to min(max(current expiry, now+idle),
// deadline). It returns the new expiry, and the deadline that is stored with the
// session at that moment. found is false for a session that has gone or is past
// its deadline.
func (t *Toucher) Touch(ctx context.Context, key string, idle time.Duration, read ReadDeadline) (expiry, deadline time.Time, found bool, err error) {
	if !head.isReadBy(read) {
		return t.touchWhole(ctx, key, idle, read)
	}
	expiry, deadline, found, err = t.storage.Extend(ctx, key, time.Now().Add(idle))
	switch {
	case err != nil, !found:
		return time.Time{}, time.Time{}, false, err
	case deadline.IsZero():
		return t.touchWhole(ctx, key, idle, read)
	}
	return expiry, deadline, time.Now().Before(deadline), nil
}

// touchWhole reads the deadline from all of the data, and then moves the expiry on
// the condition that the data is still the same.
func (t *Toucher) touchWhole(ctx context.Context, key string, idle time.Duration, read ReadDeadline) (expiry, deadline time.Time, found bool, err error) {
	for range maxTries {
		if err := ctx.Err(); err != nil {
			return time.Time{}, time.Time{}, false, err
		}
		data, found, err := t.storage.Find(ctx, key)
		if err != nil || !found {
			return time.Time{}, time.Time{}, false, err
		}
		if deadline, err = read(data); err != nil {
			return time.Time{}, time.Time{}, false, err
		}
		expiry, found, err = t.move(ctx, key, t.storage.Digest(data), deadline, time.Now().Add(idle))
		if err != nil {
			return time.Time{}, time.Time{}, false, err
		}
		if found {
			return expiry, deadline, time.Now().Before(deadline), nil
		}
		// The session has gone, or its data has changed.
	}
	return time.Time{}, time.Time{}, false, errBusy
}

// move is Move, but does not write where nothing would change.
func (t *Toucher) move(ctx context.Context, key, digest string, deadline, next time.Time) (expiry time.Time, found bool, err error) {
	if t.storage.Peek != nil && !next.After(time.Now()) {
		expiry, found, err = t.storage.Peek(ctx, key, digest)
		if err != nil || !found || !expiry.After(deadline) {
			return expiry, found, err
		}
	}
	return t.storage.Move(ctx, key, digest, deadline, next)
}
