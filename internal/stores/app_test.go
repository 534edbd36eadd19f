package stores_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

const (
	idle     = 20 * time.Minute
	lifetime = 12 * time.Hour
)

// sessions returns a session manager on a store.
func sessions(store scs.Store) *scs.SessionManager {
	sm := *shared
	sm.Store = store
	sm.IdleTimeout = idle
	sm.Lifetime = lifetime
	return &sm
}

// shared is copied by sessions: each scs.New starts a goroutine that never ends.
var shared = scs.New()

// instance is one process of an app, with its own handle to the storage.
func instance(tb testing.TB, store keepalive.Store) (*scs.SessionManager, http.Handler) {
	sm := sessions(store)
	km, err := keepalive.New(sm, keepalive.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(tb, err)
	require.True(tb, store == sm.Store, "the store is used as it is")
	return sm, km.LoadAndSave(app(sm))
}

// app is apptest.App with a route that waits at its gate before it renews.
func app(sm *scs.SessionManager) *http.ServeMux {
	mux := apptest.App(sm)
	mux.HandleFunc("/renew-later", func(_ http.ResponseWriter, r *http.Request) {
		r.Context().Value(apptest.GateKey{}).(*apptest.Gate).Wait()
		if err := sm.RenewToken(r.Context()); err != nil {
			panic(err)
		}
	})
	return mux
}

// rounds is the number of random schedules, from KEEPALIVE_ROUNDS.
func rounds(t *testing.T) int {
	n, err := strconv.Atoi(or(os.Getenv("KEEPALIVE_ROUNDS"), "800"))
	require.NoError(t, err)
	return n
}

// Requests, pings, logouts, logins and deadlines of two instances cross. scs's
// LoadAndSave around a 204, on scs's own store, is the control that fails.
func TestTwoInstances(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		sm, login := instance(t, b.ours(t, via{}))
		_, first := instance(t, b.ours(t, via{}))
		_, second := instance(t, b.ours(t, via{}))
		require.Empty(t, apptest.RandomRounds(t, sm, login, rounds(t), first, second))

		alone := sessions(b.theirs(t, via{}))
		other := sessions(b.theirs(t, via{}))
		undone := apptest.RandomRounds(t, alone, apptest.HandMade(alone), rounds(t), apptest.HandMade(alone), apptest.HandMade(other))
		t.Logf("of %d rounds, scs alone: %v", rounds(t), undone)
		require.NotEmpty(t, undone, "the rounds must see scs fail")
	})
}

// eachStorage is each, and a cluster and this process's memory. Each call of open
// returns another handle where there can be one.
func eachStorage(t *testing.T, f func(t *testing.T, open func() keepalive.Store)) {
	each(t, func(t *testing.T, b backend) {
		f(t, func() keepalive.Store { return b.ours(t, via{}) })
	})
	t.Run("Redis Cluster", func(t *testing.T) {
		open := redisCluster(t)
		f(t, func() keepalive.Store { return open(t) })
	})
	t.Run("memory", func(t *testing.T) {
		sm := sessions(memstore.NewWithCleanupInterval(0))
		_, err := keepalive.New(sm, keepalive.Config{})
		require.NoError(t, err)
		f(t, func() keepalive.Store { return sm.Store.(keepalive.Store) })
	})
}

// Two requests of one session put different keys, by two instances at once, and
// both are there afterwards. With scs alone the later one wins.
func TestTwoInstancesLoseNoUpdate(t *testing.T) {
	eachStorage(t, func(t *testing.T, open func() keepalive.Store) {
		sm, first := instance(t, open())
		_, second := instance(t, open())
		require.Zero(t, lostUpdates(t, sm, rounds(t), first, second), "of %d rounds", rounds(t))
	})
	alone := sessions(memstore.NewWithCleanupInterval(0))
	h := alone.LoadAndSave(app(alone))
	require.NotZero(t, lostUpdates(t, alone, 20, h, h), "the rounds must see scs fail")
}

// lostUpdates counts the rounds after which a key is missing. In every other round
// both requests have read the session before one writes it.
func lostUpdates(t *testing.T, sm *scs.SessionManager, rounds int, instances ...http.Handler) (lost int) {
	for round := range rounds {
		c := &apptest.Client{Handler: instances[round/2%2]}
		c.Get("/login")
		var gates []*apptest.Gate
		var wg sync.WaitGroup
		for i, h := range instances {
			ctx := t.Context()
			if round%2 == 0 {
				gates = append(gates, apptest.NewGate())
				ctx = context.WithValue(ctx, apptest.GateKey{}, gates[i])
			}
			wg.Go(func() {
				(&apptest.Client{Handler: h, Token: c.Token}).Do(http.MethodGet, fmt.Sprintf("/put?k=%d&v=x", i), ctx, "")
			})
		}
		for _, g := range gates {
			<-g.Reached
		}
		for _, g := range gates {
			close(g.Open)
		}
		wg.Wait()
		_, values, _ := apptest.Stored(t, sm, c.Token)
		if values["user"] != "ann" || values["0"] != "x" || values["1"] != "x" {
			lost++
		}
	}
	return lost
}

// A request renews its session after another one, at another instance, has signed
// out: that leaves no session. With scs alone a stolen token so outlives a logout.
func TestRenewalAfterLogout(t *testing.T) {
	eachStorage(t, func(t *testing.T, open func() keepalive.Store) {
		sm, first := instance(t, open())
		_, second := instance(t, open())
		require.Zero(t, renewalsAfterLogout(t, sm, rounds(t), first, second), "of %d rounds", rounds(t))
	})
	alone := sessions(memstore.NewWithCleanupInterval(0))
	h := alone.LoadAndSave(app(alone))
	require.Equal(t, 20, renewalsAfterLogout(t, alone, 20, h, h), "the rounds must see scs fail")
}

// renewalsAfterLogout counts the rounds after which there is a session.
func renewalsAfterLogout(t *testing.T, sm *scs.SessionManager, rounds int, instances ...http.Handler) (alive int) {
	for round := range rounds {
		c := &apptest.Client{Handler: instances[round%2]}
		c.Get("/login")
		renewing := &apptest.Client{Handler: instances[round/2%2], Token: c.Token}
		old, g := c.Token, apptest.NewGate()
		var wg sync.WaitGroup
		wg.Go(func() {
			renewing.Do(http.MethodGet, "/renew-later", context.WithValue(t.Context(), apptest.GateKey{}, g), "")
		})
		<-g.Reached
		c.Get("/logout")
		close(g.Open)
		wg.Wait()
		for _, token := range []string{old, renewing.Token} {
			if _, _, found := apptest.Stored(t, sm, token); found {
				alive++
			}
		}
	}
	return alive
}

// What one instance does holds at the other at once.
func TestAcrossInstances(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		_, first := instance(t, b.ours(t, via{}))
		sm, second := instance(t, b.ours(t, via{}))
		c := &apptest.Client{Handler: first}
		at := func(h http.Handler) *apptest.Client { return &apptest.Client{Handler: h, Token: c.Token} }
		status := func(res *http.Response) int { return res.StatusCode }

		c.Get("/login")
		for range 2 { // the second time both have seen it
			require.Equal(t, http.StatusOK, status(at(first).Ping()))
			require.Equal(t, http.StatusOK, status(at(second).Ping()))
			require.Equal(t, http.StatusOK, status(at(second).Do(http.MethodGet, "/keepalive/ping", t.Context(), "")))
		}
		at(second).Get("/put?v=other")
		require.Equal(t, http.StatusOK, status(at(first).Ping()))
		_, values, found := apptest.Stored(t, sm, c.Token)
		require.True(t, found)
		require.Equal(t, "other", values["v"])

		at(second).Get("/deadline") // in a minute
		res := at(first).Ping()
		var left struct{ IdleMs, LifetimeMs int64 }
		require.NoError(t, json.NewDecoder(res.Body).Decode(&left))
		require.LessOrEqual(t, left.LifetimeMs, time.Minute.Milliseconds())
		require.LessOrEqual(t, left.IdleMs, left.LifetimeMs)
		require.Greater(t, left.IdleMs, int64(0))

		old := c.Token
		c.Handler = second
		c.Get("/renew")
		require.NotEqual(t, old, c.Token)
		require.Equal(t, http.StatusUnauthorized, status((&apptest.Client{Handler: first, Token: old}).Ping()))
		require.Equal(t, http.StatusOK, status(at(first).Ping()))

		token := c.Token
		c.Get("/logout")
		for _, h := range []http.Handler{first, second} {
			require.Equal(t, http.StatusUnauthorized, status((&apptest.Client{Handler: h, Token: token}).Ping()))
		}
		_, _, found = apptest.Stored(t, sm, token)
		require.False(t, found)
	})
}

// Somebody who signs out and closes the tab at once has signed out.
func TestLogoutOfClientThatHangsUp(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		sm, h := instance(t, b.ours(t, via{}))
		for range 20 { // it may take either way
			c := &apptest.Client{Handler: h}
			c.Get("/login")
			ctx, err := sm.Load(t.Context(), c.Token)
			require.NoError(t, err)
			ctx, hangUp := context.WithCancel(ctx)
			hangUp()
			if err := sm.Destroy(ctx); err != nil {
				require.ErrorIs(t, err, context.Canceled)
			}
			require.Eventually(t, func() bool {
				_, _, found := apptest.Stored(t, sm, c.Token)
				return !found
			}, patience, time.Millisecond)
		}
	})
}

// With scs's own store of a shared storage, New logs what to import instead.
func TestNamesTheImport(t *testing.T) {
	imports := map[string]string{
		"Redis": "goredisstore", "Redis/redigo": "redisstore", "PostgreSQL": "pgxstore", "PostgreSQL/pq": "postgresstore",
		"MariaDB": "mysqlstore", "SQLite": "sqlite3store",
	}
	each(t, func(t *testing.T, b backend) {
		var log bytes.Buffer
		_, err := keepalive.New(sessions(b.theirs(t, via{})), keepalive.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.Contains(t, log.String(), "import=github.com/seed4a306b22/keepalive/"+imports[b.name])
	})
}
