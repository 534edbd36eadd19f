package warmup_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func get(h http.Handler, target string, accept ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	r.Header["Accept"] = accept
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStatusNegotiation(t *testing.T) {
	h := newPinger(t, warmup.Config{Handler: ok}).StatusHandler()
	const html, js = "text/html; charset=utf-8", "application/json"
	tests := []struct{ name, query, accept, want string }{
		{"none", "", "", html},
		{"anything", "", "*/*", html},
		{"browser", "", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", html},
		{"JSON", "", "application/json", js},
		{"JSON before the rest", "", "application/json, */*;q=0.1", js},
		{"JSON after HTML", "", "application/json;q=0.8, text/html", html},
		{"HTML refused", "", "*/*, text/html;q=0", js},
		{"in capitals", "", "Application/JSON;Q=1", js},
		{"format", "?format=json", "text/html", js},
		{"format the other way", "?format=html", "application/json", html},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := get(h, "/"+tt.query, tt.accept)
			require.Equal(t, 200, w.Code)
			require.Equal(t, tt.want, w.Header().Get("Content-Type"))
			require.Equal(t, "Accept", w.Header().Get("Vary"))
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		})
	}
	require.Equal(t, http.StatusBadRequest, get(h, "/?format=xml").Code)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits()
		v.takes = 1500 * time.Millisecond
		v.breakPage("/bad", true)
		p := newPinger(t, warmup.Config{Handler: v, Settings: warmup.Settings{Targets: targets("/?q=<b>&x=1", "/bad"), Interval: time.Hour, Jitter: -1}})
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

		// What the browser hashes is the text of the element, and nothing else is let in.
		sum := sha256.Sum256([]byte(regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)[1]))
		require.Equal(t, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", w.Header().Get("Content-Security-Policy"))
		require.NotContains(t, body, " style=")
		require.NotContains(t, body, "<script")
		stop()
	})
}
