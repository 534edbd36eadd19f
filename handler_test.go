package keepalive_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

func TestPing(t *testing.T) {
	sm := newSessions()
	h := newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))
	in := &apptest.Client{Handler: h}
	in.Get("/login")
	tests := []struct {
		name, method, token, body string
		header                    map[string]string
		status                    int
	}{
		{name: "POST", method: "POST", token: in.Token, status: 200},
		{name: "GET", method: "GET", token: in.Token, status: 200},
		{name: "HEAD", method: "HEAD", token: in.Token, status: 200},
		{name: "beacon", method: "POST", token: in.Token, body: "inactive=5", header: map[string]string{"Content-Type": "text/plain;charset=UTF-8"}, status: 200},
		{name: "same origin", method: "POST", token: in.Token, header: map[string]string{"Sec-Fetch-Site": "same-origin"}, status: 200},
		{name: "no cookie", method: "POST", status: 401},
		{name: "unknown token", method: "POST", token: "forged", status: 401},
		{name: "look with an unknown token", method: "GET", token: "forged", status: 401},
		{name: "cross-site", method: "POST", token: in.Token, header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403},
		{name: "same site, other origin", method: "POST", token: in.Token, header: map[string]string{"Sec-Fetch-Site": "same-site"}, status: 403},
		{name: "old browser, other origin", method: "POST", token: in.Token, header: map[string]string{"Origin": "https://other.example"}, status: 403},
		{name: "PUT", method: "PUT", token: in.Token, status: 405},
		{name: "DELETE without a session", method: "DELETE", status: 405},
		{name: "inactive is no number", method: "POST", token: in.Token, body: "inactive=soon", status: 400},
		{name: "body too long", method: "POST", token: in.Token, body: strings.Repeat("x", 5<<10), status: 400},
		{name: "body that is no form", method: "POST", token: in.Token, body: "%zz", status: 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "http://app.example/keepalive/ping", strings.NewReader(tt.body))
			r.AddCookie(&http.Cookie{Name: "session", Value: tt.token})
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			res := w.Result()
			require.Equal(t, tt.status, res.StatusCode)
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			require.Empty(t, res.Cookies())
			switch tt.status {
			case 200:
				require.Equal(t, "application/json", res.Header.Get("Content-Type"))
				require.Regexp(t, regexp.MustCompile(`^\{"idleMs":\d+,"lifetimeMs":\d+\}$`), w.Body.String())
			case 405:
				require.Equal(t, "GET, HEAD, POST", res.Header.Get("Allow"))
			}
		})
	}
	all, err := sm.Store.(scs.IterableStore).All()
	require.NoError(t, err)
	require.Len(t, all, 1, "a ping never creates a session")
}

// By hand, beside scs's LoadAndSave: persistent cookies there last as long as
// the idle timeout, so each ping sends them again.
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
				km := newManager(t, sm, keepalive.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
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
					require.Empty(t, c.Get("/keepalive/ping").Cookies(), "a look sends none")
				}
				require.Empty(t, log.String())
			})
		})
	}
}

func TestInsideSCS(t *testing.T) {
	for _, name := range []string{"Handler", "LoadAndSave"} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			sm := newSessions()
			km := newManager(t, sm, keepalive.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
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

func TestAroundSCS(t *testing.T) {
	var log bytes.Buffer
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c := &apptest.Client{Handler: km.LoadAndSave(sm.LoadAndSave(apptest.App(sm)))}
	c.Get("/login")
	c.Get("/put?v=x")
	c.Get("/logout")
	require.Equal(t, 1, strings.Count(log.String(), "runs inside keepalive's LoadAndSave"), log.String())
}

func TestUnknownEndpoint(t *testing.T) {
	sm := newSessions()
	c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
	require.Equal(t, http.StatusNotFound, c.Get("/keepalive/").StatusCode)
	require.Equal(t, http.StatusNotFound, c.Get("/keepalive/other").StatusCode)
	require.Equal(t, http.StatusMethodNotAllowed, c.Do("POST", "/keepalive/keepalive.js", t.Context(), "").StatusCode)
}

func TestScript(t *testing.T) {
	sm := newSessions()
	c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{WarnBefore: 2 * time.Minute}).LoadAndSave(apptest.App(sm))}
	c.Get("/login")
	found := regexp.MustCompile(`<script src="([^"]+)" defer data-idle="1200000" data-warn="120000"></script>`).FindStringSubmatch(body(t, c.Get("/")))
	require.NotNil(t, found)
	src := found[1]
	want, err := os.ReadFile("client/keepalive.min.js")
	require.NoError(t, err)

	request := func(target, encoding, tag string) *http.Response {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Accept-Encoding", encoding)
		if tag != "" {
			r.Header.Set("If-None-Match", tag)
		}
		w := httptest.NewRecorder()
		c.Handler.ServeHTTP(w, r)
		return w.Result()
	}
	tests := []struct {
		name, target, encoding string
		gzipped, immutable     bool
	}{
		{name: "plain", target: src, immutable: true},
		{name: "gzip", target: src, encoding: "gzip, deflate, br", gzipped: true, immutable: true},
		{name: "gzip by weight", target: src, encoding: "br;q=1, gzip;q=0.2", gzipped: true, immutable: true},
		{name: "any", target: src, encoding: "*", gzipped: true, immutable: true},
		{name: "no gzip", target: src, encoding: "gzip;q=0, *", immutable: true},
		{name: "old page", target: "/keepalive/keepalive.AAAAAAAAAAAA.js"},
		{name: "page before the hash was in the path", target: "/keepalive/keepalive.js?v=old"},
		{name: "no hash", target: "/keepalive/keepalive.js", encoding: "gzip", gzipped: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := request(tt.target, tt.encoding, "")
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Equal(t, "text/javascript; charset=utf-8", res.Header.Get("Content-Type"))
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			require.Equal(t, "Accept-Encoding", res.Header.Get("Vary"))
			require.Equal(t, tt.immutable, strings.Contains(res.Header.Get("Cache-Control"), "immutable"))
			require.Equal(t, !tt.immutable, res.Header.Get("Cache-Control") == "no-cache")
			var got io.Reader = res.Body
			if tt.gzipped {
				require.Equal(t, "gzip", res.Header.Get("Content-Encoding"))
				got, err = gzip.NewReader(res.Body)
				require.NoError(t, err)
			}
			b, err := io.ReadAll(got)
			require.NoError(t, err)
			require.Equal(t, string(want), string(b))
			require.Equal(t, http.StatusNotModified, request(tt.target, tt.encoding, res.Header.Get("ETag")).StatusCode)
		})
	}
	plain, zipped := request(src, "", "").Header.Get("ETag"), request(src, "gzip", "").Header.Get("ETag")
	require.NotEqual(t, plain, zipped)
}
