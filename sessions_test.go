package keepalive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// The cookie lasts until the deadline, so touches and pings send none.
func TestCookies(t *testing.T) {
	tests := []struct {
		name              string
		persist, remember bool
		lasting           bool // the cookie outlives the browser
	}{
		{name: "persistent", persist: true, lasting: true},
		{name: "until the browser closes"},
		{name: "remembered", remember: true, lasting: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sm := newSessions()
				sm.Cookie.Persist = tt.persist
				app := apptest.App(sm)
				app.HandleFunc("/remember", func(w http.ResponseWriter, r *http.Request) {
					sm.Put(r.Context(), "user", "ann")
					if tt.remember {
						sm.RememberMe(r.Context(), true)
					}
				})
				c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(app)}
				res := c.Get("/remember")
				cookie := res.Cookies()[0]
				require.Equal(t, "Cookie", res.Header.Get("Vary"))
				require.Equal(t, `no-cache="Set-Cookie"`, res.Header.Get("Cache-Control"))
				if tt.lasting {
					require.Equal(t, int(sm.Lifetime.Seconds())+1, cookie.MaxAge, "until the deadline, not the idle expiry")
				} else {
					require.Zero(t, cookie.MaxAge)
				}
				time.Sleep(10 * time.Minute)
				require.Empty(t, c.Get("/").Cookies())
				require.Empty(t, c.Ping().Cookies())

				res = c.Get("/logout")
				require.Equal(t, -1, res.Cookies()[0].MaxAge)
				_, _, found := apptest.Stored(t, sm, cookie.Value)
				require.False(t, found)
			})
		})
	}
}

func TestMergeSession(t *testing.T) {
	sm := newSessions()
	app := apptest.App(sm)
	app.HandleFunc("/merge", func(_ http.ResponseWriter, r *http.Request) {
		require.NoError(t, sm.MergeSession(r.Context(), r.URL.Query().Get("from")))
	})
	h := newManager(t, sm, keepalive.Config{}).LoadAndSave(app)
	a, b := &apptest.Client{Handler: h}, &apptest.Client{Handler: h}
	a.Get("/put?v=a")
	b.Get("/login")
	b.Get("/merge?from=" + a.Token)
	_, values, found := apptest.Stored(t, sm, b.Token)
	require.True(t, found)
	require.Equal(t, map[string]any{"v": "a", "user": "ann"}, values)
	_, _, found = apptest.Stored(t, sm, a.Token)
	require.False(t, found)
}

func TestSignInAfterSignOutInOneRequest(t *testing.T) {
	sm := newSessions()
	app := apptest.App(sm)
	app.HandleFunc("/switch", func(_ http.ResponseWriter, r *http.Request) {
		require.NoError(t, sm.Destroy(r.Context()))
		sm.Put(r.Context(), "user", "bob")
	})
	c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(app)}
	c.Get("/login")
	old := c.Token
	c.Get("/switch")
	require.NotEqual(t, old, c.Token)
	_, values, _ := apptest.Stored(t, sm, c.Token)
	require.Equal(t, map[string]any{"user": "bob"}, values)
	_, _, found := apptest.Stored(t, sm, old)
	require.False(t, found)
}

func TestHashedTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		sm.HashTokenInStore = true
		c := newClient(t, sm, keepalive.Config{})
		c.Get("/login")
		_, _, found := apptest.Stored(t, sm, c.Token)
		require.False(t, found)
		time.Sleep(15 * time.Minute)
		idle, _ := readTimes(t, c.Ping())
		require.Equal(t, 20*time.Minute, idle)
		time.Sleep(15 * time.Minute)
		require.Equal(t, http.StatusOK, c.Get("/put?v=x").StatusCode)
		idle, _ = readTimes(t, c.Get("/keepalive/ping"))
		require.Equal(t, 20*time.Minute, idle)
	})
}

// The session is saved by whatever sends the header first.
func TestSavedBeforeTheHeader(t *testing.T) {
	tests := []struct {
		name string
		send func(http.ResponseWriter) error
	}{
		{name: "nothing", send: func(http.ResponseWriter) error { return nil }},
		{name: "Write", send: func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err }},
		{name: "WriteHeader", send: func(w http.ResponseWriter) error { w.WriteHeader(http.StatusTeapot); return nil }},
		{name: "WriteString", send: func(w http.ResponseWriter) error { _, err := io.WriteString(w, "x"); return err }},
		{name: "ReadFrom", send: func(w http.ResponseWriter) error {
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
			return err
		}},
		{name: "Flusher", send: func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil }},
		{name: "ResponseController", send: func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }},
		{name: "early hints first", send: func(w http.ResponseWriter) error { w.WriteHeader(http.StatusEarlyHints); return nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			srv := httptest.NewServer(newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sm.Put(r.Context(), "v", "x")
				if err := tt.send(w); err != nil {
					panic(err)
				}
				sm.Put(r.Context(), "v", "too late, as with scs")
			})))
			defer srv.Close()
			res, err := srv.Client().Get(srv.URL)
			require.NoError(t, err)
			body(t, res)
			require.Len(t, res.Cookies(), 1)
			_, values, found := apptest.Stored(t, sm, res.Cookies()[0].Value)
			require.True(t, found)
			if tt.name != "nothing" && tt.name != "early hints first" {
				require.Equal(t, "x", values["v"])
			}
		})
	}
	t.Run("Hijack", func(t *testing.T) {
		sm := newSessions()
		token := make(chan string, 1)
		srv := httptest.NewServer(newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sm.Put(r.Context(), "v", "x")
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			token <- sm.Token(r.Context())
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
			_ = conn.Close()
		})))
		defer srv.Close()
		res, err := srv.Client().Get(srv.URL)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		_, values, _ := apptest.Stored(t, sm, <-token)
		require.Equal(t, "x", values["v"])
	})
}

func TestPanicSavesNothing(t *testing.T) {
	sm := newSessions()
	h := newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sm.Put(r.Context(), "v", "x")
		panic(http.ErrAbortHandler)
	}))
	w := httptest.NewRecorder()
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil)) })
	require.Empty(t, w.Result().Cookies())
	all, err := sm.Store.(scs.IterableStore).All()
	require.NoError(t, err)
	require.Empty(t, all)
}

// What a handler writes is saved although its client has hung up.
func TestSavedAfterTheClientHasGone(t *testing.T) {
	sm := newSessions()
	c := newClient(t, sm, keepalive.Config{})
	c.Get("/login")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Do(http.MethodGet, "/put?v=x", ctx, "")
	_, values, _ := apptest.Stored(t, sm, c.Token)
	require.Equal(t, "x", values["v"])
	c.Do(http.MethodGet, "/logout", ctx, "")
	all, err := sm.Store.(scs.IterableStore).All()
	require.NoError(t, err)
	require.Empty(t, all)
}

// hangUpStore lets the client hang up while a session is written.
type hangUpStore struct {
	*memstore.MemStore
	hangUp func()
}

func (s *hangUpStore) FindCtx(_ context.Context, key string) ([]byte, bool, error) {
	return s.Find(key)
}

func (s *hangUpStore) CommitCtx(ctx context.Context, key string, data []byte, expiry time.Time) error {
	if s.hangUp != nil {
		s.hangUp()
		select { // a store that ends with its context
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return s.Commit(key, data, expiry)
}

func (s *hangUpStore) DeleteCtx(_ context.Context, key string) error { return s.Delete(key) }

func TestSavedWhileTheClientHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		store := &hangUpStore{MemStore: memstore.NewWithCleanupInterval(0)}
		sm.Store = store
		c := newClient(t, sm, keepalive.Config{})
		c.Get("/login")
		ctx, cancel := context.WithCancel(t.Context())
		store.hangUp = cancel
		c.Do(http.MethodGet, "/put?v=x", ctx, "")
		_, values, _ := apptest.Stored(t, sm, c.Token)
		require.Equal(t, "x", values["v"])
	})
}

// A write that hangs ends some time after its client has gone, and the loss is
// reported.
func TestSaveThatHangsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []keepalive.Event
		sm := newSessions()
		store := &hangUpStore{MemStore: memstore.NewWithCleanupInterval(0)}
		sm.Store = store
		c := newClient(t, sm, keepalive.Config{Observer: sessionEvents(func(e keepalive.Event) { events = append(events, e) })})
		c.Get("/login")
		events = nil
		ctx, cancel := context.WithCancel(t.Context())
		store.hangUp = func() {
			cancel()
			time.Sleep(time.Minute)
		}
		c.Do(http.MethodGet, "/put?v=x", ctx, "")
		require.Equal(t, []keepalive.EventKind{keepalive.EventError}, kinds(events))
		require.ErrorIs(t, events[0].Err, context.Canceled)
	})
}

// An error of the store reaches the client as an error page, or as a ping that
// may be tried again, and never as a cookie.
func TestFailingStore(t *testing.T) {
	failure := errors.New("no route to the store")
	signIn := func(t *testing.T, log io.Writer) (*countingStore, *apptest.Client) {
		sm := newSessions()
		s := &countingStore{Store: memstore.NewWithCleanupInterval(0)}
		sm.Store = s
		sm.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "ErrorFunc: "+err.Error(), http.StatusInternalServerError)
		}
		app := apptest.App(sm)
		app.HandleFunc("/fail-then-write", func(w http.ResponseWriter, r *http.Request) {
			sm.Put(r.Context(), "v", "x")
			s.fail(failure)
			w.Header().Set("Content-Length", "4")
			w.WriteHeader(http.StatusAccepted)
			_, err := io.WriteString(w, "done")
			require.ErrorIs(t, err, failure)
		})
		app.HandleFunc("/fail-then-read", func(w http.ResponseWriter, _ *http.Request) {
			s.fail(failure)
			_, _ = io.WriteString(w, "done")
		})
		c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{Logger: logTo(log)}).LoadAndSave(app)}
		c.Get("/login")
		return s, c
	}
	t.Run("load", func(t *testing.T) {
		var log bytes.Buffer
		s, c := signIn(t, &log)
		s.fail(failure)
		res := c.Get("/")
		require.Equal(t, http.StatusInternalServerError, res.StatusCode)
		require.Contains(t, body(t, res), "ErrorFunc: no route to the store")
		require.Contains(t, log.String(), "no route to the store")
		require.NotContains(t, log.String(), c.Token)
		s.fail(nil)
		require.Equal(t, http.StatusOK, c.Get("/").StatusCode)
	})
	t.Run("save", func(t *testing.T) {
		_, c := signIn(t, io.Discard)
		res := c.Get("/fail-then-write")
		require.Equal(t, http.StatusInternalServerError, res.StatusCode)
		require.Equal(t, "ErrorFunc: no route to the store\n", body(t, res), "nothing of the handler's answer follows")
		require.Empty(t, res.Cookies())
	})
	t.Run("touch", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			s, c := signIn(t, &log)
			time.Sleep(5 * time.Minute)
			res := c.Get("/fail-then-read")
			require.Equal(t, http.StatusOK, res.StatusCode, "a page that only reads is served")
			require.Equal(t, "done", body(t, res))
			require.Contains(t, log.String(), "no route to the store")
			s.fail(nil)
			c.Get("/")
			idle, _ := readTimes(t, c.Get("/keepalive/ping"))
			require.Equal(t, 20*time.Minute, idle, "the next request touches again")
		})
	})
	t.Run("ping", func(t *testing.T) {
		var log bytes.Buffer
		s, c := signIn(t, &log)
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			s.fail(failure)
			res := c.Do(method, "/keepalive/ping", t.Context(), "")
			require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
			require.NotEmpty(t, res.Header.Get("Retry-After"))
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			require.Empty(t, res.Cookies())
			require.Contains(t, log.String(), "no route to the store")
			s.fail(nil)
			readTimes(t, c.Do(method, "/keepalive/ping", t.Context(), ""))
		}
	})
}

// immortalStore has a session past its deadline, as goredisstore does with one
// that is written too late.
type immortalStore struct{ keepalive.Store }

// A session past its deadline is gone, whatever the store says.
func TestPastItsDeadlineIsGone(t *testing.T) {
	sm := newSessions()
	newManager(t, sm, keepalive.Config{}) // makes the store a Store
	sm.Store = immortalStore{sm.Store.(keepalive.Store)}
	var log bytes.Buffer
	h := newManager(t, sm, keepalive.Config{Logger: logTo(&log)}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, sm.GetString(r.Context(), "user"))
	}))
	data, err := sm.Codec.Encode(time.Now().Add(-time.Second), map[string]any{"user": "ann"})
	require.NoError(t, err)
	require.NoError(t, sm.Store.Commit(unknownToken, data, time.Now().Add(time.Hour)))
	_, found, err := sm.Store.Find(unknownToken)
	require.NoError(t, err)
	require.True(t, found)
	c := &apptest.Client{Handler: h, Token: unknownToken}
	require.Empty(t, body(t, c.Get("/")))
	require.Equal(t, http.StatusUnauthorized, c.Ping().StatusCode)
	require.Equal(t, http.StatusUnauthorized, c.Get("/keepalive/ping").StatusCode)
	require.Empty(t, log.String())
}

func (s immortalStore) Find(string) ([]byte, bool, error) {
	data, err := shared.Codec.Encode(time.Now().Add(-time.Second), map[string]any{"user": "ann"})
	return data, true, err
}

func (s immortalStore) FindCtx(_ context.Context, key string) ([]byte, bool, error) {
	return s.Find(key)
}

func (s immortalStore) Touch(_ context.Context, _ string, idle time.Duration, deadline func([]byte) (time.Time, error)) (time.Time, bool, error) {
	data, _, _ := s.Find("")
	_, err := deadline(data)
	return time.Now().Add(idle), true, err
}

func (s immortalStore) Expiry(context.Context, string) (time.Time, bool, error) {
	return time.Now().Add(time.Hour), true, nil
}

// A logout with a message begins another session in the same request. It is
// reported as a logout, for audit logs.
func TestLogoutWithAMessage(t *testing.T) {
	sm := newSessions()
	var events []keepalive.Event
	km := newManager(t, sm, keepalive.Config{Observer: sessionEvents(func(e keepalive.Event) { events = append(events, e) })})
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
	require.Equal(t, []keepalive.EventKind{keepalive.EventDestroy, keepalive.EventStart, keepalive.EventSave}, kinds(events))
	require.Equal(t, old, events[0].Session)
	require.NotEqual(t, old, events[1].Session)
}

// Signing out when the session has ended before names that one, so that whoever
// keeps something for it, as package presence does, hears of the end.
func TestLogoutOfAnEndedSession(t *testing.T) {
	var events []keepalive.Event
	sm := newSessions()
	c := newClient(t, sm, keepalive.Config{Observer: sessionEvents(func(e keepalive.Event) { events = append(events, e) })})
	c.Get("/login")
	name := events[len(events)-1].Session
	require.NoError(t, sm.Store.Delete(c.Token))
	events = nil
	c.Get("/logout")
	require.Equal(t, []keepalive.EventKind{keepalive.EventGone, keepalive.EventDestroy}, kinds(events))
	require.Equal(t, name, events[1].Session)
}
