package stores_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/goredisstore"
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
	// As before Redis 7.0, and in some servers that speak its protocol.
	t.Run("Redis without PEXPIRETIME", func(t *testing.T) {
		t.Parallel()
		server := servers.Redis(t, "--rename-command", "PEXPIRETIME", "")
		client := redis.NewClient(&redis.Options{Addr: server.Addr})
		t.Cleanup(func() { _ = client.Close() })
		require.ErrorContains(t, client.Do(t.Context(), "PEXPIRETIME", "k").Err(), "unknown command")
		storetest.Run(t, func(*testing.T) keepalive.Store { return goredisstore.New(client) })
	})
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

func touch(t *testing.T, s keepalive.Store, key string, d time.Duration, deadline time.Time) (time.Time, bool) {
	expiry, found, err := s.Touch(context.Background(), key, d, func([]byte) (time.Time, error) { return deadline, nil })
	require.NoError(t, err)
	return expiry, found
}

// A key that has lost its expiry, as scs's own store makes them and RESTORE can,
// gets one.
func TestRedisRepairs(t *testing.T) {
	b := startRedis(t)
	s, theirs := b.ours(t, via{}), b.theirs(t, via{})
	client := redisClient(t, b.server, via{})
	now := time.Now()
	immortal := func(key string) {
		// Past its deadline, scs's store takes this for no expiry at all.
		require.NoError(t, theirs.(interface {
			CommitCtx(context.Context, string, []byte, time.Time) error
		}).CommitCtx(t.Context(), key, []byte("data"), time.Now().Add(-time.Second)))
		ttl, err := client.TTL(t.Context(), "scs:session:"+key).Result()
		require.NoError(t, err)
		require.Equal(t, time.Duration(-1), ttl, "no expiry")
	}

	immortal("a")
	_, found := touch(t, s, "a", time.Minute, now.Add(-time.Second))
	require.False(t, found, "past its deadline")
	_, found, err := s.Find("a")
	require.NoError(t, err)
	require.False(t, found)

	immortal("b")
	expiry, found, err := s.Expiry(t.Context(), "b")
	require.NoError(t, err)
	require.True(t, found)
	require.True(t, expiry.After(now.Add(100*365*24*time.Hour)))
	expiry, found = touch(t, s, "b", 0, now.Add(time.Hour))
	require.True(t, found)
	require.WithinDuration(t, now.Add(time.Hour), expiry, 2*time.Millisecond)
	from := time.Now()
	expiry, found = touch(t, s, "b", time.Minute, now.Add(time.Hour))
	require.True(t, found)
	require.WithinRange(t, expiry, from.Add(time.Minute).Truncate(time.Millisecond), time.Now().Add(time.Minute))
	ttl, err := client.TTL(t.Context(), "scs:session:b").Result()
	require.NoError(t, err)
	require.Positive(t, ttl)
	require.LessOrEqual(t, ttl, time.Minute)
}
