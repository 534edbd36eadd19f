package inject_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// A Writer beside the middleware of net/http and others.

func TestReverseProxy(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/page", respondHTML(200, page, "ETag", `"x"`))
	mux.HandleFunc("/chunked", flushAfter(18))
	mux.HandleFunc("/json", respond(200, "{}", "Content-Type", "application/json"))
	mux.HandleFunc("/304", respond(304, "", "ETag", `"x"`))
	mux.HandleFunc("/br", respondHTML(200, "x", "Content-Encoding", "br"))
	mux.HandleFunc("/dies", thenPanic(respondHTML(0, page+longComment)))
	mux.HandleFunc("/hints", earlyHints(respondHTML(200, page)))
	mux.Handle("/gzip/", http.StripPrefix("/gzip", wiretest.Compress(respondHTML(200, page))))
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		respondHTML(200, page)(w, r)
		w.Header().Set("Sum", "1")
	})
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "echo")
		w.Header().Set("Connection", "Upgrade")
		hijackAfter(func(w http.ResponseWriter) { w.WriteHeader(http.StatusSwitchingProtocols) })(w, r)
	})
	upstream := httptest.NewServer(mux)
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: log.New(io.Discard, "", 0),
		ModifyResponse: func(res *http.Response) error {
			res.Header.Del("Date") // the upstream's, which may be another second
			return nil
		},
	}
	tests := []struct {
		name, method, path, header string
		check                      check
	}{
		{name: "page", path: "/page", check: inserted},
		{name: "page for a browser", path: "/page", header: wiretest.ForPage, check: inserted},
		{name: "HEAD", method: "HEAD", path: "/page", header: wiretest.ForPage, check: inserted},
		{name: "chunked page", path: "/chunked", header: wiretest.ForPage, check: inserted},
		{name: "JSON", path: "/json", header: wiretest.ForAsset, check: unchanged},
		{name: "JSON for a browser", path: "/json", header: wiretest.ForPage, check: unchanged},
		{name: "304", path: "/304", header: wiretest.ForPage, check: unchanged},
		{name: "compressed in any case", path: "/br", header: wiretest.ForPage, check: unchanged},
		{name: "upstream dies", path: "/dies", check: cutShort},
		{name: "trailers", path: "/trailers", check: inserted},
		{name: "early hints", path: "/hints", check: inserted},
		{name: "upgrade", path: "/upgrade", header: "Connection: Upgrade\r\nUpgrade: echo\r\n", check: unchanged},
		{name: "gzip upstream, nothing accepted", path: "/gzip/", check: inserted},
		{name: "gzip upstream, browser", path: "/gzip/", header: wiretest.ForPage, check: uncompressed},
		{name: "gzip upstream, asset", path: "/gzip/", header: wiretest.ForAsset, check: unchanged},
	}
	servers := compare(t, proxy)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method := tt.method
			if method == "" {
				method = "GET"
			}
			for _, proto := range wiretest.Protocols {
				if tt.name == "upgrade" && proto != "HTTP/1.1" {
					continue // HTTP/1.1 only (RFC 9110 section 7.8)
				}
				servers.fetch(t, proto, method, tt.path, tt.header, tt.check)
			}
		})
	}
}

// checkRequestAfterwards reads the request when next has returned. A
// TimeoutHandler may have left its handler running then, so that the race
// detector sees a header that is changed in place.
func checkRequestAfterwards(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		for range 20 {
			if r.Header.Get("Accept-Encoding") == "" {
				panic("the header outside was changed")
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func TestTimeoutHandler(t *testing.T) {
	var running sync.WaitGroup
	fast := respondHTML(200, page+longComment)
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer running.Done()
		respondHTML(200, page[:20])(w, r)
		<-r.Context().Done()
		for range 20 { // goes on while the middleware outside reads the request
			respondHTML(200, page[:20])(w, r)
			_ = r.Header.Get("Accept-Encoding")
			time.Sleep(time.Millisecond)
		}
	})
	// counted is middleware around what runs slow: it counts before the answer goes out.
	counted := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			h.ServeHTTP(w, r)
		})
	}
	const soon, late = 50 * time.Millisecond, time.Minute
	outside := func(h http.Handler, d time.Duration) http.Handler {
		return checkRequestAfterwards(http.TimeoutHandler(h, d, page))
	}
	inside := func(h http.Handler, d time.Duration) http.Handler { return http.TimeoutHandler(h, d, "") }
	tests := []struct {
		name          string
		bare, wrapped http.Handler
		check         check
		status        int
	}{
		{name: "outside, in time", bare: outside(fast, late), wrapped: outside(wrap(onlyTag, fast), late), check: inserted, status: 200},
		{name: "outside, too late", bare: counted(outside(slow, soon)), wrapped: counted(outside(wrap(onlyTag, slow), soon)), check: unchanged, status: 503},
		{name: "inside, in time", bare: inside(fast, late), wrapped: wrap(onlyTag, inside(fast, late)), check: inserted, status: 200},
		// TimeoutHandler's own error page begins with html.
		{name: "inside, too late", bare: counted(inside(slow, soon)), wrapped: wrap(onlyTag, counted(inside(slow, soon))), check: inserted, status: 503},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bare, wrapped := wiretest.Serve(t, tt.bare), wiretest.Serve(t, tt.wrapped)
			for _, proto := range wiretest.Protocols {
				got := wrapped.Fetch(t, proto, "GET", "/", wiretest.ForPage)
				require.Equal(t, tt.status, got.Status)
				tt.check(t, bare.Fetch(t, proto, "GET", "/", wiretest.ForPage), got)
			}
		})
	}
	running.Wait()
}

// Middleware that recovers can still answer as long as the page is held.
func TestRecoveringMiddleware(t *testing.T) {
	recovering := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if recover() != nil {
					http.Error(w, "sorry", 500)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
	for name, h := range map[string]http.HandlerFunc{
		"at once":           func(http.ResponseWriter, *http.Request) { panic("at once") },
		"after WriteHeader": thenPanic(respondHTML(200, "", "ETag", `"x"`, "Content-Length", "10")),
		"within the prolog": thenPanic(respondHTML(0, page[:20], "ETag", `"x"`)),
	} {
		t.Run(name, func(t *testing.T) {
			srv := wiretest.Serve(t, recovering(wrap(onlyTag, h)))
			for _, proto := range wiretest.Protocols {
				got := srv.Fetch(t, proto, "GET", "/", "")
				require.Equal(t, 500, got.Status)
				require.Equal(t, "sorry\n", got.Body)
				require.False(t, got.Truncated)
			}
		})
	}
}
