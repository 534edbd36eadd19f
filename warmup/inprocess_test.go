package warmup_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

// The handler's request shows the origin. TestFetch checks the rest of the request.
func TestHandlerRequest(t *testing.T) {
	tests := []struct {
		name, origin, host string
		serverName         string // by TLS, "" without TLS
	}{
		{name: "default", host: "localhost"},
		{name: "http", origin: "http://app:8080", host: "app:8080"},
		{name: "https", origin: "https://app:8443", host: "app:8443", serverName: "app"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got *http.Request
				handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })
				stop := start(t, newPinger(t, warmup.Config{Handler: handler, Settings: warmup.Settings{Origin: tt.origin}}))
				synctest.Wait()
				stop()
				require.Equal(t, tt.host, got.Host)
				require.Equal(t, "127.0.0.1:0", got.RemoteAddr)
				if tt.serverName == "" {
					require.Nil(t, got.TLS)
				} else {
					require.Equal(t, tt.serverName, got.TLS.ServerName)
				}
			})
		})
	}
}

// A warm-up through keepalive's middleware leaves no session behind, with one
// line of configuration.
func TestWarmupLeavesNoSession(t *testing.T) {
	sessions := scs.New()
	sessions.Store = memstore.NewWithCleanupInterval(0)
	sessions.IdleTimeout = 20 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		for name, stateless := range map[string]func(*http.Request) bool{"IsWarmup": warmup.IsWarmup, "nothing": nil} {
			km, err := keepalive.New(sessions, keepalive.Config{Stateless: stateless, Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			visits := 0
			handler := km.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				visits++
				sessions.Put(r.Context(), "visit", visits)
			}))
			stop := start(t, newPinger(t, warmup.Config{Handler: handler}))
			synctest.Wait()
			stop()
			require.Equal(t, 1, visits)
			stored := 0
			require.NoError(t, sessions.Iterate(t.Context(), func(context.Context) error { stored++; return nil }))
			want := 1
			if name == "IsWarmup" {
				want = 0
			}
			require.Equal(t, want, stored)
			require.False(t, warmup.IsWarmup(httptest.NewRequest(http.MethodGet, "/", nil)))
			sessions.Store = memstore.NewWithCleanupInterval(0)
		}
	})
}
