package keepalive_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// Which pages get the script: those with a session at the time of their header.
func TestWhoGetsTheScript(t *testing.T) {
	const live, among, dead, others, none = "live", "among others", "dead", "others", "none"
	type step = func(sm *scs.SessionManager, w http.ResponseWriter, ctx context.Context)
	nothing := func(*scs.SessionManager, http.ResponseWriter, context.Context) {}
	login := func(sm *scs.SessionManager, _ http.ResponseWriter, ctx context.Context) { sm.Put(ctx, "user", "bob") }
	renew := func(sm *scs.SessionManager, _ http.ResponseWriter, ctx context.Context) { _ = sm.RenewToken(ctx) }
	logout := func(sm *scs.SessionManager, _ http.ResponseWriter, ctx context.Context) { _ = sm.Destroy(ctx) }
	other := func(_ *scs.SessionManager, w http.ResponseWriter, _ context.Context) {
		http.SetCookie(w, &http.Cookie{Name: "other", Value: "1"})
	}
	tests := []struct {
		name    string
		cookie  string
		do      step
		cfg     keepalive.Config
		own     int // tags with LoadAndSave
		cookies int // tags with Inject around scs, which goes by cookies alone
	}{
		{name: "live session", cookie: live, do: nothing, own: 1, cookies: 1},
		{name: "no session", cookie: none, do: nothing},
		{name: "no session, other cookie", cookie: none, do: other},
		{name: "live session, other cookies before", cookie: among, do: nothing, own: 1, cookies: 1},
		{name: "other cookies only", cookie: others, do: nothing},
		{name: "cookie of a session that has ended", cookie: dead, do: nothing, own: 0, cookies: 1},
		{name: "begins in this response", cookie: none, do: login, own: 1, cookies: 1},
		{name: "begins anew", cookie: dead, do: login, own: 1, cookies: 1},
		{name: "renewed", cookie: live, do: renew, own: 1, cookies: 1},
		{name: "modified", cookie: live, do: login, own: 1, cookies: 1},
		{name: "destroyed", cookie: live, do: logout},
		{name: "live, other cookie", cookie: live, do: other, own: 1, cookies: 1},
		{name: "passive", cookie: live, do: nothing, cfg: keepalive.Config{Passive: func(*http.Request) bool { return true }}, own: 0, cookies: 1},
		{name: "skipped", cookie: live, do: nothing, cfg: keepalive.Config{Skip: func(*http.Request) bool { return true }}},
		{name: "skipped although anonymous", cookie: live, do: nothing, cfg: keepalive.Config{Anonymous: true, Skip: func(*http.Request) bool { return true }}},
		{name: "not skipped", cookie: live, do: nothing, cfg: keepalive.Config{Skip: func(r *http.Request) bool { return r.URL.Path != "/" }}, own: 1, cookies: 1},
		{name: "anonymous", cookie: none, do: nothing, cfg: keepalive.Config{Anonymous: true}, own: 1, cookies: 1},
		{name: "anonymous, destroyed", cookie: live, do: logout, cfg: keepalive.Config{Anonymous: true}, own: 1, cookies: 1},
	}
	for _, tt := range tests {
		for _, hints := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{true: ", after early hints"}[hints], func(t *testing.T) {
				sm := newSessions()
				km := newManager(t, sm, tt.cfg)
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/html")
					if hints {
						w.WriteHeader(http.StatusEarlyHints) // no answer yet: what follows counts
					}
					tt.do(sm, w, r.Context())
					write(w, doc)
				})
				for i, handler := range []http.Handler{km.LoadAndSave(h), km.Inject(sm.LoadAndSave(h))} {
					if hints && i == 1 {
						continue // scs saves the session there, and what follows is lost
					}
					header := map[string]string{
						live:   "Cookie: session=" + newToken(t, sm) + "\r\n",
						among:  "Cookie: a=1; b\r\nCookie: xsession=; c=session=;  session=" + newToken(t, sm) + "; d=2\r\n",
						dead:   "Cookie: session=" + strings.Repeat("A", 43) + "\r\n",
						others: "Cookie: a=1; xsession=2; sessions=3; Session=4; b=session=5; session=\r\n",
					}[tt.cookie]
					page, tags := untag(serve(t, handler).fetch(t, "HTTP/1.1", "GET", "/", header).body)
					require.Equal(t, doc, page)
					require.Equal(t, []int{tt.own, tt.cookies}[i], tags)
				}
			})
		}
	}
}

// Wrapped more than once, also with other middleware between, a page gets one
// tag, and the session is there.
func TestWrappedTwice(t *testing.T) {
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{})
	cookie := "Cookie: session=" + newToken(t, sm) + "\r\n"
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		respond(0, doc, "Content-Type", "text/html", "User", sm.GetString(r.Context(), "user"), "Content-Length", strconv.Itoa(len(doc)))(w, r)
	})
	ls, in := km.LoadAndSave, km.Inject
	hiding := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Minute, "") }
	tests := []struct {
		name string
		h    http.Handler
	}{
		{name: "once", h: ls(h)},
		{name: "LoadAndSave in LoadAndSave", h: ls(ls(h))},
		{name: "Inject in LoadAndSave", h: ls(in(h))},
		{name: "LoadAndSave in Inject", h: in(ls(h))},
		{name: "Inject in Inject", h: in(in(ls(h)))},
		{name: "three times", h: ls(in(ls(h)))},
		{name: "with middleware between", h: ls(gzipping(ls(h)))},
		{name: "with middleware between, Inject", h: ls(gzipping(in(h)))},
		{name: "with middleware between, LoadAndSave in Inject", h: in(gzipping(ls(h)))},
		{name: "with a writer between that can't be unwrapped", h: ls(hiding(ls(h)))},
		{name: "with a writer between that can't be unwrapped, Inject", h: ls(hiding(in(h)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, header := range []string{"", forPage} {
				got := serve(t, tt.h).fetch(t, "HTTP/1.1", "GET", "/", cookie+header)
				require.Equal(t, 200, got.status)
				require.Equal(t, []string{"ann"}, got.header["User"])
				page, tags := untag(got.body)
				require.Equal(t, doc, page)
				require.Equal(t, 1, tags)
				require.Equal(t, "none", got.header.Get("Accept-Ranges"))
				require.Equal(t, 1, strings.Count(strings.Join(got.header["Vary"], ","), "Cookie"))
			}
		})
	}
}

func TestContentSecurityPolicy(t *testing.T) {
	const csp, report = "Content-Security-Policy", "Content-Security-Policy-Report-Only"
	tests := []struct {
		name   string
		header []string
		nonce  string
		warns  bool
		framed bool // Config.NoScript
	}{
		{name: "none"},
		{name: "own origin", header: []string{csp, "default-src 'none'; script-src 'self'; connect-src 'self'"}},
		{name: "nonce", header: []string{csp, "script-src 'nonce-abc123=='"}, nonce: "abc123=="},
		{name: "nonce for elements", header: []string{csp, "script-src 'nonce-no'; script-src-elem 'nonce-yes' 'strict-dynamic'"}, nonce: "yes"},
		{name: "report only", header: []string{report, "script-src 'nonce-abc'"}, nonce: "abc"},
		{name: "report only that blocks", header: []string{report, "default-src 'none'"}},
		{name: "no scripts", header: []string{csp, "script-src 'none'"}, warns: true},
		{name: "no fetches", header: []string{csp, "script-src 'nonce-abc'; connect-src 'none'"}, nonce: "abc", warns: true},
		{name: "no frames", header: []string{csp, "frame-src 'none'"}},
		{name: "no frames, but one is there", header: []string{csp, "frame-src 'none'"}, framed: true, warns: true},
		{name: "frames", header: []string{csp, "default-src 'none'; script-src 'self'; connect-src 'self'; frame-src 'self'"}, framed: true},
		{name: "not a nonce", header: []string{csp, `script-src 'nonce-"><script>'`}, warns: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var logged bytes.Buffer
			km := newManager(t, newSessions(), keepalive.Config{Anonymous: true, NoScript: tt.framed, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
			h := respond(200, doc, append(html, tt.header...)...)
			bare, ours := serve(t, h), serve(t, km.Inject(h))
			for _, proto := range protocols { // the policy too stays as it is
				tagged(t, bare.fetch(t, proto, "GET", "/", ""), ours.fetch(t, proto, "GET", "/", ""))
			}
			tag := tagPattern.FindString(ours.fetch(t, "HTTP/1.1", "GET", "/", "").body)
			if tt.nonce == "" {
				require.NotContains(t, tag, "nonce")
			} else {
				require.Contains(t, tag, ` nonce="`+tt.nonce+`"`)
			}
			warnings := strings.Count(logged.String(), "Content-Security-Policy")
			require.Equal(t, tt.warns, warnings == 1, logged.String())
			require.LessOrEqual(t, warnings, 1)
		})
	}
}

// What a handler does to the session before it takes the connection over is
// saved, and the cookie is in the header that goes before.
func TestUpgradeSavesTheSession(t *testing.T) {
	sm := newSessions()
	ours := serve(t, newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sm.Put(r.Context(), "user", "bob")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		hijacking(func(w http.ResponseWriter) { w.WriteHeader(http.StatusSwitchingProtocols) })(w, r)
	})))
	got := ours.fetch(t, "HTTP/1.1", "GET", "/", "")
	require.Equal(t, http.StatusSwitchingProtocols, got.status)
	cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	require.NoError(t, err)
	_, values, found := apptest.Stored(t, sm, cookie.Value)
	require.True(t, found)
	require.Equal(t, "bob", values["user"])
}

// A flushed page gets the nonce that its header had.
func TestNonceOfAFlushedPage(t *testing.T) {
	h := everywhere(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "script-src 'nonce-abc'")
		flushing(18)(w, r)
	}))
	require.Contains(t, serve(t, h).fetch(t, "HTTP/1.1", "GET", "/", "").body, `nonce="abc"`)
}

// The slices in a header may be shared by all the handler's responses.
func TestHeaderValuesAreLeftAlone(t *testing.T) {
	shared := map[string][]string{
		"Content-Type": {"text/html"}, "Content-Length": {strconv.Itoa(len(doc))}, "Etag": {`"x"`}, "Accept-Ranges": {"bytes"},
	}
	h := serve(t, everywhere(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range shared {
			w.Header()[name] = values
		}
		write(w, doc)
	})))
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() { h.fetch(t, "HTTP/1.1", "GET", "/", "") })
	}
	running.Wait()
	require.Equal(t, []string{"text/html", strconv.Itoa(len(doc)), `"x"`, "bytes"}, []string{shared["Content-Type"][0], shared["Content-Length"][0], shared["Etag"][0], shared["Accept-Ranges"][0]})
}

// Requests don't see each other's pages.
func TestManyAtOnce(t *testing.T) {
	sm := newSessions()
	cookie := "session=" + newToken(t, sm)
	srv := httptest.NewServer(newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for _, c := range doc + r.URL.Path {
			_, _ = io.WriteString(w, string(c))
		}
		_, _ = io.Copy(w, strings.NewReader(strings.Repeat(r.URL.Path, 1000)))
	})))
	defer srv.Close()
	var running sync.WaitGroup
	failed := make(chan string, 1000)
	for i := range 40 {
		running.Go(func() {
			path := "/" + strings.Repeat(string(rune('a'+i%26)), i+1)
			for range 10 {
				r, _ := http.NewRequest("GET", srv.URL+path, nil)
				r.Header.Set("Cookie", cookie)
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					failed <- err.Error()
					return
				}
				b, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if page, tags := untag(string(b)); page != doc+path+strings.Repeat(path, 1000) || tags != 1 {
					failed <- path
				}
			}
		})
	}
	running.Wait()
	require.Empty(t, failed)
}
