// Package pgxstore keeps scs sessions in PostgreSQL so that keepalive can extend
// them safely from any number of processes. It takes the place of scs's package
// of the same name, and embeds its store: the same table, so only the import
// changes.
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
	"crypto/sha256"
	"errors"
	"time"

	scsstore "github.com/alexedwards/scs/pgxstore"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed4a306b22/keepalive/internal/touch"
)

// PostgresStore is a keepalive.Store. It is safe for concurrent use.
type PostgresStore struct {
	*scsstore.PostgresStore
	pool    *pgxpool.Pool
	toucher *touch.Toucher
}

// New returns a store that removes expired sessions every 5 minutes. The pool
// stays the caller's, to configure and to close, after StopCleanup.
func New(pool *pgxpool.Pool) *PostgresStore {
	return NewWithCleanupInterval(pool, 5*time.Minute)
}

// NewWithCleanupInterval returns a store that removes expired sessions at
// another interval, or never when it is 0.
func NewWithCleanupInterval(pool *pgxpool.Pool, cleanupInterval time.Duration) *PostgresStore {
	s := &PostgresStore{PostgresStore: scsstore.NewWithCleanupInterval(pool, cleanupInterval), pool: pool}
	s.toucher = touch.New(touch.Storage{Head: s.head, Find: s.FindCtx, Digest: digest, Peek: s.peek, Move: s.move})
	return s
}

// exec runs a statement and returns how many rows it has changed.
func (s *PostgresStore) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	var tag pgconn.CommandTag
	err := touch.Retry(ctx, func() (err error) {
		tag, err = s.pool.Exec(ctx, sql, args...)
		return err
	}, isConflict)
	return tag.RowsAffected(), err
}

// row reads one row.
func (s *PostgresStore) row(ctx context.Context, to []any, sql string, args ...any) (found bool, err error) {
	err = touch.Retry(ctx, func() error { return s.pool.QueryRow(ctx, sql, args...).Scan(to...) }, isConflict)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// isConflict reports whether the server has undone a statement because of another
// one: to resolve a deadlock, or with an isolation level above the default.
func isConflict(err error) bool {
	const serializationFailure, deadlockDetected = "40001", "40P01"
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == serializationFailure || pg.Code == deadlockDetected)
}

// FindCtx returns the data of a session.
func (s *PostgresStore) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	found, err = s.row(ctx, []any{&data}, `SELECT data FROM sessions WHERE token = $1 AND clock_timestamp() < expiry`, token)
	return data, found, err
}

// CommitCtx stores a session, whether or not there was one.
func (s *PostgresStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	_, err := s.exec(ctx, `INSERT INTO sessions (token, data, expiry) VALUES ($1, $2, $3)
		ON CONFLICT (token) DO UPDATE SET data = EXCLUDED.data, expiry = EXCLUDED.expiry`, token, data, expiry)
	return err
}

// DeleteCtx removes a session. It is carried out even if the context ends, though
// not waited for.
func (s *PostgresStore) DeleteCtx(ctx context.Context, token string) error {
	return touch.RunDetached(ctx, func(ctx context.Context) error {
		_, err := s.exec(ctx, `DELETE FROM sessions WHERE token = $1`, token)
		return err
	})
}

// Replace stores data and expiry in place of a live session. It never creates
// one.
func (s *PostgresStore) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (found bool, err error) {
	n, err := s.exec(ctx, `UPDATE sessions SET data = $2, expiry = $3
		WHERE token = $1 AND clock_timestamp() < expiry`, key, data, expiry)
	return n > 0, err
}

// Expiry returns when the session will end if nothing touches it.
func (s *PostgresStore) Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error) {
	found, err = s.row(ctx, []any{&expiry}, `SELECT expiry FROM sessions WHERE token = $1 AND clock_timestamp() < expiry`, key)
	return expiry, found, err
}

// Touch moves the expiry of a live session to
// min(max(current expiry, now+idle), deadline): one round trip when this store
// has touched the session before and its data is still the same, else two or
// three.
func (s *PostgresStore) Touch(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry time.Time, found bool, err error) {
	expiry, _, found, err = s.TouchDeadline(ctx, key, idle, deadline)
	return expiry, found, err
}

// TouchDeadline is Touch, and returns the session's deadline too.
func (s *PostgresStore) TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry, end time.Time, found bool, err error) {
	return s.toucher.Touch(ctx, key, idle, deadline)
}

// The statements of a touch: on a session whose first bytes, or the digest of all
// of it, are the guard. An UPDATE that has waited for another write evaluates its
// conditions again on the row which that has left (PostgreSQL, "Read Committed
// Isolation Level"). The setting is for this statement's own transaction.
const (
	peek = `SELECT expiry FROM sessions WHERE token = $1 AND clock_timestamp() < expiry AND `
	move = `UPDATE sessions SET expiry = LEAST(GREATEST(expiry, $3::timestamptz), $4::timestamptz)
		WHERE token = $1 AND clock_timestamp() < expiry AND `
	sameHead  = `substring(data FROM 1 FOR length($2::bytea)) = $2::bytea`
	sameWhole = `sha256(data) = $2::bytea`
	answer    = ` RETURNING expiry, set_config('synchronous_commit', 'off', true)`

	peekHead, peekWhole = peek + sameHead, peek + sameWhole
	moveHead, moveWhole = move + sameHead + answer, move + sameWhole + answer
)

// peek is there because an UPDATE writes a row even if it changes nothing.
func (s *PostgresStore) peek(ctx context.Context, key string, cond touch.Condition) (expiry time.Time, found bool, err error) {
	query := peekHead
	if cond.IsDigest() {
		query = peekWhole
	}
	found, err = s.row(ctx, []any{&expiry}, query, key, cond.Guard())
	return expiry, found, err
}

func (s *PostgresStore) move(ctx context.Context, key string, cond touch.Condition, next time.Time) (expiry time.Time, found bool, err error) {
	query := moveHead
	if cond.IsDigest() {
		query = moveWhole
	}
	found, err = s.row(ctx, []any{&expiry, nil}, query, key, cond.Guard(), next, cond.Deadline())
	return expiry, found, err
}

func (s *PostgresStore) head(ctx context.Context, key string) (data []byte, found bool, err error) {
	found, err = s.row(ctx, []any{&data}, `SELECT substring(data FROM 1 FOR $2::int) FROM sessions
		WHERE token = $1 AND clock_timestamp() < expiry`, key, touch.HeadSize)
	return data, found, err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return string(sum[:])
}

// AllCtx returns the data of all live sessions by their tokens.
func (s *PostgresStore) AllCtx(ctx context.Context) (map[string][]byte, error) {
	rows, err := s.pool.Query(ctx, `SELECT token, data FROM sessions WHERE clock_timestamp() < expiry`)
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

// Find is FindCtx without a context.
func (s *PostgresStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *PostgresStore) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context.
func (s *PostgresStore) Delete(token string) error {
	return s.DeleteCtx(context.Background(), token)
}

// All is AllCtx without a context.
func (s *PostgresStore) All() (map[string][]byte, error) {
	return s.AllCtx(context.Background())
}
