package warmup_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func TestReady(t *testing.T) {
	statusCode := func(p *warmup.Pinger) int {
		w := httptest.NewRecorder()
		p.ReadyHandler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		return w.Code
	}
	t.Run("all targets are warm", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			app := newTestApp()
			app.delay = 5 * time.Second
			p := newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{Targets: targets("/a", "/b"), Concurrency: 1}})
			time.Sleep(2 * time.Minute)
			require.Equal(t, 503, statusCode(p), "not before Run")
			stop := start(t, p)
			time.Sleep(9 * time.Second)
			require.False(t, p.Ready())
			time.Sleep(time.Second)
			synctest.Wait()
			require.True(t, p.Ready())
			require.Equal(t, 200, statusCode(p))

			app.setFailing("/a", true)
			p.Trigger()
			time.Sleep(11 * time.Second)
			require.False(t, p.Last()[0].Warm)
			require.True(t, p.Ready(), "it never goes back")
			stop()
		})
	})
	t.Run("after a retry", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			app := newTestApp()
			app.setFailing("/", true)
			p := newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{Interval: 24 * time.Hour, ReadyTimeout: 24 * time.Hour}})
			stop := start(t, p)
			time.Sleep(10 * time.Second)
			require.False(t, p.Ready())
			app.setFailing("/", false)
			for !p.Ready() {
				time.Sleep(time.Second)
			}
			require.True(t, p.Last()[0].Warm)
			require.Equal(t, "retry", p.Last()[0].Reason)
			stop()
		})
	})
	for _, name := range []string{"a page that fails", "a page that hangs"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app := newTestApp()
				app.setFailing("/", true)
				if name == "a page that hangs" {
					app.delay = time.Hour
				}
				p := newPinger(t, warmup.Config{Handler: app, Settings: warmup.Settings{ReadyTimeout: 20 * time.Second}})
				stop := start(t, p)
				time.Sleep(20*time.Second - 1)
				require.Equal(t, 503, statusCode(p))
				time.Sleep(time.Nanosecond)
				require.Equal(t, 200, statusCode(p), "a broken page must not stop a deployment")
				stop()
			})
		})
	}
	t.Run("switched off", func(t *testing.T) {
		p := newPinger(t, warmup.Config{Handler: okHandler, Settings: warmup.Settings{Enabled: new(bool)}})
		require.Equal(t, 200, statusCode(p))
	})
	t.Run("another method", func(t *testing.T) {
		w := httptest.NewRecorder()
		newPinger(t, warmup.Config{Handler: okHandler}).ReadyHandler().ServeHTTP(w, httptest.NewRequest("POST", "/readyz", nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	})
}
