// Package goredisstore keeps scs sessions in Redis so that keepalive can extend
// them safely from any number of processes. It takes the place of scs's package
// of the same name: the same keys, so only the import changes.
//
//	sessionManager.Store = goredisstore.New(redis.NewClient(&redis.Options{Addr: addr}))
//
// It needs Redis 6.2, or a server that speaks its protocol: scripts, and SET with
// PXAT. It is tested with Redis 7.0, alone and as a cluster, and without the
// command PEXPIRETIME, which older servers lack. Each call names one key. Its user
// must be allowed GET, SET, DEL, GETRANGE, PEXPIRETIME (or PTTL and TIME),
// PEXPIREAT, EVAL and EVALSHA, and SCAN for iteration. Reads must go to the
// primary.
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
	// client is called through touch.RunWithContext: go-redis alone waits for an
	// answer that does not come until its own timeouts, three times by default.
	client  redis.UniversalClient
	prefix  string
	toucher *touch.Toucher
}

// New returns a store with scs's key prefix, "scs:session:". The client stays
// the caller's, to configure and to close.
func New(client redis.UniversalClient) *RedisStore {
	return NewWithPrefix(client, "scs:session:")
}

// NewWithPrefix returns a store with another key prefix.
func NewWithPrefix(client redis.UniversalClient, prefix string) *RedisStore {
	s := &RedisStore{client: client, prefix: prefix}
	s.toucher = touch.New(touch.Storage{Head: s.head, Find: s.FindCtx, Digest: digest, Move: s.move})
	return s
}

// forever is the expiry of a key that has none.
var forever = time.Unix(0, math.MaxInt64)

// FindCtx returns the data of a session.
func (s *RedisStore) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	data, err = touch.RunWithContext(ctx, func(ctx context.Context) ([]byte, error) {
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
		n, err := touch.RunWithContext(ctx, func(ctx context.Context) (int64, error) {
			return s.client.Del(ctx, s.prefix+token).Result()
		})
		return n > 0, err
	}
	_, err = touch.RunWithContext(ctx, func(ctx context.Context) (any, error) {
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

// DeleteCtx removes a session. It is carried out even if the context ends, though
// not waited for.
func (s *RedisStore) DeleteCtx(ctx context.Context, token string) error {
	return touch.RunDetached(ctx, func(ctx context.Context) error { return s.client.Del(ctx, s.prefix+token).Err() })
}

// Expiry returns when the session will end if nothing touches it. That of a key
// that has lost its expiry lies in the far future, until a touch repairs it.
func (s *RedisStore) Expiry(ctx context.Context, key string) (expiry time.Time, found bool, err error) {
	at, err := touch.RunWithContext(ctx, func(ctx context.Context) (int64, error) {
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
// min(max(current expiry, now+idle), deadline): one round trip when this store
// has touched the session before and its data is still the same, else two or
// three.
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

// moveScript checks the condition and moves the expiry in one step. It returns
// the expiry, or -2 when there is no such session. A key without an expiry gets
// one, unless nothing is to be extended.
//
// ARGV: the condition's guard, how many bytes of the data it stands for (0: it
// is the digest of all data), the new expiry (0: extend nothing) and the deadline
// in milliseconds.
var moveScript = redis.NewScript(expiryFunction + `
local n, next, deadline = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local have
if n > 0 then
  have = redis.call('GETRANGE', KEYS[1], 0, n - 1)
else
  have = redis.sha1hex(redis.call('GET', KEYS[1]) or '')
end
if have ~= ARGV[1] then return -2 end
local current = expiry_of(KEYS[1])
if current == -2 then return -2 end
if current == -1 and next == 0 then return deadline end
local expiry = math.min(math.max(current, next), deadline)
if expiry ~= current then
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', expiry))
end
return expiry`)

func (s *RedisStore) move(ctx context.Context, key string, cond touch.Condition, next time.Time) (expiry time.Time, found bool, err error) {
	guard := cond.Guard()
	n := len(guard)
	if cond.IsDigest() {
		n = 0
	}
	var want int64
	if next.After(time.Now()) {
		want = next.UnixMilli()
	}
	at, err := touch.RunWithContext(ctx, func(ctx context.Context) (int64, error) {
		return moveScript.Run(ctx, s.client, []string{s.prefix + key}, guard, n, want, cond.Deadline().UnixMilli()).Int64()
	})
	if err != nil || at == -2 {
		return expiry, false, err
	}
	return time.UnixMilli(at), true, nil
}

func (s *RedisStore) head(ctx context.Context, key string) (head []byte, found bool, err error) {
	head, err = touch.RunWithContext(ctx, func(ctx context.Context) ([]byte, error) {
		return s.client.GetRange(ctx, s.prefix+key, 0, touch.HeadSize-1).Bytes()
	})
	return head, len(head) > 0, err
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
	_, err := touch.RunWithContext(ctx, func(ctx context.Context) (any, error) {
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
