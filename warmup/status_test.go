package warmup_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.delay = 1500 * time.Millisecond
		app.setFailing("/bad", true)
		p := newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{Targets: targets("/?q=<b>&x=1", "/bad"), Interval: time.Hour, Jitter: -1}})
		require.Contains(t, get(p.StatusHandler(), "/").Body.String(), "not running")
		stop := start(t, p)
		synctest.Wait()
		require.Contains(t, get(p.StatusHandler(), "/").Body.String(), "A run is going on.")
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()

		var got struct {
			Ready, Enabled, Running bool
			Next                    time.Time
			Targets, Recent         []struct {
				URL, Error, Reason string
				Warm               bool
				Status, Failures   int
				Ms                 float64
				Retry              time.Time
			}
		}
		require.NoError(t, json.Unmarshal(get(p.StatusHandler(), "/", "application/json").Body.Bytes(), &got))
		require.False(t, got.Ready)
		require.True(t, got.Enabled && got.Running)
		require.WithinDuration(t, time.Now().Add(time.Hour), got.Next, 0)
		require.Len(t, got.Recent, 2)
		require.Equal(t, 1500.0, got.Targets[0].Ms)
		require.True(t, got.Targets[0].Warm)
		require.Equal(t, 500, got.Targets[1].Status)
		require.Equal(t, 1, got.Targets[1].Failures)
		require.Equal(t, "status 500 is not warm", got.Targets[1].Error)
		require.WithinDuration(t, time.Now().Add(time.Second/2), got.Targets[1].Retry, time.Second/2)

		w := get(p.StatusHandler(), "/")
		body := w.Body.String()
		require.Contains(t, body, "1 of 2 targets warm")
		require.Contains(t, body, "warming up")
		require.Contains(t, body, "All are fetched again in 1\u00a0h 0\u00a0min")
		require.NotContains(t, body, "<b>")
		require.NotContains(t, body, "ZgotmplZ")

		// The browser hashes the text of the style element. The policy allows nothing else.
		sum := sha256.Sum256([]byte(regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)[1]))
		require.Equal(t, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", w.Header().Get("Content-Security-Policy"))
		require.NotContains(t, body, " style=")
		require.NotContains(t, body, "<script")
		stop()
	})
}
