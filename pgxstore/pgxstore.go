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
	"database/sql"
	"errors"
	"fmt"
	"strings"
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
	s.toucher = touch.New(touch.Storage{Extend: s.extend, Find: s.FindCtx, Digest: digest, Peek: s.peek, Move: s.move})
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
	_, err := touch.RunDetached(ctx, func(ctx context.Context) (int64, error) {
		return s.exec(ctx, `DELETE FROM sessions WHERE token = $1`, token)
	})
	return err
}

// Take deletes a live session and returns the data that it had at that moment. Of
// two calls at once, one finds it. Like DeleteCtx it is carried out even if the
// context ends.
func (s *PostgresStore) Take(ctx context.Context, key string) (data []byte, found bool, err error) {
	data, err = touch.RunDetached(ctx, func(ctx context.Context) (data []byte, err error) {
		_, err = s.row(ctx, []any{&data}, `DELETE FROM sessions WHERE token = $1 AND clock_timestamp() < expiry RETURNING data`, key)
		return data, err
	})
	return data, data != nil, err
}

// Replace stores data and expiry in place of a live session. It never creates
// one.
func (s *PostgresStore) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (found bool, err error) {
	n, err := s.exec(ctx, `UPDATE sessions SET data = $2, expiry = $3
		WHERE token = $1 AND clock_timestamp() < expiry`, key, data, expiry)
	return n > 0, err
}

// Swap stores data and expiry in place of a live session whose stored data is old,
// which is compared by its SHA-256 digest. A zero expiry keeps the stored one. On
// success current is nil. Where the stored data is another it is returned as
// current, and nothing is written. It never creates a session. One round trip, and
// one more where nothing was written.
func (s *PostgresStore) Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error) {
	n, err := s.exec(ctx, `UPDATE sessions SET data = $3, expiry = COALESCE($4, expiry)
		WHERE token = $1 AND clock_timestamp() < expiry AND sha256(data) = $2::bytea`,
		key, []byte(digest(old)), data, sql.NullTime{Time: expiry, Valid: !expiry.IsZero()})
	if err != nil || n > 0 {
		return nil, n > 0, err
	}
	return s.FindCtx(ctx, key)
}

// Expiry returns when the session will end if nothing touches it.
func (s *PostgresStore) Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error) {
	found, err = s.row(ctx, []any{&expiry}, `SELECT expiry FROM sessions WHERE token = $1 AND clock_timestamp() < expiry`, key)
	return expiry, found, err
}

// Touch moves the expiry of a live session to
// min(max(current expiry, now+idle), deadline), in one round trip. Sessions that
// another codec than scs.GobCodec has written take two, and those of another
// program, or of another version of this one, may take three.
func (s *PostgresStore) Touch(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry time.Time, found bool, err error) {
	expiry, _, found, err = s.TouchDeadline(ctx, key, idle, deadline)
	return expiry, found, err
}

// TouchDeadline is Touch, and returns the session's deadline too.
func (s *PostgresStore) TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry, end time.Time, found bool, err error) {
	return s.toucher.Touch(ctx, key, idle, deadline)
}

// The statements of a touch. An UPDATE that has waited for another write evaluates
// everything again on the row which that has left (PostgreSQL, "Read Committed
// Isolation Level"). The setting is for this statement's own transaction.
const (
	async = `set_config('synchronous_commit', 'off', true)`

	peekSQL = `SELECT expiry FROM sessions WHERE token = $1 AND clock_timestamp() < expiry AND sha256(data) = $2::bytea`
	moveSQL = `UPDATE sessions SET expiry = LEAST(GREATEST(expiry, $3::timestamptz), $4::timestamptz)
		WHERE token = $1 AND clock_timestamp() < expiry AND sha256(data) = $2::bytea RETURNING expiry, ` + async
)

// headSQL is what touch.ReadHead needs.
var (
	headSQL     = fmt.Sprintf(`substring(data FROM 1 FOR %d)`, touch.HeadSize)
	peekHeadSQL = `SELECT expiry, ` + headSQL + `, NULL FROM sessions WHERE token = $1 AND clock_timestamp() < expiry`
	extendSQL   = newExtendSQL(touch.GobHead())
)

// newExtendSQL returns the statement of Storage.Extend. It cuts the head out of the
// data once, as large data lies in another table, and the part that follows the
// message's length once too. Where they begin otherwise, the expiry stays: CASE keeps
// the casts from what they can't take.
func newExtendSQL(before, after []byte) string {
	escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace
	after = append(after, 0, 0, 0) // and of the seconds, 5 bytes
	return fmt.Sprintf(`UPDATE sessions SET expiry = (
		SELECT CASE WHEN head LIKE '\x%[1]x'::bytea AND rest LIKE '\x%[2]x'::bytea
			THEN LEAST(GREATEST(expiry, $2::timestamptz), timestamptz '1970-01-01 00:00:00Z'
				+ interval '1 second' * (('x' || encode(substring(rest FROM %[3]d FOR 5), 'hex'))::bit(40)::bigint + %[4]d)
				+ interval '1 microsecond' * (('x' || encode(substring(rest FROM %[3]d + 5), 'hex'))::bit(32)::bigint / 1000))
			ELSE expiry END
		FROM (SELECT head, substring(head FROM %[5]d + position(substring(head FROM %[5]d - 1 FOR 1) IN '\xfffefdfc'::bytea) FOR %[3]d + 8) AS rest
			FROM (SELECT %[6]s AS head OFFSET 0) AS cut OFFSET 0) AS parts)
		WHERE token = $1 AND clock_timestamp() < expiry RETURNING expiry, %[6]s, %[7]s`,
		escape(string(before))+"%", escape(string(after))+strings.Repeat("_", 5+4), len(after)+1, touch.YearOne, len(before)+2, headSQL, async)
}

func (s *PostgresStore) extend(ctx context.Context, key string, next time.Time) (expiry, deadline time.Time, found bool, err error) {
	var head []byte
	to := []any{&expiry, &head, nil}
	if !next.After(time.Now()) { // an UPDATE writes a row even if it changes nothing
		found, err = s.row(ctx, to, peekHeadSQL, key)
		if deadline, _ = touch.ReadHead(head); err != nil || !expiry.After(deadline) || deadline.IsZero() {
			return expiry, deadline, found, err
		}
	}
	found, err = s.row(ctx, to, extendSQL, key, next)
	deadline, _ = touch.ReadHead(head)
	return expiry, deadline, found, err
}

func (s *PostgresStore) peek(ctx context.Context, key, digest string) (expiry time.Time, found bool, err error) {
	found, err = s.row(ctx, []any{&expiry}, peekSQL, key, []byte(digest))
	return expiry, found, err
}

func (s *PostgresStore) move(ctx context.Context, key, digest string, deadline, next time.Time) (expiry time.Time, found bool, err error) {
	found, err = s.row(ctx, []any{&expiry, nil}, moveSQL, key, []byte(digest), next, deadline)
	return expiry, found, err
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
