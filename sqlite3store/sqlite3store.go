// Package sqlite3store keeps scs sessions in SQLite so that keepalive can extend
// them safely, from several processes too. It takes the place of scs's package
// of the same name: the same table, so only the import changes.
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
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	scsstore "github.com/alexedwards/scs/sqlite3store"
	"github.com/seed4a306b22/keepalive/internal/touch"
)

// Config is that of scs: the table's name and the interval at which expired
// sessions are removed.
type Config = scsstore.Config

type plain = touch.Plain

// SQLite3Store is a keepalive.Store. It is safe for concurrent use.
type SQLite3Store struct {
	plain
	cleanup   *scsstore.SQLite3Store
	stmts     *touch.Statements
	table     string
	extendSQL string
	toucher   *touch.Toucher
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
	s := &SQLite3Store{cleanup: scsstore.NewWithConfig(db, config), stmts: touch.NewStatements(db), table: config.TableName}
	s.plain = touch.Plain{Store: s}
	before, after := touch.GobHead()
	s.extendSQL = newExtendSQL(s.table, before, after)
	s.toucher = touch.New(touch.Storage{Extend: s.extend, Find: s.FindCtx, Digest: digest, Peek: s.peek, Move: s.move})
	return s
}

// StopCleanup ends the removal of expired sessions. It may be called once.
func (s *SQLite3Store) StopCleanup() { s.cleanup.StopCleanup() }

// lockTimeout is how long a call waits for a lock.
const lockTimeout = 5 * time.Second

// run prepares a statement, once, and runs it, again while another one holds the
// lock. The context ends the call, as drivers wait longer.
func run[T any](ctx context.Context, s *SQLite3Store, query string, do func(context.Context, *sql.Stmt) (T, error)) (T, error) {
	return touch.RunWithContext(ctx, func(ctx context.Context) (v T, err error) {
		for end := time.Now().Add(lockTimeout); ; {
			stmt, err := s.stmts.Prepare(ctx, query)
			if err == nil {
				v, err = do(ctx, stmt)
			}
			if !isLocked(err) || ctx.Err() != nil || time.Now().After(end) {
				return v, err
			}
			time.Sleep(time.Millisecond + rand.N(4*time.Millisecond))
		}
	})
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
	return run(ctx, s, query, func(ctx context.Context, stmt *sql.Stmt) (int64, error) {
		res, err := stmt.ExecContext(ctx, args...)
		if err != nil {
			return 0, err
		}
		return res.RowsAffected()
	})
}

// record is a session's row, or what a statement asks for of it.
type record struct {
	expiry time.Time
	data   []byte
}

// row reads one row of expiry and data.
func (s *SQLite3Store) row(ctx context.Context, query string, args ...any) (r record, found bool, err error) {
	r, err = run(ctx, s, query, func(ctx context.Context, stmt *sql.Stmt) (r record, err error) {
		rows, err := stmt.QueryContext(ctx, args...)
		if err != nil {
			return r, err
		}
		var expiry float64
		err = touch.ReadRow(rows, []any{&expiry, &r.data})
		r.expiry = fromJulian(expiry)
		return r, err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return record{}, false, nil
	}
	return r, err == nil, err
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
	r, found, err := s.row(ctx, `SELECT expiry, data FROM `+s.table+live, token)
	return r.data, found, err
}

// CommitCtx stores a session, whether or not there was one.
func (s *SQLite3Store) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	_, err := s.exec(ctx, `REPLACE INTO `+s.table+` (token, data, expiry) VALUES (?1, ?2, ?3)`, token, data, julian(expiry))
	return err
}

// DeleteCtx removes a session. It is carried out even if the context ends, though
// not waited for.
func (s *SQLite3Store) DeleteCtx(ctx context.Context, token string) error {
	_, err := touch.RunDetached(ctx, func(ctx context.Context) (int64, error) {
		return s.exec(ctx, `DELETE FROM `+s.table+` WHERE token = ?1`, token)
	})
	return err
}

// Take deletes a live session and returns the data that it had at that moment. Of
// two calls at once, one finds it. Like DeleteCtx it is carried out even if the
// context ends.
func (s *SQLite3Store) Take(ctx context.Context, key string) (data []byte, found bool, err error) {
	r, err := touch.RunDetached(ctx, func(ctx context.Context) (r record, err error) {
		r, _, err = s.row(ctx, `DELETE FROM `+s.table+live+` RETURNING expiry, data`, key)
		return r, err
	})
	return r.data, err == nil && !r.expiry.IsZero(), err
}

// Replace stores data and expiry in place of a live session. It never creates
// one.
func (s *SQLite3Store) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (found bool, err error) {
	n, err := s.exec(ctx, `UPDATE `+s.table+` SET data = ?2, expiry = ?3`+live, key, data, julian(expiry))
	return n > 0, err
}

// Swap stores data and expiry in place of a live session whose stored data is old.
// A zero expiry keeps the stored one. On success current is nil. Where the stored
// data is another it is returned as current, and nothing is written. It never
// creates a session.
func (s *SQLite3Store) Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error) {
	var at any // nil keeps the expiry
	if !expiry.IsZero() {
		at = julian(expiry)
	}
	n, err := s.exec(ctx, `UPDATE `+s.table+` SET data = ?3, expiry = coalesce(?4, expiry)`+same, key, old, data, at)
	if err != nil || n > 0 {
		return nil, n > 0, err
	}
	return s.FindCtx(ctx, key)
}

// Expiry returns when the session will end if nothing touches it.
func (s *SQLite3Store) Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error) {
	r, found, err := s.row(ctx, `SELECT expiry, NULL FROM `+s.table+live, key)
	return r.expiry, found, err
}

// Touch moves the expiry of a live session to
// min(max(current expiry, now+idle), deadline), in one statement, or in more for
// sessions that another codec than scs.GobCodec has written, or another program, or
// another version of this one.
func (s *SQLite3Store) Touch(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry time.Time, found bool, err error) {
	expiry, _, found, err = s.TouchDeadline(ctx, key, idle, deadline)
	return expiry, found, err
}

// TouchDeadline is Touch, and returns the session's deadline too.
func (s *SQLite3Store) TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry, end time.Time, found bool, err error) {
	return s.toucher.Touch(ctx, key, idle, deadline)
}

// newExtendSQL returns the statement of Storage.Extend. instr finds what a byte is
// worth in all bytes, its third argument, and how many bytes of the message's length
// come behind the first.
func newExtendSQL(table string, before, after []byte) string {
	after = append(after, 0, 0, 0) // and of seconds, 5 bytes
	from := func(offset, n int) string {
		return fmt.Sprintf(`substr(data, %d + instr(x'fffefdfc', substr(data, %d, 1)), %d)`, len(before)+2+offset, len(before)+1, n)
	}
	number := func(offset, n int) string {
		terms := make([]string, n)
		for i := range terms {
			terms[i] = fmt.Sprintf(`(instr(?3, %s) - 1 << %d)`, from(offset+i, 1), 8*(n-1-i))
		}
		return `(` + strings.Join(terms, ` | `) + `)`
	}
	deadline := fmt.Sprintf(`((%s + %d) * 1000 + %s / 1000000 + %d) / %d.0`, number(len(after), 5), touch.YearOne, number(len(after)+5, 4), epoch, day)
	return fmt.Sprintf(`UPDATE %s SET expiry = min(max(expiry, ?2), %s)%s AND length(data) >= %d AND substr(data, 1, %d) = x'%x' AND %s = x'%x' RETURNING expiry, %s`,
		table, deadline, live, touch.MinSize, len(before), before, from(0, len(after)), after, head)
}

var (
	// head is what touch.ReadHead needs.
	head     = fmt.Sprintf(`substr(data, 1, %d)`, touch.HeadSize)
	allBytes = func() (b []byte) {
		for i := range 256 {
			b = append(b, byte(i))
		}
		return b
	}()
)

func (s *SQLite3Store) extend(ctx context.Context, key string, next time.Time) (expiry, deadline time.Time, found bool, err error) {
	if next.After(time.Now()) {
		r, found, err := s.row(ctx, s.extendSQL, key, julian(next), allBytes)
		if err != nil || found {
			deadline, _ = touch.ReadHead(r.data)
			return r.expiry, deadline, found, err
		}
	}
	// An UPDATE takes the writer's lock. It is left to move if there is one to do.
	r, found, err := s.row(ctx, `SELECT expiry, `+head+` FROM `+s.table+live, key)
	if deadline, _ = touch.ReadHead(r.data); next.After(time.Now()) || r.expiry.After(deadline) {
		deadline = time.Time{}
	}
	return r.expiry, deadline, found, err
}

// same selects a live session whose data is ?2.
const same = live + ` AND data = ?2`

func (s *SQLite3Store) peek(ctx context.Context, key, digest string) (expiry time.Time, found bool, err error) {
	r, found, err := s.row(ctx, `SELECT expiry, NULL FROM `+s.table+same, key, []byte(digest))
	return r.expiry, found, err
}

func (s *SQLite3Store) move(ctx context.Context, key, digest string, deadline, next time.Time) (expiry time.Time, found bool, err error) {
	r, found, err := s.row(ctx, `UPDATE `+s.table+` SET expiry = min(max(expiry, ?3), ?4)`+same+` RETURNING expiry, NULL`,
		key, []byte(digest), julian(next), julian(deadline))
	return r.expiry, found, err
}

// digest is the data itself: SQLite has no digest, and no wire to save.
func digest(data []byte) string { return string(data) }

// AllCtx returns the data of all live sessions by their tokens.
func (s *SQLite3Store) AllCtx(ctx context.Context) (map[string][]byte, error) {
	return run(ctx, s, `SELECT token, data FROM `+s.table+` WHERE julianday('now') < expiry`, touch.QueryAll)
}
