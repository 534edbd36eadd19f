package interleave_test

import (
	"context"
	"time"
)

// gate is a keepalive.Store without any of the optional methods. It makes each call of
// the store one step.
type gate struct{ *world }

func (g gate) Find(string) ([]byte, bool, error)      { return nil, false, errUnused }
func (g gate) Commit(string, []byte, time.Time) error { return errUnused }
func (g gate) Delete(string) error                    { return errUnused }

func (g gate) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	defer g.enter(ctx, "Find", key)()
	return g.store.FindCtx(ctx, key)
}

func (g gate) CommitCtx(ctx context.Context, key string, data []byte, expiry time.Time) error {
	defer g.enter(ctx, "Commit", key)()
	return g.store.CommitCtx(ctx, key, data, expiry)
}

func (g gate) DeleteCtx(ctx context.Context, key string) error {
	defer g.enter(ctx, "Delete", key)()
	return g.store.DeleteCtx(ctx, key)
}

func (g gate) Touch(ctx context.Context, key string, idle time.Duration, deadline func([]byte) (time.Time, error)) (time.Time, bool, error) {
	defer g.enter(ctx, "Touch", key)()
	return g.store.Touch(ctx, key, idle, deadline)
}

func (g gate) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (bool, error) {
	defer g.enter(ctx, "Replace", key)()
	return g.store.Replace(ctx, key, data, expiry)
}

func (g gate) Expiry(ctx context.Context, key string) (time.Time, bool, error) {
	defer g.enter(ctx, "Expiry", key)()
	return g.store.Expiry(ctx, key)
}

// fullGate has them.
type fullGate struct{ gate }

func (g fullGate) Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
	defer g.enter(ctx, "Swap", key)()
	return g.store.Swap(ctx, key, old, data, expiry)
}

func (g fullGate) Take(ctx context.Context, key string) ([]byte, bool, error) {
	defer g.enter(ctx, "Take", key)()
	return g.store.Take(ctx, key)
}

// innerGate is an scs store that New wraps.
type innerGate struct{ *world }

func (g innerGate) Find(key string) ([]byte, bool, error)  { return g.inner.Find(key) }
func (g innerGate) Commit(string, []byte, time.Time) error { return errUnused }
func (g innerGate) Delete(string) error                    { return errUnused }

func (g innerGate) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	defer g.enter(ctx, "inner Find", key)()
	return g.inner.Find(key)
}

func (g innerGate) CommitCtx(ctx context.Context, key string, data []byte, expiry time.Time) error {
	defer g.enter(ctx, "inner Commit", key)()
	return g.inner.Commit(key, data, expiry)
}

func (g innerGate) DeleteCtx(ctx context.Context, key string) error {
	defer g.enter(ctx, "inner Delete", key)()
	return g.inner.Delete(key)
}
