package keepalive_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// What becomes of each response that may be a page is logged once, with the reason.
// internal/inject tests the reasons that lie in the response.
func TestTracePages(t *testing.T) {
	const inserted, skipped = "script=true reason=", "script=false reason="
	tests := []struct {
		name    string
		cfg     keepalive.Config
		guest   bool // without a session
		handler http.HandlerFunc
		want    string // "" for no line
	}{
		{name: "page", handler: wiretest.RespondHTML(0, page), want: inserted + "session"},
		{name: "anonymous", cfg: keepalive.Config{Anonymous: true}, guest: true, handler: wiretest.RespondHTML(0, page), want: inserted + "Config.Anonymous"},
		{name: "flushed page", handler: flushWithin(page), want: inserted + "session"},
		{name: "no session", guest: true, handler: wiretest.RespondHTML(0, page), want: skipped + `"no session"`},
		{name: "passive", cfg: keepalive.Config{Passive: func(*http.Request) bool { return true }}, handler: wiretest.RespondHTML(0, page), want: skipped + "Config.Passive"},
		{name: "passive, by activity", cfg: keepalive.Config{Mode: keepalive.UserActive, Passive: func(*http.Request) bool { return true }}, handler: wiretest.RespondHTML(0, page), want: inserted + "session"},
		{name: "skipped", cfg: keepalive.Config{Skip: func(*http.Request) bool { return true }}, handler: wiretest.RespondHTML(0, page), want: skipped + "Config.Skip"},
		{name: "bad configuration", cfg: keepalive.Config{Path: "/other/"}, handler: wiretest.RespondHTML(0, page), want: skipped + `"the configuration, as was logged"`},
		{name: "fragment", handler: wiretest.RespondHTML(0, "<p>x"), want: skipped + `"not a whole document"`},
		{name: "redirect", handler: wiretest.RespondHTML(302, page), want: skipped + "status"},
		{name: "JSON", handler: wiretest.Respond(0, "{}", "Content-Type", "application/json")},
		{name: "skipped JSON", cfg: keepalive.Config{Skip: func(*http.Request) bool { return true }}, handler: wiretest.Respond(0, "{}", "Content-Type", "application/json")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, twice := range []bool{false, true} { // then only the outer one decides, and logs
				var log bytes.Buffer
				var pages []keepalive.Event
				sm := newSessions()
				tt.cfg.Logger = debugTo(&log)
				tt.cfg.Observer = func(e keepalive.Event) {
					if e.Kind == keepalive.EventInject || e.Kind == keepalive.EventSkip {
						pages = append(pages, e)
					}
				}
				km := newManager(t, sm, tt.cfg)
				if tt.name == "bad configuration" {
					sm.Cookie.Path = "/app"
				}
				h := km.LoadAndSave(tt.handler)
				if twice {
					if h = km.Inject(h); tt.name == "passive" {
						continue // Inject goes by cookies alone
					}
				}
				r := httptest.NewRequest("GET", "/some/page", nil)
				if !tt.guest {
					r.AddCookie(&http.Cookie{Name: "session", Value: newToken(t, sm)})
				}
				h.ServeHTTP(httptest.NewRecorder(), r)
				if tt.want == "" {
					require.NotContains(t, log.String(), "keepalive: page")
					require.Empty(t, pages)
					continue
				}
				require.Equal(t, 1, strings.Count(log.String(), "keepalive: page"), log.String())
				require.Contains(t, log.String(), `level=DEBUG msg="keepalive: page" `+tt.want)
				require.Contains(t, log.String(), "path=/some/page")
				require.Len(t, pages, 1)
				require.Contains(t, tt.want, pages[0].Reason)
				require.Contains(t, pages[0].Kind.Reasons(), pages[0].Reason)
				require.Equal(t, strings.HasPrefix(tt.want, inserted), pages[0].Kind == keepalive.EventInject)
				require.Equal(t, tt.guest, pages[0].Session == "")
			}
		})
	}
}

// flushWithin writes a page and flushes after its first bytes.
func flushWithin(page string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, page[:18])
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, page[18:])
	}
}

// What happens to a session is logged with its name, which is neither its token
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
				Logger:   debugTo(&log),
				Passive:  func(r *http.Request) bool { return r.URL.RawQuery == "passive" },
			})
			c := &apptest.Client{Handler: km.LoadAndSave(apptest.App(sm))}
			var tokens []string
			requireLogged := func(want ...string) {
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
			requireLogged("keepalive: save", "expiry=", "deadline=")
			c.Get("/")
			requireLogged(`msg="keepalive: no touch"`, `reason="gains too little"`)
			time.Sleep(5 * time.Minute)
			c.Get("/?passive")
			requireLogged(`msg="keepalive: no touch"`, "reason=passive", "reason=Config.Passive")
			c.Get("/")
			requireLogged(`msg="keepalive: touch"`, "expiry=")
			c.Ping()
			requireLogged(`msg="keepalive: ping"`, "method=POST")
			c.Get("/keepalive/frame")
			requireLogged(`msg="keepalive: ping"`, "path=/keepalive/frame")
			s.fail(errors.New("no route"))
			c.Ping()
			requireLogged(`msg="keepalive: error"`, "level=ERROR")
			s.fail(nil)
			token := c.Token
			c.Get("/logout")
			requireLogged(`msg="keepalive: destroy"`)
			c.Token = token
			c.Ping()
			requireLogged(`msg="keepalive: gone"`)
		})
	}
}

// A session that ends while a request modifies it stays ended: there is no cookie
// and no script, and the Observer receives EventLost.
func TestLostWrite(t *testing.T) {
	var events []keepalive.Event
	sm := newSessions()
	app := apptest.App(sm)
	var h http.Handler
	app.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		sm.Put(r.Context(), "v", "late")
		(&apptest.Client{Handler: h, Token: sm.Token(r.Context())}).Get("/logout")
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, apptest.Page)
	})
	h = newManager(t, sm, keepalive.Config{Observer: sessionEvents(func(e keepalive.Event) { events = append(events, e) })}).LoadAndSave(app)
	c := &apptest.Client{Handler: h}
	c.Get("/login")
	res := c.Get("/slow")
	require.Empty(t, res.Cookies())
	require.Equal(t, apptest.Page, body(t, res))
	require.Equal(t, []keepalive.EventKind{keepalive.EventStart, keepalive.EventSave, keepalive.EventDestroy, keepalive.EventLost}, kinds(events))
	for _, e := range events {
		require.NotContains(t, e.Session, c.Token)
	}
	require.Equal(t, events[0].Session, events[3].Session)
}

// The Observer receives the old name of a session that is renewed, and then the
// new one.
func TestRenewedName(t *testing.T) {
	var events []keepalive.Event
	sm := newSessions()
	c := newClient(t, sm, keepalive.Config{Observer: sessionEvents(func(e keepalive.Event) { events = append(events, e) })})
	c.Get("/login")
	c.Get("/renew")
	require.Equal(t, []keepalive.EventKind{keepalive.EventStart, keepalive.EventSave, keepalive.EventRenew, keepalive.EventSave}, kinds(events))
	require.Equal(t, events[0].Session, events[2].Session)
	require.NotEqual(t, events[0].Session, events[3].Session)
}
