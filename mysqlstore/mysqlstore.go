// Package mysqlstore keeps scs sessions in MySQL or MariaDB so that keepalive
// can extend them safely from any number of processes. It takes the place of
// scs's package of the same name: the same table, so only the import changes.
//
//	sessionManager.Store = mysqlstore.New(db)
//
// The table:
//
//	CREATE TABLE sessions (token CHAR(43) COLLATE ascii_bin PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL);
//	CREATE INDEX sessions_expiry_idx ON sessions (expiry);
//
// The table in scs's README has no COLLATE, so tokens that differ only in case
// are the same there. It works, and Check names the statement that mends it.
//
// It is tested with MariaDB 10.11 and written for MySQL from 5.6.4. Statements
// are prepared on the server, whatever the DSN says. Reads must go to the
// primary, and the server must not run with --sysdate-is-now.
//
// The table holds UTC, as scs writes it, and the server takes that for times of
// the connection's time_zone. So all instances must have the same one, and one
// without summer time: in the hour that is skipped the server refuses times
// (error 1292) or moves them. "user@tcp(host)/db?time_zone=%27%2B00%3A00%27" is
// best; to change it shifts the sessions that are there. The DSN's loc and
// parseTime do not matter.
//
// The server's clock decides whether a session has expired, as in scs; expiries
// are times of the app's clock, as deadlines are. A server whose clock
// is ahead ends sessions early by as much. The table's TIMESTAMP ends in 2038,
// and its BLOB at 64 KB, where a server that is not strict cuts.
package mysqlstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	scsstore "github.com/alexedwards/scs/mysqlstore"
	"github.com/go-sql-driver/mysql"
	"github.com/seed4a306b22/keepalive/internal/touch"
)

type plain = touch.Plain

// MySQLStore is a keepalive.Store. It is safe for concurrent use.
type MySQLStore struct {
	plain
	cleanup *scsstore.MySQLStore
	stmts   *touch.Statements
	toucher *touch.Toucher
	// lacksReturning is set when the server has refused DELETE ... RETURNING: MySQL.
	lacksReturning atomic.Bool
}

// New returns a store that removes expired sessions every 5 minutes. The
// database handle stays the caller's, to configure and to close, after
// StopCleanup.
func New(db *sql.DB) *MySQLStore {
	return NewWithCleanupInterval(db, 5*time.Minute)
}

// NewWithCleanupInterval returns a store that removes expired sessions at
// another interval, or never when it is 0.
func NewWithCleanupInterval(db *sql.DB, cleanupInterval time.Duration) *MySQLStore {
	s := &MySQLStore{cleanup: scsstore.NewWithCleanupInterval(db, cleanupInterval), stmts: touch.NewStatements(db)}
	s.plain = touch.Plain{Store: s}
	s.toucher = touch.New(touch.Storage{Extend: s.extend, Find: s.FindCtx, Digest: digest, Peek: s.peek, Move: s.move})
	return s
}

// StopCleanup ends the removal of expired sessions. It may be called once.
func (s *MySQLStore) StopCleanup() { s.cleanup.StopCleanup() }

// run prepares a statement, once, and runs it: again if the server has undone it
// to resolve a deadlock.
func (s *MySQLStore) run(ctx context.Context, query string, do func(*sql.Stmt) error) error {
	return touch.Retry(ctx, func() error {
		stmt, err := s.stmts.Prepare(ctx, query)
		if err != nil {
			return err
		}
		return do(stmt)
	}, isDeadlock)
}

func isDeadlock(err error) bool {
	const lockDeadlock = 1213 // ER_LOCK_DEADLOCK
	var my *mysql.MySQLError
	return errors.As(err, &my) && my.Number == lockDeadlock
}

func (s *MySQLStore) exec(ctx context.Context, query string, args ...any) (res sql.Result, err error) {
	err = s.run(ctx, query, func(stmt *sql.Stmt) (err error) {
		res, err = stmt.ExecContext(ctx, args...)
		return err
	})
	return res, err
}

// row reads one row.
func (s *MySQLStore) row(ctx context.Context, to []any, query string, args ...any) (found bool, err error) {
	err = s.run(ctx, query, func(stmt *sql.Stmt) error { return stmt.QueryRowContext(ctx, args...).Scan(to...) })
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// The statements. now is UTC at the moment when a row is examined, after any wait
// for its lock; UTC_TIMESTAMP alone is when the statement began. The difference
// is taken from NOW and SYSDATE, which are local times: a change of the zone's
// offset between them is a multiple of a quarter of an hour, and the remainder
// modulo that is the wait. Times are sent as text, as the driver would shift them
// by the DSN's loc, and come back as microseconds since 1970, which no setting
// changes.
const (
	now = `UTC_TIMESTAMP(6) + INTERVAL
		MOD(TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)) + 86850000000, 900000000) - 450000000 MICROSECOND`
	live  = ` WHERE token = ? AND ` + now + ` < expiry`
	stamp = `CAST(? AS DATETIME(6))`
	epoch = `'1970-01-01 00:00:00'`

	micros = `TIMESTAMPDIFF(MICROSECOND, ` + epoch + `, expiry)`
	same   = ` AND SHA2(data, 256) = ?`

	findSQL   = `SELECT data FROM sessions` + live
	expirySQL = `SELECT ` + micros + ` FROM sessions` + live
	peekSQL   = expirySQL + same
	commitSQL = `INSERT INTO sessions (token, data, expiry) VALUES (?, ?, ?)
		ON DUPLICATE KEY UPDATE data = VALUES(data), expiry = VALUES(expiry)`
	deleteSQL   = `DELETE FROM sessions WHERE token = ?`
	takeSQL     = `DELETE FROM sessions` + live + ` RETURNING data`
	takeSameSQL = `DELETE FROM sessions` + live + same
	allSQL      = `SELECT token, data FROM sessions WHERE ` + now + ` < expiry`

	// LAST_INSERT_ID with a value makes it the insert id of the server's answer.
	// It is set only if a row matches, also if the update leaves that as it was;
	// the count of affected rows is 0 in both cases.
	answer     = epoch + ` + INTERVAL LAST_INSERT_ID(TIMESTAMPDIFF(MICROSECOND, ` + epoch + `, `
	replaceSQL = `UPDATE sessions SET data = ?, expiry = ` + answer + stamp + `)) MICROSECOND` + live
	swapSQL    = `UPDATE sessions SET data = ?, expiry = ` + answer + `COALESCE(` + stamp + `, expiry))) MICROSECOND` + live + same
	moveSQL    = `UPDATE sessions SET expiry = ` + answer + `LEAST(GREATEST(expiry, ` + stamp + `), ` + stamp + `))) MICROSECOND` + live + same
)

// The statements of Storage.Extend, of which peekHeadSQL writes nothing. It returns
// 0 for the deadline of data that begins otherwise, and extendSQL leaves the insert
// id at 1. Else that is twice the deadline, in microseconds since 1970, and one more
// if the expiry was later than next.
var peekHeadSQL, extendSQL = newExtendSQL(touch.GobHead())

// newExtendSQL writes as few operations as it can. With each call MariaDB resolves
// those of a prepared statement anew, which takes longer than to carry them out. So
// the deadline stands there once, inside LAST_INSERT_ID, which returns it.
func newExtendSQL(before, after []byte) (peek, extend string) {
	// What follows the message's length, of which INSTR finds the number of bytes.
	from := func(offset, n int) string {
		return fmt.Sprintf(`SUBSTRING(data, %d + INSTR(x'fffefdfc', SUBSTRING(data, %d, 1)), %d)`, len(before)+2+offset, len(before)+1, n)
	}
	// From 1970-01-02 to the year 9936 a TIMESTAMP can be compared with them in any
	// zone. Sessions with other deadlines take the way of data that begins otherwise.
	second := func(first uint64) []byte { return binary.BigEndian.AppendUint64(bytes.Clone(after), first) }
	isGob := fmt.Sprintf(`LENGTH(data) >= %d AND LEFT(data, %d) = x'%x' AND %s BETWEEN x'%x' AND x'%x'`,
		touch.MinSize, len(before), before, from(0, len(after)+8), second(24*60*60-touch.YearOne), second(0x48ffffffff))
	deadline := fmt.Sprintf(`(CAST(CONV(HEX(%s), 16, 10) AS SIGNED) + %d) * 1000000 + CONV(HEX(%s), 16, 10) DIV 1000`,
		from(len(after), 8), touch.YearOne, from(len(after)+8, 4))
	return `SELECT ` + micros + `, IF(` + isGob + `, ` + deadline + `, 0) FROM sessions` + live,
		`UPDATE sessions SET expiry = IF(` + isGob + `, LEAST(GREATEST(expiry, ` + stamp + `), TIMESTAMP` + epoch +
			` + INTERVAL LAST_INSERT_ID((` + deadline + `) * 2 + (expiry > ?)) DIV 2 MICROSECOND), IF(LAST_INSERT_ID(1), expiry, expiry))` + live
}

// clampTime makes a time one that a TIMESTAMP can be compared with in any zone.
func clampTime(t time.Time) time.Time {
	if first := time.Unix(24*60*60, 0); t.Before(first) {
		t = first
	}
	if last := time.Date(9999, 12, 30, 0, 0, 0, 0, time.UTC); t.After(last) {
		t = last
	}
	return t
}

func formatTime(t time.Time) string { return clampTime(t).UTC().Format("2006-01-02 15:04:05.000000") }

// FindCtx returns the data of a session.
func (s *MySQLStore) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	found, err = s.row(ctx, []any{&data}, findSQL, token)
	return data, found, err
}

// CommitCtx stores a session, whether or not there was one.
func (s *MySQLStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	_, err := s.exec(ctx, commitSQL, token, data, formatTime(expiry))
	return err
}

// DeleteCtx removes a session. It is carried out even if the context ends, though
// not waited for.
func (s *MySQLStore) DeleteCtx(ctx context.Context, token string) error {
	_, err := touch.RunDetached(ctx, func(ctx context.Context) (sql.Result, error) { return s.exec(ctx, deleteSQL, token) })
	return err
}

// Take deletes a live session and returns the data that it had at that moment. Of
// two calls at once, one finds it. Like DeleteCtx it is carried out even if the
// context ends. One round trip, with MySQL two.
func (s *MySQLStore) Take(ctx context.Context, key string) (data []byte, found bool, err error) {
	data, err = touch.RunDetached(ctx, func(ctx context.Context) (data []byte, err error) {
		if !s.lacksReturning.Load() {
			_, err = s.row(ctx, []any{&data}, takeSQL, key)
			if !isSyntaxError(err) {
				return data, err
			}
			s.lacksReturning.Store(true)
		}
		return s.takeSame(ctx, key)
	})
	return data, data != nil, err
}

func isSyntaxError(err error) bool {
	const parseError = 1064 // ER_PARSE_ERROR
	var my *mysql.MySQLError
	return errors.As(err, &my) && my.Number == parseError
}

// takeSame is Take for MySQL, which has no DELETE ... RETURNING: it deletes the
// session that it has read, as long as that is still the same.
func (s *MySQLStore) takeSame(ctx context.Context, key string) (data []byte, err error) {
	for {
		data, found, err := s.FindCtx(ctx, key)
		if err != nil || !found {
			return nil, err
		}
		res, err := s.exec(ctx, takeSameSQL, key, digest(data))
		if err != nil {
			return nil, err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return data, err
		}
	}
}

// updatedExpiry reads the answer of an UPDATE with LAST_INSERT_ID.
func updatedExpiry(res sql.Result, err error) (expiry time.Time, found bool, _ error) {
	if err != nil {
		return expiry, false, err
	}
	at, err := res.LastInsertId()
	if err != nil || at == 0 {
		return expiry, false, err
	}
	return time.UnixMicro(at), true, nil
}

// Replace stores data and expiry in place of a live session. It never creates
// one.
func (s *MySQLStore) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (found bool, err error) {
	_, found, err = updatedExpiry(s.exec(ctx, replaceSQL, data, formatTime(expiry), key))
	return found, err
}

// Swap stores data and expiry in place of a live session whose stored data is old,
// which is compared by its SHA-256 digest. A zero expiry keeps the stored one. On
// success current is nil. Where the stored data is another it is returned as
// current, and nothing is written. It never creates a session. One round trip, and
// one more where nothing was written.
func (s *MySQLStore) Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error) {
	var at any // nil keeps the expiry
	if !expiry.IsZero() {
		at = formatTime(expiry)
	}
	if _, found, err = updatedExpiry(s.exec(ctx, swapSQL, data, at, key, digest(old))); err != nil || found {
		return nil, found, err
	}
	return s.FindCtx(ctx, key)
}

// Expiry returns when the session will end if nothing touches it.
func (s *MySQLStore) Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error) {
	return s.expiry(ctx, expirySQL, key)
}

func (s *MySQLStore) expiry(ctx context.Context, query string, args ...any) (expiry time.Time, found bool, err error) {
	var at int64
	if found, err = s.row(ctx, []any{&at}, query, args...); found {
		expiry = time.UnixMicro(at)
	}
	return expiry, found, err
}

// Touch moves the expiry of a live session to
// min(max(current expiry, now+idle), deadline), in one round trip, or two if the
// current expiry was later. Sessions that another codec than scs.GobCodec has written
// take two, and those of another program, or of another version of this one, may
// take three.
func (s *MySQLStore) Touch(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry time.Time, found bool, err error) {
	expiry, _, found, err = s.TouchDeadline(ctx, key, idle, deadline)
	return expiry, found, err
}

// TouchDeadline is Touch, and returns the session's deadline too.
func (s *MySQLStore) TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry, end time.Time, found bool, err error) {
	return s.toucher.Touch(ctx, key, idle, deadline)
}

func (s *MySQLStore) extend(ctx context.Context, key string, next time.Time) (expiry, deadline time.Time, found bool, err error) {
	if !next.After(time.Now()) {
		expiry, deadline, found, err = s.peekHead(ctx, key)
		if !expiry.After(deadline) || deadline.IsZero() {
			return expiry, deadline, found, err
		}
	}
	next = clampTime(next)
	at := formatTime(next)
	res, err := s.exec(ctx, extendSQL, at, at, key)
	if err != nil {
		return expiry, deadline, false, err
	}
	id, err := res.LastInsertId()
	switch {
	case err != nil || id == 0:
		return time.Time{}, deadline, false, err
	case id == 1:
		return time.Time{}, time.Time{}, true, nil
	case id%2 == 1:
		return s.peekHead(ctx, key)
	}
	return time.UnixMicro(min(next.UnixMicro(), id/2)), time.UnixMicro(id / 2), true, nil
}

func (s *MySQLStore) peekHead(ctx context.Context, key string) (expiry, deadline time.Time, found bool, err error) {
	var at, end int64
	if found, err = s.row(ctx, []any{&at, &end}, peekHeadSQL, key); !found {
		return expiry, deadline, false, err
	}
	if end != 0 {
		deadline = time.UnixMicro(end)
	}
	return time.UnixMicro(at), deadline, true, nil
}

func (s *MySQLStore) peek(ctx context.Context, key, digest string) (expiry time.Time, found bool, err error) {
	return s.expiry(ctx, peekSQL, key, digest)
}

func (s *MySQLStore) move(ctx context.Context, key, digest string, deadline, next time.Time) (expiry time.Time, found bool, err error) {
	return updatedExpiry(s.exec(ctx, moveSQL, formatTime(next), formatTime(deadline), key, digest))
}

// digest is what SHA2(data, 256) returns.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// AllCtx returns the data of all live sessions by their tokens.
func (s *MySQLStore) AllCtx(ctx context.Context) (map[string][]byte, error) {
	var all map[string][]byte
	err := s.run(ctx, allSQL, func(stmt *sql.Stmt) (err error) {
		all, err = touch.QueryAll(ctx, stmt)
		return err
	})
	return all, err
}

// Check returns an error if the table takes tokens that differ only in case for
// the same, so that one session has many names. keepalive calls it once, and logs
// the error.
func (s *MySQLStore) Check(ctx context.Context) error {
	var collation string
	// MAX gives a row for an empty table too, and reads one entry of the index.
	if err := s.cleanup.DB.QueryRowContext(ctx, `SELECT COLLATION(MAX(token)) FROM sessions`).Scan(&collation); err != nil {
		return fmt.Errorf("mysqlstore: the table's collation: %w", err)
	}
	if strings.HasSuffix(collation, "_ci") {
		return fmt.Errorf("mysqlstore: the column token has the collation %s, which ignores case, so that one session has many names; run ALTER TABLE sessions MODIFY token CHAR(43) COLLATE ascii_bin NOT NULL", collation)
	}
	return nil
}
