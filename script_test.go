package keepalive_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

func TestTagAttributes(t *testing.T) {
	tests := []struct {
		name string
		cfg  keepalive.Config
		want string // the tag's data
	}{
		{name: "default"},
		{name: "open", cfg: keepalive.Config{Mode: keepalive.PageOpen}},
		{name: "visible", cfg: keepalive.Config{Mode: keepalive.PageVisible}, want: ` data-mode="visible"`},
		{name: "active", cfg: keepalive.Config{Mode: keepalive.UserActive}, want: ` data-mode="active"`},
		{name: "limit", cfg: keepalive.Config{MaxUnattended: time.Hour}, want: ` data-max="3600000"`},
		{name: "warning", cfg: keepalive.Config{WarnBefore: time.Minute}, want: ` data-warn="60000"`},
		{name: "blank", cfg: keepalive.Config{BlankExpired: true}, want: ` data-blank="1"`},
		{name: "what the script is not to know", cfg: keepalive.Config{NoScript: true, LoginURL: "/in", LogoutURL: "/out"}},
		{
			name: "all", cfg: keepalive.Config{Mode: keepalive.PageVisible, MaxUnattended: time.Second, WarnBefore: time.Minute, BlankExpired: true},
			want: ` data-mode="visible" data-max="1000" data-warn="60000" data-blank="1"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shown := serve(t, everywhereWith(t, tt.cfg, respond(0, doc, html...))).fetch(t, "HTTP/1.1", "GET", "/", "").body
			require.Contains(t, shown, ` defer data-idle="1200000"`+tt.want+`></script>`)
		})
	}
}

// The words are those for the request, and no markup.
func TestDialogs(t *testing.T) {
	h := serve(t, newManager(t, newSessions(), keepalive.Config{
		LoginURL: "/in?a=1&b=2", LogoutURL: "/out",
		Texts: func(r *http.Request) keepalive.Texts {
			if !strings.HasPrefix(r.Header.Get("Accept-Language"), "de") {
				return keepalive.Texts{}
			}
			return keepalive.Texts{Lang: "de", Warning: `"Gleich" & <b>`, Idle: "Noch {time}<i>.", SignIn: "Anmelden"}
		},
	}).LoadAndSave(respond(0, doc, html...)))
	const german, english = "&#34;Gleich&#34; &amp; &lt;b&gt;", "Your session is about to end"
	tests := []struct{ name, query, header, want string }{
		{name: "default", want: english},
		{name: "another language", header: "Accept-Language: fr\r\n", want: english},
		{name: "the browser's language", header: "Accept-Language: de-AT, en\r\n", want: german},
		{name: "the page's language", query: "?de", header: "Accept-Language: en\r\n", want: german},
		{name: "the page's language alone", query: "?de-CH", want: german},
		{name: "the page's language goes first", query: "?en", header: "Accept-Language: de\r\n", want: english},
		{name: "no language", query: "?de;q=1", header: "Accept-Language: en\r\n", want: english},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := h.fetch(t, "HTTP/1.1", "GET", "/keepalive/dialog"+tt.query, tt.header)
			require.Equal(t, 200, got.status)
			require.Equal(t, "text/html; charset=utf-8", got.header.Get("Content-Type"))
			require.Equal(t, "Accept-Language", got.header.Get("Vary"))
			require.Contains(t, got.body, tt.want)
			require.Contains(t, got.body, `href="/in?a=1&amp;b=2"`)
			require.Contains(t, got.body, `action="/out"`)
			require.Contains(t, got.body, "Stay signed in", "what is not given is English")
			if tt.want == german {
				require.Contains(t, got.body, "Noch <time></time>&lt;i&gt;.")
				require.Contains(t, got.body, ">Anmelden</a>")
			}
		})
	}
	require.Equal(t, 405, h.fetch(t, "HTTP/1.1", "POST", "/keepalive/dialog", "").status)
}

func TestDebugScript(t *testing.T) {
	km := newManager(t, newSessions(), keepalive.Config{Debug: true, Anonymous: true})
	h := km.LoadAndSave(respond(0, doc, html...))
	shown := serve(t, h).fetch(t, "HTTP/1.1", "GET", "/", "").body
	require.Contains(t, shown, `<script src="/keepalive/keepalive.debug.js" defer`)
	want, err := os.ReadFile("client/keepalive.debug.js")
	require.NoError(t, err)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/keepalive/keepalive.debug.js", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "text/javascript; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, "no-cache", w.Header().Get("Cache-Control"), "it has no hash in its URL")
	require.Equal(t, string(want), w.Body.String())
}
