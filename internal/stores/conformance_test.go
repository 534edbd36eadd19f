package stores_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/goredisstore"
	"github.com/seed4a306b22/keepalive/internal/gob"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/seed4a306b22/keepalive/storetest"
	"github.com/stretchr/testify/require"
)

func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T) keepalive.Store { return b.ours(t, via{}) })
	})
	t.Run("Redis Cluster", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, redisCluster(t))
	})
	for _, tt := range []struct {
		name    string
		server  []string // arguments
		options redis.Options
		refused []any // what the server must refuse, or the test is in vain
	}{
		// As before Redis 7.0, and in some servers that speak its protocol.
		{name: "without PEXPIRETIME", server: []string{"--rename-command", "PEXPIRETIME", ""}, refused: []any{"PEXPIRETIME", "k"}},
		{name: "with the permissions of the package's comment", options: redis.Options{Username: "app", Password: "secret"},
			server: strings.Fields("--user app on >secret ~scs:session:* " +
				"+get +set +del +getdel +getrange +pexpiretime +pexpireat +eval +evalsha +scan"), refused: []any{"GETEX", "scs:session:k"}},
		{name: "with ContextTimeoutEnabled", options: redis.Options{ContextTimeoutEnabled: true}},
	} {
		t.Run("Redis "+tt.name, func(t *testing.T) {
			t.Parallel()
			tt.options.Addr = servers.Redis(t, tt.server...).Addr
			client := redis.NewClient(&tt.options)
			t.Cleanup(func() { _ = client.Close() })
			if tt.refused != nil {
				require.Error(t, client.Do(t.Context(), tt.refused...).Err())
			}
			storetest.Run(t, func(*testing.T) keepalive.Store { return goredisstore.New(client) })
		})
	}
}

// redisCluster starts one, and returns what opens a store on it.
func redisCluster(t *testing.T) func(*testing.T) keepalive.Store {
	var addrs []string
	for _, s := range servers.RedisCluster(t, 3) {
		addrs = append(addrs, s.Addr)
	}
	return func(t *testing.T) keepalive.Store {
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
		t.Cleanup(func() { _ = client.Close() })
		return goredisstore.New(client)
	}
}

// Settings that shift times, isolate transactions or send statements another way
// must not matter.
func TestConformanceSettings(t *testing.T) {
	for _, tt := range []struct {
		name   string
		start  func(testing.TB) backend
		params []string
	}{
		{name: "MariaDB", start: startMariaDB, params: []string{
			"loc=America%2FNew_York&parseTime=true",
			"time_zone=%27%2B05%3A30%27",
			"clientFoundRows=true",
		}},
		{name: "PostgreSQL", start: startPostgres, params: []string{
			"default_transaction_isolation=serializable",
			"default_query_exec_mode=simple_protocol&timezone=Asia%2FKolkata",
			"default_query_exec_mode=exec",
		}},
		{name: "PostgreSQL/pq", start: startPQ, params: []string{
			"default_transaction_isolation=serializable&timezone=Asia%2FKolkata",
			"binary_parameters=yes",
		}},
		{name: "PostgreSQL/stdlib", start: startStdlib, params: []string{"default_query_exec_mode=cache_describe"}},
	} {
		b := tt.start(t)
		for _, params := range tt.params {
			t.Run(tt.name+"/"+params, func(t *testing.T) {
				t.Parallel() // most of the time is spent waiting
				storetest.Run(t, func(t *testing.T) keepalive.Store { return b.ours(t, via{params: params}) })
			})
		}
	}
}

// MySQL has no DELETE ... RETURNING.
func TestConformanceWithoutReturning(t *testing.T) {
	b := startMariaDB(t)
	var misspelt atomic.Int64
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &misspeller{conn, &misspelt}, err
	}
	storetest.Run(t, func(t *testing.T) keepalive.Store { return b.ours(t, via{dial: dial}) })
	require.Positive(t, misspelt.Load())
}

// misspeller makes a syntax error of RETURNING.
type misspeller struct {
	net.Conn
	n *atomic.Int64
}

func (m *misspeller) Write(b []byte) (int, error) {
	if wrong := bytes.ReplaceAll(b, []byte(" RETURNING "), []byte(" RETURNNIG ")); !bytes.Equal(wrong, b) {
		m.n.Add(1)
		b = wrong
	}
	return m.Conn.Write(b)
}

// A key that has lost its expiry, as scs's own store makes them and RESTORE can,
// gets one.
func TestRedisRepairs(t *testing.T) {
	b := startRedis(t)
	s, theirs := b.ours(t, via{}), b.theirs(t, via{})
	client := redisClient(t, b.server, via{})
	now := time.Now()
	immortal := func(key string, data []byte) {
		// Past its deadline, scs's store takes this for no expiry at all.
		require.NoError(t, theirs.(scs.CtxStore).CommitCtx(t.Context(), key, data, time.Now().Add(-time.Second)))
		ttl, err := client.TTL(t.Context(), redisPrefix+key).Result()
		require.NoError(t, err)
		require.Equal(t, time.Duration(-1), ttl, "no expiry")
	}
	for name, encode := range map[string]func(deadline time.Time) []byte{
		"data of scs": func(deadline time.Time) []byte {
			data, err := scs.GobCodec{}.Encode(deadline.UTC(), nil)
			require.NoError(t, err)
			return data
		},
		"other data": func(deadline time.Time) []byte { return []byte(deadline.Format(time.RFC3339Nano)) },
	} {
		t.Run(name, func(t *testing.T) {
			touch := func(key string, d time.Duration) (time.Time, bool) {
				expiry, found, err := s.Touch(t.Context(), key, d, func(data []byte) (time.Time, error) {
					if deadline, ok := gob.Deadline(data); ok {
						return deadline, nil
					}
					return time.Parse(time.RFC3339Nano, string(data))
				})
				require.NoError(t, err)
				return expiry, found
			}
			immortal("a", encode(now.Add(-time.Second)))
			_, found := touch("a", time.Minute)
			require.False(t, found, "past its deadline")
			_, found, err := s.Find("a")
			require.NoError(t, err)
			require.False(t, found)

			immortal("b", encode(now.Add(time.Hour)))
			expiry, found, err := s.Expiry(t.Context(), "b")
			require.NoError(t, err)
			require.True(t, found)
			require.True(t, expiry.After(now.Add(100*365*24*time.Hour)))
			expiry, found = touch("b", 0)
			require.True(t, found)
			require.WithinDuration(t, now.Add(time.Hour), expiry, 2*time.Millisecond)
			from := time.Now()
			expiry, found = touch("b", time.Minute)
			require.True(t, found)
			require.WithinRange(t, expiry, from.Add(time.Minute).Truncate(time.Millisecond), time.Now().Add(time.Minute))
			ttl, err := client.TTL(t.Context(), redisPrefix+"b").Result()
			require.NoError(t, err)
			require.Positive(t, ttl)
			require.LessOrEqual(t, ttl, time.Minute)
		})
	}
}
