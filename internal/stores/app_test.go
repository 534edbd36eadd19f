package stores_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
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
	require.Same(tb, store, sm.Store, "the store is used as it is")
	return sm, km.LoadAndSave(apptest.App(sm))
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
		"Redis": "goredisstore", "PostgreSQL": "pgxstore", "MariaDB": "mysqlstore", "SQLite": "sqlite3store",
	}
	each(t, func(t *testing.T, b backend) {
		var log bytes.Buffer
		_, err := keepalive.New(sessions(b.theirs(t, via{})), keepalive.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.Contains(t, log.String(), "import=github.com/seed4a306b22/keepalive/"+imports[b.name])
	})
}
