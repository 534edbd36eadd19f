package keepalive_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// A stateless request leaves no session behind, and takes none away, whatever
// its handler does and whatever cookie it brings.
func TestStateless(t *testing.T) {
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{
		Stateless: func(r *http.Request) bool { return r.Header.Get("User-Agent") == "probe" },
		Anonymous: true,
	})
	var user string
	app := apptest.App(sm)
	app.HandleFunc("/who", func(_ http.ResponseWriter, r *http.Request) { user = sm.GetString(r.Context(), "user") })
	for name, h := range map[string]http.Handler{
		"LoadAndSave":                km.LoadAndSave(app),
		"LoadAndSave in Inject":      km.Inject(km.LoadAndSave(app)),
		"LoadAndSave in LoadAndSave": km.LoadAndSave(km.LoadAndSave(app)),
	} {
		t.Run(name, func(t *testing.T) {
			c := &apptest.Client{Handler: h}
			c.Get("/login")
			stored := count(t, sm)
			c.Get("/who")
			require.Equal(t, "ann", user)
			for _, target := range []string{"/", "/put?v=x", "/login", "/renew", "/logout", "/deadline", "/who"} {
				r := httptest.NewRequest(http.MethodGet, target, nil)
				r.AddCookie(&http.Cookie{Name: "session", Value: c.Token})
				r.Header.Set("User-Agent", "probe")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				require.Empty(t, w.Header()["Set-Cookie"], target)
				require.NotContains(t, w.Body.String(), "<script", target)
			}
			require.Empty(t, user)
			require.Equal(t, stored, count(t, sm))
			c.Get("/who")
			require.Equal(t, "ann", user, "a probe that signs out must not sign its user out")
		})
	}
}

func count(t *testing.T, sm *scs.SessionManager) int {
	sessions := 0
	require.NoError(t, sm.Iterate(t.Context(), func(context.Context) error { sessions++; return nil }))
	return sessions
}

// A logout with a message begins another session in the same request. It is
// reported as a logout, for audit logs.
func TestLogoutWithAMessage(t *testing.T) {
	sm := newSessions()
	var events []keepalive.Event
	km := newManager(t, sm, keepalive.Config{Observer: func(e keepalive.Event) { events = append(events, e) }})
	app := apptest.App(sm)
	app.HandleFunc("/goodbye", func(_ http.ResponseWriter, r *http.Request) {
		require.NoError(t, sm.Destroy(r.Context()))
		sm.Put(r.Context(), "flash", "You are signed out.")
	})
	c := &apptest.Client{Handler: km.LoadAndSave(app)}
	c.Get("/login")
	old := events[len(events)-1].Session
	events = nil
	c.Get("/goodbye")
	require.Len(t, events, 2)
	require.Equal(t, keepalive.EventDestroy, events[0].Kind)
	require.Equal(t, old, events[0].Session)
	require.Equal(t, keepalive.EventSave, events[1].Kind)
	require.NotEqual(t, old, events[1].Session)
}

// Where only some routes have LoadAndSave, the endpoints stand beside it. Its
// cookies last until the deadline, so pings send none again.
func TestHandlerBesideLoadAndSave(t *testing.T) {
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{})
	mux := http.NewServeMux()
	mux.Handle(km.Path(), km.Handler())
	mux.Handle("/", km.LoadAndSave(apptest.App(sm)))
	c := &apptest.Client{Handler: mux}
	c.Get("/login")
	res := c.Ping()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Empty(t, res.Cookies())
}

// A compressor inside is found by what it says of its pages, and reported once.
func TestCompressionInsideIsReported(t *testing.T) {
	tests := []struct {
		name, vary, encoding string
		logged               int
	}{
		{name: "a compressor inside", vary: "Accept-Encoding", encoding: "gzip", logged: 1},
		{name: "in a list, in another case", vary: "Origin, accept-encoding", encoding: "gzip", logged: 1},
		{name: "no compressor", vary: "Origin", encoding: "gzip"},
		{name: "a client that accepts none", vary: "Accept-Encoding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			sm := scs.New()
			sm.Store = memstore.NewWithCleanupInterval(0)
			sm.IdleTimeout = 20 * time.Minute
			km := newManager(t, sm, keepalive.Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Anonymous: true})
			h := km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Vary", tt.vary)
				_, _ = w.Write([]byte(apptest.Page))
			}))
			for range 3 {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set("Accept", "text/html")
				if tt.encoding != "" {
					r.Header.Set("Accept-Encoding", tt.encoding)
				}
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			require.Equal(t, tt.logged, strings.Count(log.String(), "put it outside"), log.String())
		})
	}
}
