package touch

import (
	"context"
	"time"

	"github.com/alexedwards/scs/v2"
)

// Plain has the methods of a store that take no context, made of those that do.
type Plain struct{ Store CtxStore }

// CtxStore is what Plain needs.
type CtxStore interface {
	FindCtx(ctx context.Context, token string) (data []byte, found bool, err error)
	CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error
	DeleteCtx(ctx context.Context, token string) error
	scs.IterableCtxStore
}

// Find is FindCtx without a context.
func (p Plain) Find(token string) ([]byte, bool, error) {
	return p.Store.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (p Plain) Commit(token string, data []byte, expiry time.Time) error {
	return p.Store.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context.
func (p Plain) Delete(token string) error {
	return p.Store.DeleteCtx(context.Background(), token)
}

// All is AllCtx without a context.
func (p Plain) All() (map[string][]byte, error) {
	return p.Store.AllCtx(context.Background())
}
