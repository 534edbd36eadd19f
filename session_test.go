package keepalive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
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

func TestCookies(t *testing.T) {
	type state struct{ persist, remember bool }
	tests := []struct {
		name    string
		state   state
		lasting bool
	}{
		{name: "persistent", state: state{persist: true}, lasting: true},
		{name: "for the browser's life", state: state{}},
		{name: "remembered", state: state{remember: true}, lasting: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sm := newSessions()
				sm.Cookie.Persist = tt.state.persist
				app := apptest.App(sm)
				app.HandleFunc("/remember", func(w http.ResponseWriter, r *http.Request) {
					sm.Put(r.Context(), "user", "ann")
					if tt.state.remember {
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
		c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
		c.Get("/login")
		_, _, found := apptest.Stored(t, sm, c.Token)
		require.False(t, found)
		time.Sleep(15 * time.Minute)
		idle, _ := readAnswer(t, c.Ping())
		require.Equal(t, 20*time.Minute, idle)
		time.Sleep(15 * time.Minute)
		require.Equal(t, http.StatusOK, c.Get("/put?v=x").StatusCode)
		idle, _ = readAnswer(t, c.Get("/keepalive/ping"))
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

// stuckStore keeps a session longer than it was told to, as goredisstore does
// with one that is written past its deadline.
type stuckStore struct{ keepalive.Store }

func TestPastItsDeadlineIsGone(t *testing.T) {
	sm := newSessions()
	newManager(t, sm, keepalive.Config{}) // makes the store a Store
	sm.Store = stuckStore{sm.Store.(keepalive.Store)}
	var log bytes.Buffer
	h := newManager(t, sm, keepalive.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, sm.GetString(r.Context(), "user"))
	}))
	data, err := sm.Codec.Encode(time.Now().Add(-time.Second), map[string]any{"user": "ann"})
	require.NoError(t, err)
	require.NoError(t, sm.Store.Commit("k", data, time.Now().Add(time.Hour)))
	require.True(t, found(sm.Store.Find("k")))
	c := &apptest.Client{Handler: h, Token: "k"}
	require.Empty(t, body(t, c.Get("/")))
	require.Equal(t, http.StatusUnauthorized, c.Ping().StatusCode)
	require.Equal(t, http.StatusUnauthorized, c.Get("/keepalive/ping").StatusCode)
	require.Empty(t, log.String())
}

// Find and the rest answer as if there were no deadline.
func (s stuckStore) Find(string) ([]byte, bool, error) {
	data, err := shared.Codec.Encode(time.Now().Add(-time.Second), map[string]any{"user": "ann"})
	return data, true, err
}

func (s stuckStore) FindCtx(_ context.Context, key string) ([]byte, bool, error) { return s.Find(key) }

func (s stuckStore) Touch(_ context.Context, _ string, idle time.Duration, deadline func([]byte) (time.Time, error)) (time.Time, bool, error) {
	data, _, _ := s.Find("")
	_, err := deadline(data)
	return time.Now().Add(idle), true, err
}

func (s stuckStore) Expiry(context.Context, string) (time.Time, bool, error) {
	return time.Now().Add(time.Hour), true, nil
}

func found(_ []byte, found bool, err error) bool { return found && err == nil }

// A session that ends while a request modifies it stays ended: no cookie, no
// script, and the Observer hears of it.
func TestLostWrite(t *testing.T) {
	var events []keepalive.Event
	sm := newSessions()
	app := apptest.App(sm)
	var h http.Handler
	app.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		sm.Put(r.Context(), "v", "late")
		(&apptest.Client{Handler: h, Token: sm.Token(r.Context())}).Get("/logout")
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, page)
	})
	h = newManager(t, sm, keepalive.Config{Observer: func(e keepalive.Event) { events = append(events, e) }}).LoadAndSave(app)
	c := &apptest.Client{Handler: h}
	c.Get("/login")
	res := c.Get("/slow")
	require.Empty(t, res.Cookies())
	require.Equal(t, page, body(t, res))
	var kinds []keepalive.EventKind
	for _, e := range events {
		kinds = append(kinds, e.Kind)
		require.NotContains(t, e.Session, c.Token)
	}
	require.Equal(t, []keepalive.EventKind{keepalive.EventSave, keepalive.EventDestroy, keepalive.EventLost}, kinds)
	require.Equal(t, events[0].Session, events[2].Session)
}

// Who keeps something by a session's name hears when that changes.
func TestRenewedName(t *testing.T) {
	var events []keepalive.Event
	sm := newSessions()
	h := newManager(t, sm, keepalive.Config{Observer: func(e keepalive.Event) { events = append(events, e) }}).LoadAndSave(apptest.App(sm))
	c := &apptest.Client{Handler: h}
	c.Get("/login")
	c.Get("/renew")
	var kinds []keepalive.EventKind
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	require.Equal(t, []keepalive.EventKind{keepalive.EventSave, keepalive.EventRenew, keepalive.EventSave}, kinds)
	require.Equal(t, events[0].Session, events[1].Session)
	require.NotEqual(t, events[0].Session, events[2].Session)
}

func TestFailingStore(t *testing.T) {
	broken := errors.New("no route to the store")
	newBroken := func(t *testing.T, log io.Writer) (*countingStore, *apptest.Client, *http.Cookie) {
		sm := newSessions()
		s := &countingStore{Store: memstore.NewWithCleanupInterval(0)}
		sm.Store = s
		sm.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "ErrorFunc: "+err.Error(), http.StatusInternalServerError)
		}
		app := apptest.App(sm)
		app.HandleFunc("/breaks", func(w http.ResponseWriter, r *http.Request) {
			sm.Put(r.Context(), "v", "x")
			s.fail(broken)
			w.Header().Set("Content-Length", "4")
			w.WriteHeader(http.StatusAccepted)
			_, err := io.WriteString(w, "done")
			require.ErrorIs(t, err, broken)
		})
		app.HandleFunc("/breaks-reading", func(w http.ResponseWriter, _ *http.Request) {
			s.fail(broken)
			_, _ = io.WriteString(w, "done")
		})
		c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}).LoadAndSave(app)}
		return s, c, c.Get("/login").Cookies()[0]
	}
	t.Run("load", func(t *testing.T) {
		var log bytes.Buffer
		s, c, _ := newBroken(t, &log)
		s.fail(broken)
		res := c.Get("/")
		require.Equal(t, http.StatusInternalServerError, res.StatusCode)
		require.Contains(t, body(t, res), "ErrorFunc: no route to the store")
		require.Contains(t, log.String(), "no route to the store")
		require.NotContains(t, log.String(), c.Token)
		s.fail(nil)
		require.Equal(t, http.StatusOK, c.Get("/").StatusCode)
	})
	t.Run("save", func(t *testing.T) {
		_, c, _ := newBroken(t, io.Discard)
		res := c.Get("/breaks")
		require.Equal(t, http.StatusInternalServerError, res.StatusCode)
		require.Equal(t, "ErrorFunc: no route to the store\n", body(t, res), "nothing of the handler's answer follows")
		require.Empty(t, res.Cookies())
	})
	t.Run("touch", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			s, c, _ := newBroken(t, &log)
			time.Sleep(5 * time.Minute)
			res := c.Get("/breaks-reading")
			require.Equal(t, http.StatusOK, res.StatusCode, "a page that only reads is served")
			require.Equal(t, "done", body(t, res))
			require.Contains(t, log.String(), "no route to the store")
			s.fail(nil)
			c.Get("/")
			idle, _ := readAnswer(t, c.Get("/keepalive/ping"))
			require.Equal(t, 20*time.Minute, idle, "the next request touches again")
		})
	})
	t.Run("ping", func(t *testing.T) {
		var log bytes.Buffer
		s, c, _ := newBroken(t, &log)
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			s.fail(broken)
			res := c.Do(method, "/keepalive/ping", t.Context(), "")
			require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
			require.NotEmpty(t, res.Header.Get("Retry-After"))
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			require.Empty(t, res.Cookies())
			require.Contains(t, log.String(), "no route to the store")
			s.fail(nil)
			readAnswer(t, c.Do(method, "/keepalive/ping", t.Context(), ""))
		}
	})
}

// What a handler has written is kept although its client has hung up.
func TestSavedAfterTheClientHasGone(t *testing.T) {
	sm := newSessions()
	c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
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

// An app matches events to what its requests have stored, by the session's name.
func TestSessionName(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		sm := newSessions()
		sm.HashTokenInStore = hashed
		var names, told []string
		km := newManager(t, sm, keepalive.Config{Observer: func(e keepalive.Event) { told = append(told, string(e.Kind)+" "+e.Session) }})
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
		require.Equal(t, "ping "+name, told[len(told)-1])
		c.Get("/renewed")
		require.NotEqual(t, name, names[3])
		require.Equal(t, []string{"renew " + name, "save " + names[3]}, told[len(told)-2:])
		c.Get("/logout")
		require.Equal(t, "destroy "+names[3], told[len(told)-1])
		require.Empty(t, km.SessionName(t.Context()))
	}
}
