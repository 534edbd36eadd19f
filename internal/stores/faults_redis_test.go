package stores_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive/goredisstore"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/seed4a306b22/keepalive/redisstore"
	"github.com/stretchr/testify/require"
)

const redisPrefix = "scs:session:"

// redisUsed is the memory that counts against maxmemory.
func redisUsed(t *testing.T, c *redis.Client) int {
	info, err := c.Info(t.Context(), "memory").Result()
	require.NoError(t, err)
	_, rest, _ := strings.Cut(info, "\r\nused_memory:")
	used, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(used)
	require.NoError(t, err)
	return n
}

func redisLimit(t *testing.T, c *redis.Client, policy string, bytes int) {
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory-policy", policy).Err())
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(bytes)).Err())
}

func redisKeys(t *testing.T, c *redis.Client) []string {
	keys, err := c.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	slices.Sort(keys)
	return keys
}

// requireGone requires that a token is dead, and that nothing a client can do
// with it brings it back.
func requireGone(t *testing.T, a *faultApp, token string) {
	t.Helper()
	require.Equal(t, 401, a.ping(token))
	require.Equal(t, 401, a.code("/read", token))
	code, _, cookie := a.do(t.Context(), "/put?v=x", token)
	require.Contains(t, []int{200, 500}, code)
	require.NotEqual(t, token, cookie, "a new session has a new token")
	require.False(t, a.exists(t, token))
	require.Equal(t, 401, a.ping(token))
}

func TestFaultRedisEvicts(t *testing.T) {
	noGoroutinesLeft(t)
	b := startRedis(t)
	client := redisClient(t, b.server, via{})
	a := newFaultApp(t, b.ours(t, via{}))
	empty := redisUsed(t, client)
	var tokens []string
	for i := range 300 {
		tokens = append(tokens, a.login(t))
		code, ok := a.put(tokens[i], strings.Repeat("v", 4000))
		require.True(t, ok, code)
		require.Equal(t, 200, a.ping(tokens[i]))
	}
	redisLimit(t, client, "allkeys-lru", (empty+redisUsed(t, client))/2)
	require.Eventually(t, func() bool { return len(redisKeys(t, client)) < 250 }, patience, 10*time.Millisecond)
	evicted := 0
	for _, token := range tokens { // while more are evicted
		if a.ping(token) == 401 {
			evicted++
			requireGone(t, a, token)
		}
	}
	require.Positive(t, evicted)
	redisLimit(t, client, "noeviction", 0)
	keys := redisKeys(t, client)
	kept := 0
	for _, token := range tokens {
		if !slices.Contains(keys, redisPrefix+token) {
			requireGone(t, a, token)
			continue
		}
		kept++
		require.Equal(t, 200, a.ping(token))
		code, body, _ := a.do(t.Context(), "/read", token)
		require.Equal(t, 200, code)
		require.Len(t, body, 4000)
	}
	require.Positive(t, kept)

	token := a.login(t)
	a.during = func() {
		redisLimit(t, client, "allkeys-lru", 1)
		require.Eventually(t, func() bool { return len(redisKeys(t, client)) == 0 }, patience, 10*time.Millisecond)
		redisLimit(t, client, "noeviction", 0)
	}
	code, ok := a.put(token, "x")
	require.False(t, ok)
	require.Equal(t, 200, code)
	require.EqualValues(t, 1, a.lost.Load())
	require.Empty(t, redisKeys(t, client))
	a.during = func() {}
	requireGone(t, a, token)
}

func TestFaultRedisFull(t *testing.T) {
	noGoroutinesLeft(t)
	b := startRedis(t)
	client := redisClient(t, b.server, via{})
	a := newFaultApp(t, b.ours(t, via{}))
	var tokens []string
	for i := range 20 {
		tokens = append(tokens, a.login(t))
		code, ok := a.put(tokens[i], "old")
		require.True(t, ok, code)
	}
	require.Equal(t, 200, a.ping(tokens[0])) // the others are pinged on a full server only
	redisLimit(t, client, "noeviction", 1)
	require.NoError(t, client.ScriptFlush(t.Context()).Err())
	for _, token := range tokens {
		require.Equal(t, 200, a.ping(token))
		code, _ := a.put(token, "new")
		require.Equal(t, 500, code)
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
		require.Equal(t, 200, a.ping(token))
	}
	require.Equal(t, 500, a.code("/login", ""))
	require.Equal(t, 200, a.code("/logout", tokens[0]), "ending one gives memory back")
	redisLimit(t, client, "noeviction", 0)
	requireGone(t, a, tokens[0])
	for _, token := range tokens[1:] {
		code, body, _ := a.do(t.Context(), "/read", token)
		require.Equal(t, 200, code)
		require.Equal(t, "old", body)
		code, ok := a.put(token, "new")
		require.True(t, ok, code)
	}
}

// pair is a primary whose replica gets nothing more from the moment it lags.
type pair struct {
	primary, replica *servers.Server
	app, link        *servers.Proxy // between the app, or the replica, and the primary
	client           *redis.Client  // the replica's
}

func startPair(t *testing.T) pair {
	p := pair{primary: servers.Redis(t, "--repl-diskless-sync-delay", "0")}
	p.app, p.link = servers.NewProxy(t, p.primary.Addr), servers.NewProxy(t, p.primary.Addr)
	p.replica = servers.Redis(t, "--replicaof", strings.Replace(p.link.Addr, ":", " ", 1))
	p.client = redisClient(t, p.replica, via{})
	return p
}

// lag waits until the replica has all that is on the primary, and stops there:
// what the primary sends from now on is on its way for good.
func (p pair) lag(t *testing.T) {
	primary := redisClient(t, p.primary, via{})
	require.Eventually(t, func() bool {
		// A write, as WAIT looks at those of its own connection.
		conn := primary.Conn()
		defer conn.Close()
		return conn.Set(t.Context(), "mark", "x", 0).Err() == nil && conn.Wait(t.Context(), 1, time.Second).Val() == 1
	}, patience, 10*time.Millisecond)
	p.link.Delay(time.Hour)
	// Once something is held, nothing behind it goes through.
	require.NoError(t, primary.Set(t.Context(), "mark", "y", 0).Err())
}

func (p pair) failOver(t *testing.T) {
	p.primary.Kill()
	p.link.Refuse(true)
	p.link.Cut()
	require.NoError(t, p.client.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())
	p.app.Retarget(p.replica.Addr)
}

func TestFaultRedisFailover(t *testing.T) {
	noGoroutinesLeft(t)
	p := startPair(t)
	a := newFaultApp(t, goredisstore.New(redisClient(t, p.primary, via{addr: p.app.Addr})))
	both, short, long, ended := a.login(t), a.login(t), a.login(t), a.login(t)
	require.Equal(t, 200, a.code("/put?v=old", both))
	require.Equal(t, 200, a.code("/deadline?v=5m", short))
	require.Equal(t, 200, a.ping(both))
	p.lag(t)
	replicated := redisKeys(t, p.client)
	require.Len(t, replicated, 5) // and the mark

	// What the replica never receives.
	require.Equal(t, 200, a.code("/put?v=new", both))
	require.Equal(t, 200, a.code("/deadline?v=6h", short))
	require.Equal(t, 200, a.code("/deadline?v=5m", long))
	require.Equal(t, 200, a.code("/logout", ended))
	var missing []string
	for i := range 5 {
		missing = append(missing, a.login(t))
		require.Equal(t, 200, a.code(fmt.Sprint("/put?v=", i), missing[i]))
	}
	for _, token := range slices.Concat(missing, []string{both, short, long}) {
		require.Equal(t, 200, a.ping(token))
	}
	require.Equal(t, replicated, redisKeys(t, p.client), "the replica does not lag")

	// The last one is being written when its server goes.
	a.during = func() { p.failOver(t) }
	code, ok := a.put(missing[4], "x")
	require.False(t, ok)
	require.Contains(t, []int{200, 500}, code)
	a.during = func() {}

	require.Eventually(t, func() bool { return a.ping(both) == 200 }, patience, 10*time.Millisecond)
	for _, token := range missing {
		require.Equal(t, 401, a.ping(token))
		require.Equal(t, 401, a.code("/read", token))
	}
	for token, max := range map[string]time.Duration{both: lifetime, long: lifetime, ended: lifetime, short: 5 * time.Minute} {
		code, body, _ := a.do(context.Background(), "/keepalive/ping", token)
		require.Equal(t, 200, code)
		var left struct{ IdleMs, LifetimeMs int64 }
		require.NoError(t, json.Unmarshal([]byte(body), &left))
		lifetime := time.Duration(left.LifetimeMs) * time.Millisecond
		require.LessOrEqual(t, lifetime, max)
		require.Greater(t, lifetime, max-2*time.Minute)
		expiry, found, err := a.store.Expiry(t.Context(), token)
		require.NoError(t, err)
		require.True(t, found)
		require.WithinRange(t, expiry, time.Now().Add(min(max, idle)-2*time.Minute), time.Now().Add(min(max, idle)+time.Second))
		require.Equal(t, 200, a.code("/read", token))
	}
	code, body, _ := a.do(context.Background(), "/read", both)
	require.Equal(t, 200, code)
	require.Equal(t, "old", body)
	require.Equal(t, replicated, redisKeys(t, p.client))
	for _, token := range missing {
		requireGone(t, a, token)
	}
	code, ok = a.put(both, "after")
	require.True(t, ok, code)
}

// A server may have closed all idle connections of a pool, as by its setting timeout.
// That costs no call.
func TestFaultIdleConnections(t *testing.T) {
	b := startRedigo(t)
	pool := redigoPool(t, b.server, via{})
	store := redisstore.New(pool)
	calls := map[string]func(key string) (found bool, err error){
		"Take": func(key string) (found bool, err error) { _, found, err = store.Take(t.Context(), key); return },
		"Touch": func(key string) (found bool, err error) {
			_, found, err = store.Touch(t.Context(), key, idle, readHead)
			return
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			key := rand.Text()
			require.NoError(t, store.Commit(key, newRecord(t, 0).data, time.Now().Add(time.Minute)))
			conns := make([]redigo.Conn, 20)
			for i := range conns {
				conns[i] = pool.Get()
				_, err := conns[i].Do("PING")
				require.NoError(t, err)
			}
			for _, conn := range conns {
				require.NoError(t, conn.Close())
			}
			killer := redigoPool(t, b.server, via{}).Get()
			defer killer.Close()
			killed, err := redigo.Int(killer.Do("CLIENT", "KILL", "TYPE", "normal"))
			require.NoError(t, err)
			require.Equal(t, len(conns), killed)
			found, err := call(key)
			require.NoError(t, err)
			require.True(t, found)
		})
	}
}
