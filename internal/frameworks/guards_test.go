package frameworks_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/csrf"
	"github.com/justinas/nosurf"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// guards stand outside and refuse a ping, which has none of what they ask for.
var guards = []struct {
	name   string
	status int // of a ping that is not exempt
	wrap   func(http.Handler) http.Handler
	// exempt is wrap with an exemption of its own kind, nil if it has none.
	exempt func(km *keepalive.Manager, next http.Handler) http.Handler
}{
	{
		name: "gorilla/csrf", status: http.StatusForbidden,
		wrap: csrf.Protect(make([]byte, 32)),
		exempt: func(km *keepalive.Manager, next http.Handler) http.Handler {
			protected := csrf.Protect(make([]byte, 32))(next)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, km.Path()) {
					r = csrf.UnsafeSkipCheck(r)
				}
				protected.ServeHTTP(w, r)
			})
		},
	},
	{
		name: "nosurf", status: http.StatusBadRequest,
		wrap: func(next http.Handler) http.Handler { return nosurf.New(next) },
		exempt: func(km *keepalive.Manager, next http.Handler) http.Handler {
			h := nosurf.New(next)
			h.ExemptPaths(km.Path()+"ping", km.Path()+"here", km.Path()+"leave")
			return h
		},
	},
	{
		name: "authentication", status: http.StatusUnauthorized,
		wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost && r.Header.Get("Authorization") == "" {
					http.Error(w, "who are you?", http.StatusUnauthorized)
					return
				}
				next.ServeHTTP(w, r)
			})
		},
	},
}

// A guard outside refuses pings, unless the endpoints are served past it or are
// exempt. keepalive refuses requests of other origins by itself.
func TestGuardsOutside(t *testing.T) {
	for _, guard := range guards {
		sm, token := newSession(t)
		km := newManager(t, sm)
		app := km.LoadAndSave(ways[0].write)
		past := http.NewServeMux()
		past.Handle("/", guard.wrap(app))
		past.Handle(km.Path(), km.Handler())
		exempt := map[string]http.Handler{"endpoints past it": past}
		if guard.exempt != nil {
			exempt["exempt"] = guard.exempt(km, app)
		}
		t.Run(guard.name, func(t *testing.T) {
			srv := newServer(t, guard.wrap(app))
			res, _ := get(t, http.MethodPost, srv.URL+km.Path()+"ping", token, "")
			require.Equal(t, guard.status, res.StatusCode)
			require.Empty(t, res.Header.Get("Keepalive"), "the answer is not keepalive's")
		})
		for name, h := range exempt {
			t.Run(guard.name+", "+name, func(t *testing.T) {
				srv := newServer(t, h)
				_, body := get(t, http.MethodGet, srv.URL+"/", token, "")
				require.Len(t, tag.FindAllString(body, -1), 1)
				requirePing(t, srv.URL+km.Path()+"ping", token)

				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+km.Path()+"ping", nil)
				require.NoError(t, err)
				r.AddCookie(&http.Cookie{Name: "session", Value: token})
				r.Header.Set("Sec-Fetch-Site", "cross-site")
				res, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				require.Equal(t, http.StatusForbidden, res.StatusCode)
			})
		}
	}
}
