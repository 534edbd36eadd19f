package keepalive_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// The script reads its configuration from attributes of its element.
func TestScriptAttributes(t *testing.T) {
	tests := []struct {
		name string
		cfg  keepalive.Config
		want string // after data-idle
	}{
		{name: "default"},
		{name: "open", cfg: keepalive.Config{Mode: keepalive.PageOpen}},
		{name: "visible", cfg: keepalive.Config{Mode: keepalive.PageVisible}, want: ` data-mode="visible"`},
		{name: "active", cfg: keepalive.Config{Mode: keepalive.UserActive}, want: ` data-mode="active"`},
		{name: "limit", cfg: keepalive.Config{MaxUnattended: time.Hour}, want: ` data-max="3600000"`},
		{name: "warning", cfg: keepalive.Config{WarnBefore: time.Minute}, want: ` data-warn="60000"`},
		{name: "blank", cfg: keepalive.Config{AfterEnd: keepalive.BlankPage}, want: ` data-blank="1"`},
		{name: "sign-in by itself", cfg: keepalive.Config{AfterEnd: keepalive.OpenLogin, LoginURL: "/in"}},
		{name: "no bar", cfg: keepalive.Config{AfterEnd: keepalive.KeepPageWithoutBar}},
		{name: "fields that the script does not need", cfg: keepalive.Config{NoScript: true, LoginURL: "/in", LogoutURL: "/out"}},
		{
			name: "all", cfg: keepalive.Config{Mode: keepalive.PageVisible, MaxUnattended: time.Second, WarnBefore: time.Minute, AfterEnd: keepalive.BlankPage},
			want: ` data-mode="visible" data-max="1000" data-warn="60000" data-blank="1"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Contains(t, signedInPage(t, tt.cfg), ` defer data-idle="1200000"`+tt.want+`></script>`)
		})
	}
}

// The script is served compressed or not, and for ever only by the URL with its
// hash.
func TestScript(t *testing.T) {
	sm := newSessions()
	c := newClient(t, sm, keepalive.Config{WarnBefore: 2 * time.Minute})
	c.Get("/login")
	found := regexp.MustCompile(`<script src="([^"]+)" defer data-idle="1200000" data-warn="120000"></script>`).FindStringSubmatch(body(t, c.Get("/")))
	require.NotNil(t, found)
	src := found[1]
	want, err := os.ReadFile("client/keepalive.min.js")
	require.NoError(t, err)

	fetch := func(target, encoding, etag string) *http.Response {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Accept-Encoding", encoding)
		if etag != "" {
			r.Header.Set("If-None-Match", etag)
		}
		w := httptest.NewRecorder()
		c.Handler.ServeHTTP(w, r)
		return w.Result()
	}
	tests := []struct {
		name, target, encoding string
		gzip, immutable        bool
	}{
		{name: "plain", target: src, immutable: true},
		{name: "gzip", target: src, encoding: "gzip, deflate, br", gzip: true, immutable: true},
		{name: "gzip by weight", target: src, encoding: "br;q=1, gzip;q=0.2", gzip: true, immutable: true},
		{name: "any", target: src, encoding: "*", gzip: true, immutable: true},
		{name: "no gzip", target: src, encoding: "gzip;q=0, *", immutable: true},
		{name: "old page", target: "/keepalive/keepalive.AAAAAAAAAAAA.js"},
		{name: "page from before the hash was in the path", target: "/keepalive/keepalive.js?v=old"},
		{name: "no hash", target: "/keepalive/keepalive.js", encoding: "gzip", gzip: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := fetch(tt.target, tt.encoding, "")
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Equal(t, "text/javascript; charset=utf-8", res.Header.Get("Content-Type"))
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			require.Equal(t, "Accept-Encoding", res.Header.Get("Vary"))
			require.Equal(t, tt.immutable, strings.Contains(res.Header.Get("Cache-Control"), "immutable"))
			require.Equal(t, !tt.immutable, res.Header.Get("Cache-Control") == "no-cache")
			var got io.Reader = res.Body
			if tt.gzip {
				require.Equal(t, "gzip", res.Header.Get("Content-Encoding"))
				got, err = gzip.NewReader(res.Body)
				require.NoError(t, err)
			}
			b, err := io.ReadAll(got)
			require.NoError(t, err)
			require.Equal(t, string(want), string(b))
			require.Equal(t, http.StatusNotModified, fetch(tt.target, tt.encoding, res.Header.Get("ETag")).StatusCode)
		})
	}
	plain, zipped := fetch(src, "", "").Header.Get("ETag"), fetch(src, "gzip", "").Header.Get("ETag")
	require.NotEqual(t, plain, zipped)
}

func TestDebugScript(t *testing.T) {
	cfg := keepalive.Config{Debug: true}
	require.Contains(t, signedInPage(t, cfg), `<script src="/keepalive/keepalive.debug.js" defer`)
	want, err := os.ReadFile("client/keepalive.debug.js")
	require.NoError(t, err)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/keepalive/keepalive.debug.js", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	newClient(t, newSessions(), cfg).Handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "text/javascript; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, "no-cache", w.Header().Get("Cache-Control"), "it has no hash in its URL")
	require.Equal(t, string(want), w.Body.String())
}
