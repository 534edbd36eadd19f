package keepalive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// A ping answers with a status that says whether there is a live session.
func TestPing(t *testing.T) {
	sm := newSessions()
	signedIn := newClient(t, sm, keepalive.Config{})
	signedIn.Get("/login")
	tests := []struct {
		name, method, token, body string
		header                    map[string]string
		status                    int
	}{
		{name: "POST", method: "POST", token: signedIn.Token, status: 200},
		{name: "GET", method: "GET", token: signedIn.Token, status: 200},
		{name: "HEAD", method: "HEAD", token: signedIn.Token, status: 200},
		{name: "beacon", method: "POST", token: signedIn.Token, body: "inactive=5", header: map[string]string{"Content-Type": "text/plain;charset=UTF-8"}, status: 200},
		{name: "same origin", method: "POST", token: signedIn.Token, header: map[string]string{"Sec-Fetch-Site": "same-origin"}, status: 200},
		{name: "no cookie", method: "POST", status: 401},
		{name: "unknown token", method: "POST", token: unknownToken, status: 401},
		{name: "GET with an unknown token", method: "GET", token: unknownToken, status: 401},
		{name: "cross-site", method: "POST", token: signedIn.Token, header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403},
		{name: "same site, other origin", method: "POST", token: signedIn.Token, header: map[string]string{"Sec-Fetch-Site": "same-site"}, status: 403},
		{name: "old browser, other origin", method: "POST", token: signedIn.Token, header: map[string]string{"Origin": "https://other.example"}, status: 403},
		{name: "PUT", method: "PUT", token: signedIn.Token, status: 405},
		{name: "DELETE without a session", method: "DELETE", status: 405},
		{name: "inactive is no number", method: "POST", token: signedIn.Token, body: "inactive=soon", status: 400},
		{name: "body too long", method: "POST", token: signedIn.Token, body: strings.Repeat("x", 5<<10), status: 400},
		{name: "body that is no form", method: "POST", token: signedIn.Token, body: "%zz", status: 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "http://app.example/keepalive/ping", strings.NewReader(tt.body))
			r.AddCookie(&http.Cookie{Name: "session", Value: tt.token})
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			signedIn.Handler.ServeHTTP(w, r)
			res := w.Result()
			require.Equal(t, tt.status, res.StatusCode)
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			require.Empty(t, res.Cookies())
			switch tt.status {
			case 200:
				require.Equal(t, "application/json", res.Header.Get("Content-Type"))
				require.Regexp(t, `^\{"idleMs":\d+,"lifetimeMs":\d+\}$`, w.Body.String())
			case 405:
				require.Equal(t, "GET, HEAD, POST", res.Header.Get("Allow"))
			}
		})
	}
	all, err := sm.Store.(scs.IterableStore).All()
	require.NoError(t, err)
	require.Len(t, all, 1, "a ping never creates a session")
}

// The idle timeout counts from the last input that the page reports.
func TestInactiveShortensAPing(t *testing.T) {
	tests := []struct {
		name, body string
		wait       time.Duration
		left       time.Duration
	}{
		{name: "none", body: "", wait: 10 * time.Minute, left: 20 * time.Minute},
		{name: "other fields", body: "path=/x", wait: 10 * time.Minute, left: 20 * time.Minute},
		{name: "five minutes", body: "inactive=300000", wait: 10 * time.Minute, left: 15 * time.Minute},
		{name: "never backwards", body: "inactive=900000", wait: 10 * time.Minute, left: 10 * time.Minute},
		{name: "longer than the idle timeout", body: "inactive=86400000", wait: 10 * time.Minute, left: 10 * time.Minute},
		{name: "longer than any number of nanoseconds", body: "inactive=9223372036854775807", wait: 10 * time.Minute, left: 10 * time.Minute},
		{name: "never beyond now", body: "inactive=-86400000", wait: 10 * time.Minute, left: 20 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sm := newSessions()
				c := newClient(t, sm, keepalive.Config{})
				c.Get("/login")
				time.Sleep(tt.wait)
				idle, _ := readTimes(t, c.Do(http.MethodPost, "/keepalive/ping", t.Context(), tt.body))
				require.Equal(t, tt.left, idle)
			})
		})
	}
}

// Where scs's LoadAndSave is kept, persistent cookies last as long as the idle
// timeout, so each ping sends them again.
func TestHandlerBesideSCS(t *testing.T) {
	tests := []struct {
		name              string
		persist, remember bool
		cookies           int
	}{
		{name: "persistent", persist: true, cookies: 1},
		{name: "for the browser's life"},
		{name: "remembered", remember: true, cookies: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				sm := newSessions()
				sm.Cookie.Persist = tt.persist
				km := newManager(t, sm, keepalive.Config{Logger: logTo(&log)})
				app := apptest.App(sm)
				app.HandleFunc("/remember", func(_ http.ResponseWriter, r *http.Request) { sm.RememberMe(r.Context(), tt.remember) })
				mux := http.NewServeMux()
				mux.Handle(km.Path(), km.Handler())
				mux.Handle("/", km.Inject(sm.LoadAndSave(app)))
				c := &apptest.Client{Handler: mux}
				c.Get("/remember")
				require.Contains(t, body(t, c.Get("/")), "/keepalive/keepalive.")
				for range 6 {
					time.Sleep(15 * time.Minute)
					res := c.Ping()
					require.Equal(t, http.StatusOK, res.StatusCode)
					require.Len(t, res.Cookies(), tt.cookies)
					for _, cookie := range res.Cookies() {
						require.Greater(t, cookie.MaxAge, int((15 * time.Minute).Seconds()))
						require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
					}
					require.Empty(t, c.Get("/keepalive/ping").Cookies(), "a GET sends none")
				}
				require.Empty(t, log.String())
			})
		})
	}
}

func TestUnknownEndpoint(t *testing.T) {
	sm := newSessions()
	c := newClient(t, sm, keepalive.Config{})
	require.Equal(t, http.StatusNotFound, c.Get("/keepalive/").StatusCode)
	require.Equal(t, http.StatusNotFound, c.Get("/keepalive/other").StatusCode)
	require.Equal(t, http.StatusMethodNotAllowed, c.Do("POST", "/keepalive/keepalive.js", t.Context(), "").StatusCode)
}

func TestPayload(t *testing.T) {
	sm := newSessions()
	calls := 0
	cfg := keepalive.Config{Payload: func(ctx context.Context, r *http.Request) (any, error) {
		calls++
		return map[string]string{"ctx": sm.GetString(ctx, "user"), "r": sm.GetString(r.Context(), "user"), "path": r.URL.Path}, nil
	}}
	const data = `^\{"idleMs":\d+,"lifetimeMs":\d+,"data":\{"ctx":"ann","path":"/keepalive/ping","r":"ann"\}\}$`
	srv := wiretest.Serve(t, newManager(t, sm, cfg).LoadAndSave(apptest.App(sm)))
	cookie := "Cookie: session=" + newToken(t, sm) + "\r\n"
	tests := []struct {
		name, method, header string
		status               int
		want                 string
	}{
		{name: "POST", method: "POST", header: cookie, status: 200, want: data},
		{name: "GET", method: "GET", header: cookie, status: 200, want: data},
		{name: "no session", method: "POST", status: 401, want: `^\{"gone":true\}$`},
		{name: "GET without a session", method: "GET", header: "Cookie: session=" + unknownToken + "\r\n", status: 401, want: `^\{"gone":true\}$`},
		{name: "another origin", method: "POST", header: cookie + "Sec-Fetch-Site: cross-site\r\n", status: 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls = 0
			got := srv.Fetch(t, "HTTP/1.1", tt.method, "/keepalive/ping", tt.header)
			require.Equal(t, tt.status, got.Status)
			require.Regexp(t, tt.want, got.Body)
			require.Equal(t, tt.status == 200, calls == 1)
			require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
		})
	}
}

// After an error of Payload a ping answers without data.
func TestPayloadErrors(t *testing.T) {
	failure := errors.New("no tokens left")
	tests := []struct {
		name    string
		payload func(context.Context, *http.Request) (any, error)
		want    string // in the error
	}{
		{name: "error", payload: func(context.Context, *http.Request) (any, error) { return "dropped", failure }, want: failure.Error()},
		{name: "no JSON", payload: func(context.Context, *http.Request) (any, error) { return func() {}, nil }, want: "unsupported type"},
		{name: "no JSON after the first value", payload: func(context.Context, *http.Request) (any, error) { return []any{"x", func() {}}, nil }, want: "unsupported type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			var errs []keepalive.Event
			sm := newSessions()
			cfg := keepalive.Config{Payload: tt.payload, Logger: logTo(&log), Observer: func(e keepalive.Event) {
				if e.Kind == keepalive.EventError {
					errs = append(errs, e)
				}
			}}
			c := &apptest.Client{Handler: newManager(t, sm, cfg).LoadAndSave(apptest.App(sm))}
			c.Get("/login")
			for _, method := range []string{"POST", "GET"} {
				res := c.Do(method, "/keepalive/ping", t.Context(), "")
				require.Equal(t, http.StatusOK, res.StatusCode)
				require.Regexp(t, `^\{"idleMs":\d+,"lifetimeMs":\d+\}$`, body(t, res))
			}
			require.Len(t, errs, 2)
			require.ErrorContains(t, errs[0].Err, tt.want)
			require.NotEmpty(t, errs[0].Session)
			require.Equal(t, 2, strings.Count(log.String(), "level=ERROR"), log.String())
			require.Contains(t, log.String(), "session="+errs[0].Session)
		})
	}
}

// A nil payload is data too: null in JSON.
func TestPayloadThatIsNil(t *testing.T) {
	sm := newSessions()
	c := newClient(t, sm, keepalive.Config{Payload: func(context.Context, *http.Request) (any, error) { return nil, nil }})
	c.Get("/login")
	require.Regexp(t, `,"data":null\}$`, body(t, c.Ping()))
}

// What Payload writes is dropped, and logged once. Inside scs's LoadAndSave
// nothing is logged, because there a session counts as modified from the start.
func TestPayloadThatWrites(t *testing.T) {
	for _, writes := range []bool{true, false} {
		t.Run(fmt.Sprint(writes), func(t *testing.T) {
			var log bytes.Buffer
			sm := newSessions()
			km := newManager(t, sm, keepalive.Config{Logger: logTo(&log), Payload: func(ctx context.Context, _ *http.Request) (any, error) {
				if writes {
					sm.Put(ctx, "user", "eve")
				}
				return sm.GetString(ctx, "user"), nil
			}})
			c := &apptest.Client{Handler: km.LoadAndSave(apptest.App(sm))}
			c.Get("/login")
			for range 3 {
				require.Contains(t, body(t, c.Ping()), `"data":"`)
			}
			_, values, _ := apptest.Stored(t, sm, c.Token)
			require.Equal(t, "ann", values["user"])
			require.Equal(t, writes, strings.Count(log.String(), "Config.Payload modified") == 1, log.String())

			log.Reset()
			mux := apptest.App(sm)
			mux.Handle(km.Path(), km.Handler())
			inside := &apptest.Client{Handler: sm.LoadAndSave(mux), Token: c.Token}
			require.Equal(t, http.StatusOK, inside.Ping().StatusCode)
			require.NotContains(t, log.String(), "Config.Payload modified")
		})
	}
}

// unreadableStore is a store whose sessions end between a touch and a read, or
// which fails there.
type unreadableStore struct {
	keepalive.Store
	err error
}

func (s unreadableStore) Find(string) ([]byte, bool, error) { return nil, false, s.err }

func (s unreadableStore) FindCtx(context.Context, string) ([]byte, bool, error) { return s.Find("") }

// Payload is not called for a session that ends while the ping is answered.
func TestPayloadOfASessionThatEnds(t *testing.T) {
	tests := []struct {
		name   string
		err    error // of the store
		status int
		kind   keepalive.EventKind
	}{
		{name: "gone", status: 401, kind: keepalive.EventGone},
		{name: "failing", err: io.ErrUnexpectedEOF, status: 503, kind: keepalive.EventError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			newManager(t, sm, keepalive.Config{}) // makes the store a Store
			c := &apptest.Client{Token: newToken(t, sm)}
			sm.Store = unreadableStore{sm.Store.(keepalive.Store), tt.err}
			var last keepalive.EventKind
			c.Handler = newManager(t, sm, keepalive.Config{
				Observer: func(e keepalive.Event) { last = e.Kind },
				Payload:  func(context.Context, *http.Request) (any, error) { panic("called without a session") },
			}).LoadAndSave(apptest.App(sm))
			res := c.Ping()
			require.Equal(t, tt.status, res.StatusCode)
			require.Equal(t, tt.kind, last)
			require.Equal(t, tt.status == 503, res.Header.Get("Retry-After") != "")
		})
	}
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
