package keepalive_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// isAnn reports whether a session is Ann's, as handlers would ask.
func isAnn(sm *scs.SessionManager) func(context.Context) bool {
	return func(ctx context.Context) bool { return sm.GetString(ctx, "user") == "ann" }
}

// signIn returns a browser in which user has signed in.
func signIn(t *testing.T, h http.Handler, sm *scs.SessionManager, user string) *apptest.Client {
	c := &apptest.Client{Handler: h}
	require.Equal(t, http.StatusOK, c.Get("/put?k=user&v="+user).StatusCode)
	require.NotEmpty(t, c.Token)
	return c
}

func TestEndAll(t *testing.T) {
	for name, hashed := range map[string]bool{"plain": false, "hashed": true} {
		t.Run(name, func(t *testing.T) {
			sm := newSessions()
			sm.HashTokenInStore = hashed
			var events []keepalive.Event
			var users []string
			km := newManager(t, sm, keepalive.Config{Observer: func(e keepalive.Event) {
				if e.Kind == keepalive.EventDestroy {
					events = append(events, e)
					users = append(users, sm.GetString(e.Request.Context(), "user"))
					require.Empty(t, e.Request.URL.Path+e.Request.Header.Get("X")+e.Request.UserAgent())
				}
			}, Logger: debugTo(t.Output()), Salt: "salt of this test", Identify: func(ctx context.Context) string { return sm.GetString(ctx, "user") }})
			h := km.LoadAndSave(apptest.App(sm))
			first, second, bob := signIn(t, h, sm, "ann"), signIn(t, h, sm, "ann"), signIn(t, h, sm, "bob")

			names := make(map[string]string)
			require.NoError(t, km.EndAll(t.Context(), func(ctx context.Context) bool {
				user := sm.GetString(ctx, "user")
				names[km.SessionName(ctx)] = user
				return user == "ann"
			}))
			require.Len(t, names, 3)
			require.Equal(t, []string{"ann", "ann"}, users, "observers can read the session")
			for _, e := range events {
				require.Equal(t, "ann", names[e.Session], "SessionName is the name in events")
				require.Equal(t, "ann", e.User)
				require.Equal(t, keepalive.ReasonLogout, e.Reason)
			}
			require.Equal(t, http.StatusUnauthorized, first.Ping().StatusCode)
			require.Equal(t, http.StatusUnauthorized, second.Ping().StatusCode)
			require.Equal(t, http.StatusOK, bob.Ping().StatusCode)

			require.NoError(t, km.EndAll(t.Context(), isAnn(sm)))
			require.Len(t, users, 2, "nothing was left")
			require.NoError(t, km.EndAll(t.Context(), func(context.Context) bool { return true }))
			require.Equal(t, http.StatusUnauthorized, bob.Ping().StatusCode)
		})
	}
}

// What requests have loaded before, they can't bring back.
func TestEndAllWinsOverRequestsInFlight(t *testing.T) {
	for _, path := range []string{"/put?v=x", "/renew", "/deadline", "/login", "/"} {
		t.Run(path, func(t *testing.T) {
			sm := newSessions()
			km := newManager(t, sm, keepalive.Config{})
			mux := http.NewServeMux()
			app := apptest.App(sm)
			mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				if g, ok := r.Context().Value(apptest.GateKey{}).(*apptest.Gate); ok {
					sm.GetString(r.Context(), "user") // it is loaded
					g.Wait()
					r = r.WithContext(context.WithValue(r.Context(), apptest.GateKey{}, nil))
				}
				app.ServeHTTP(w, r)
			})
			c := signIn(t, km.LoadAndSave(mux), sm, "ann")
			gate, done := apptest.NewGate(), make(chan struct{})
			go func() {
				defer close(done)
				(&apptest.Client{Handler: c.Handler, Token: c.Token}).Do("GET", path, context.WithValue(t.Context(), apptest.GateKey{}, gate), "")
			}()
			<-gate.Reached
			require.NoError(t, km.EndAll(t.Context(), isAnn(sm)))
			close(gate.Open)
			<-done
			all, err := sm.Store.(scs.IterableStore).All()
			require.NoError(t, err)
			require.Empty(t, all)
		})
	}
}

// A handler may end its own session with the others. It can't bring it back either.
func TestEndAllInsideARequest(t *testing.T) {
	for name, after := range map[string]func(*scs.SessionManager, context.Context) error{
		"nothing":  func(*scs.SessionManager, context.Context) error { return nil },
		"put":      func(sm *scs.SessionManager, ctx context.Context) error { sm.Put(ctx, "v", "x"); return nil },
		"renew":    (*scs.SessionManager).RenewToken,
		"sign out": (*scs.SessionManager).Destroy,
	} {
		t.Run(name, func(t *testing.T) {
			sm := newSessions()
			km := newManager(t, sm, keepalive.Config{})
			mux := apptest.App(sm)
			mux.HandleFunc("/end", func(_ http.ResponseWriter, r *http.Request) {
				seen := make(map[string]bool)
				require.NoError(t, km.EndAll(r.Context(), func(ctx context.Context) bool {
					seen[sm.GetString(ctx, "user")] = true
					return sm.GetString(ctx, "user") == "ann"
				}))
				require.Equal(t, map[string]bool{"ann": true, "bob": true}, seen, "not the request's own session each time")
				require.NoError(t, after(sm, r.Context()))
			})
			h := km.LoadAndSave(mux)
			ann, bob := signIn(t, h, sm, "ann"), signIn(t, h, sm, "bob")
			require.Equal(t, http.StatusOK, ann.Get("/end").StatusCode)
			require.Equal(t, http.StatusOK, bob.Ping().StatusCode)
			all, err := sm.Store.(scs.IterableStore).All()
			require.NoError(t, err)
			require.Len(t, all, 1)
		})
	}
}

// EndAll may be the first thing that a program does. It freezes nothing.
func TestEndAllBeforeTheFirstRequest(t *testing.T) {
	sm := newSessions()
	token := newToken(t, sm)
	km := newManager(t, sm, keepalive.Config{})
	require.NoError(t, km.EndAll(t.Context(), isAnn(sm)))
	_, _, found := apptest.Stored(t, sm, token)
	require.False(t, found)

	sm.Store = memstore.NewWithCleanupInterval(0)
	token = newToken(t, sm)
	require.NoError(t, km.EndAll(t.Context(), isAnn(sm)))
	_, _, found = apptest.Stored(t, sm, token)
	require.False(t, found, "in a store that is set later")

	sm.IdleTimeout = time.Hour
	c := &apptest.Client{Handler: km.LoadAndSave(apptest.App(sm))}
	c.Get("/login")
	idle, _ := readTimes(t, c.Ping())
	require.Greater(t, idle, 50*time.Minute)
}

// setStore is a store whose sessions are those of a map, with errors for some.
type setStore struct {
	scs.Store
	sessions map[string][]byte
	err      error
	failing  string // can't be deleted
	hidden   string // can't be found
	deleted  []string
}

func (s *setStore) All() (map[string][]byte, error) { return maps.Clone(s.sessions), s.err }

func (s *setStore) Find(key string) ([]byte, bool, error) {
	if key == s.hidden {
		return nil, false, errors.New("no answer about " + key)
	}
	data, found := s.sessions[key]
	return data, found, nil
}

func (s *setStore) Delete(key string) error {
	if key == s.failing {
		return errors.New("no route to " + key)
	}
	delete(s.sessions, key)
	s.deleted = append(s.deleted, key)
	return nil
}

func TestEndAllErrors(t *testing.T) {
	data := func(user string, lifetime time.Duration) []byte {
		data, err := scs.GobCodec{}.Encode(time.Now().Add(lifetime), map[string]any{"user": user})
		require.NoError(t, err)
		return data
	}
	ann := data("ann", time.Hour)
	t.Run("single sessions", func(t *testing.T) {
		store := &setStore{sessions: map[string][]byte{
			"a": ann, "b": ann, "hidden": ann, "bob": data("bob", time.Hour), "stuck": ann, "broken": []byte("x"), "over": data("ann", -time.Hour),
		}, failing: "stuck", hidden: "hidden"}
		sm := newSessions()
		sm.Store = store
		km := newManager(t, sm, keepalive.Config{})
		err := km.EndAll(t.Context(), isAnn(sm))
		require.ErrorContains(t, err, "no route to stuck")
		require.Len(t, err.(interface{ Unwrap() []error }).Unwrap(), 2, "and of what can't be decoded: %v", err)
		slices.Sort(store.deleted)
		require.Equal(t, []string{"a", "b", "hidden"}, store.deleted)
		require.Contains(t, store.sessions, "broken")
	})
	t.Run("the list", func(t *testing.T) {
		sm := newSessions()
		store := &setStore{sessions: map[string][]byte{"a": ann}, err: errors.New("no route to the store")}
		sm.Store = store
		err := newManager(t, sm, keepalive.Config{}).EndAll(t.Context(), isAnn(sm))
		require.ErrorIs(t, err, store.err)
		require.Empty(t, store.deleted)
	})
	t.Run("no list", func(t *testing.T) {
		sm := newSessions()
		store := &setStore{sessions: map[string][]byte{"a": ann}}
		sm.Store = struct{ scs.Store }{store}
		err := newManager(t, sm, keepalive.Config{}).EndAll(t.Context(), isAnn(sm))
		require.ErrorContains(t, err, "can't list its sessions")
		require.Empty(t, store.deleted)
	})
	t.Run("no store", func(t *testing.T) {
		sm := newSessions()
		km := newManager(t, sm, keepalive.Config{})
		sm.Store = nil
		require.ErrorContains(t, km.EndAll(t.Context(), isAnn(sm)), "can't list its sessions")
	})
	t.Run("context", func(t *testing.T) {
		sm := newSessions()
		store := &setStore{sessions: map[string][]byte{"a": ann, "b": ann, "c": ann}}
		sm.Store = store
		ctx, cancel := context.WithCancel(t.Context())
		asked := 0
		err := newManager(t, sm, keepalive.Config{}).EndAll(ctx, func(context.Context) bool { asked++; cancel(); return false })
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 1, asked)
	})
}

// A session that has ended by itself meanwhile is no end by EndAll.
func TestEndAllReportsWhatItHasEnded(t *testing.T) {
	sm := newSessions()
	var events []keepalive.Event
	km := newManager(t, sm, keepalive.Config{Observer: func(e keepalive.Event) { events = append(events, e) }})
	token := newToken(t, sm)
	require.NoError(t, km.EndAll(t.Context(), func(context.Context) bool {
		require.NoError(t, sm.Store.Delete(token))
		return true
	}))
	require.Empty(t, events)
}

// With scs alone nothing ends where tokens are hashed, and nothing says so.
func TestIterateOfSCSEndsNothingHashed(t *testing.T) {
	sm := newSessions()
	sm.HashTokenInStore = true
	c := &apptest.Client{Handler: sm.LoadAndSave(apptest.App(sm))}
	c.Get("/login")
	require.NoError(t, sm.Iterate(t.Context(), sm.Destroy))
	all, err := sm.Store.(scs.IterableStore).All()
	require.NoError(t, err)
	require.Len(t, all, 1)
}
