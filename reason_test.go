package keepalive_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// Each end of a session is reported once, with its reason as far as the process knows
// it, and with the session's name.
func TestEnds(t *testing.T) {
	get := func(path string) func(*apptest.Client, *apptest.Client) {
		return func(c, _ *apptest.Client) { c.Get(path) }
	}
	pingFor := func(d time.Duration) func(*apptest.Client, *apptest.Client) {
		return func(c, _ *apptest.Client) {
			for range d / (10 * time.Minute) {
				time.Sleep(10 * time.Minute)
				c.Ping()
			}
		}
	}
	tests := []struct {
		name string
		end  func(c, elsewhere *apptest.Client)
		wait time.Duration
		want []keepalive.Reason
	}{
		{name: "logout", end: get("/logout"), want: []keepalive.Reason{keepalive.ReasonLogout}},
		{name: "idle", end: get("/"), wait: 20*time.Minute + time.Second, want: []keepalive.Reason{keepalive.ReasonIdle}},
		{name: "idle after pings", end: pingFor(time.Hour), wait: 20*time.Minute + time.Second, want: []keepalive.Reason{keepalive.ReasonIdle}},
		{name: "idle, long ago", end: get("/put"), wait: 24 * time.Hour, want: []keepalive.Reason{keepalive.ReasonIdle}},
		{name: "lifetime", end: pingFor(12 * time.Hour), want: []keepalive.Reason{keepalive.ReasonLifetime}},
		{name: "the app's deadline", end: get("/deadline"), wait: time.Minute, want: []keepalive.Reason{keepalive.ReasonLifetime}},
		{name: "logout elsewhere", end: func(_, elsewhere *apptest.Client) { elsewhere.Get("/logout") }, want: []keepalive.Reason{keepalive.ReasonUnknown}},
		{name: "renewed elsewhere", end: func(_, elsewhere *apptest.Client) { elsewhere.Get("/renew") }, want: []keepalive.Reason{keepalive.ReasonUnknown}},
		{name: "renewed", end: get("/renew")},
	}
	for _, tt := range tests {
		for _, path := range []string{"/", "/logout", "/keepalive/ping", "/keepalive/frame"} {
			t.Run(tt.name+", "+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var reasons []keepalive.Reason
					var names []string
					sm := newSessions()
					c := newClient(t, sm, keepalive.Config{NoScript: true, Observer: func(e keepalive.Event) {
						switch e.Kind {
						case keepalive.EventDestroy, keepalive.EventGone:
							if e.Reason != "" {
								require.Contains(t, e.Kind.Reasons(), e.Reason)
								reasons = append(reasons, e.Reason)
							}
							fallthrough
						case keepalive.EventStart:
							names = append(names, e.Session)
						}
					}})
					c.Get("/login")
					old := c.Token
					tt.end(c, &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm)), Token: old})
					time.Sleep(tt.wait)
					for range 2 {
						c.Token = old
						c.Get(path)
					}
					require.Equal(t, tt.want, reasons)
					require.GreaterOrEqual(t, len(names), 3)
					for _, name := range names {
						require.Equal(t, names[0], name)
					}
				})
			})
		}
	}
}

// A session that this process has not seen before, or that the store keeps for too
// long, and a request that names none.
func TestEndsOfOtherSessions(t *testing.T) {
	var ends []string
	cfg := keepalive.Config{Observer: sessionEvents(func(e keepalive.Event) { ends = append(ends, string(e.Kind+" "+keepalive.EventKind(e.Reason))) })}
	sm := newSessions()
	c := newClient(t, sm, cfg)
	c.Ping()
	c.Get("/")
	c.Token = unknownToken
	c.Ping()
	newManager(t, sm, keepalive.Config{}) // makes the store a Store
	sm = newSessions()
	newManager(t, sm, keepalive.Config{})
	sm.Store = immortalStore{sm.Store.(keepalive.Store)}
	for _, path := range []string{"/", "/keepalive/ping"} {
		c = newClient(t, sm, cfg)
		c.Token = unknownToken
		c.Get(path)
	}
	require.Equal(t, []string{"gone ", "gone unknown", "gone lifetime", "gone lifetime"}, ends)
}

// Events of writes have the user, as the request left the session, and that of a logout
// the user who has signed out.
func TestUserOfEvents(t *testing.T) {
	var log []string
	sm := newSessions()
	c := newClient(t, sm, keepalive.Config{
		Salt:     "salt",
		Identify: func(ctx context.Context) string { return sm.GetString(ctx, "user") },
		Observer: sessionEvents(func(e keepalive.Event) { log = append(log, string(e.Kind)+" "+e.User) }),
	})
	for _, path := range []string{"/put?v=x", "/login", "/put?v=y", "/", "/logout", "/logout", "/login"} {
		c.Get(path)
	}
	require.Equal(t, []string{"start ", "save ", "renew ann", "save ann", "save ann", "destroy ann", "destroy ", "start ann", "save ann"}, log)
}

// What an endpoint refuses is reported with the reason.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name, method, path, body, site string
		want                           keepalive.Reason
		status                         int
	}{
		{name: "ping from elsewhere", method: "POST", path: "ping", site: "cross-site", want: keepalive.ReasonOrigin, status: 403},
		{name: "frame from elsewhere", method: "GET", path: "frame", site: "cross-site", want: keepalive.ReasonOrigin, status: 403},
		{name: "method of a ping", method: "PUT", path: "ping", want: keepalive.ReasonMethod, status: 405},
		{name: "method of the script", method: "POST", path: "keepalive.js", want: keepalive.ReasonMethod, status: 405},
		{name: "no number", method: "POST", path: "ping", body: "inactive=x", want: keepalive.ReasonBody, status: 400},
		{name: "no form", method: "POST", path: "ping", body: "%", want: keepalive.ReasonBody, status: 400},
		{name: "no tab", method: "POST", path: "here", body: "page=/", want: keepalive.ReasonBody, status: 400},
		{name: "no endpoint", method: "GET", path: "other", want: keepalive.ReasonPath, status: 404},
		{name: "accepted", method: "POST", path: "ping", status: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var reasons []keepalive.Reason
			var session string
			sm := newSessions()
			h := newManager(t, sm, keepalive.Config{NoScript: true, Presence: keepalive.PresencePath, Observer: func(e keepalive.Event) {
				if e.Kind == keepalive.EventRefused {
					require.Contains(t, e.Kind.Reasons(), e.Reason)
					reasons, session = append(reasons, e.Reason), e.Session
				}
			}}).LoadAndSave(apptest.App(sm))
			r := httptest.NewRequest(tt.method, "/keepalive/"+tt.path, strings.NewReader(tt.body))
			r.AddCookie(&http.Cookie{Name: "session", Value: newToken(t, sm)})
			if tt.site != "" {
				r.Header.Set("Sec-Fetch-Site", tt.site)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, tt.status, w.Code)
			if tt.want == "" {
				require.Empty(t, reasons)
				return
			}
			require.Equal(t, []keepalive.Reason{tt.want}, reasons)
			require.NotEmpty(t, session)
		})
	}
}

// Each call of the store is reported with its time, also one that fails.
func TestStoreCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow = time.Second
		var calls []string
		var last keepalive.Event
		sm := newSessions()
		store := &countingStore{Store: sleepyStore{sm.Store, slow}}
		sm.Store = store
		c := newClient(t, sm, keepalive.Config{Observer: func(e keepalive.Event) {
			if e.Kind == keepalive.EventStore {
				require.NotPanics(t, func() { _ = e.Request.URL.Path })
				require.Panics(t, func() { sm.Status(e.Request.Context()) }, "scs holds the session's lock")
				require.NotEmpty(t, e.Session)
				calls, last = append(calls, e.Call), e
			}
		}})
		requireCalls := func(want ...string) {
			t.Helper()
			require.Equal(t, want, calls)
			require.NoError(t, last.Err)
			calls = nil
		}
		c.Get("/login")
		requireCalls("commit")
		require.Equal(t, slow, last.Took)
		c.Get("/")
		requireCalls("find")
		require.Equal(t, slow, last.Took)
		time.Sleep(5 * time.Minute)
		c.Get("/")
		requireCalls("find", "touch")
		c.Ping()
		requireCalls("touch")
		c.Get("/put?v=x")
		requireCalls("find", "swap")
		c.Get("/renew")
		requireCalls("find", "delete", "commit")
		store.fail(errors.New("no route"))
		c.Ping()
		require.Equal(t, "touch", last.Call)
		require.EqualError(t, last.Err, "no route")
		store.fail(nil)
		calls = nil
		c.Get("/logout")
		requireCalls("find", "delete")
	})
}

// sleepyStore takes its time.
type sleepyStore struct {
	scs.Store
	time time.Duration
}

func (s sleepyStore) Find(key string) ([]byte, bool, error) {
	time.Sleep(s.time)
	return s.Store.Find(key)
}

func (s sleepyStore) Commit(key string, data []byte, expiry time.Time) error {
	time.Sleep(s.time)
	return s.Store.Commit(key, data, expiry)
}

// Events cost nothing where nobody observes them.
func TestNoObserverNoAllocation(t *testing.T) {
	tests := []struct {
		name, method, path, contentType string
		limit                           float64 // what it was before there were so many events
	}{
		{name: "page", method: "GET", path: "/", contentType: "text/html", limit: 7},
		{name: "JSON", method: "GET", path: "/", contentType: "application/json", limit: 7},
		{name: "ping", method: "POST", path: "/keepalive/ping", limit: 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			types, content := []string{tt.contentType}, []byte(page)
			h := newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = types
				_, _ = w.Write(content)
			}))
			r := httptest.NewRequest(tt.method, tt.path, nil)
			r.Header.Set("Cookie", "session="+newToken(t, sm))
			w := &apptest.Sink{Headers: make(http.Header)}
			require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
				clear(w.Headers)
				h.ServeHTTP(w, r)
			}), tt.limit)
		})
	}
}
