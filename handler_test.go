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

// Every answer below Path, errors too, can be told from that of something in
// between, and no page of another origin can load or frame it.
func TestHeadersOfEveryAnswer(t *testing.T) {
	sm := newSessions()
	store := &countingStore{Store: sm.Store}
	sm.Store = store
	km := newManager(t, sm, keepalive.Config{NoScript: true, Presence: keepalive.PresencePath})
	mux := http.NewServeMux()
	mux.Handle("/off/", http.StripPrefix("/off", newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))))
	mux.Handle("/stripped/", http.StripPrefix("/stripped/", km.Handler()))
	mux.Handle("/", km.LoadAndSave(apptest.App(sm)))
	srv := wiretest.Serve(t, mux)
	cookie := "Cookie: session=" + newToken(t, sm) + "\r\n"
	tests := []struct {
		request, header string
		fails           bool // the store
		status          int
	}{
		{request: "GET /keepalive/ping", header: cookie, status: 200},
		{request: "HEAD /keepalive/ping", header: cookie, status: 200},
		{request: "POST /keepalive/ping", header: cookie, status: 200},
		{request: "POST /stripped/ping", header: cookie, status: 200},
		{request: "POST /keepalive/ping", header: cookie + "Content-Length: 12\r\n\r\ninactive=x", status: 400},
		{request: "POST /keepalive/ping", status: 401},
		{request: "GET /keepalive/ping", status: 401},
		{request: "POST /keepalive/ping", header: cookie + "Sec-Fetch-Site: same-site\r\n", status: 403},
		{request: "PUT /keepalive/ping", header: cookie, status: 405},
		{request: "OPTIONS /keepalive/ping", status: 405},
		{request: "POST /keepalive/ping", header: cookie, fails: true, status: 503},
		{request: "GET /keepalive/frame", header: cookie, status: 200},
		{request: "GET /keepalive/frame", status: 401},
		{request: "GET /keepalive/frame", header: cookie + "Sec-Fetch-Site: cross-site\r\n", status: 403},
		{request: "GET /off/keepalive/frame", header: cookie, status: 404},
		{request: "POST /keepalive/frame", header: cookie, status: 405},
		{request: "GET /keepalive/frame", header: cookie, fails: true, status: 503},
		{request: "GET /keepalive/keepalive.js", status: 200},
		{request: "GET /keepalive/keepalive.debug.js", status: 200},
		{request: "GET /keepalive/dialog.old.js", status: 200},
		{request: "GET /keepalive/extras.old.js", status: 200},
		{request: "GET /keepalive/keepalive.js", header: "Range: bytes=0-9\r\n", status: 206},
		{request: "GET /keepalive/keepalive.js", header: "Range: bytes=9999999-\r\n", status: 416},
		{request: "GET /keepalive/keepalive.js", header: "If-None-Match: *\r\n", status: 304},
		{request: "POST /keepalive/keepalive.js", status: 405},
		{request: "GET /keepalive/dialog", status: 200},
		{request: "DELETE /keepalive/dialog", status: 405},
		{request: "POST /keepalive/here", header: cookie + "Content-Length: 7\r\n\r\ntab=a", status: 204},
		{request: "POST /keepalive/here", header: cookie, status: 400},
		{request: "POST /keepalive/here", status: 401},
		{request: "POST /keepalive/leave", header: "Sec-Fetch-Site: cross-site\r\n", status: 403},
		{request: "POST /off/keepalive/here", header: cookie, status: 404},
		{request: "GET /keepalive/leave", header: cookie, status: 405},
		{request: "POST /keepalive/here", header: cookie + "Content-Length: 7\r\n\r\ntab=a", fails: true, status: 503},
		{request: "GET /keepalive/", header: cookie, status: 404},
		{request: "GET /keepalive/x", header: cookie, status: 404},
		{request: "GET /keepalive/ping/", header: cookie, status: 404},
		{request: "GET /keepalive/%2Fframe", header: cookie, status: 404},
	}
	for _, tt := range tests {
		for _, proto := range wiretest.Protocols {
			method, path, _ := strings.Cut(tt.request, " ")
			if strings.Contains(tt.header, "\r\n\r\n") && proto == "HTTP/2.0" {
				continue // Fetch sends bodies over HTTP/1 only
			}
			t.Run(fmt.Sprintf("%s %d %s", tt.request, tt.status, proto), func(t *testing.T) {
				if tt.fails {
					store.fail(errors.New("no route to the store"))
					defer store.fail(nil)
				}
				got := srv.Fetch(t, proto, method, path, tt.header)
				require.Equal(t, tt.status, got.Status)
				require.Equal(t, []string{"1"}, got.Header["Keepalive"])
				if strings.HasSuffix(path, "/ping") && tt.status == http.StatusUnauthorized {
					require.Equal(t, `{"gone":true}`, got.Body)
					require.Equal(t, "application/json", got.Header.Get("Content-Type"))
				}
				require.Equal(t, []string{"same-origin"}, got.Header["Cross-Origin-Resource-Policy"])
				if strings.HasSuffix(path, "keepalive/frame") && tt.status != http.StatusNotFound {
					require.Equal(t, []string{"SAMEORIGIN"}, got.Header["X-Frame-Options"])
					require.Contains(t, got.Header.Get("Content-Security-Policy"), "frame-ancestors 'self'")
				} else {
					require.Equal(t, []string{"DENY"}, got.Header["X-Frame-Options"])
				}
			})
		}
	}
}

// An endpoint has one path. http.ServeMux redirects to it, other routers may not.
func TestOnePathForEachEndpoint(t *testing.T) {
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{NoScript: true})
	srv := httptest.NewServer(km.LoadAndSave(apptest.App(sm)))
	defer srv.Close()
	stripped := httptest.NewServer(http.StripPrefix("/keepalive", km.Handler()))
	defer stripped.Close()
	token := newToken(t, sm)
	for _, path := range []string{"/", "//", "/./", "/%2F", "/x/"} {
		for _, name := range []string{"ping", "frame", "dialog", "keepalive.js"} {
			for _, url := range []string{srv.URL, stripped.URL} {
				r, err := http.NewRequest(http.MethodGet, url+"/keepalive"+path+name, nil)
				require.NoError(t, err)
				r.AddCookie(&http.Cookie{Name: "session", Value: token})
				res, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				require.Equal(t, path == "/", res.StatusCode == http.StatusOK, r.URL.Path)
				require.Equal(t, path != "/", res.StatusCode == http.StatusNotFound, r.URL.Path)
			}
		}
	}
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
				Observer: sessionEvents(func(e keepalive.Event) { last = e.Kind }),
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
