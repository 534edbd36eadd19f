package keepalive_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// Several goroutines of a request may ask for the session at once, and for the first
// time after the header has gone out.
func TestSessionOfSeveralGoroutines(t *testing.T) {
	for _, isLate := range []bool{false, true} {
		sm := newSessions()
		h := newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isLate {
				w.WriteHeader(http.StatusOK)
			}
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { require.Equal(t, "ann", sm.GetString(r.Context(), "user")) })
			}
			wg.Wait()
		}))
		c := &apptest.Client{Handler: h, Token: newToken(t, sm)}
		require.Equal(t, http.StatusOK, c.Get("/").StatusCode)
	}
}

// Where a handler asks for nothing of its session, nothing of it is decoded.
func TestUnusedSessionAllocatesTheSame(t *testing.T) {
	allocations := func(values int) float64 {
		sm := newSessions()
		ctx, err := sm.Load(t.Context(), "")
		require.NoError(t, err)
		for i := range values {
			sm.Put(ctx, string(rune('a'+i)), "value")
		}
		token, _, err := sm.Commit(ctx)
		require.NoError(t, err)
		c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm)), Token: token}
		return testing.AllocsPerRun(100, func() { c.Get("/") })
	}
	require.Less(t, allocations(20)-allocations(1), 10.0) // decoding takes two for each value
}

// What is wrong with a session is said before the handler runs, though that asks for
// nothing.
func TestBrokenSessionIsNotServed(t *testing.T) {
	for _, data := range []string{"", "no session"} {
		sm := newSessions()
		require.NoError(t, sm.Store.Commit(unknownToken, []byte(data), time.Now().Add(time.Hour)))
		var answered error
		cfg := keepalive.Config{ErrorFunc: func(_ http.ResponseWriter, _ *http.Request, err error) { answered = err }}
		h := newManager(t, sm, cfg).LoadAndSave(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Error("the handler runs")
		}))
		c := &apptest.Client{Handler: h, Token: unknownToken}
		c.Get("/")
		require.Error(t, answered)
	}
}

// A session has its name also before anybody has asked for it.
func TestUnusedSessionHasName(t *testing.T) {
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{})
	var unused, used string
	c := &apptest.Client{Token: newToken(t, sm), Handler: km.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		unused = km.SessionName(ctx)
		sm.Exists(ctx, "user")
		used = km.SessionName(ctx)
	}))}
	c.Get("/")
	require.NotEmpty(t, unused)
	require.Equal(t, unused, used)
}
