package keepalive

import (
	"context"
	"time"

	"github.com/alexedwards/scs/v2"
)

// Store is an scs store that can act on a session only if the session is
// there. It is what makes a ping safe beside a logout, a login or a write.
//
// key is the store's own key: the session token, or its hash when
// SessionManager.HashTokenInStore is set. An implementation never sees the
// other form.
//
// Every method must be safe for concurrent use, and atomic against each other
// and against Commit and Delete from any process that uses the same storage.
// A cancelled context ends a call with the context's error. "Not found" is no
// error: it is found=false with a nil error, for a session that was deleted, has
// expired or never was.
//
// A store may also have these methods:
//
//	Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error)
//	Take(ctx context.Context, key string) (data []byte, found bool, err error)
//	Check(ctx context.Context) error
//
// Swap stores data and expiry in place of a live session that holds old, or keeps
// the stored expiry if the given one is zero. It then returns nil for current. Of a
// session that holds something else it changes nothing, and returns what that is.
// It never creates a session. With it, two requests that modify a session at the same
// time are merged; without it the last one wins.
//
// Take deletes a session and returns what it held, in one step: of several calls at
// once, one finds it. It is carried out even if the context ends. With it, RenewToken
// can't bring back a session that ends at the same moment; without it the session is
// read before it is deleted.
//
// Check tells what is wrong with the storage. It is called once, beside the first
// request, with a context that ends after 10 seconds. What it returns is logged as a
// warning.
//
// New wraps any other scs.Store so that these promises hold within the process.
// LoadAndSave and Handler wrap SessionManager.Store once more, to see what scs deletes;
// a program that needs other methods of its store keeps it in a variable of its own.
type Store interface {
	scs.Store

	// Touch moves the expiry of a live session to
	//
	//	min(max(current expiry, now+idle), deadline)
	//
	// and returns it. It never creates a session, never changes its data, and
	// never moves the expiry backwards unless it lies past the deadline. idle
	// may be zero or negative; the expiry is then only held below the deadline, and
	// may be the zero time if the store does not know it.
	//
	// deadline reads the session's deadline from its data. The deadline that
	// counts is that of the data stored at the moment of the write. An error
	// from deadline is returned as it is.
	//
	// A store may try deadline with the beginning of the data first, which fails
	// unless the deadline can be told from that alone. One whose storage reads the
	// deadline by itself may try it with data of its own making, to know that both
	// read the same. It should then also have a method TouchDeadline, with the same
	// parameters, that returns the deadline after the expiry, or the core must read the
	// data for it.
	Touch(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry time.Time, found bool, err error)

	// Replace stores data and expiry in place of a live session. It never
	// creates one.
	Replace(ctx context.Context, key string, data []byte, expiry time.Time) (found bool, err error)

	// Expiry returns when the session will end if nothing touches it, or the zero
	// time if the store does not know. (The wrapper that New makes does not know it
	// of sessions that were last written by another process.)
	Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error)
}
