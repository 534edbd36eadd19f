package keepalive_test

import (
	"bytes"
	"context"
	"io"
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
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// The pages that have a session when their header goes out get the script.
func TestWhoGetsTheScript(t *testing.T) {
	const live, among, dead, others, none = "live", "among others", "dead", "others", "none"
	type action = func(sm *scs.SessionManager, w http.ResponseWriter, ctx context.Context)
	nothing := func(*scs.SessionManager, http.ResponseWriter, context.Context) {}
	login := func(sm *scs.SessionManager, _ http.ResponseWriter, ctx context.Context) { sm.Put(ctx, "user", "bob") }
	renew := func(sm *scs.SessionManager, _ http.ResponseWriter, ctx context.Context) { _ = sm.RenewToken(ctx) }
	logout := func(sm *scs.SessionManager, _ http.ResponseWriter, ctx context.Context) { _ = sm.Destroy(ctx) }
	otherCookie := func(_ *scs.SessionManager, w http.ResponseWriter, _ context.Context) {
		http.SetCookie(w, &http.Cookie{Name: "other", Value: "1"})
	}
	tests := []struct {
		name   string
		cookie string
		do     action
		cfg    keepalive.Config
		// How many scripts the page has.
		loadAndSave int
		inject      int // around scs: by cookies alone
	}{
		{name: "live session", cookie: live, do: nothing, loadAndSave: 1, inject: 1},
		{name: "no session", cookie: none, do: nothing},
		{name: "no session, other cookie", cookie: none, do: otherCookie},
		{name: "live session, other cookies before", cookie: among, do: nothing, loadAndSave: 1, inject: 1},
		{name: "other cookies only", cookie: others, do: nothing},
		{name: "cookie of a session that has ended", cookie: dead, do: nothing, loadAndSave: 0, inject: 1},
		{name: "begins in this response", cookie: none, do: login, loadAndSave: 1, inject: 1},
		{name: "begins anew", cookie: dead, do: login, loadAndSave: 1, inject: 1},
		{name: "renewed", cookie: live, do: renew, loadAndSave: 1, inject: 1},
		{name: "modified", cookie: live, do: login, loadAndSave: 1, inject: 1},
		{name: "destroyed", cookie: live, do: logout},
		{name: "live, other cookie", cookie: live, do: otherCookie, loadAndSave: 1, inject: 1},
		{name: "passive", cookie: live, do: nothing, cfg: keepalive.Config{Passive: func(*http.Request) bool { return true }}, loadAndSave: 0, inject: 1},
		{name: "skipped", cookie: live, do: nothing, cfg: keepalive.Config{Skip: func(*http.Request) bool { return true }}},
		{name: "skipped although anonymous", cookie: live, do: nothing, cfg: keepalive.Config{Anonymous: true, Skip: func(*http.Request) bool { return true }}},
		{name: "not skipped", cookie: live, do: nothing, cfg: keepalive.Config{Skip: func(r *http.Request) bool { return r.URL.Path != "/" }}, loadAndSave: 1, inject: 1},
		{name: "anonymous", cookie: none, do: nothing, cfg: keepalive.Config{Anonymous: true}, loadAndSave: 1, inject: 1},
		{name: "anonymous, destroyed", cookie: live, do: logout, cfg: keepalive.Config{Anonymous: true}, loadAndSave: 1, inject: 1},
	}
	for _, tt := range tests {
		for _, hints := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{true: ", after early hints"}[hints], func(t *testing.T) {
				sm := newSessions()
				km := newManager(t, sm, tt.cfg)
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/html")
					if hints {
						w.WriteHeader(http.StatusEarlyHints) // not the final header
					}
					tt.do(sm, w, r.Context())
					_, _ = io.WriteString(w, page)
				})
				for i, handler := range []http.Handler{km.LoadAndSave(h), km.Inject(sm.LoadAndSave(h))} {
					if hints && i == 1 {
						continue // scs saves the session there, and what follows is lost
					}
					header := map[string]string{
						live:   "Cookie: session=" + newToken(t, sm) + "\r\n",
						among:  "Cookie: a=1; b\r\nCookie: xsession=; c=session=;  session=" + newToken(t, sm) + "; d=2\r\n",
						dead:   "Cookie: session=" + unknownToken + "\r\n",
						others: "Cookie: a=1; xsession=2; sessions=3; Session=4; b=session=5; session=\r\n",
					}[tt.cookie]
					rest, scripts := removeScript(wiretest.Serve(t, handler).Fetch(t, "HTTP/1.1", "GET", "/", header).Body)
					require.Equal(t, page, rest)
					require.Equal(t, []int{tt.loadAndSave, tt.inject}[i], scripts)
				}
			})
		}
	}
}

// With UserActive a page whose request is passive has the script, because the input of its user counts. An attribute
// says that its load was no touch, so its ETag is another one.
func TestPassivePages(t *testing.T) {
	sm := newSessions()
	passive := func(r *http.Request) bool { return r.URL.RawQuery == "passive" }
	var asked []string // what the handler gets of If-None-Match
	app := http.NewServeMux()
	app.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("If-None-Match"))
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Type", "text/html")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(page))
	})
	app.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		_ = sm.Destroy(r.Context())
		_, _ = io.WriteString(w, page)
	})
	app.HandleFunc("/poll", wiretest.Respond(0, "{}", "Content-Type", "application/json"))
	serve := func(t *testing.T, cfg keepalive.Config) (get func(target, header string) wiretest.Response) {
		cfg.Passive = passive
		srv := wiretest.Serve(t, newManager(t, sm, cfg).LoadAndSave(app))
		cookie := "Cookie: session=" + newToken(t, sm) + "\r\nAccept: text/html\r\n"
		return func(target, header string) wiretest.Response {
			return srv.Fetch(t, "HTTP/1.1", http.MethodGet, target, cookie+header)
		}
	}
	const marked, unmarked, anonymous, none = ` defer data-passive data-idle="1200000" `, ` defer data-idle="1200000"`, ` defer data-anonymous data-idle="1200000"`, ""
	user := keepalive.Config{Mode: keepalive.UserActive, Salt: "s", Identify: func(context.Context) string { return "ann" }}
	tests := []struct {
		name   string
		cfg    keepalive.Config
		target string
		want   string
	}{
		{name: "open", target: "/?passive", want: none},
		{name: "visible", cfg: keepalive.Config{Mode: keepalive.PageVisible}, target: "/?passive", want: none},
		{name: "active", cfg: keepalive.Config{Mode: keepalive.UserActive}, target: "/?passive", want: marked},
		{name: "active, not passive", cfg: keepalive.Config{Mode: keepalive.UserActive}, target: "/", want: unmarked},
		{name: "active, with a user", cfg: user, target: "/?passive", want: marked},
		{name: "active, no page", cfg: keepalive.Config{Mode: keepalive.UserActive}, target: "/poll?passive", want: none},
		{name: "active, skipped", cfg: keepalive.Config{Mode: keepalive.UserActive, Skip: passive}, target: "/?passive", want: none},
		{name: "active, without a session", cfg: keepalive.Config{Mode: keepalive.UserActive, Anonymous: true}, target: "/logout?passive", want: anonymous},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			get := serve(t, tt.cfg)
			rest, scripts := removeScript(get("/?passive", "").Body)
			require.Equal(t, page, rest)
			require.Equal(t, tt.cfg.Mode == keepalive.UserActive && tt.cfg.Skip == nil, scripts == 1)
			got := get(tt.target, "").Body
			if tt.want == none {
				require.NotContains(t, got, "<script")
			} else {
				require.Contains(t, got, tt.want)
			}
		})
	}

	t.Run("ETag", func(t *testing.T) {
		get := serve(t, keepalive.Config{Mode: keepalive.UserActive})
		first, reloaded := get("/", ""), get("/?passive", "")
		require.NotEqual(t, first.Header.Get("ETag"), reloaded.Header.Get("ETag"))
		require.Equal(t, reloaded.Header.Get("ETag"), get("/?passive", "").Header.Get("ETag"))
		for _, target := range []string{"/", "/?passive"} {
			for _, cached := range []wiretest.Response{first, reloaded} {
				asked = nil
				etag := cached.Header.Get("ETag")
				got := get(target, "If-None-Match: "+etag+"\r\n")
				if cached.Body != map[string]string{"/": first.Body, "/?passive": reloaded.Body}[target] {
					require.Equal(t, http.StatusOK, got.Status, "the page in the cache has another script element")
					require.Equal(t, []string{""}, asked)
					continue
				}
				require.Equal(t, http.StatusNotModified, got.Status)
				require.Equal(t, etag, got.Header.Get("ETag"))
				require.Equal(t, []string{`"v1"`}, asked)
			}
		}
	})
}

// A page that is wrapped more than once, also with other middleware between, gets
// one script, and its handler finds the session.
func TestWrappedTwice(t *testing.T) {
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{})
	cookie := "Cookie: session=" + newToken(t, sm) + "\r\n"
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wiretest.RespondHTML(0, page, "User", sm.GetString(r.Context(), "user"), "Content-Length", strconv.Itoa(len(page)))(w, r)
	})
	loadAndSave, inject := km.LoadAndSave, km.Inject
	hidden := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Minute, "") }
	tests := []struct {
		name string
		h    http.Handler
	}{
		{name: "once", h: loadAndSave(h)},
		{name: "LoadAndSave in LoadAndSave", h: loadAndSave(loadAndSave(h))},
		{name: "Inject in LoadAndSave", h: loadAndSave(inject(h))},
		{name: "LoadAndSave in Inject", h: inject(loadAndSave(h))},
		{name: "Inject in Inject", h: inject(inject(loadAndSave(h)))},
		{name: "three times", h: loadAndSave(inject(loadAndSave(h)))},
		{name: "with middleware between", h: loadAndSave(wiretest.Compress(loadAndSave(h)))},
		{name: "with middleware between, Inject", h: loadAndSave(wiretest.Compress(inject(h)))},
		{name: "with middleware between, LoadAndSave in Inject", h: inject(wiretest.Compress(loadAndSave(h)))},
		{name: "with a writer between that can't be unwrapped", h: loadAndSave(hidden(loadAndSave(h)))},
		{name: "with a writer between that can't be unwrapped, Inject", h: loadAndSave(hidden(inject(h)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, header := range []string{"", wiretest.ForPage} {
				got := wiretest.Serve(t, tt.h).Fetch(t, "HTTP/1.1", "GET", "/", cookie+header)
				require.Equal(t, 200, got.Status)
				require.Equal(t, []string{"ann"}, got.Header["User"])
				rest, scripts := removeScript(got.Body)
				require.Equal(t, page, rest)
				require.Equal(t, 1, scripts)
				require.Equal(t, "none", got.Header.Get("Accept-Ranges"))
				require.Equal(t, 1, strings.Count(strings.Join(got.Header["Vary"], ","), "Cookie"))
			}
		})
	}
}

// What a handler does to the session before it takes the connection over is
// saved, and the cookie is in the header that goes before.
func TestUpgradeSavesTheSession(t *testing.T) {
	sm := newSessions()
	srv := wiretest.Serve(t, newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sm.Put(r.Context(), "user", "bob")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_ = conn.Close()
	})))
	got := srv.Fetch(t, "HTTP/1.1", "GET", "/", "")
	require.Equal(t, http.StatusSwitchingProtocols, got.Status)
	cookie, err := http.ParseSetCookie(got.Header.Get("Set-Cookie"))
	require.NoError(t, err)
	_, values, found := apptest.Stored(t, sm, cookie.Value)
	require.True(t, found)
	require.Equal(t, "bob", values["user"])
}

// Requests do not see each other's pages.
func TestConcurrentRequests(t *testing.T) {
	sm := newSessions()
	cookie := "session=" + newToken(t, sm)
	srv := httptest.NewServer(newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for _, c := range page + r.URL.Path {
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
				if rest, scripts := removeScript(string(b)); rest != page+path+strings.Repeat(path, 1000) || scripts != 1 {
					failed <- path
				}
			}
		})
	}
	running.Wait()
	require.Empty(t, failed)
}

// What is inside gets a request without Accept-Encoding; what is outside keeps
// the request that it has.
func TestRequestOutsideKeepsItsHeader(t *testing.T) {
	km := newManager(t, newSessions(), keepalive.Config{Anonymous: true})
	for _, h := range []func(http.Handler) http.Handler{km.Inject, km.LoadAndSave} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Accept-Encoding", "gzip")
		header := r.Header
		h(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			require.Equal(t, http.Header{"Accept": {"text/html"}}, r.Header)
		})).ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, "gzip", header.Get("Accept-Encoding"))
		require.Equal(t, header, r.Header)
	}
}

// A nonce of the policy goes into the script element. A policy that stops the
// script is logged once.
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
			km := newManager(t, newSessions(), keepalive.Config{Anonymous: true, NoScript: tt.framed, Logger: logTo(&logged)})
			h := wiretest.RespondHTML(200, page, tt.header...)
			bare, injected := wiretest.Serve(t, h), wiretest.Serve(t, km.Inject(h))
			for _, proto := range wiretest.Protocols { // RequireInserted shows that the policy stays as it is
				got := injected.Fetch(t, proto, "GET", "/", "")
				script := scriptPattern.FindString(got.Body)
				wiretest.RequireInserted(t, script, bare.Fetch(t, proto, "GET", "/", ""), got)
				if tt.nonce == "" {
					require.NotContains(t, script, "nonce")
				} else {
					require.Contains(t, script, ` nonce="`+tt.nonce+`"`)
				}
			}
			warnings := strings.Count(logged.String(), "Content-Security-Policy")
			require.Equal(t, tt.warns, warnings == 1, logged.String())
			require.LessOrEqual(t, warnings, 1)
		})
	}
}

// The request that middleware outside still reads, while TimeoutHandler has left
// its handler running, is not changed in place. The race detector sees it.
func TestTimeoutHandlerOutside(t *testing.T) {
	var running sync.WaitGroup
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer running.Done()
		wiretest.RespondHTML(200, page[:20])(w, r)
		<-r.Context().Done()
		for range 20 {
			_, _ = io.WriteString(w, "late")
			_ = r.Header.Get("Accept-Encoding")
			time.Sleep(time.Millisecond)
		}
	})
	sm := newSessions()
	timeout := http.TimeoutHandler(newManager(t, sm, keepalive.Config{}).LoadAndSave(slow), 50*time.Millisecond, page)
	srv := wiretest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timeout.ServeHTTP(w, r)
		for range 20 {
			if r.Header.Get("Accept-Encoding") == "" {
				panic("the header outside was changed")
			}
			time.Sleep(time.Millisecond)
		}
	}))
	cookie := "Cookie: session=" + newToken(t, sm) + "\r\n"
	for _, proto := range wiretest.Protocols {
		running.Add(1)
		require.Equal(t, 503, srv.Fetch(t, proto, "GET", "/", cookie+wiretest.ForPage).Status)
	}
	running.Wait()
}

// A compressor inside is found by what it says of its pages, and reported once.
func TestCompressionInsideIsReported(t *testing.T) {
	tests := []struct {
		name, vary, encoding string
		logged               int
	}{
		{name: "a compressor inside", vary: "Accept-Encoding", encoding: "gzip", logged: 1},
		{name: "in a list, in another case", vary: "Origin, accept-encoding", encoding: "gzip", logged: 1},
		{name: "no compressor", vary: "Origin", encoding: "gzip"},
		{name: "a client that accepts none", vary: "Accept-Encoding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			km := newManager(t, newSessions(), keepalive.Config{Logger: logTo(&log), Anonymous: true})
			h := km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Vary", tt.vary)
				_, _ = w.Write([]byte(apptest.Page))
			}))
			for range 3 {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set("Accept", "text/html")
				if tt.encoding != "" {
					r.Header.Set("Accept-Encoding", tt.encoding)
				}
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			require.Equal(t, tt.logged, strings.Count(log.String(), "put it outside"), log.String())
		})
	}
}
