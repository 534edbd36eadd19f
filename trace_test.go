package keepalive_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// Each response that may be a page says once what became of it.
func TestTracePages(t *testing.T) {
	const yes, no = "script=true reason=", "script=false reason="
	tests := []struct {
		name    string
		method  string
		cfg     keepalive.Config
		nobody  bool
		handler http.HandlerFunc
		want    string // "" for no line
	}{
		{name: "page", handler: respond(0, doc, html...), want: yes + "session"},
		{name: "anonymous", cfg: keepalive.Config{Anonymous: true}, nobody: true, handler: respond(0, doc, html...), want: yes + "Config.Anonymous"},
		{name: "flushed page", handler: flushing(18), want: yes + "session"},
		{name: "no session", nobody: true, handler: respond(0, doc, html...), want: no + `"no session"`},
		{name: "passive", cfg: keepalive.Config{Passive: func(*http.Request) bool { return true }}, handler: respond(0, doc, html...), want: no + "Config.Passive"},
		{name: "skipped", cfg: keepalive.Config{Skip: func(*http.Request) bool { return true }}, handler: respond(0, doc, html...), want: no + "Config.Skip"},
		{name: "bad configuration", cfg: keepalive.Config{Path: "/other/"}, handler: respond(0, doc, html...), want: no + `"the configuration`},
		{name: "fragment", handler: respond(0, "<p>x", html...), want: no + `"not a whole document"`},
		{name: "open comment", handler: respond(0, "<!doctype html><!--", html...), want: no + `"not a whole document"`},
		{name: "empty", handler: respond(0, "", html...), want: no + `"no body"`},
		{name: "HEAD", method: "HEAD", handler: respond(0, "", html...), want: no + `"no body"`},
		{name: "no type, text", handler: respond(0, " "+strings.Repeat(" ", 600)+doc), want: no + `"no Content-Type, and net/http takes it`},
		{name: "no type, flushed", handler: func(w http.ResponseWriter, _ *http.Request) {
			write(w, doc[:5])
			w.(http.Flusher).Flush()
		}, want: no + `"no Content-Type, and net/http takes it`},
		{name: "no type but encoded", handler: respond(0, doc, "Content-Encoding", "br"), want: no + `"no Content-Type, but encoded"`},
		{name: "redirect", handler: respond(302, doc, html...), want: no + "status"},
		{name: "compressed", handler: respond(0, doc, "Content-Type", "text/html", "Content-Encoding", "gzip"), want: no + `"Content-Encoding`},
		{name: "no-transform", handler: respond(0, doc, "Content-Type", "text/html", "Cache-Control", "no-transform"), want: no + `"Cache-Control`},
		{name: "attachment", handler: respond(0, doc, "Content-Type", "text/html", "Content-Disposition", "attachment"), want: no + `"Content-Disposition`},
		{name: "range", handler: respond(200, doc, "Content-Type", "text/html", "Content-Range", "bytes 0-9/10"), want: no + "Content-Range"},
		{name: "digest", handler: respond(200, doc, "Content-Type", "text/html", "Digest", "x"), want: no + "digest"},
		{name: "UTF-16", handler: respond(0, doc, "Content-Type", "text/html; charset=utf-16"), want: no + `"Content-Type`},
		{name: "two types", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{"text/html", "text/html"}
		}, want: no + `"not one Content-Type"`},
		{name: "JSON", handler: respond(0, "{}", "Content-Type", "application/json")},
		{name: "skipped JSON", cfg: keepalive.Config{Skip: func(*http.Request) bool { return true }}, handler: respond(0, "{}", "Content-Type", "application/json")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, twice := range []bool{false, true} { // the outer one decides, and only it speaks
				var log bytes.Buffer
				sm := newSessions()
				tt.cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				km := newManager(t, sm, tt.cfg)
				if tt.name == "bad configuration" {
					sm.Cookie.Path = "/app"
				}
				h := km.LoadAndSave(tt.handler)
				if twice {
					if h = km.Inject(h); tt.name == "passive" {
						continue // Inject knows nothing of sessions
					}
				}
				r := httptest.NewRequest(tt.method, "/some/page", nil)
				if !tt.nobody {
					r.AddCookie(&http.Cookie{Name: "session", Value: newToken(t, sm)})
				}
				h.ServeHTTP(httptest.NewRecorder(), r)
				if tt.want == "" {
					require.NotContains(t, log.String(), "keepalive: page")
					continue
				}
				require.Equal(t, 1, strings.Count(log.String(), "keepalive: page"), log.String())
				require.Contains(t, log.String(), `level=DEBUG msg="keepalive: page" `+tt.want)
				require.Contains(t, log.String(), "path=/some/page")
			}
		})
	}
}

// What becomes of a session is told under its name, which is neither its token
// nor its key.
func TestTraceSessions(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			sm := newSessions()
			sm.HashTokenInStore = hashed
			s := &countingStore{Store: sm.Store}
			sm.Store = s
			km := newManager(t, sm, keepalive.Config{
				NoScript: true,
				Logger:   slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				Passive:  func(r *http.Request) bool { return r.URL.RawQuery == "passive" },
			})
			c := &apptest.Client{Handler: km.LoadAndSave(apptest.App(sm))}
			var tokens []string
			said := func(want ...string) {
				t.Helper()
				if c.Token != "" {
					tokens = append(tokens, c.Token)
				}
				all := log.String()
				log.Reset()
				for _, token := range tokens {
					sum := sha256.Sum256([]byte(token))
					require.NotContains(t, all, token)
					require.NotContains(t, all, base64.RawURLEncoding.EncodeToString(sum[:]))
				}
				for _, w := range want {
					require.Equal(t, 1, strings.Count(all, w), all)
				}
				require.Regexp(t, ` session=[0-9a-f]{16} `, all)
			}
			c.Get("/login")
			said("keepalive: save", "expiry=", "deadline=")
			c.Get("/")
			said(`msg="keepalive: no touch"`, `reason="gains too little"`)
			time.Sleep(5 * time.Minute)
			c.Get("/?passive")
			said(`msg="keepalive: no touch"`, "reason=passive", "reason=Config.Passive")
			c.Get("/")
			said(`msg="keepalive: touch"`, "expiry=")
			c.Ping()
			said(`msg="keepalive: ping"`, "method=POST")
			c.Get("/keepalive/frame")
			said(`msg="keepalive: ping"`, "path=/keepalive/frame")
			s.fail(errors.New("no route"))
			c.Ping()
			said(`msg="keepalive: error"`, "level=ERROR")
			s.fail(nil)
			token := c.Token
			c.Get("/logout")
			said(`msg="keepalive: destroy"`)
			c.Token = token
			c.Ping()
			said(`msg="keepalive: gone"`)
		})
	}
}
