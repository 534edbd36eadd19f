package keepalive_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// sharedStore is a store that several instances use, and that New must wrap. It
// is memstore under a name that New does not know.
type sharedStore struct{ *memstore.MemStore }

func newInstance(t *testing.T, store scs.Store, idle time.Duration, cfg keepalive.Config) (*scs.SessionManager, http.Handler) {
	sm := newSessions()
	sm.Store = store
	sm.IdleTimeout = idle
	sm.Lifetime = 12 * time.Hour
	cfg.Logger = slog.New(slog.DiscardHandler) // New warns of such a store
	km, err := keepalive.New(sm, cfg)
	require.NoError(t, err)
	return sm, km.LoadAndSave(apptest.App(sm))
}

// Whatever two instances remember of a shared session, and however often they
// restart, they never end a session that plain scs would still serve.
func TestWrappedStoreEndsNoSession(t *testing.T) {
	const idle = 20 * time.Minute
	passive := keepalive.Config{Passive: func(r *http.Request) bool { return r.URL.Query().Has("passive") }}
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			store := sharedStore{memstore.NewWithCleanupInterval(0)}
			var instances [2]http.Handler
			restart := func(i int) { _, instances[i] = newInstance(t, store, idle, passive) }
			restart(0)
			restart(1)
			// The same user beside it in plain scs, whose timeout is shorter by what
			// a touch may be skipped for.
			plain := newSessions()
			plain.IdleTimeout = idle - time.Minute
			plain.Lifetime = 12 * time.Hour
			other := &apptest.Client{Handler: plain.LoadAndSave(apptest.App(plain))}
			c := &apptest.Client{Handler: instances[0]}
			c.Get("/login")
			other.Get("/login")

			history := ""
			for range 40 {
				time.Sleep(time.Duration(random.IntN(12)) * time.Minute)
				i := random.IntN(2)
				c.Handler = instances[i]
				switch op := random.IntN(7); op {
				case 0:
					restart(i)
					history += fmt.Sprintf("%d restarts. ", i)
				case 1, 2:
					target := []string{"/", "/put?v=x"}[op-1]
					c.Get(target)
					other.Get(target)
					history += fmt.Sprintf("%d %s. ", i, target)
				case 3:
					c.Ping()
					other.Get("/")
					history += fmt.Sprintf("%d ping. ", i)
				case 4:
					c.Do(http.MethodGet, "/keepalive/ping", context.Background(), "")
					history += fmt.Sprintf("%d look. ", i)
				case 5:
					c.Do(http.MethodPost, "/keepalive/ping", context.Background(), "inactive=1199950")
					history += fmt.Sprintf("%d ping, long inactive. ", i)
				case 6:
					c.Get("/put?v=y&passive")
					history += fmt.Sprintf("%d passive write. ", i)
				}
				_, _, alive := apptest.Stored(t, plain, other.Token)
				if !alive {
					return
				}
				for i, h := range instances {
					c.Handler = h
					require.Equal(t, http.StatusOK, c.Do(http.MethodGet, "/keepalive/ping", context.Background(), "").StatusCode, "seed %d, instance %d: %s", seed, i, history)
				}
			}
		})
	}
}

// After a restart nobody knows how long a session lasts. A look says that it
// guesses, and nothing makes the session shorter.
func TestUnknownExpiryAfterARestart(t *testing.T) {
	const idle = 20 * time.Minute
	tests := []struct {
		name           string
		method, target string
		body           string
		cfg            keepalive.Config
	}{
		{name: "look", method: http.MethodGet, target: "/keepalive/ping"},
		{name: "ping after long inactivity", method: http.MethodPost, target: "/keepalive/ping", body: "inactive=1199950"},
		{name: "ping after more than the idle timeout", method: http.MethodPost, target: "/keepalive/ping", body: "inactive=9999999"},
		{name: "passive write", method: http.MethodGet, target: "/put?v=x", cfg: keepalive.Config{Passive: func(*http.Request) bool { return true }}},
		{name: "passive read", method: http.MethodGet, target: "/", cfg: keepalive.Config{Passive: func(*http.Request) bool { return true }}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := sharedStore{memstore.NewWithCleanupInterval(0)}
				_, before := newInstance(t, store, idle, keepalive.Config{})
				c := &apptest.Client{Handler: before}
				c.Get("/login")
				time.Sleep(time.Minute)

				_, c.Handler = newInstance(t, store, idle, tt.cfg)
				res := c.Do(tt.method, tt.target, context.Background(), tt.body)
				require.Equal(t, http.StatusOK, res.StatusCode)
				if tt.name == "look" {
					require.Equal(t, `{"idleMs":300000,"lifetimeMs":43140000,"unknown":true}`, body(t, res))
				}
				time.Sleep(18 * time.Minute)
				require.Equal(t, http.StatusOK, c.Get("/").StatusCode)
				require.True(t, strings.Contains(body(t, c.Get("/")), "<script") || tt.cfg.Passive != nil)
				_, found, err := store.Find(c.Token)
				require.NoError(t, err)
				require.True(t, found)
			})
		})
	}
}

// A ping of a session whose expiry nobody knows guesses as a look does.
func TestPingOfAnUnknownExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedStore{memstore.NewWithCleanupInterval(0)}
		_, before := newInstance(t, store, 20*time.Minute, keepalive.Config{})
		c := &apptest.Client{Handler: before}
		c.Get("/login")
		_, c.Handler = newInstance(t, store, 20*time.Minute, keepalive.Config{})
		res := c.Do(http.MethodPost, "/keepalive/ping", context.Background(), "inactive=9999999")
		require.Equal(t, `{"idleMs":300000,"lifetimeMs":43200000,"unknown":true}`, body(t, res))
	})
}
