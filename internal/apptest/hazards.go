package apptest

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// Hazard is work of one request that another, which read the session before, may
// undo when it writes.
type Hazard struct {
	Name      string
	Target    string // of the request whose work may be undone
	Modifying bool   // a request that modifies the session must not undo it either

	// Undone reports whether it was undone. old is the token before the request
	// to Target, and token the one after it.
	Undone func(t testing.TB, sm *scs.SessionManager, old, token string) bool
}

// Hazards are all that two requests of one session can do to each other.
var Hazards = []Hazard{
	{
		Name: "lost update", Target: "/put?v=new",
		Undone: func(t testing.TB, sm *scs.SessionManager, old, _ string) bool {
			_, values, found := Stored(t, sm, old)
			return !found || values["v"] != "new"
		},
	},
	{
		Name: "resurrection after Destroy", Target: "/logout", Modifying: true,
		Undone: func(t testing.TB, sm *scs.SessionManager, old, _ string) bool {
			_, _, found := Stored(t, sm, old)
			return found
		},
	},
	{
		Name: "old token after RenewToken", Target: "/renew", Modifying: true,
		Undone: func(t testing.TB, sm *scs.SessionManager, old, token string) bool {
			_, _, alive := Stored(t, sm, old)
			_, _, found := Stored(t, sm, token)
			return alive || !found || old == token
		},
	},
	{
		Name: "SetDeadline undone", Target: "/deadline",
		Undone: func(t testing.TB, sm *scs.SessionManager, old, _ string) bool {
			deadline, _, found := Stored(t, sm, old)
			late := time.Until(deadline) > time.Minute
			if s, ok := sm.Store.(keepalive.Store); ok {
				expiry, _, err := s.Expiry(context.Background(), old)
				require.NoError(t, err)
				late = late || expiry.After(deadline)
			}
			return !found || late
		},
	},
}

// RandomRounds runs pings and reads beside one request that changes the session,
// and counts by hazard how often its work was undone. login serves the sign-in of
// each round; the other requests go to the instances in turn. sm is any that has
// the store of all of them.
func RandomRounds(t testing.TB, sm *scs.SessionManager, login http.Handler, rounds int, instances ...http.Handler) map[string]int {
	undone := make(map[string]int)
	for round := range rounds {
		hz := Hazards[round%len(Hazards)]
		c := &Client{Handler: login}
		c.Get("/login")
		c.Handler = instances[round/len(Hazards)%len(instances)]
		old := c.Token
		var wg sync.WaitGroup
		for i, request := range []string{"ping", "ping", "read", "write"} {
			wg.Go(func() {
				other := &Client{Handler: instances[i%len(instances)], Token: old}
				switch {
				case request == "ping":
					other.Ping()
				case request == "read":
					other.Get("/")
				case hz.Modifying:
					other.Get("/put?v=late")
				}
			})
		}
		wg.Go(func() { c.Get(hz.Target) })
		wg.Wait()
		if hz.Undone(t, sm, old, c.Token) {
			undone[hz.Name]++
		}
	}
	return undone
}
