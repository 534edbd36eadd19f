package frameworks_test

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// An app that is mounted below a prefix works, wherever that is stripped.
func TestMountsBelowAPrefix(t *testing.T) {
	tests := []struct {
		name  string
		cfg   keepalive.Config
		mount func(km *keepalive.Manager, app http.Handler) http.Handler
	}{
		{
			name: "stripped outside",
			cfg:  keepalive.Config{PublicPath: "/app/keepalive/"},
			mount: func(km *keepalive.Manager, app http.Handler) http.Handler {
				mux := http.NewServeMux()
				mux.Handle("/app/", http.StripPrefix("/app", km.LoadAndSave(app)))
				return mux
			},
		},
		{
			name: "stripped inside",
			cfg:  keepalive.Config{Path: "/app/keepalive/"},
			mount: func(km *keepalive.Manager, app http.Handler) http.Handler {
				return km.LoadAndSave(http.StripPrefix("/app", app))
			},
		},
		{
			name: "stripped by httputil.ReverseProxy",
			cfg:  keepalive.Config{PublicPath: "/app/keepalive/"},
			mount: func(km *keepalive.Manager, app http.Handler) http.Handler {
				proxy := proxyTo(newServer(t, km.LoadAndSave(app)).URL)
				return http.StripPrefix("/app", proxy)
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm, token := newSession(t)
			sm.Cookie.Path = "/app/"
			tt.cfg.Logger = slog.New(slog.DiscardHandler)
			km, err := keepalive.New(sm, tt.cfg)
			require.NoError(t, err)
			app := http.NewServeMux()
			app.Handle("GET /page", ways[0].write)
			srv := newServer(t, tt.mount(km, app))

			_, body := get(t, http.MethodGet, srv.URL+"/app/page", token, "")
			script := regexp.MustCompile(`<script src="(/app/keepalive/keepalive\.[\w-]{12}\.js)" defer`).FindStringSubmatch(body)
			require.NotNil(t, script, body)
			res, body := get(t, http.MethodGet, srv.URL+script[1], token, "")
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Contains(t, body, "keepalive:")
			requirePing(t, srv.URL+"/app/keepalive/ping", token)
		})
	}
}

// requirePing requires that a ping is answered by keepalive, and extends.
func requirePing(t *testing.T, url, token string) {
	t.Helper()
	res, body := get(t, http.MethodPost, url, token, "")
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	require.Regexp(t, `^\{"idleMs":1\d{6},"lifetimeMs":\d+\}$`, body)
}

// proxyTo returns a reverse proxy that passes the Host on.
func proxyTo(upstream string) *httputil.ReverseProxy {
	target, err := url.Parse(upstream)
	if err != nil {
		panic(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
}

// A page from another server gets its script, also from one that compresses.
func TestReverseProxyInside(t *testing.T) {
	upstream := newServer(t, gzhttp.GzipHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(page + strings.Repeat("<p>long enough to be compressed", 100)))
	})))
	sm, token := newSession(t)
	km := newManager(t, sm)
	srv := newServer(t, km.LoadAndSave(proxyTo(upstream.URL)))

	bare, _ := get(t, http.MethodGet, upstream.URL+"/", token, "gzip")
	require.Equal(t, "gzip", bare.Header.Get("Content-Encoding"), "or it shows nothing")
	res, body := get(t, http.MethodGet, srv.URL+"/", token, "gzip")
	require.Empty(t, res.Header.Get("Content-Encoding"))
	require.Len(t, tag.FindAllString(body, -1), 1)
	requirePing(t, srv.URL+km.Path()+"ping", token)
}

// An http.TimeoutHandler may stand on either side. Between keepalive and the
// compressors of echo or gin it hides that these will compress what comes, and the
// script arrives compressed twice.
func TestTimeoutHandler(t *testing.T) {
	limit := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "late") }
	for _, compressor := range compressors {
		mounts := map[string]func(*keepalive.Manager, http.Handler) http.Handler{
			"outside": func(km *keepalive.Manager, page http.Handler) http.Handler {
				return limit(compressor.wrap(km.LoadAndSave(page)))
			},
			"inside": func(km *keepalive.Manager, page http.Handler) http.Handler {
				return compressor.wrap(km.LoadAndSave(limit(page)))
			},
		}
		for name, mount := range mounts {
			t.Run(name+"/"+compressor.name, func(t *testing.T) {
				sm, token := newSession(t)
				km := newManager(t, sm)
				srv := newServer(t, mount(km, ways[0].write))
				_, body := get(t, http.MethodGet, srv.URL+"/", token, "gzip")
				script := tag.FindStringSubmatch(body)
				require.NotNil(t, script, body)
				_, body = get(t, http.MethodGet, srv.URL+script[1], token, "gzip")
				require.Contains(t, body, "keepalive:")
				requirePing(t, srv.URL+km.Path()+"ping", token)
			})
		}
	}
}
