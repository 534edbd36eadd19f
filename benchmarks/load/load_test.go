//go:build linux

package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The processes that load starts are those of the test program.
func TestMain(m *testing.M) {
	if role(os.Getenv(roleVariable)) {
		return
	}
	os.Exit(m.Run())
}

func TestLoad(t *testing.T) {
	tests := []struct {
		name        string
		cfg         config
		connections int64
	}{
		{name: "HTTP/1.1", cfg: config{Protocol: "http1", Pages: 200, Share: 1}, connections: 200},
		{name: "HTTP/1.1 with TLS", cfg: config{Protocol: "https1", Pages: 200, Share: 1, Pairs: 3}, connections: 200},
		{name: "HTTP/2", cfg: config{Protocol: "http2", Pages: 200, Share: 10}, connections: 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Rounds, tt.cfg.Compress, tt.cfg.Down, tt.cfg.Idle = 1, 780, 300*time.Millisecond, 20*time.Minute
			r, err := load(tt.cfg)
			require.NoError(t, err)
			require.NoError(t, r.check(tt.cfg))
			for _, phase := range []int{before, back, after} {
				require.GreaterOrEqual(t, r.phases[phase].Pings, int64(tt.cfg.Pages))
				require.Positive(t, r.phases[phase].Rounds, "each page is answered")
			}
			// Connections are kept. On a slow machine net/http gives up one now and then.
			require.GreaterOrEqual(t, r.connections, tt.connections)
			require.Less(t, r.connections, 2*tt.connections)
			require.Positive(t, r.phases[down].Errors, "the server was away")
			require.Equal(t, int64(200), r.alive)
			require.Positive(t, r.cpu)
			require.Positive(t, r.memory)
		})
	}
}

func TestHour(t *testing.T) {
	var kept, resumed, full time.Duration
	for _, tt := range []struct {
		name          string
		used          *time.Duration
		renew, resume bool
	}{
		{name: "kept", used: &kept},
		{name: "resumed", used: &resumed, renew: true, resume: true},
		{name: "full", used: &full, renew: true},
	} {
		used, err := hours("https1", tt.renew, tt.resume, 1)
		require.NoError(t, err, tt.name)
		*tt.used = used
	}
	require.Less(t, kept, resumed, "a ping costs less than a handshake")
}
