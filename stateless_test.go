package keepalive_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/alexedwards/scs/v2"
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
			stored := countSessions(t, sm)
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
			require.Equal(t, stored, countSessions(t, sm))
			c.Get("/who")
			require.Equal(t, "ann", user, "a probe that signs out must not sign its user out")
		})
	}
}

func countSessions(t *testing.T, sm *scs.SessionManager) int {
	sessions := 0
	require.NoError(t, sm.Iterate(t.Context(), func(context.Context) error { sessions++; return nil }))
	return sessions
}
