package keepalive_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

const privatePage = "private, no-cache"

// HTML of a session is private, unless its handler says something about caching.
// Everything else is as scs leaves it.
func TestCacheControl(t *testing.T) {
	const ofCookie = `no-cache="Set-Cookie"` // what scs adds to a cookie
	type action = func(sm *scs.SessionManager, ctx context.Context)
	put := func(sm *scs.SessionManager, ctx context.Context) { sm.Put(ctx, "v", "x") }
	always := func(*http.Request) bool { return true }
	skip := keepalive.Config{Skip: always}
	html := wiretest.RespondHTML(0, page)
	untyped := func(code int, pieces ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if code != 0 {
				w.WriteHeader(code)
			}
			for _, piece := range pieces {
				_, _ = io.WriteString(w, piece)
			}
		}
	}
	tests := []struct {
		name    string
		cfg     keepalive.Config
		guest   bool   // the request brings no session
		do      action // on the session
		handler http.HandlerFunc
		want    []string
	}{
		{name: "page", handler: html, want: []string{privatePage}},
		{name: "error page", handler: wiretest.RespondHTML(404, page), want: []string{privatePage}},
		{name: "fragment", handler: wiretest.RespondHTML(0, "<p>x"), want: []string{privatePage}},
		{name: "redirect with a link", handler: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusMovedPermanently) }, want: []string{privatePage}},
		{name: "another charset", handler: wiretest.Respond(0, "x", "Content-Type", "Text/HTML; charset=utf-16"), want: []string{privatePage}},
		{name: "compressed", handler: wiretest.RespondHTML(0, "x", "Content-Encoding", "br"), want: []string{privatePage}},
		{name: "no type", handler: untyped(0, page), want: []string{privatePage}},
		{name: "no type, after WriteHeader", handler: untyped(404, page), want: []string{privatePage}},
		{name: "no type, in pieces", handler: untyped(0, "\n", page[:5], page[5:]), want: []string{privatePage}},
		{name: "no type, fragment", handler: untyped(0, "<p>x"), want: []string{privatePage}},
		{name: "no type, long prolog", handler: untyped(0, "<!-- "+strings.Repeat("x", 9000)+"-->", page), want: []string{privatePage}},
		{name: "skipped", cfg: skip, handler: html, want: []string{privatePage}},
		{name: "skipped, no type", cfg: skip, handler: untyped(0, page), want: []string{privatePage}},
		{name: "skipped, no type, after WriteHeader", cfg: skip, handler: untyped(404, page), want: []string{privatePage}},
		{name: "passive", cfg: keepalive.Config{Passive: always}, handler: html, want: []string{privatePage}},
		{name: "begins here", guest: true, do: put, handler: html, want: []string{privatePage}},
		{name: "modified", do: put, handler: html, want: []string{privatePage}},
		{name: "destroyed", do: func(sm *scs.SessionManager, ctx context.Context) { _ = sm.Destroy(ctx) }, handler: html, want: []string{privatePage}},
		{name: "ended meanwhile", do: func(sm *scs.SessionManager, ctx context.Context) { _ = sm.Store.Delete(sm.Token(ctx)) }, handler: html, want: []string{privatePage}},

		{name: "no session", guest: true, handler: html},
		{name: "no session, anonymous", guest: true, cfg: keepalive.Config{Anonymous: true}, handler: html},
		{name: "stateless", cfg: keepalive.Config{Stateless: always}, handler: html},
		{name: "JSON", handler: wiretest.Respond(0, "{}", "Content-Type", "application/json")},
		{name: "JSON, modified", do: put, handler: wiretest.Respond(0, "{}", "Content-Type", "application/json"), want: []string{ofCookie}},
		{name: "no type, text", handler: untyped(0, "x")},
		{name: "skipped, no type, text", cfg: skip, handler: untyped(200, "x")},
		{name: "skipped, no type, nothing", cfg: skip, handler: untyped(0, "")},
		{name: "no body", handler: untyped(204)},
		{name: "nothing", handler: untyped(0)},
		{name: "own Cache-Control", handler: wiretest.RespondHTML(0, page, "Cache-Control", "public, max-age=60"), want: []string{"public, max-age=60"}},
		{name: "own Cache-Control, modified", do: put, handler: wiretest.RespondHTML(0, page, "Cache-Control", "no-store"), want: []string{"no-store", ofCookie}},
		{name: "own Cache-Control, after a Hijack that fails", handler: func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 {
				_, _, err := http.NewResponseController(w).Hijack()
				require.ErrorIs(t, err, http.ErrNotSupported)
			}
			wiretest.RespondHTML(0, page, "Cache-Control", "no-transform")(w, r)
		}, want: []string{"no-transform"}},
		{name: "own Expires", handler: wiretest.RespondHTML(0, page, "Expires", "0")},
		{name: "own Pragma", handler: wiretest.RespondHTML(0, page, "Pragma", "private")},
		{name: "none on purpose", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Cache-Control"] = nil
			html(w, r)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.do != nil {
					tt.do(sm, r.Context())
				}
				tt.handler(w, r)
			})
			km := newManager(t, sm, tt.cfg)
			srv, injected := wiretest.Serve(t, km.LoadAndSave(h)), wiretest.Serve(t, km.Inject(sm.LoadAndSave(h)))
			for _, proto := range wiretest.Protocols {
				for _, method := range []string{"GET", "HEAD"} {
					cookie := ""
					if !tt.guest {
						cookie = "Cookie: session=" + newToken(t, sm) + "\r\n"
					}
					got := srv.Fetch(t, proto, method, "/", cookie)
					require.Equal(t, tt.want, got.Header["Cache-Control"], "%s %s", proto, method)
					require.NotContains(t, injected.Fetch(t, proto, method, "/", cookie).Header["Cache-Control"], privatePage, "by Inject alone")
				}
			}
		})
	}
}
