// Package redisstore keeps scs sessions in Redis, by the client redigo, so that
// keepalive can extend them safely from any number of processes. It takes the place
// of scs's package of the same name: the same keys, so only the import changes.
//
//	sessionManager.Store = redisstore.New(&redis.Pool{
//		MaxIdle: 10,
//		DialContext: func(ctx context.Context) (redis.Conn, error) { return redis.DialContext(ctx, "tcp", addr) },
//	})
//
// It needs Redis 6.2, or a server that speaks its protocol, as goredisstore does,
// whose package comment tells what the server's user must be allowed. redigo knows no
// clusters. The pool's connections must support contexts, as redigo's own do.
//
// A call ends with its context, also while a server hangs. One whose connection fails
// is made again: as often as the pool has idle connections, of which each failure takes
// one away, as the server may have closed them all, and three times more.
//
// Expiries are times of the app's clock, as deadlines are. A Redis server whose
// clock is ahead ends sessions early by as much. What a server does that is full, and
// what a failover loses, is the same as with goredisstore.
package redisstore

import (
	"cmp"
	"context"
	"errors"
	"net"

	"github.com/gomodule/redigo/redis"
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
// this one, it may take three.
type RedisStore struct{ *store }

// New returns a store with scs's key prefix, "scs:session:". The pool stays
// the caller's, to configure and to close.
func New(pool *redis.Pool) *RedisStore {
	return NewWithPrefix(pool, "scs:session:")
}

// NewWithPrefix returns a store with another key prefix.
func NewWithPrefix(pool *redis.Pool, prefix string) *RedisStore {
	return &RedisStore{redistouch.New(caller{pool}, prefix)}
}

// caller is a redistouch.Client.
type caller struct{ pool *redis.Pool }

// maxTries is how often a call is made whose connection fails each time.
func maxTries(pool *redis.Pool) int { return pool.IdleCount() + 4 }

// run makes a call with a connection, and again with another one if that fails. It
// does not leave it to redigo to end the call with its context: a TLS handshake goes
// on, and so does a Dial.
func run[T any](ctx context.Context, pool *redis.Pool, call func(context.Context, redis.Conn) (T, error)) (T, error) {
	return touch.RunWithContext(ctx, func(ctx context.Context) (v T, err error) {
		for range maxTries(pool) {
			var failed bool
			if v, failed, err = try(ctx, pool, call); !failed || ctx.Err() != nil {
				break
			}
		}
		return v, err
	})
}

// try makes a call once. failed reports whether its connection broke: not that there
// was none, and not that the server did not answer in time.
func try[T any](ctx context.Context, pool *redis.Pool, call func(context.Context, redis.Conn) (T, error)) (v T, failed bool, err error) {
	conn, err := pool.GetContext(ctx)
	if err != nil {
		return v, false, err
	}
	defer conn.Close()
	v, err = call(ctx, conn)
	var late net.Error
	return v, conn.Err() != nil && !(errors.As(err, &late) && late.Timeout()), err
}

func (c caller) Do(ctx context.Context, args ...any) (any, error) {
	return run(ctx, c.pool, func(ctx context.Context, conn redis.Conn) (any, error) {
		return redis.DoContext(conn, ctx, args[0].(string), args[1:]...)
	})
}

func (c caller) Get(ctx context.Context, key string) ([]byte, error) {
	return orNil(c.Do(ctx, "GET", key))
}

// orNil returns nil for a value that is not there.
func orNil(reply any, err error) ([]byte, error) {
	data, err := redis.Bytes(reply, err)
	if errors.Is(err, redis.ErrNil) {
		err = nil
	}
	return data, err
}

// GetDel may find nothing because it was carried out on a connection that failed
// then. The first failure is returned.
func (c caller) GetDel(ctx context.Context, key string) ([]byte, error) {
	return touch.RunWithContext(ctx, func(ctx context.Context) ([]byte, error) {
		getDel := func(ctx context.Context, conn redis.Conn) ([]byte, error) {
			return orNil(redis.DoContext(conn, ctx, "GETDEL", key))
		}
		var first error
		for range maxTries(c.pool) {
			data, failed, err := try(ctx, c.pool, getDel)
			first = cmp.Or(first, err)
			switch {
			case data != nil:
				return data, nil
			case !failed || ctx.Err() != nil:
				return nil, first
			}
		}
		return nil, first
	})
}

func (c caller) All(ctx context.Context, pattern string) (map[string][]byte, error) {
	return run(ctx, c.pool, func(ctx context.Context, conn redis.Conn) (map[string][]byte, error) {
		all := make(map[string][]byte)
		for cursor := "0"; ; {
			var keys []string
			page, err := redis.Values(redis.DoContext(conn, ctx, "SCAN", cursor, "MATCH", pattern, "COUNT", 1000))
			if err != nil {
				return nil, err
			}
			if _, err := redis.Scan(page, &cursor, &keys); err != nil {
				return nil, err
			}
			for _, key := range keys {
				if err := conn.Send("GET", key); err != nil {
					return nil, err
				}
			}
			values, err := redis.ByteSlices(redis.DoContext(conn, ctx, ""))
			if err != nil && len(keys) > 0 {
				return nil, err
			}
			for i, data := range values {
				if data != nil { // some may have gone meanwhile
					all[keys[i]] = data
				}
			}
			if cursor == "0" {
				return all, nil
			}
		}
	})
}
