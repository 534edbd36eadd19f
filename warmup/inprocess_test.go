package warmup_test

import (
	"net/http"
	"testing"
	"testing/synctest"

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
