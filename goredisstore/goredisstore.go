// Package goredisstore keeps scs sessions in Redis so that keepalive can extend
// them safely from any number of processes. It takes the place of scs's package
// of the same name: the same keys, so only the import changes.
//
//	sessionManager.Store = goredisstore.New(redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true}))
//
// It needs Redis 6.2, or a server that speaks its protocol: scripts, and SET with
// PXAT. It is tested with Redis 7.0, alone and as a cluster, and without the
// command PEXPIRETIME, which older servers lack. Each call names one key. Its user
// must be allowed GET, SET, DEL, GETDEL, GETRANGE, PEXPIRETIME (or PTTL and TIME),
// PEXPIREAT, EVAL and EVALSHA, and SCAN for iteration. Reads must go to the
// primary.
//
// A call ends with its context, for which it runs in a goroutine of its own. With a
// client that has ContextTimeoutEnabled it needs none and is faster, about 10 µs of
// 40. It still ends at its context's deadline; a context that is cancelled before
// ends a call that waits for a hanging server at the client's ReadTimeout, 5 seconds
// by default.
//
// Expiries are times of the app's clock, as deadlines are. A Redis server whose
// clock is ahead ends sessions early by as much.
//
// A server that evicts keys ends sessions; one that is full and must not evict
// answers writes with an error, and touches go on. After a failover a replica
// may lack what the old server had not sent it: such sessions have gone, and
// nothing here brings them back, nor takes back what the replica has.
package goredisstore

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive/internal/touch"
)

// RedisStore is a keepalive.Store. It is safe for concurrent use.
type RedisStore struct {
	client  redis.UniversalClient // called through run
	prefix  string
	inline  bool // calls need no goroutine of their own
	toucher *touch.Toucher
}

// New returns a store with scs's key prefix, "scs:session:". The client stays
// the caller's, to configure and to close.
func New(client redis.UniversalClient) *RedisStore {
	return NewWithPrefix(client, "scs:session:")
}

// NewWithPrefix returns a store with another key prefix.
func NewWithPrefix(client redis.UniversalClient, prefix string) *RedisStore {
	s := &RedisStore{client: client, prefix: prefix, inline: endsCalls(client)}
	s.toucher = touch.New(touch.Storage{Extend: s.extend, Find: s.FindCtx, Digest: digest, Move: s.move})
	return s
}

// endsCalls reports whether a client ends its calls at their contexts' deadlines,
// and soon after they are cancelled: it looks for that before it tries again.
func endsCalls(client redis.UniversalClient) bool {
	switch c := client.(type) {
	case *redis.Client:
		o := c.Options()
		return o.ContextTimeoutEnabled && o.ReadTimeout > 0 && o.WriteTimeout > 0
	case *redis.ClusterClient:
		o := c.Options()
		return o.ContextTimeoutEnabled && o.ReadTimeout > 0 && o.WriteTimeout > 0
	case *redis.Ring:
		o := c.Options() // where 0 is still the default
		return o.ContextTimeoutEnabled && o.ReadTimeout >= 0 && o.WriteTimeout >= 0
	}
	return false
}

// run makes a call that ends with its context. By default go-redis waits for an
// answer that does not come until its own timeouts, four times.
func run[T any](ctx context.Context, s *RedisStore, call func(context.Context) (T, error)) (v T, err error) {
	if !s.inline {
		return touch.RunWithContext(ctx, call)
	}
	if err := ctx.Err(); err != nil {
		return v, err
	}
	v, err = call(ctx)
	return v, touch.WithContextError(ctx, err)
}

// forever is the expiry of a key that has none.
var forever = time.Unix(0, math.MaxInt64)

// FindCtx returns the data of a session.
func (s *RedisStore) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	data, err = run(ctx, s, func(ctx context.Context) ([]byte, error) {
		return s.client.Get(ctx, s.prefix+token).Bytes()
	})
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// set stores a session with SET; one whose time has passed is deleted, where
// scs would make it immortal. found reports whether something was there or was
// written.
func (s *RedisStore) set(ctx context.Context, token string, data []byte, expiry time.Time, options ...any) (found bool, err error) {
	if !time.Now().Before(expiry) {
		n, err := run(ctx, s, func(ctx context.Context) (int64, error) {
			return s.client.Del(ctx, s.prefix+token).Result()
		})
		return n > 0, err
	}
	_, err = run(ctx, s, func(ctx context.Context) (any, error) {
		args := append([]any{"SET", s.prefix + token, data, "PXAT", expiry.UnixMilli()}, options...)
		return s.client.Do(ctx, args...).Result()
	})
	switch {
	case errors.Is(err, redis.Nil):
		return false, nil
	case err != nil && strings.HasPrefix(err.Error(), "ERR syntax error"):
		return false, fmt.Errorf("goredisstore: the server does not know SET with PXAT, which came with Redis 6.2: %w", err)
	}
	return err == nil, err
}

// CommitCtx stores a session, whether or not there was one.
func (s *RedisStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	_, err := s.set(ctx, token, data, expiry)
	return err
}

// Replace stores data and expiry in place of a live session. It never creates
// one.
func (s *RedisStore) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (found bool, err error) {
	return s.set(ctx, key, data, expiry, "XX")
}

// swapScript returns 1 when it has stored the data, what is stored where that has
// another digest, and nil for no session.
//
// ARGV: the digest, the data and the expiry in milliseconds ("KEEPTTL": as it is,
// "0": it has passed).
var swapScript = redis.NewScript(`
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
func (s *RedisStore) Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error) {
	var at any = "KEEPTTL"
	if !expiry.IsZero() {
		at = unixMilli(expiry)
	}
	answer, err := run(ctx, s, func(ctx context.Context) (any, error) {
		return swapScript.Run(ctx, s.client, []string{s.prefix + key}, digest(old), data, at).Result()
	})
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	if other, ok := answer.(string); ok {
		current = []byte(other)
	}
	return current, err == nil, err
}

// DeleteCtx removes a session. It is carried out even if the context ends, though
// not waited for.
func (s *RedisStore) DeleteCtx(ctx context.Context, token string) error {
	_, err := touch.RunDetached(ctx, func(ctx context.Context) (int64, error) {
		return s.client.Del(ctx, s.prefix+token).Result()
	})
	return err
}

// once is a command that go-redis does not repeat when its answer gets lost: another
// GETDEL would find nothing.
type once struct{ *redis.StringCmd }

// NoRetry implements redis.Cmder.
func (once) NoRetry() bool { return true }

// Take deletes a live session and returns the data that it had at that moment. Of
// two calls at once, one finds it. Like DeleteCtx it is carried out even if the
// context ends. If the answer gets lost the error says so, and the session may have
// gone.
func (s *RedisStore) Take(ctx context.Context, key string) (data []byte, found bool, err error) {
	data, err = touch.RunDetached(ctx, func(ctx context.Context) ([]byte, error) {
		cmd := once{redis.NewStringCmd(ctx, "GETDEL", s.prefix+key)}
		_ = s.client.Process(ctx, cmd) // the command has the error
		return cmd.Bytes()
	})
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// Expiry returns when the session will end if nothing touches it. That of a key
// that has lost its expiry lies in the far future, until a touch repairs it.
func (s *RedisStore) Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error) {
	at, err := run(ctx, s, func(ctx context.Context) (int64, error) {
		return expiryScript.Run(ctx, s.client, []string{s.prefix + key}).Int64()
	})
	switch {
	case err != nil || at == -2:
		return expiry, false, err
	case at == -1:
		return forever, true, nil
	}
	return time.UnixMilli(at), true, nil
}

// Touch moves the expiry of a live session to
// min(max(current expiry, now+idle), deadline), in one round trip. Sessions that
// another codec than scs.GobCodec has written take two, and those of another
// program, or of another version of this one, may take three.
func (s *RedisStore) Touch(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry time.Time, found bool, err error) {
	expiry, _, found, err = s.TouchDeadline(ctx, key, idle, deadline)
	return expiry, found, err
}

// TouchDeadline is Touch, and returns the session's deadline too.
func (s *RedisStore) TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func(data []byte) (time.Time, error)) (expiry, end time.Time, found bool, err error) {
	return s.toucher.Touch(ctx, key, idle, deadline)
}

// expiryFunction returns a key's expiry in milliseconds since 1970, -1 for a key
// without one and -2 for no key. Servers before Redis 7.0 tell only what is left.
const expiryFunction = `
local function expiry_of(key)
  local at = redis.pcall('PEXPIRETIME', key)
  if type(at) == 'number' then return at end
  local left = redis.call('PTTL', key)
  if left < 0 then return left end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) + left
end
`

var expiryScript = redis.NewScript(expiryFunction + `return expiry_of(KEYS[1])`)

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

func newExtendScript(before, after []byte) *redis.Script {
	const (
		maxLength = 5  // bytes of a length below 2^32, and Redis keeps no more than 512 MB
		maxTime   = 12 // bytes of seconds and nanoseconds
	)
	return redis.NewScript(fmt.Sprintf(`
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

func (s *RedisStore) extend(ctx context.Context, key string, next time.Time) (expiry, deadline time.Time, found bool, err error) {
	answer, err := run(ctx, s, func(ctx context.Context) ([]int64, error) {
		return extendScript.Run(ctx, s.client, []string{s.prefix + key}, unixMilli(next)).Int64Slice()
	})
	switch {
	case errors.Is(err, redis.Nil):
		return expiry, deadline, false, nil
	case err != nil:
		return expiry, deadline, false, err
	case len(answer) == 3:
		expiry, deadline = time.UnixMilli(answer[0]), time.Unix(answer[1], answer[2])
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
var moveScript = redis.NewScript(`
if redis.sha1hex(redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return -2 end
local deadline, next = tonumber(ARGV[2]), tonumber(ARGV[3])
` + setExpiry + `return expiry`)

func (s *RedisStore) move(ctx context.Context, key, digest string, deadline, next time.Time) (expiry time.Time, found bool, err error) {
	at, err := run(ctx, s, func(ctx context.Context) (int64, error) {
		return moveScript.Run(ctx, s.client, []string{s.prefix + key}, digest, deadline.UnixMilli(), unixMilli(next)).Int64()
	})
	if err != nil || at == -2 {
		return expiry, false, err
	}
	return time.UnixMilli(at), true, nil
}

// digest is the one that scripts in Redis can compute.
func digest(data []byte) string {
	sum := sha1.Sum(data)
	return hex.EncodeToString(sum[:])
}

// AllCtx returns the data of all live sessions by their keys. On a cluster it
// asks every master.
func (s *RedisStore) AllCtx(ctx context.Context) (map[string][]byte, error) {
	var mu sync.Mutex
	all := make(map[string][]byte)
	scan := func(ctx context.Context, c redis.Cmdable) error {
		var cursor uint64
		for {
			keys, next, err := c.Scan(ctx, cursor, escapeGlob.Replace(s.prefix)+"*", 1000).Result()
			if err != nil {
				return err
			}
			got := make([]*redis.StringCmd, len(keys))
			_, err = c.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i, key := range keys {
					got[i] = p.Get(ctx, key)
				}
				return nil
			})
			if err != nil && !errors.Is(err, redis.Nil) { // some may have gone meanwhile
				return err
			}
			mu.Lock()
			for i, key := range keys {
				if data, err := got[i].Bytes(); err == nil {
					all[key[len(s.prefix):]] = data
				}
			}
			mu.Unlock()
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	each := func(ctx context.Context, c *redis.Client) error { return scan(ctx, c) }
	_, err := run(ctx, s, func(ctx context.Context) (any, error) {
		switch c := s.client.(type) {
		case *redis.ClusterClient:
			return nil, c.ForEachMaster(ctx, each)
		case *redis.Ring:
			return nil, c.ForEachShard(ctx, each)
		default:
			return nil, scan(ctx, c)
		}
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// escapeGlob makes a prefix match itself only in a pattern of SCAN.
var escapeGlob = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// Find is FindCtx without a context.
func (s *RedisStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *RedisStore) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context.
func (s *RedisStore) Delete(token string) error {
	return s.DeleteCtx(context.Background(), token)
}

// All is AllCtx without a context.
func (s *RedisStore) All() (map[string][]byte, error) {
	return s.AllCtx(context.Background())
}
