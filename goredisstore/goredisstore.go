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
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive/internal/touch"
	"github.com/seed4a306b22/keepalive/internal/touch/redistouch"
)

type store = redistouch.Store

// RedisStore is a keepalive.Store, with the optional methods Swap, Take and
// TouchDeadline, an scs.CtxStore and an scs.IterableCtxStore. It is safe for
// concurrent use.
//
// A touch takes one round trip. Of sessions that another codec than scs.GobCodec has
// written it takes two, and of those of another program, or of another version of
// this one, it may take three. On a cluster, AllCtx asks every master.
type RedisStore struct{ *store }

// New returns a store with scs's key prefix, "scs:session:". The client stays
// the caller's, to configure and to close.
func New(client redis.UniversalClient) *RedisStore {
	return NewWithPrefix(client, "scs:session:")
}

// NewWithPrefix returns a store with another key prefix.
func NewWithPrefix(client redis.UniversalClient, prefix string) *RedisStore {
	return &RedisStore{redistouch.New(caller{client, endsCalls(client)}, prefix)}
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

// caller is a redistouch.Client.
type caller struct {
	client redis.UniversalClient // called through run
	inline bool                  // calls need no goroutine of their own
}

// run makes a call that ends with its context. By default go-redis waits for an
// answer that does not come until its own timeouts, four times.
func run[T any](ctx context.Context, c caller, call func(context.Context) (T, error)) (v T, err error) {
	if !c.inline {
		return touch.RunWithContext(ctx, call)
	}
	if err := ctx.Err(); err != nil {
		return v, err
	}
	v, err = call(ctx)
	return v, touch.WithContextError(ctx, err)
}

// orNil tells a value that is not there by nil, and one that is empty by none.
func orNil(data []byte, err error) ([]byte, error) {
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil
	case err == nil && data == nil:
		data = []byte{}
	}
	return data, err
}

func (c caller) Get(ctx context.Context, key string) ([]byte, error) {
	return orNil(run(ctx, c, func(ctx context.Context) ([]byte, error) { return c.client.Get(ctx, key).Bytes() }))
}

func (c caller) Do(ctx context.Context, args ...any) (any, error) {
	reply, err := run(ctx, c, func(ctx context.Context) (any, error) { return c.client.Do(ctx, args...).Result() })
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return reply, err
}

// once is a command that go-redis does not repeat when its answer gets lost: another
// GETDEL would find nothing.
type once struct{ *redis.StringCmd }

// NoRetry implements redis.Cmder.
func (once) NoRetry() bool { return true }

func (c caller) GetDel(ctx context.Context, key string) ([]byte, error) {
	return orNil(run(ctx, c, func(ctx context.Context) ([]byte, error) {
		cmd := once{redis.NewStringCmd(ctx, "GETDEL", key)}
		_ = c.client.Process(ctx, cmd) // the command has the error
		return cmd.Bytes()
	}))
}

func (c caller) All(ctx context.Context, pattern string) (map[string][]byte, error) {
	var mu sync.Mutex
	all := make(map[string][]byte)
	scan := func(ctx context.Context, c redis.Cmdable) error {
		var cursor uint64
		for {
			keys, next, err := c.Scan(ctx, cursor, pattern, 1000).Result()
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
					all[key] = data
				}
			}
			mu.Unlock()
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	each := func(ctx context.Context, c *redis.Client) error { return scan(ctx, c) }
	return run(ctx, c, func(ctx context.Context) (map[string][]byte, error) {
		switch client := c.client.(type) {
		case *redis.ClusterClient:
			return all, client.ForEachMaster(ctx, each)
		case *redis.Ring:
			return all, client.ForEachShard(ctx, each)
		default:
			return all, scan(ctx, client)
		}
	})
}
