package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// A browser that is killed sends no leave beacon, so its page is online until the time to live has passed.
func TestKilledBrowsers(t *testing.T) {
	const ttl = 3 * time.Minute
	var a *app
	tracker, err := presence.New(presence.Config{
		TTL:      ttl,
		Identify: func(r *http.Request) (string, any) { return a.sm.GetString(r.Context(), "user"), nil },
	})
	require.NoError(t, err)
	t.Cleanup(tracker.Close)
	a = newApp(t, 20*time.Minute, time.Hour, func(c *keepalive.Config) {
		c.Presence = keepalive.PresencePath
		c.Observer = func(e keepalive.Event) {
			if e.Kind == keepalive.EventHere { // leave beacons are dropped, as if none were sent
				tracker.Observe(e)
			}
		}
	})
	sessions := func() int {
		counts, err := tracker.Count(t.Context())
		require.NoError(t, err)
		return counts.Sessions
	}
	var lastLogin time.Time
	for _, engine := range webdriver.Engines {
		t.Run(string(engine), func(t *testing.T) {
			b := webdriver.Start(t, engine) // until the end of this function
			before := sessions()
			lastLogin = time.Now()
			a.login(t, b)
			eventually(t, "the page is there", func() bool { return sessions() == before+1 })
			if engine == webdriver.Chromium {
				b.Crash()
			}
		})
	}
	t.Parallel()
	for sessions() > 0 {
		require.Less(t, time.Since(lastLogin), ttl+patience, "they are not forgotten")
		time.Sleep(time.Second)
	}
	require.Greater(t, time.Since(lastLogin), ttl-time.Second)
}
