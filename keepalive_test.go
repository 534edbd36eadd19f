package keepalive_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

func TestStoreSetAfterNew(t *testing.T) {
	sm := newSessions()
	c := newClient(t, sm, keepalive.Config{})
	sm.Store = newSessions().Store
	c.Get("/login")
	require.Equal(t, http.StatusOK, c.Ping().StatusCode)
	require.Implements(t, (*keepalive.Store)(nil), sm.Store)
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
		km := newManager(t, sm, keepalive.Config{Observer: func(e keepalive.Event) { observed = append(observed, string(e.Kind)+" "+e.Session) }})
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
