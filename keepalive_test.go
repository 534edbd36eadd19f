package keepalive_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// A store that is set after New is used, and guarded if it is set before the handler
// is made. Requests never write SessionManager.Store: the program may be reading
// it, as Iterate does here (go test -race).
func TestStoreSetAfterNew(t *testing.T) {
	tests := []struct {
		name    string
		handler func(km *keepalive.Manager, app http.Handler) http.Handler
		after   bool // set after the handler was made
	}{
		{name: "before LoadAndSave", handler: (*keepalive.Manager).LoadAndSave},
		{name: "before Handler", handler: func(km *keepalive.Manager, app http.Handler) http.Handler {
			endpoints := km.Handler()
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, km.Path()) {
					endpoints.ServeHTTP(w, r)
					return
				}
				app.ServeHTTP(w, r)
			})
		}},
		{name: "after LoadAndSave", handler: (*keepalive.Manager).LoadAndSave, after: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			sm := newSessions()
			km := newManager(t, sm, keepalive.Config{Logger: logTo(&log)})
			store := memstore.NewWithCleanupInterval(0)
			if !tt.after {
				sm.Store = store
			}
			h := tt.handler(km, apptest.App(sm))
			if tt.after {
				sm.Store = store
			}
			token := newToken(t, sm)
			_, found, _ := store.Find(token)
			require.True(t, found)

			srv := httptest.NewServer(h)
			defer srv.Close()
			ctx, end := context.WithCancel(t.Context())
			began, done := make(chan bool), make(chan error)
			go func() {
				close(began)
				for ctx.Err() == nil {
					if err := sm.Iterate(context.Background(), func(context.Context) error { return nil }); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
			<-began
			for range 20 {
				r, err := http.NewRequest(http.MethodPost, srv.URL+"/keepalive/ping", nil)
				require.NoError(t, err)
				r.AddCookie(&http.Cookie{Name: "session", Value: token})
				res, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				require.Equal(t, http.StatusOK, res.StatusCode)
			}
			end()
			require.NoError(t, <-done)
			_, guarded := sm.Store.(keepalive.Store)
			require.Equal(t, !tt.after, guarded)
			require.Equal(t, tt.after, strings.Count(log.String(), "has been set after LoadAndSave") == 1, log.String())
			km.LoadAndSave(apptest.App(sm)) // too late, as requests are served
			_, guarded = sm.Store.(keepalive.Store)
			require.Equal(t, !tt.after, guarded)
		})
	}
}

// New makes the store a keepalive.Store, and warns where other processes may use
// the same storage. internal/memory tests what the wrapper keeps of the store.
func TestNewWrapsTheStore(t *testing.T) {
	mem := memstore.NewWithCleanupInterval(0)
	tests := []struct {
		name     string
		store    scs.Store
		iterable bool
		warns    bool
	}{
		{name: "memstore", store: mem, iterable: true},
		{name: "unknown store", store: plainStore{mem}, warns: true},
		{name: "store with contexts", store: gateStore{mem}, iterable: true, warns: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log strings.Builder
			sm := newSessions()
			sm.Store = tt.store
			newManager(t, sm, keepalive.Config{Logger: logTo(&log)})
			require.Implements(t, (*keepalive.Store)(nil), sm.Store)
			require.Implements(t, (*scs.CtxStore)(nil), sm.Store)
			_, iterable := sm.Store.(scs.IterableStore)
			require.Equal(t, tt.iterable, iterable)
			require.Equal(t, tt.warns, strings.Contains(log.String(), "several instances"))
			before := sm.Store
			newManager(t, sm, keepalive.Config{})
			require.True(t, before == sm.Store, "a Store is not wrapped again")
		})
	}
}

// plainStore hides all that a store can do beyond scs.Store.
type plainStore struct{ scs.Store }

// Where scs runs outside, the app works as with scs alone, and that is logged once.
func TestInsideSCS(t *testing.T) {
	for _, name := range []string{"Handler", "LoadAndSave"} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			sm := newSessions()
			km := newManager(t, sm, keepalive.Config{Logger: logTo(&log)})
			mux := apptest.App(sm)
			mux.Handle(km.Path(), km.Handler())
			h := sm.LoadAndSave(mux)
			if name == "LoadAndSave" {
				h = sm.LoadAndSave(km.LoadAndSave(apptest.App(sm)))
			}
			c := &apptest.Client{Handler: h}
			for range 3 {
				c.Get("/login")
				require.Contains(t, body(t, c.Get("/")), "<title>page</title>")
				if name == "Handler" {
					require.Equal(t, http.StatusOK, c.Ping().StatusCode)
				}
			}
			require.Equal(t, 1, strings.Count(log.String(), "inside SessionManager.LoadAndSave"), log.String())
		})
	}
}

// Where scs runs inside as well, that is logged once.
func TestAroundSCS(t *testing.T) {
	var log bytes.Buffer
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{Logger: logTo(&log)})
	c := &apptest.Client{Handler: km.LoadAndSave(sm.LoadAndSave(apptest.App(sm)))}
	c.Get("/login")
	c.Get("/put?v=x")
	c.Get("/logout")
	require.Equal(t, 1, strings.Count(log.String(), "runs inside keepalive's LoadAndSave"), log.String())
}

// An app matches events to what its requests have stored, by the session's name.
func TestSessionName(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		sm := newSessions()
		sm.HashTokenInStore = hashed
		var names, observed []string
		km := newManager(t, sm, keepalive.Config{Observer: sessionEvents(func(e keepalive.Event) { observed = append(observed, string(e.Kind)+" "+e.Session) })})
		mux := apptest.App(sm)
		mux.HandleFunc("/name", func(_ http.ResponseWriter, r *http.Request) { names = append(names, km.SessionName(r.Context())) })
		mux.HandleFunc("/new", func(_ http.ResponseWriter, r *http.Request) {
			sm.Put(r.Context(), "v", 1)
			names = append(names, km.SessionName(r.Context()))
		})
		mux.HandleFunc("/renewed", func(_ http.ResponseWriter, r *http.Request) {
			require.NoError(t, sm.RenewToken(r.Context()))
			names = append(names, km.SessionName(r.Context()))
		})
		c := &apptest.Client{Handler: km.LoadAndSave(mux)}
		c.Get("/name")
		c.Get("/new")
		require.Equal(t, []string{"", ""}, names)
		c.Get("/name")
		name := names[2]
		require.NotEmpty(t, name)
		c.Ping()
		require.Equal(t, "ping "+name, observed[len(observed)-1])
		c.Get("/renewed")
		require.NotEqual(t, name, names[3])
		require.Equal(t, []string{"renew " + name, "save " + names[3]}, observed[len(observed)-2:])
		c.Get("/logout")
		require.Equal(t, "destroy "+names[3], observed[len(observed)-1])
		require.Empty(t, km.SessionName(t.Context()))
	}
}

// Instances with the same salt give a session the same name; others do not.
func TestSalt(t *testing.T) {
	name := func(salt string) (session string) {
		sm := newSessions()
		c := newClient(t, sm, keepalive.Config{
			Salt: salt, Presence: keepalive.PresencePath,
			Observer: func(e keepalive.Event) { session = e.Session },
		})
		c.Token = unknownToken
		c.Do("POST", "/keepalive/leave", t.Context(), "tab=a")
		return session
	}
	require.Equal(t, name("a"), name("a"))
	require.NotEqual(t, name("a"), name("b"))
	require.NotEqual(t, name(""), name(""))
	require.Len(t, name("a"), 16)
	require.NotContains(t, name("a"), unknownToken)
}

// A store that is taken away after New is reported, and the one from before goes
// on.
func TestStoreSetToNilAfterNew(t *testing.T) {
	var log bytes.Buffer
	sm := newSessions()
	c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{Logger: logTo(&log)}).LoadAndSave(apptest.App(sm))}
	sm.Store = nil
	c.Get("/login")
	require.Equal(t, http.StatusOK, c.Ping().StatusCode)
	require.Equal(t, 1, strings.Count(log.String(), "set to nil after New"), log.String())
}
