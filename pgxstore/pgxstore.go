// Package pgxstore keeps scs sessions in PostgreSQL so that keepalive can extend
// them safely from any number of processes. It takes the place of scs's package
// of the same name: the same table, so only the import changes.
//
//	sessionManager.Store = pgxstore.New(pool)
//
// The table:
//
//	CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
//	CREATE INDEX sessions_expiry_idx ON sessions (expiry);
//
// It needs PostgreSQL 11 and is tested with 15. Behind PgBouncer in transaction
// mode the pool needs default_query_exec_mode=exec. Reads must go to the primary.
//
// The server's clock decides whether a session has expired, as in scs; expiries
// are times of the app's clock, as deadlines are. A server whose clock
// is ahead ends sessions early by as much.
//
// A touch does not wait for the disk: synchronous_commit is off for it, and for
// nothing else. A server that crashes may lose the touches of its last moments,
// about 0.6 s by default. Such a session has its earlier expiry, and the next
// ping extends it; a lost touch can't bring a session back.
//
// A touch writes some 400 bytes to the server's log. With rows of 1 to 2 KB it is
// a whole row, unless the table's pages have room for it:
//
//	ALTER TABLE sessions SET (fillfactor = 75);
package pgxstore

import (
	"context"
	"errors"
	"time"

	scsstore "github.com/alexedwards/scs/pgxstore"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed4a306b22/keepalive/internal/touch"
	"github.com/seed4a306b22/keepalive/internal/touch/pgtouch"
)

type store = pgtouch.Store

// PostgresStore is a keepalive.Store, with the optional methods Swap, Take and
// TouchDeadline, an scs.CtxStore and an scs.IterableCtxStore. It is safe for
// concurrent use.
//
// A touch takes one round trip. Of sessions that another codec than scs.GobCodec has
// written it takes two, and of those of another program, or of another version of
// this one, it may take three.
type PostgresStore struct {
	*store
	cleanup *scsstore.PostgresStore
}

// New returns a store that removes expired sessions every 5 minutes. The pool
// stays the caller's, to configure and to close, after StopCleanup.
func New(pool *pgxpool.Pool) *PostgresStore {
	return NewWithCleanupInterval(pool, 5*time.Minute)
}

// NewWithCleanupInterval returns a store that removes expired sessions at
// another interval, or never when it is 0.
func NewWithCleanupInterval(pool *pgxpool.Pool, cleanupInterval time.Duration) *PostgresStore {
	return &PostgresStore{
		store:   pgtouch.New(driver{pool}, "sessions"),
		cleanup: scsstore.NewWithCleanupInterval(pool, cleanupInterval),
	}
}

// StopCleanup ends the removal of expired sessions. It may be called once.
func (s *PostgresStore) StopCleanup() { s.cleanup.StopCleanup() }

// driver is a pgtouch.Driver. A pool makes no call twice.
type driver struct{ pool *pgxpool.Pool }

func (d driver) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	var tag pgconn.CommandTag
	err := touch.Retry(ctx, func() (err error) {
		tag, err = d.pool.Exec(ctx, query, args...)
		return err
	}, pgtouch.IsConflict)
	return tag.RowsAffected(), err
}

func (d driver) Row(ctx context.Context, query string, args ...any) (r pgtouch.Row, found bool, err error) {
	err = touch.Retry(ctx, func() error {
		return d.pool.QueryRow(ctx, query, args...).Scan(&r.Expiry, &r.Data, nil)
	}, pgtouch.IsConflict)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

func (d driver) Take(ctx context.Context, query string, args ...any) (pgtouch.Row, bool, error) {
	return d.Row(ctx, query, args...)
}

func (d driver) All(ctx context.Context, query string) (map[string][]byte, error) {
	rows, err := d.pool.Query(ctx, query)
	if err != nil {
		return nil, touch.WithContextError(ctx, err)
	}
	all := make(map[string][]byte)
	var token string
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&token, &data}, func() error {
		all[token] = data // each row is scanned into new memory
		return nil
	})
	if err != nil {
		return nil, touch.WithContextError(ctx, err)
	}
	return all, nil
}
