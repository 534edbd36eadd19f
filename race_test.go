package keepalive_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// gateStore is a memstore that can hold a request after it has read a session: in
// a ping, read and write are one call of the store above.
type gateStore struct{ *memstore.MemStore }

func (s gateStore) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	data, found, err := s.Find(key)
	if g, ok := ctx.Value(apptest.GateKey{}).(*apptest.Gate); ok && ctx.Value(gateInStore{}) != nil {
		g.Wait()
	}
	return data, found, err
}

func (s gateStore) CommitCtx(_ context.Context, key string, data []byte, expiry time.Time) error {
	return s.Commit(key, data, expiry)
}

func (s gateStore) DeleteCtx(_ context.Context, key string) error { return s.Delete(key) }

// gateInStore marks a request that is held in the store, not in its handler.
type gateInStore struct{}

// heldRequest is a request that is held between its read and its write.
type heldRequest struct {
	name, method, target string
	modifies             bool
}

var heldRequests = []heldRequest{
	{name: "ping", method: http.MethodPost, target: "/keepalive/ping"},
	{name: "read-only request", method: http.MethodGet, target: "/"},
	{name: "modifying request", method: http.MethodGet, target: "/put?v=late", modifies: true},
}

// A request that is held between its read and its write undoes nothing of what
// another one does meanwhile. With scs alone every round goes wrong, which shows
// that the test would see it.
func TestHeldRequestsUndoNothing(t *testing.T) {
	const rounds = 1000
	for _, hazard := range apptest.Hazards {
		for _, held := range heldRequests {
			if held.modifies && !hazard.Modifying {
				continue // of two that modify the last one wins, as in scs
			}
			t.Run(hazard.Name+"/"+held.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					undone := 0
					for range rounds {
						sm := newGatedSessions()
						h := newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))
						ctx := context.Background()
						if held.name == "ping" {
							ctx = context.WithValue(ctx, gateInStore{}, true)
						}
						if old, token := runHeld(ctx, h, held, hazard.Target); hazard.Undone(t, sm, old, token) {
							undone++
						}
					}
					require.Zero(t, undone, "of %d rounds", rounds)

					for range rounds {
						sm := newGatedSessions()
						old, token := runHeld(context.Background(), apptest.HandMade(sm), held, hazard.Target)
						require.True(t, hazard.Undone(t, sm, old, token), "the test must see scs fail")
					}
				})
			})
		}
	}
}

func newGatedSessions() *scs.SessionManager {
	sm := newSessions()
	sm.Store = gateStore{memstore.NewWithCleanupInterval(0)}
	return sm
}

// runHeld signs in, holds a request, runs another one to target as far as it
// goes, and lets both end. It returns the token before and after.
func runHeld(ctx context.Context, h http.Handler, held heldRequest, target string) (old, token string) {
	c := &apptest.Client{Handler: h}
	c.Get("/login")
	time.Sleep(2 * time.Minute) // or a touch would not be worth a write
	old = c.Token
	g := apptest.NewGate()
	ctx = context.WithValue(ctx, apptest.GateKey{}, g)
	var wg sync.WaitGroup
	wg.Go(func() { (&apptest.Client{Handler: h, Token: old}).Do(held.method, held.target, ctx, "") })
	<-g.Reached
	wg.Go(func() { c.Get(target) })
	synctest.Wait() // it has ended, or waits for the one that is held
	close(g.Open)
	wg.Wait()
	return old, c.Token
}

// jitterStore yields at random between the steps of a request.
type jitterStore struct{ *memstore.MemStore }

func (s jitterStore) Find(key string) ([]byte, bool, error) {
	data, found, err := s.MemStore.Find(key)
	jitter()
	return data, found, err
}

func (s jitterStore) Commit(key string, data []byte, expiry time.Time) error {
	jitter()
	return s.MemStore.Commit(key, data, expiry)
}

func jitter() {
	for range rand.IntN(3) {
		runtime.Gosched()
	}
}

// Pings and reads that run beside a request that changes the session undo nothing
// of it in 20,000 rounds. Fewer rounds with scs alone show that the test would see
// it.
func TestRandomSchedulesUndoNothing(t *testing.T) {
	sm := newSessions()
	sm.Store = jitterStore{memstore.NewWithCleanupInterval(0)}
	first := newManager(t, sm, keepalive.Config{})
	// A second Manager has not seen the login, so that a read is worth a touch.
	second := newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))
	require.Empty(t, apptest.RandomRounds(t, sm, first.LoadAndSave(apptest.App(sm)), 20_000, second))

	alone := newSessions()
	alone.Store = jitterStore{memstore.NewWithCleanupInterval(0)}
	h := apptest.HandMade(alone)
	require.NotEmpty(t, apptest.RandomRounds(t, alone, h, 2_000, h), "the test must see scs fail")
}
