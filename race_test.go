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

	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// gateStore is a memstore that can hold a request back when it has read a
// session: within a ping of ours, read and write are one call of the store.
type gateStore struct{ *memstore.MemStore }

func (s gateStore) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	data, found, err := s.Find(key)
	if g, ok := ctx.Value(apptest.GateKey{}).(*apptest.Gate); ok && ctx.Value(inStore{}) != nil {
		g.Wait()
	}
	return data, found, err
}

func (s gateStore) CommitCtx(_ context.Context, key string, data []byte, expiry time.Time) error {
	return s.Commit(key, data, expiry)
}

func (s gateStore) DeleteCtx(_ context.Context, key string) error { return s.Delete(key) }

// inStore marks a request whose gate is in the store, not in the handler.
type inStore struct{}

// frozen is a request that is held between its read and its write.
type frozen struct {
	name, method, target string
	modifies             bool
}

var frozenRequests = []frozen{
	{name: "ping", method: http.MethodPost, target: "/keepalive/ping"},
	{name: "read-only request", method: http.MethodGet, target: "/"},
	{name: "modifying request", method: http.MethodGet, target: "/put?v=late", modifies: true},
}

// TestFrozen holds a request between its read and its write while another one
// runs, 1,000 times for each pair. With scs alone every round goes wrong, which
// shows that the kit sees.
func TestFrozen(t *testing.T) {
	const rounds = 1000
	for _, hz := range apptest.Hazards {
		for _, fr := range frozenRequests {
			if fr.modifies && !hz.Modifying {
				continue // two that modify keep scs's last-writer-wins
			}
			t.Run(hz.Name+"/"+fr.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					for _, ours := range []bool{true, false} {
						undone := 0
						for range rounds {
							sm := newSessions()
							sm.Store = gateStore{memstore.NewWithCleanupInterval(0)}
							var h http.Handler
							if ours {
								h = newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))
							} else {
								h = apptest.HandMade(sm)
							}
							if freeze(h, fr, hz.Target, ours, func(old, token string) bool { return hz.Undone(t, sm, old, token) }) {
								undone++
							}
						}
						if ours {
							require.Zero(t, undone, "of %d rounds", rounds)
						} else {
							require.Equal(t, rounds, undone, "the kit must see scs fail")
						}
					}
				})
			})
		}
	}
}

// freeze runs one round: sign in, freeze fr, run the other request as far as it
// goes, thaw fr, and let both end.
func freeze(h http.Handler, fr frozen, target string, ours bool, undone func(old, token string) bool) bool {
	c := &apptest.Client{Handler: h}
	c.Get("/login")
	time.Sleep(2 * time.Minute) // long enough for a touch to be worth a write
	old := c.Token
	g := apptest.NewGate()
	ctx := context.WithValue(context.Background(), apptest.GateKey{}, g)
	if ours && fr.name == "ping" {
		ctx = context.WithValue(ctx, inStore{}, true)
	}
	var wg sync.WaitGroup
	wg.Go(func() { (&apptest.Client{Handler: h, Token: old}).Do(fr.method, fr.target, ctx, "") })
	<-g.Reached
	wg.Go(func() { c.Get(target) })
	synctest.Wait() // it has ended, or waits for the frozen one
	close(g.Open)
	wg.Wait()
	return undone(old, c.Token)
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

// TestRandomSchedules lets pings and reads run beside one request that changes
// the session, 20,000 times; and fewer times with scs alone, as the control.
func TestRandomSchedules(t *testing.T) {
	sm := newSessions()
	sm.Store = jitterStore{memstore.NewWithCleanupInterval(0)}
	first := newManager(t, sm, keepalive.Config{})
	// A second Manager has not seen the login, so that a read is worth a touch.
	second := newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))
	require.Empty(t, apptest.RandomRounds(t, sm, first.LoadAndSave(apptest.App(sm)), 20_000, second))

	alone := newSessions()
	alone.Store = jitterStore{memstore.NewWithCleanupInterval(0)}
	h := apptest.HandMade(alone)
	require.NotEmpty(t, apptest.RandomRounds(t, alone, h, 2_000, h), "the kit must see scs fail")
}
