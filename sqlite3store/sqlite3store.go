// Package sqlite3store keeps scs sessions in SQLite so that keepalive can extend
// them safely, from several processes too. It takes the place of scs's package
// of the same name, and embeds its store: the same table, so only the import
// changes.
//
//	sessionManager.Store = sqlite3store.New(db)
//
// The table:
//
//	CREATE TABLE sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL);
//	CREATE INDEX sessions_expiry_idx ON sessions (expiry);
//
// It needs SQLite 3.35, by any driver: github.com/mattn/go-sqlite3 and
// modernc.org/sqlite are tested. A database in WAL mode lets readers go on
// beside a writer: "file:x.db?_journal_mode=WAL" with the first driver,
// "file:x.db?_pragma=journal_mode(WAL)" with the second.
//
// SQLite has one writer at a time. While another one holds the lock a call tries
// again, for 5 seconds or until its context ends, whether or not the database
// has a busy timeout of its own. A touch rewrites the whole row with its data:
// SQLite has no smaller unit.
package sqlite3store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	scsstore "github.com/alexedwards/scs/sqlite3store"
	"github.com/seed4a306b22/keepalive/internal/touch"
)

// Config is that of scs: the table's name and the interval at which expired
// sessions are removed.
type Config = scsstore.Config

// SQLite3Store is a keepalive.Store. It is safe for concurrent use.
type SQLite3Store struct {
	*scsstore.SQLite3Store
	db      *sql.DB
	table   string
	toucher *touch.Toucher
}

// New returns a store that removes expired sessions every 5 minutes. The
// database handle stays the caller's, to configure and to close, after
// StopCleanup.
func New(db *sql.DB) *SQLite3Store {
	return NewWithCleanupInterval(db, 5*time.Minute)
}

// NewWithCleanupInterval returns a store that removes expired sessions at
// another interval, or never when it is 0.
func NewWithCleanupInterval(db *sql.DB, cleanupInterval time.Duration) *SQLite3Store {
	return NewWithConfig(db, Config{CleanUpInterval: cleanupInterval})
}

// NewWithConfig returns a store with a table of another name. The name becomes a
// part of SQL statements: it must not come from users. Default: "sessions". A
// CleanUpInterval of 0 removes nothing.
func NewWithConfig(db *sql.DB, config Config) *SQLite3Store {
	if config.TableName == "" {
		config.TableName = "sessions"
	}
	s := &SQLite3Store{SQLite3Store: scsstore.NewWithConfig(db, config), db: db, table: config.TableName}
	s.toucher = touch.New(touch.Storage{Head: s.head, Find: s.FindCtx, Digest: digest, Peek: s.peek, Move: s.move})
	return s
}

// lockTimeout is how long a call waits for a lock.
const lockTimeout = 5 * time.Second

// retryLocked runs a statement, again while another one holds the lock. It is
// called within touch.RunWithContext, as drivers wait longer than the context.
func retryLocked[T any](ctx context.Context, run func() (T, error)) (v T, err error) {
	for end := time.Now().Add(lockTimeout); ; {
		v, err = run()
		if !isLocked(err) || ctx.Err() != nil || time.Now().After(end) {
			return v, err
		}
		time.Sleep(time.Millisecond + rand.N(4*time.Millisecond))
	}
}

// isLocked recognises SQLITE_BUSY and SQLITE_LOCKED by SQLite's messages for
// them, which every driver passes on: their error types differ.
func isLocked(err error) bool {
	if err == nil {
		return false
	}
	return strings.Contains(err.Error(), "database is locked") ||
		strings.Contains(err.Error(), "database table is locked") ||
		strings.Contains(err.Error(), "database schema is locked")
}

func (s *SQLite3Store) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	return touch.RunWithContext(ctx, func(ctx context.Context) (int64, error) {
		return retryLocked(ctx, func() (int64, error) {
			res, err := s.db.ExecContext(ctx, query, args...)
			if err != nil {
				return 0, err
			}
			return res.RowsAffected()
		})
	})
}

// row reads one row of one value.
func row[T any](ctx context.Context, s *SQLite3Store, query string, args ...any) (v T, found bool, err error) {
	v, err = touch.RunWithContext(ctx, func(ctx context.Context) (T, error) {
		return retryLocked(ctx, func() (T, error) { return queryValue[T](ctx, s.db, query, args) })
	})
	if errors.Is(err, sql.ErrNoRows) {
		return v, false, nil
	}
	return v, err == nil, err
}

// queryValue reads one value. It reads to the end, where an UPDATE commits.
func queryValue[T any](ctx context.Context, db *sql.DB, query string, args []any) (v T, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return v, err
	}
	defer rows.Close()
	if !rows.Next() {
		return v, cmp.Or(rows.Err(), sql.ErrNoRows)
	}
	if err := rows.Scan(&v); err != nil {
		return v, err
	}
	rows.Next()
	return v, rows.Err()
}

// The table's expiry is a Julian day, as SQLite's own julianday() computes it:
// from whole milliseconds.
const (
	day   = 24 * 60 * 60 * 1000
	epoch = 2440587*day + day/2 // 1970-01-01, in milliseconds
)

func julian(t time.Time) float64 { return float64(t.UnixMilli()+epoch) / day }

func fromJulian(d float64) time.Time { return time.UnixMilli(int64(d*day+0.5) - epoch) }

// live selects a session that has not expired. SQLite reads 'now' when the
// statement has its lock.
const live = ` WHERE token = ?1 AND julianday('now') < expiry`

// FindCtx returns the data of a session.
func (s *SQLite3Store) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	return row[[]byte](ctx, s, `SELECT data FROM `+s.table+live, token)
}

// CommitCtx stores a session, whether or not there was one.
func (s *SQLite3Store) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	_, err := s.exec(ctx, `REPLACE INTO `+s.table+` (token, data, expiry) VALUES (?1, ?2, ?3)`, token, data, julian(expiry))
	return err
}

// DeleteCtx removes a session. It is carried out even if the context ends, though
// not waited for.
func (s *SQLite3Store) DeleteCtx(ctx context.Context, token string) error {
	return touch.RunDetached(ctx, func(ctx context.Context) error {
		_, err := s.exec(ctx, `DELETE FROM `+s.table+` WHERE token = ?1`, token)
		return err
	})
}

// Replace stores data and expiry in place of a live session. It never creates
// one.
func (s *SQLite3Store) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (found bool, err error) {
	n, err := s.exec(ctx, `UPDATE `+s.table+` SET data = ?2, expiry = ?3`+live, key, data, julian(expiry))
	return n > 0, err
}

// Expiry returns when the session will end if nothing touches it.
func (s *SQLite3Store) Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error) {
	return s.expiry(ctx, `SELECT expiry FROM `+s.table+live, key)
}

func (s *SQLite3Store) expiry(ctx context.Context, query string, args ...any) (expiry time.Time, found bool, err error) {
	d, found, err := row[float64](ctx, s, query, args...)
	if found {
		expiry = fromJulian(d)
	}
	return expiry, found, err
}

// Touch moves the expiry of a live session to
// min(max(current expiry, now+idle), deadline): one statement when this store
// has touched the session before and its data is still the same, else two or
// three.
func (s *SQLite3Store) Touch(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry time.Time, found bool, err error) {
	expiry, _, found, err = s.TouchDeadline(ctx, key, idle, deadline)
	return expiry, found, err
}

// TouchDeadline is Touch, and returns the session's deadline too.
func (s *SQLite3Store) TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry, end time.Time, found bool, err error) {
	return s.toucher.Touch(ctx, key, idle, deadline)
}

// where selects a live session whose data meets a condition with the guard ?2.
func where(cond touch.Condition) string {
	if cond.IsDigest() {
		return live + ` AND data = ?2`
	}
	return live + ` AND substr(data, 1, length(?2)) = ?2`
}

// peek is there because an UPDATE takes the writer's lock.
func (s *SQLite3Store) peek(ctx context.Context, key string, cond touch.Condition) (expiry time.Time, found bool, err error) {
	return s.expiry(ctx, `SELECT expiry FROM `+s.table+where(cond), key, cond.Guard())
}

func (s *SQLite3Store) move(ctx context.Context, key string, cond touch.Condition, next time.Time) (expiry time.Time, found bool, err error) {
	return s.expiry(ctx, `UPDATE `+s.table+` SET expiry = MIN(MAX(expiry, ?3), ?4)`+where(cond)+` RETURNING expiry`,
		key, cond.Guard(), julian(next), julian(cond.Deadline()))
}

func (s *SQLite3Store) head(ctx context.Context, key string) (data []byte, found bool, err error) {
	return row[[]byte](ctx, s, `SELECT substr(data, 1, ?2) FROM `+s.table+live, key, touch.HeadSize)
}

// digest is the data itself: SQLite has no digest, and no wire to save.
func digest(data []byte) string { return string(data) }

// AllCtx returns the data of all live sessions by their tokens.
func (s *SQLite3Store) AllCtx(ctx context.Context) (map[string][]byte, error) {
	return touch.RunWithContext(ctx, func(ctx context.Context) (map[string][]byte, error) {
		return retryLocked(ctx, func() (map[string][]byte, error) { return s.queryAll(ctx) })
	})
}

func (s *SQLite3Store) queryAll(ctx context.Context) (map[string][]byte, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT token, data FROM `+s.table+` WHERE julianday('now') < expiry`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[string][]byte)
	for rows.Next() {
		var token string
		var data []byte
		if err := rows.Scan(&token, &data); err != nil {
			return nil, err
		}
		all[token] = data
	}
	return all, rows.Err()
}

// Find is FindCtx without a context.
func (s *SQLite3Store) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *SQLite3Store) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context.
func (s *SQLite3Store) Delete(token string) error {
	return s.DeleteCtx(context.Background(), token)
}

// All is AllCtx without a context.
func (s *SQLite3Store) All() (map[string][]byte, error) {
	return s.AllCtx(context.Background())
}
