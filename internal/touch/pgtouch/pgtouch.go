// Package pgtouch keeps sessions in PostgreSQL, for stores that have different
// drivers. Like package touch, it is a contract between modules.
package pgtouch

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed4a306b22/keepalive/internal/touch"
)

// Driver runs statements. It is safe for concurrent use. A call ends with its
// context, whose error it returns then, and is made again while IsConflict.
type Driver interface {
	// Exec returns how many rows a statement has changed.
	Exec(ctx context.Context, query string, args ...any) (n int64, err error)
	// Row reads the only row. found is false if there is none.
	Row(ctx context.Context, query string, args ...any) (r Row, found bool, err error)
	// Take is Row for a statement that finds nothing where it has been carried out
	// before: if its answer got lost, it must not return found=false without an error.
	Take(ctx context.Context, query string, args ...any) (r Row, found bool, err error)
	// All returns the data that a statement finds by the sessions' tokens.
	All(ctx context.Context, query string) (map[string][]byte, error)
}

// Row is what a statement returns of a session, in its first two columns. The third
// means nothing.
type Row struct {
	Expiry time.Time
	Data   []byte // or the part that was asked for
}

// IsConflict reports whether the server has undone a statement because of another
// one: to resolve a deadlock, or with an isolation level above the default.
func IsConflict(err error) bool {
	const serializationFailure, deadlockDetected = "40001", "40P01"
	var pg interface{ SQLState() string } // each driver's error has it
	return errors.As(err, &pg) && (pg.SQLState() == serializationFailure || pg.SQLState() == deadlockDetected)
}

type plain = touch.Plain

// Store has the methods of a keepalive.Store, and Swap, Take and AllCtx. It is safe
// for concurrent use.
type Store struct {
	plain
	db      Driver
	sql     statements
	toucher *touch.Toucher
}

// New returns a store in a table.
func New(db Driver, table string) *Store {
	s := &Store{db: db, sql: newStatements(table)}
	s.plain = touch.Plain{Store: s}
	s.toucher = touch.New(touch.Storage{Extend: s.extend, Find: s.FindCtx, Digest: digest, Peek: s.peek, Move: s.move})
	return s
}

type statements struct {
	find, commit, remove, take, replace, swap, expiry, all string
	peek, move, peekHead, extend                           string
}

// newStatements: the setting in those of a touch is for their own transaction. An
// UPDATE that has waited for another write evaluates everything again on the row
// which that has left (PostgreSQL, "Read Committed Isolation Level").
func newStatements(table string) statements {
	const (
		live  = ` WHERE token = $1 AND clock_timestamp() < expiry`
		same  = ` AND sha256(data) = $2::bytea`
		async = `set_config('synchronous_commit', 'off', true)`
	)
	from, update := ` FROM `+table, `UPDATE `+table+` SET `
	head := fmt.Sprintf(`substring(data FROM 1 FOR %d)`, touch.HeadSize) // what touch.ReadHead needs
	before, after := touch.GobHead()
	return statements{
		find: `SELECT expiry, data, NULL` + from + live,
		commit: `INSERT INTO ` + table + ` (token, data, expiry) VALUES ($1, $2, $3)
			ON CONFLICT (token) DO UPDATE SET data = EXCLUDED.data, expiry = EXCLUDED.expiry`,
		remove:  `DELETE` + from + ` WHERE token = $1`,
		take:    `DELETE` + from + live + ` RETURNING expiry, data, NULL`,
		replace: update + `data = $2, expiry = $3` + live,
		swap:    update + `data = $3, expiry = COALESCE($4, expiry)` + live + same,
		expiry:  `SELECT expiry, NULL, NULL` + from + live,
		all:     `SELECT token, data` + from + ` WHERE clock_timestamp() < expiry`,

		peek:     `SELECT expiry, NULL, NULL` + from + live + same,
		move:     update + `expiry = LEAST(GREATEST(expiry, $3::timestamptz), $4::timestamptz)` + live + same + ` RETURNING expiry, NULL, ` + async,
		peekHead: `SELECT expiry, ` + head + `, NULL` + from + live,
		extend:   update + `expiry = ` + extended(head, before, after) + live + ` RETURNING expiry, ` + head + `, ` + async,
	}
}

// extended returns the new expiry of Storage.Extend, of which $2 is the next one. It
// cuts the head out of the data once, as large data lies in another table, and the
// part that follows the message's length once too. Where they begin otherwise, the
// expiry stays: CASE keeps the casts from what they can't take.
func extended(headSQL string, before, after []byte) string {
	escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace
	after = append(after, 0, 0, 0) // and of the seconds, 5 bytes
	return fmt.Sprintf(`(
		SELECT CASE WHEN head LIKE '\x%[1]x'::bytea AND rest LIKE '\x%[2]x'::bytea
			THEN LEAST(GREATEST(expiry, $2::timestamptz), timestamptz '1970-01-01 00:00:00Z'
				+ interval '1 second' * (('x' || encode(substring(rest FROM %[3]d FOR 5), 'hex'))::bit(40)::bigint + %[4]d)
				+ interval '1 microsecond' * (('x' || encode(substring(rest FROM %[3]d + 5), 'hex'))::bit(32)::bigint / 1000))
			ELSE expiry END
		FROM (SELECT head, substring(head FROM %[5]d + position(substring(head FROM %[5]d - 1 FOR 1) IN '\xfffefdfc'::bytea) FOR %[3]d + 8) AS rest
			FROM (SELECT %[6]s AS head OFFSET 0) AS cut OFFSET 0) AS parts)`,
		escape(string(before))+"%", escape(string(after))+strings.Repeat("_", 5+4), len(after)+1, touch.YearOne, len(before)+2, headSQL)
}

// micro rounds down to what a TIMESTAMPTZ holds: drivers that send text would have
// the server round, and an expiry must not come to lie past the deadline.
func micro(t time.Time) time.Time { return t.Truncate(time.Microsecond) }

// FindCtx returns the data of a session.
func (s *Store) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	r, found, err := s.db.Row(ctx, s.sql.find, token)
	return r.Data, found, err
}

// CommitCtx stores a session, whether or not there was one.
func (s *Store) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	_, err := s.db.Exec(ctx, s.sql.commit, token, data, micro(expiry))
	return err
}

// DeleteCtx removes a session. It is carried out even if the context ends, though
// not waited for.
func (s *Store) DeleteCtx(ctx context.Context, token string) error {
	_, err := touch.RunDetached(ctx, func(ctx context.Context) (int64, error) { return s.db.Exec(ctx, s.sql.remove, token) })
	return err
}

// Take deletes a live session and returns the data that it had at that moment. Of
// two calls at once, one finds it. Like DeleteCtx it is carried out even if the
// context ends. If the answer gets lost the error says so, and the session may have
// gone.
func (s *Store) Take(ctx context.Context, key string) (data []byte, found bool, err error) {
	data, err = touch.RunDetached(ctx, func(ctx context.Context) ([]byte, error) {
		r, _, err := s.db.Take(ctx, s.sql.take, key)
		return r.Data, err
	})
	return data, data != nil, err
}

// Replace stores data and expiry in place of a live session. It never creates
// one.
func (s *Store) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (found bool, err error) {
	n, err := s.db.Exec(ctx, s.sql.replace, key, data, micro(expiry))
	return n > 0, err
}

// Swap stores data and expiry in place of a live session whose stored data is old,
// which is compared by its SHA-256 digest. A zero expiry keeps the stored one. On
// success current is nil. Where the stored data is another it is returned as
// current, and nothing is written. It never creates a session. One round trip, and
// one more where nothing was written.
func (s *Store) Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error) {
	n, err := s.db.Exec(ctx, s.sql.swap, key, []byte(digest(old)), data, sql.NullTime{Time: micro(expiry), Valid: !expiry.IsZero()})
	if err != nil || n > 0 {
		return nil, n > 0, err
	}
	return s.FindCtx(ctx, key)
}

// Expiry returns when the session will end if nothing touches it.
func (s *Store) Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error) {
	r, found, err := s.db.Row(ctx, s.sql.expiry, key)
	return r.Expiry, found, err
}

// Touch moves the expiry of a live session to
// min(max(current expiry, now+idle), deadline), in one round trip. Sessions that
// another codec than scs.GobCodec has written take two, and those of another
// program, or of another version of this one, may take three.
func (s *Store) Touch(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry time.Time, found bool, err error) {
	expiry, _, found, err = s.TouchDeadline(ctx, key, idle, deadline)
	return expiry, found, err
}

// TouchDeadline is Touch, and returns the session's deadline too.
func (s *Store) TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry, end time.Time, found bool, err error) {
	return s.toucher.Touch(ctx, key, idle, deadline)
}

func (s *Store) extend(ctx context.Context, key string, next time.Time) (expiry, deadline time.Time, found bool, err error) {
	if !next.After(time.Now()) { // an UPDATE writes a row even if it changes nothing
		r, found, err := s.db.Row(ctx, s.sql.peekHead, key)
		if deadline, _ = touch.ReadHead(r.Data); err != nil || !r.Expiry.After(deadline) || deadline.IsZero() {
			return r.Expiry, deadline, found, err
		}
	}
	r, found, err := s.db.Row(ctx, s.sql.extend, key, micro(next))
	deadline, _ = touch.ReadHead(r.Data)
	return r.Expiry, deadline, found, err
}

func (s *Store) peek(ctx context.Context, key, digest string) (expiry time.Time, found bool, err error) {
	r, found, err := s.db.Row(ctx, s.sql.peek, key, []byte(digest))
	return r.Expiry, found, err
}

func (s *Store) move(ctx context.Context, key, digest string, deadline, next time.Time) (expiry time.Time, found bool, err error) {
	r, found, err := s.db.Row(ctx, s.sql.move, key, []byte(digest), micro(next), micro(deadline))
	return r.Expiry, found, err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return string(sum[:])
}

// AllCtx returns the data of all live sessions by their tokens.
func (s *Store) AllCtx(ctx context.Context) (map[string][]byte, error) {
	return s.db.All(ctx, s.sql.all)
}
