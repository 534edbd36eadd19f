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
	"github.com/stretchr/testify/require"
)

// gateStore is a memstore that can hold a request back when it has read a
// session: within a ping of ours, read and write are one call of the store.
type gateStore struct{ *memstore.MemStore }

func (s gateStore) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	data, found, err := s.Find(key)
	if g, ok := ctx.Value(gateKey{}).(*gate); ok && ctx.Value(inStore{}) != nil {
		g.wait()
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

// hazards are what a request that was held may undo of another's work.
var hazards = []struct {
	name, target string
	modifying    bool // must hold against a modifying request too
	undone       func(t testing.TB, sm *scs.SessionManager, old, token string) bool
}{
	{
		name: "lost update", target: "/put?v=new",
		undone: func(t testing.TB, sm *scs.SessionManager, old, _ string) bool {
			_, values, found := stored(t, sm, old)
			return !found || values["v"] != "new"
		},
	},
	{
		name: "resurrection after Destroy", target: "/logout", modifying: true,
		undone: func(t testing.TB, sm *scs.SessionManager, old, _ string) bool {
			_, _, found := stored(t, sm, old)
			return found
		},
	},
	{
		name: "old token after RenewToken", target: "/renew", modifying: true,
		undone: func(t testing.TB, sm *scs.SessionManager, old, token string) bool {
			_, _, alive := stored(t, sm, old)
			_, _, found := stored(t, sm, token)
			return alive || !found || old == token
		},
	},
	{
		name: "SetDeadline undone", target: "/deadline",
		undone: func(t testing.TB, sm *scs.SessionManager, old, _ string) bool {
			deadline, _, found := stored(t, sm, old)
			late := time.Until(deadline) > time.Minute
			if s, ok := sm.Store.(keepalive.Store); ok {
				expiry, _, err := s.Expiry(context.Background(), old)
				require.NoError(t, err)
				late = late || expiry.After(deadline)
			}
			return !found || late
		},
	}}

// theirs is the hand-made heartbeat: scs's LoadAndSave around everything, and a
// 204 for the ping.
func theirs(sm *scs.SessionManager) http.Handler {
	mux := newApp(sm)
	mux.HandleFunc("/keepalive/ping", func(w http.ResponseWriter, r *http.Request) {
		if g, ok := r.Context().Value(gateKey{}).(*gate); ok {
			g.wait()
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return sm.LoadAndSave(mux)
}

// TestFrozen holds a request between its read and its write while another one
// runs, 1,000 times for each pair. With scs alone every round goes wrong, which
// shows that the kit sees.
func TestFrozen(t *testing.T) {
	const rounds = 1000
	for _, hz := range hazards {
		for _, fr := range frozenRequests {
			if fr.modifies && !hz.modifying {
				continue // two that modify keep scs's last-writer-wins
			}
			t.Run(hz.name+"/"+fr.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					for _, ours := range []bool{true, false} {
						undone := 0
						for range rounds {
							sm := newSessions()
							sm.Store = gateStore{memstore.NewWithCleanupInterval(0)}
							var h http.Handler
							if ours {
								h = newManager(t, sm, keepalive.Config{}).LoadAndSave(newApp(sm))
							} else {
								h = theirs(sm)
							}
							if freeze(h, fr, hz.target, ours, func(old, token string) bool { return hz.undone(t, sm, old, token) }) {
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
	c := &client{h: h}
	c.get("/login")
	time.Sleep(2 * time.Minute) // long enough for a touch to be worth a write
	old := c.token
	g := newGate()
	ctx := context.WithValue(context.Background(), gateKey{}, g)
	if ours && fr.name == "ping" {
		ctx = context.WithValue(ctx, inStore{}, true)
	}
	var wg sync.WaitGroup
	wg.Go(func() { (&client{h: h, token: old}).do(fr.method, fr.target, ctx, "") })
	<-g.reached
	wg.Go(func() { c.get(target) })
	synctest.Wait() // it has ended, or waits for the frozen one
	close(g.open)
	wg.Wait()
	return undone(old, c.token)
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
	second := newManager(t, sm, keepalive.Config{}).LoadAndSave(newApp(sm))
	require.Empty(t, randomRounds(t, sm, first.LoadAndSave(newApp(sm)), second, 20_000))

	alone := newSessions()
	alone.Store = jitterStore{memstore.NewWithCleanupInterval(0)}
	h := theirs(alone)
	require.NotEmpty(t, randomRounds(t, alone, h, h, 2_000), "the kit must see scs fail")
}

// randomRounds counts what was undone. login serves the sign-in of each round.
func randomRounds(t *testing.T, sm *scs.SessionManager, login, h http.Handler, rounds int) map[string]int {
	undone := make(map[string]int)
	for round := range rounds {
		hz := hazards[round%len(hazards)]
		c := &client{h: login}
		c.get("/login")
		c.h = h
		old := c.token
		var wg sync.WaitGroup
		for _, request := range []string{"ping", "ping", "read", "write"} {
			wg.Go(func() {
				other := &client{h: h, token: old}
				switch {
				case request == "ping":
					other.ping()
				case request == "read":
					other.get("/")
				case hz.modifying:
					other.get("/put?v=late")
				}
			})
		}
		wg.Go(func() { c.get(hz.target) })
		wg.Wait()
		if hz.undone(t, sm, old, c.token) {
			undone[hz.name]++
		}
	}
	return undone
}
