package frameworks_test

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/NYTimes/gziphandler"
	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	gingzip "github.com/gin-contrib/gzip"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/julienschmidt/httprouter"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// routers mount a page at / and the endpoints below km.Path().
var routers = []struct {
	name  string
	mount func(km *keepalive.Manager, page http.Handler) http.Handler
}{
	{"net/http", func(km *keepalive.Manager, page http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("GET /{$}", page)
		return km.LoadAndSave(mux)
	}},
	{"net/http, one route", func(km *keepalive.Manager, page http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("GET /{$}", km.LoadAndSave(page))
		mux.Handle(km.Path(), km.Handler())
		return mux
	}},
	{"chi", func(km *keepalive.Manager, page http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(km.LoadAndSave)
		r.Method(http.MethodGet, "/", page)
		return r
	}},
	{"chi, a group", func(km *keepalive.Manager, page http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Group(func(r chi.Router) {
			r.Use(km.LoadAndSave)
			r.Method(http.MethodGet, "/", page)
		})
		r.Handle(km.Path()+"*", km.Handler())
		return r
	}},
	{"gorilla/mux", func(km *keepalive.Manager, page http.Handler) http.Handler {
		r := mux.NewRouter()
		r.Handle("/", page).Methods(http.MethodGet)
		return km.LoadAndSave(r)
	}},
	{"gorilla/mux, Use", func(km *keepalive.Manager, page http.Handler) http.Handler {
		r := mux.NewRouter()
		r.Use(km.LoadAndSave) // runs for routes that match
		r.Handle("/", page).Methods(http.MethodGet)
		r.PathPrefix(km.Path()).Handler(km.Handler())
		return r
	}},
	{"echo", func(km *keepalive.Manager, page http.Handler) http.Handler {
		e := echo.New()
		e.Use(echo.WrapMiddleware(km.LoadAndSave))
		e.GET("/", echo.WrapHandler(page))
		return e
	}},
	{"echo, a group", func(km *keepalive.Manager, page http.Handler) http.Handler {
		e := echo.New()
		g := e.Group("", echo.WrapMiddleware(km.LoadAndSave))
		g.GET("/", echo.WrapHandler(page))
		e.Any(km.Path()+"*", echo.WrapHandler(km.Handler()))
		return e
	}},
	{"gin", func(km *keepalive.Manager, page http.Handler) http.Handler {
		g := gin.New()
		g.GET("/", gin.WrapH(page))
		return km.LoadAndSave(g)
	}},
	{"gin, one route", func(km *keepalive.Manager, page http.Handler) http.Handler {
		g := gin.New()
		g.GET("/", gin.WrapH(km.LoadAndSave(page)))
		g.Any(km.Path()+"*endpoint", gin.WrapH(km.Handler()))
		return g
	}},
	{"gin, NoRoute", func(km *keepalive.Manager, page http.Handler) http.Handler {
		g := gin.New()
		g.GET("/", gin.WrapH(km.LoadAndSave(page)))
		g.NoRoute(gin.WrapH(km.Handler())) // gin presets 404 there
		return g
	}},
	{"httprouter", func(km *keepalive.Manager, page http.Handler) http.Handler {
		r := httprouter.New()
		r.Handler(http.MethodGet, "/", page)
		return km.LoadAndSave(r)
	}},
	{"httprouter, one route", func(km *keepalive.Manager, page http.Handler) http.Handler {
		r := httprouter.New()
		r.Handler(http.MethodGet, "/", km.LoadAndSave(page))
		r.Handler(http.MethodGet, km.Path()+"*endpoint", km.Handler())
		r.Handler(http.MethodPost, km.Path()+"*endpoint", km.Handler())
		return r
	}},
}

// compressors stand outside, as they must.
var compressors = []struct {
	name string
	wrap func(http.Handler) http.Handler
}{
	{"none", func(h http.Handler) http.Handler { return h }},
	{"gzhttp", func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) }},
	{"gziphandler", func(h http.Handler) http.Handler { return gziphandler.GzipHandler(h) }},
	{"gorilla/handlers", func(h http.Handler) http.Handler { return handlers.CompressHandler(h) }},
	{"chi", func(h http.Handler) http.Handler { return chimiddleware.Compress(5)(h) }},
	{"echo", func(h http.Handler) http.Handler {
		e := echo.New()
		e.Use(echomiddleware.Gzip())
		e.Any("/*", echo.WrapHandler(h))
		return e
	}},
	{"gin-contrib/gzip", func(h http.Handler) http.Handler {
		g := gin.New()
		g.Use(gingzip.Gzip(gingzip.DefaultCompression))
		g.Any("/*path", gin.WrapH(h))
		return g
	}},
}

func init() { gin.SetMode(gin.ReleaseMode) }

var tag = regexp.MustCompile(`<script src="(/keepalive/keepalive\.[\w-]{12}\.js)" defer data-idle="1200000"></script>`)

// A page gets its script exactly once, whole and with an exact length, under
// every router, below every compressor, and however it is written. The script,
// the ping and the page's status arrive as they were sent.
func TestRoutersAndCompressors(t *testing.T) {
	for _, router := range routers {
		for _, compressor := range compressors {
			t.Run(router.name+"/"+compressor.name, func(t *testing.T) {
				for _, way := range ways {
					sm, token := newSession(t)
					km := newManager(t, sm)
					srv := newServer(t, compressor.wrap(router.mount(km, way.write)))

					for _, encoding := range []string{"", "gzip"} {
						res, body := get(t, http.MethodGet, srv.URL+"/", token, encoding)
						require.Equal(t, strings.Replace(page, "<head>", "<head>"+tag.FindString(body), 1), body, "%s, %q", way.name, encoding)
						match := tag.FindStringSubmatch(body)
						require.NotNil(t, match, "%s, %q: %q", way.name, encoding, body)
						want := http.StatusOK
						if way.name == "status 422" {
							want = http.StatusUnprocessableEntity
						}
						require.Equal(t, want, res.StatusCode, way.name)

						res, body = get(t, http.MethodGet, srv.URL+match[1], token, encoding)
						require.Equal(t, http.StatusOK, res.StatusCode)
						require.Equal(t, "public, max-age=31536000, immutable", res.Header.Get("Cache-Control"))
						require.Contains(t, body, "keepalive:")
						res, body = get(t, http.MethodPost, srv.URL+km.Path()+"ping", token, encoding)
						require.Equal(t, http.StatusOK, res.StatusCode)
						require.Regexp(t, `^\{"idleMs":1\d{6},"lifetimeMs":\d+\}$`, body)
						require.Empty(t, res.Cookies(), "a ping below LoadAndSave sends no cookie")
						res, body = get(t, http.MethodGet, srv.URL+km.Path()+"dialog", token, encoding)
						require.Equal(t, http.StatusOK, res.StatusCode)
						require.Contains(t, body, "<dialog")
					}
				}
			})
		}
	}
}

func newSession(t *testing.T) (sm *scs.SessionManager, token string) {
	sm = scs.New()
	sm.Store = memstore.NewWithCleanupInterval(0)
	sm.IdleTimeout = 20 * time.Minute
	ctx, err := sm.Load(t.Context(), "")
	require.NoError(t, err)
	sm.Put(ctx, "user", "ann")
	token, _, err = sm.Commit(ctx)
	require.NoError(t, err)
	return sm, token
}

func newServer(t *testing.T, h http.Handler) *httptest.Server {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func newManager(t *testing.T, sm *scs.SessionManager) *keepalive.Manager {
	km, err := keepalive.New(sm, keepalive.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return km
}

// get returns the answer to a request, and its body without compression. It
// fails the test if the body is not as long as the header promised.
func get(t *testing.T, method, url, token, encoding string) (*http.Response, string) {
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	r.AddCookie(&http.Cookie{Name: "session", Value: token})
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	res, err := client.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body := io.Reader(res.Body)
	if res.Header.Get("Content-Encoding") == "gzip" {
		body, err = gzip.NewReader(body)
		require.NoError(t, err)
	}
	b, err := io.ReadAll(body)
	require.NoError(t, err, "%s %s: %q", method, url, b)
	return res, string(b)
}
