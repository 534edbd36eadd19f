// Package redistouch keeps sessions in Redis, for stores that have different
// clients. Like package touch, it is a contract between modules.
package redistouch

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/seed4a306b22/keepalive/internal/touch"
)

// Client sends commands. It is safe for concurrent use. A call ends with its
// context, whose error it returns then.
type Client interface {
	// Get returns the value of a key, or nil if there is none.
	Get(ctx context.Context, key string) ([]byte, error)
	// Do sends a command, and may repeat it. Of a reply, strings are string or []byte,
	// numbers int64, arrays []any; one that is not there is nil, without an error.
	Do(ctx context.Context, args ...any) (any, error)
	// GetDel deletes a key and returns its value. If an answer gets lost, it must not
	// return nil without an error because it has been carried out before.
	GetDel(ctx context.Context, key string) ([]byte, error)
	// All returns the values of all keys that match a pattern.
	All(ctx context.Context, pattern string) (map[string][]byte, error)
}

type plain = touch.Plain

// Store has the methods of a keepalive.Store, and Swap, Take and AllCtx. It is safe
// for concurrent use.
type Store struct {
	plain
	client  Client
	prefix  string
	toucher *touch.Toucher
}

// New returns a store with a key prefix.
func New(client Client, prefix string) *Store {
	s := &Store{client: client, prefix: prefix}
	s.plain = touch.Plain{Store: s}
	s.toucher = touch.New(touch.Storage{Extend: s.extend, Find: s.FindCtx, Digest: digest, Move: s.move})
	return s
}

type script struct{ source, digest string }

func newScript(source string) script { return script{source, digest([]byte(source))} }

// run runs a script on a session. Its answer may be nil.
func (s *Store) run(ctx context.Context, sc script, key string, args ...any) (any, error) {
	command := append([]any{"EVALSHA", sc.digest, 1, s.prefix + key}, args...)
	answer, err := s.client.Do(ctx, command...)
	if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
		command[0], command[1] = "EVAL", sc.source
		answer, err = s.client.Do(ctx, command...)
	}
	return answer, err
}

// forever is the expiry of a key that has none.
var forever = time.Unix(0, math.MaxInt64)

// FindCtx returns the data of a session.
func (s *Store) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	data, err = s.client.Get(ctx, s.prefix+token)
	return data, data != nil, err
}

// set stores a session with SET; one whose time has passed is deleted, where
// scs's goredisstore would make it immortal. found reports whether something was
// there or was written.
func (s *Store) set(ctx context.Context, token string, data []byte, expiry time.Time, options ...any) (found bool, err error) {
	if !time.Now().Before(expiry) {
		n, err := s.client.Do(ctx, "DEL", s.prefix+token)
		return n == int64(1), err
	}
	ok, err := s.client.Do(ctx, append([]any{"SET", s.prefix + token, data, "PXAT", expiry.UnixMilli()}, options...)...)
	if err != nil && strings.HasPrefix(err.Error(), "ERR syntax error") {
		err = fmt.Errorf("keepalive: the server does not know SET with PXAT, which came with Redis 6.2: %w", err)
	}
	return ok != nil && err == nil, err
}

// CommitCtx stores a session, whether or not there was one.
func (s *Store) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	_, err := s.set(ctx, token, data, expiry)
	return err
}

// Replace stores data and expiry in place of a live session. It never creates
// one.
func (s *Store) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (found bool, err error) {
	return s.set(ctx, key, data, expiry, "XX")
}

// swapScript returns 1 when it has stored the data, what is stored where that has
// another digest, and nil for no session.
//
// ARGV: the digest, the data and the expiry in milliseconds ("KEEPTTL": as it is,
// "0": it has passed).
var swapScript = newScript(`
local current = redis.call('GET', KEYS[1])
if not current then return nil end
if redis.sha1hex(current) ~= ARGV[1] then return current end
if ARGV[3] == 'KEEPTTL' then
  redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
elseif ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
end
return 1`)

// Swap stores data and expiry in place of a live session whose stored data is old,
// which is compared by its SHA-1 digest. A zero expiry keeps the stored one. On
// success current is nil. Where the stored data is another it is returned as
// current, and nothing is written. It never creates a session. One round trip.
func (s *Store) Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error) {
	var at any = "KEEPTTL"
	if !expiry.IsZero() {
		at = unixMilli(expiry)
	}
	answer, err := s.run(ctx, swapScript, key, digest(old), data, at)
	switch other := answer.(type) {
	case string:
		current = []byte(other)
	case []byte:
		current = other
	}
	return current, answer != nil && err == nil, err
}

// DeleteCtx removes a session. It is carried out even if the context ends, though
// not waited for.
func (s *Store) DeleteCtx(ctx context.Context, token string) error {
	_, err := touch.RunDetached(ctx, func(ctx context.Context) (any, error) { return s.client.Do(ctx, "DEL", s.prefix+token) })
	return err
}

// Take deletes a live session and returns the data that it had at that moment. Of
// two calls at once, one finds it. Like DeleteCtx it is carried out even if the
// context ends. If the answer gets lost the error says so, and the session may have
// gone.
func (s *Store) Take(ctx context.Context, key string) (data []byte, found bool, err error) {
	data, err = touch.RunDetached(ctx, func(ctx context.Context) ([]byte, error) { return s.client.GetDel(ctx, s.prefix+key) })
	return data, data != nil, err
}

// Expiry returns when the session will end if nothing touches it. That of a key
// that has lost its expiry lies in the far future, until a touch repairs it.
func (s *Store) Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error) {
	at, err := s.run(ctx, expiryScript, key)
	if err == nil && at == int64(-1) {
		return forever, true, nil
	}
	return expiryOf(at, err)
}

// expiryOf reads the answer of a script: milliseconds since 1970, or -2 for no key.
func expiryOf(answer any, err error) (expiry time.Time, found bool, _ error) {
	at, ok := answer.(int64)
	if err != nil || !ok || at == -2 {
		return expiry, false, err
	}
	return time.UnixMilli(at), true, nil
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

// expiryFunction returns a key's expiry in milliseconds since 1970, -1 for a key
// without one and -2 for no key. Servers before Redis 7.0 tell only what is left.
const expiryFunction = `
local function expiry_of(key)
  local at = redis.pcall('PEXPIRETIME', key)
  if type(at) == 'number' then return at end
  local time = redis.call('TIME') -- before PTTL: the sum must not be too late
  local left = redis.call('PTTL', key)
  if left < 0 then return left end
  return time[1] * 1000 + math.floor(time[2] / 1000) + left
end
`

var expiryScript = newScript(expiryFunction + `return expiry_of(KEYS[1])`)

// setExpiry moves an expiry to min(max(current, next), deadline). A key without an
// expiry gets one, unless nothing is to be extended (next is 0).
const setExpiry = expiryFunction + `
local current = expiry_of(KEYS[1])
local expiry = math.min(math.max(current, next), deadline)
if current == -1 and next == 0 then
  expiry = deadline
elseif expiry ~= current then
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', expiry))
end
`

// extendScript is Storage.Extend. It returns the expiry in milliseconds, and the
// deadline in seconds and nanoseconds; nothing of data that begins otherwise, and
// nil for no session. Numbers in Lua are exact up to 2^53.
//
// ARGV: the new expiry (0: extend nothing).
var extendScript = newExtendScript(touch.GobHead())

func newExtendScript(before, after []byte) script {
	const (
		maxLength = 5  // bytes of a length below 2^32, and Redis keeps no more than 512 MB
		maxTime   = 12 // bytes of seconds and nanoseconds
	)
	return newScript(fmt.Sprintf(`
local before, after = %s, %s
local head = redis.call('GETRANGE', KEYS[1], 0, %d)
if head == '' then return nil end
if string.sub(head, 1, #before) ~= before then return {} end
local at, length = #before + 2, string.byte(head, #before + 1)
if not length then return {} end
if length >= 128 then at = at + 256 - length end
if string.sub(head, at, at + #after - 1) ~= after then return {} end
at = at + #after
if #head < at + 11 then return {} end
local seconds, nanoseconds = struct.unpack('>i8I4', head, at)
seconds = seconds - 62135596800
local next, deadline = tonumber(ARGV[1]), seconds * 1000 + math.floor(nanoseconds / 1000000)
-- Most touches end here. GT came with Redis 7.0.
if next <= deadline and redis.pcall('PEXPIREAT', KEYS[1], ARGV[1], 'GT') == 1 then
  return {next, seconds, nanoseconds}
end
`, quoteLua(before), quoteLua(after), len(before)+maxLength+len(after)+maxTime-1) + setExpiry + `return {expiry, seconds, nanoseconds}`)
}

// quoteLua writes bytes as a string of Lua.
func quoteLua(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		fmt.Fprintf(&s, `\%03d`, c)
	}
	return `'` + s.String() + `'`
}

func (s *Store) extend(ctx context.Context, key string, next time.Time) (expiry, deadline time.Time, found bool, err error) {
	answer, err := s.run(ctx, extendScript, key, unixMilli(next))
	if err != nil || answer == nil {
		return expiry, deadline, false, err
	}
	if times := answer.([]any); len(times) == 3 {
		expiry, deadline = time.UnixMilli(times[0].(int64)), time.Unix(times[1].(int64), times[2].(int64))
	}
	return expiry, deadline, true, nil
}

// unixMilli returns a new expiry in milliseconds since 1970, or 0 if it has passed.
func unixMilli(next time.Time) int64 {
	if next.After(time.Now()) {
		return next.UnixMilli()
	}
	return 0
}

// moveScript is Storage.Move. It returns the expiry, or -2 when there is no such
// session.
//
// ARGV: the digest, the deadline in milliseconds, the new expiry (0: extend
// nothing).
var moveScript = newScript(`
if redis.sha1hex(redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return -2 end
local deadline, next = tonumber(ARGV[2]), tonumber(ARGV[3])
` + setExpiry + `return expiry`)

func (s *Store) move(ctx context.Context, key, digest string, deadline, next time.Time) (expiry time.Time, found bool, err error) {
	return expiryOf(s.run(ctx, moveScript, key, digest, deadline.UnixMilli(), unixMilli(next)))
}

// digest is the one that scripts in Redis can compute.
func digest(data []byte) string {
	sum := sha1.Sum(data)
	return hex.EncodeToString(sum[:])
}

// AllCtx returns the data of all live sessions by their keys.
func (s *Store) AllCtx(ctx context.Context) (map[string][]byte, error) {
	byKey, err := s.client.All(ctx, escapeGlob.Replace(s.prefix)+"*")
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte, len(byKey))
	for key, data := range byKey {
		all[key[len(s.prefix):]] = data
	}
	return all, nil
}

// escapeGlob makes a prefix match itself only in a pattern of SCAN.
var escapeGlob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)
