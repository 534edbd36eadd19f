package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
)

// What keepalive uses where a store has it.
type (
	swapper interface {
		Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error)
	}
	taker interface {
		Take(ctx context.Context, key string) (data []byte, found bool, err error)
	}
	deadlineToucher interface {
		TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry, end time.Time, found bool, err error)
	}
)

// as returns the store as one that has the ability A.
func as[A any](st keepalive.Store) (a A, ok bool) {
	if s, ok := st.(subject); ok {
		st = s.Store
	}
	a, ok = st.(A)
	return a, ok
}

// optional is a case for stores that have the ability A.
func optional[A any](name string, run func(*testing.T, subject)) func(*testing.T, subject) {
	return func(t *testing.T, s subject) {
		if _, ok := s.Store.(A); !ok {
			t.Logf("nothing to test: the store has no %s, which is optional", name)
			return
		}
		run(t, s)
	}
}

// optionalCases are about abilities that scs finds by type.
var optionalCases = []testCase{
	{"scs.CtxStore", "scs calls these instead of the methods without a context, where they are", optional[scs.CtxStore]("scs.CtxStore", func(t *testing.T, s subject) {
		c := s.Store.(scs.CtxStore)
		each(t, kinds, func(t *testing.T, k kind) {
			ctx := t.Context()
			x := newSession(k, time.Hour, 10*time.Minute)
			must(t, c.CommitCtx(ctx, x.key, x.data, x.expiry))
			must(t, x.checkAll(s, x.expiry))
			data, found, err := c.FindCtx(ctx, x.key)
			must(t, err)
			if !found || !bytes.Equal(data, x.data) {
				t.Error("FindCtx does not return what CommitCtx wrote")
			}
			// A store of scs that takes no context goes on without one.
			gone, cancel := context.WithCancel(ctx)
			cancel()
			y := x.filled()
			err = c.CommitCtx(gone, y.key, y.data, y.expiry)
			if err == nil {
				x = y
			} else if !errors.Is(err, context.Canceled) {
				t.Errorf("CommitCtx: %v", err)
			}
			must(t, x.checkAll(s, x.expiry))
			must(t, c.DeleteCtx(ctx, x.key))
			must(t, x.checkGone(s))
			_, found, err = c.FindCtx(ctx, x.key)
			must(t, notFound("FindCtx", found, err))
		})
	})},

	{"iteration", "scs.SessionManager.Iterate must see the sessions that are alive and no others", func(t *testing.T, s subject) {
		var all func() (map[string][]byte, error)
		switch i := s.Store.(type) {
		case scs.IterableCtxStore:
			all = func() (map[string][]byte, error) { return i.AllCtx(t.Context()) }
		case scs.IterableStore:
			all = i.All
		default:
			t.Log("nothing to test: the store has neither All nor AllCtx, which are optional")
			return
		}
		var live, dead []session
		for _, k := range kinds {
			x := newSession(k, time.Hour, time.Minute)
			expired, deleted := newSession(k, time.Hour, 100*time.Millisecond), newSession(k, time.Hour, time.Minute)
			for _, x := range []session{x, expired, deleted} {
				must(t, x.commit(s))
			}
			_, err := x.touch(s, idle)
			must(t, err)
			must(t, s.Delete(deleted.key))
			live, dead = append(live, x), append(dead, expired, deleted)
		}
		time.Sleep(110 * time.Millisecond)
		got, err := all()
		must(t, err)
		for _, x := range live {
			if !bytes.Equal(got[x.key], x.data) {
				t.Errorf("%s: a live session is missing, or has other data", x.name)
			}
		}
		for _, x := range dead {
			if _, ok := got[x.key]; ok {
				t.Errorf("%s: a session that has ended is there", x.name)
			}
		}
	}},
}
