package keepalive_test

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

const page = apptest.Page

// shared is copied by newSessions: scs.New starts a goroutine that never ends,
// which a synctest bubble can't have.
var shared = scs.New()

// newSessions returns a session manager on an empty memstore without a cleanup
// goroutine, with an idle timeout of 20 minutes and a lifetime of 12 hours.
func newSessions() *scs.SessionManager {
	sm := *shared
	sm.Store = memstore.NewWithCleanupInterval(0)
	sm.IdleTimeout = 20 * time.Minute
	sm.Lifetime = 12 * time.Hour
	return &sm
}

func newManager(t testing.TB, sm *scs.SessionManager, cfg keepalive.Config) *keepalive.Manager {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	km, err := keepalive.New(sm, cfg)
	require.NoError(t, err)
	return km
}

// body returns what a response says and closes it.
func body(t testing.TB, res *http.Response) string {
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return string(b)
}
