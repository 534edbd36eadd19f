package stores_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// One instance ends the sessions of a user that another has stored.
func TestEndAll(t *testing.T) {
	eachStorage(t, func(t *testing.T, open func() keepalive.Store) {
		for name, hashed := range map[string]bool{"plain": false, "hashed": true} {
			t.Run(name, func(t *testing.T) {
				sm, other := sessions(open()), sessions(open())
				sm.HashTokenInStore, other.HashTokenInStore = hashed, hashed
				ended := 0
				cfg := keepalive.Config{Logger: slog.New(slog.DiscardHandler)}
				elsewhere, err := keepalive.New(other, cfg)
				require.NoError(t, err)
				cfg.Observer = func(keepalive.Event) { ended++ }
				km, err := keepalive.New(sm, cfg)
				require.NoError(t, err)
				h := elsewhere.LoadAndSave(app(other))
				var clients []*apptest.Client
				for i := range 20 {
					c := &apptest.Client{Handler: h}
					c.Get(fmt.Sprintf("/put?k=user&v=%d", i%2))
					clients = append(clients, c)
				}
				require.NoError(t, km.EndAll(t.Context(), func(ctx context.Context) bool { return sm.GetString(ctx, "user") == "1" }))
				require.Equal(t, len(clients)/2, ended)
				for i, c := range clients {
					require.Equal(t, []int{http.StatusOK, http.StatusUnauthorized}[i%2], c.Ping().StatusCode)
				}
			})
		}
	})
}
