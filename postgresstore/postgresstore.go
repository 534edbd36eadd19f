// Package postgresstore keeps scs sessions in PostgreSQL, by database/sql, so that
// keepalive can extend them safely from any number of processes. It takes the place
// of scs's package of the same name: the same table, so only the import changes.
//
//	sessionManager.Store = postgresstore.New(db)
//
// The table:
//
//	CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
//	CREATE INDEX sessions_expiry_idx ON sessions (expiry);
//
// It needs PostgreSQL 11, by any driver: github.com/lib/pq and
// github.com/jackc/pgx/v5/stdlib are tested. What pgxstore's package comment says of
// clocks, of a crash and of the server's log holds here too. Reads must go to the
// primary.
//
// Statements are prepared on the server, whatever the DSN says. Behind PgBouncer in
// transaction mode that needs its setting max_prepared_statements, from version 1.21
// on.
//
// A call ends with its context. With lib/pq it goes on in the background if the server
// hangs, until that answers or its connection ends.
package postgresstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	scsstore "github.com/alexedwards/scs/postgresstore"
	"github.com/seed4a306b22/keepalive/internal/touch"
	"github.com/seed4a306b22/keepalive/internal/touch/pgtouch"
)

// Config is that of scs: the table's name and the interval at which expired
// sessions are removed.
type Config = scsstore.Config

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

// New returns a store that removes expired sessions every 5 minutes. The
// database handle stays the caller's, to configure and to close, after
// StopCleanup.
func New(db *sql.DB) *PostgresStore {
	return NewWithCleanupInterval(db, 5*time.Minute)
}

// NewWithCleanupInterval returns a store that removes expired sessions at
// another interval, or never when it is 0.
func NewWithCleanupInterval(db *sql.DB, cleanupInterval time.Duration) *PostgresStore {
	return NewWithConfig(db, Config{CleanUpInterval: cleanupInterval})
}

// NewWithConfig returns a store with a table of another name. The name becomes a
// part of SQL statements: it must not come from users. Default: "sessions". A
// CleanUpInterval of 0 removes nothing.
func NewWithConfig(db *sql.DB, config Config) *PostgresStore {
	if config.TableName == "" {
		config.TableName = "sessions"
	}
	return &PostgresStore{
		store:   pgtouch.New(driver{db, touch.NewStatements(db)}, config.TableName),
		cleanup: scsstore.NewWithConfig(db, config),
	}
}

// StopCleanup ends the removal of expired sessions. It may be called once.
func (s *PostgresStore) StopCleanup() { s.cleanup.StopCleanup() }

// driver is a pgtouch.Driver.
type driver struct {
	db    *sql.DB
	stmts *touch.Statements
}

// run prepares a statement, once, and runs it: again if the server has undone it.
// The context ends the call, as lib/pq waits for the server to do so.
func run[T any](ctx context.Context, d driver, query string, do func(context.Context, *sql.Stmt) (T, error)) (T, error) {
	return touch.RunWithContext(ctx, func(ctx context.Context) (v T, err error) {
		err = touch.Retry(ctx, func() error {
			stmt, err := d.stmts.Prepare(ctx, query)
			if err == nil {
				v, err = do(ctx, stmt)
			}
			return err
		}, pgtouch.IsConflict)
		return v, err
	})
}

func (d driver) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	return run(ctx, d, query, func(ctx context.Context, stmt *sql.Stmt) (int64, error) {
		res, err := stmt.ExecContext(ctx, args...)
		if err != nil {
			return 0, err
		}
		return res.RowsAffected()
	})
}

func (d driver) Row(ctx context.Context, query string, args ...any) (pgtouch.Row, bool, error) {
	return found(run(ctx, d, query, func(ctx context.Context, stmt *sql.Stmt) (pgtouch.Row, error) {
		return readRow(stmt.QueryContext(ctx, args...))
	}))
}

func readRow(rows *sql.Rows, err error) (r pgtouch.Row, _ error) {
	if err == nil {
		err = touch.ReadRow(rows, []any{&r.Expiry, &r.Data, new(any)})
	}
	return r, err
}

func found(r pgtouch.Row, err error) (pgtouch.Row, bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

// Take makes the call with one connection: database/sql would repeat it with another
// one, and lib/pq lets it do so also when the answer got lost. The session has gone
// then. So the second time tells something only if it finds the session. It takes
// three round trips.
func (d driver) Take(ctx context.Context, query string, args ...any) (pgtouch.Row, bool, error) {
	return found(touch.RunWithContext(ctx, func(ctx context.Context) (pgtouch.Row, error) {
		r, err := d.once(ctx, query, args...)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			if again, found, _ := d.Row(ctx, query, args...); found {
				return again, nil
			}
		}
		return r, err
	}))
}

func (d driver) once(ctx context.Context, query string, args ...any) (r pgtouch.Row, err error) {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	stmt, err := conn.PrepareContext(ctx, query) // with a name, by which PgBouncer finds it again
	if err != nil {
		return r, err
	}
	defer stmt.Close()
	err = touch.Retry(ctx, func() error {
		r, err = readRow(stmt.QueryContext(ctx, args...))
		return err
	}, pgtouch.IsConflict)
	return r, err
}

func (d driver) All(ctx context.Context, query string) (map[string][]byte, error) {
	return run(ctx, d, query, touch.QueryAll)
}
