package keepalive_test

import (
	"compress/gzip"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

var protocols = []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0"}

// everywhere is Inject where every request has a session cookie.
func everywhere(t testing.TB, h http.Handler) http.Handler {
	return everywhereWith(t, keepalive.Config{}, h)
}

func everywhereWith(t testing.TB, cfg keepalive.Config, h http.Handler) http.Handler {
	inject := newManager(t, newSessions(), cfg).Inject(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.AddCookie(&http.Cookie{Name: "session", Value: "x"})
		inject.ServeHTTP(w, r)
	})
}

// files are a directory and a handler that serves it.
func files(t testing.TB) (dir string, h http.Handler) {
	dir = t.TempDir()
	for name, content := range map[string]string{
		"page.html": doc, "long.html": doc + comment, "late.html": comment + doc, "empty.html": "",
		"part.html": "<p>part</p>", "a.txt": doc, "a.css": "p {}", "data.bin": comment,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Unix(1e9, 0)))
	}
	return dir, http.FileServer(http.Dir(dir))
}

func TestFiles(t *testing.T) {
	const modified = "Sun, 09 Sep 2001 01:46:40 GMT"
	_, fs := files(t)
	mux := http.NewServeMux()
	mux.Handle("/", fs)
	mux.HandleFunc("/content", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"x"`)
		http.ServeContent(w, r, "page.html", time.Unix(1e9, 0), strings.NewReader(doc+comment))
	})
	tests := []struct {
		name, method, path, header string
		holds                      law
	}{
		{name: "page", path: "/page.html", holds: with(tagged, kept)},
		{name: "long page", path: "/long.html", holds: with(tagged, kept)},
		{name: "long prolog", path: "/late.html", holds: with(tagged, lengthless)},
		{name: "empty", path: "/empty.html", holds: same},
		{name: "fragment", path: "/part.html", holds: same},
		{name: "directory", path: "/", holds: tagged},
		{name: "index", path: "/index.html", holds: same},
		{name: "missing", path: "/missing.html", holds: same},
		{name: "text", path: "/a.txt", holds: same},
		{name: "style", path: "/a.css", holds: same},
		{name: "binary", path: "/data.bin", holds: same},
		{name: "HEAD text", method: "HEAD", path: "/a.txt", holds: same},
		{name: "HEAD page", method: "HEAD", path: "/page.html", holds: with(tagged, lengthless)},
		{name: "range", path: "/page.html", header: "Range: bytes=0-9\r\n", holds: same},
		{name: "range of all", path: "/page.html", header: "Range: bytes=0-\r\n", holds: same},
		{name: "ranges", path: "/a.txt", header: "Range: bytes=5-\r\n", holds: same},
		{name: "range out of bounds", path: "/page.html", header: "Range: bytes=99999-\r\n", holds: same},
		{name: "HEAD range", method: "HEAD", path: "/page.html", header: "Range: bytes=0-9\r\n", holds: same},
		{name: "If-Range by date", path: "/page.html", header: "Range: bytes=0-9\r\nIf-Range: " + modified + "\r\n", holds: same},
		{name: "If-Range by another date", path: "/page.html", header: "Range: bytes=0-9\r\nIf-Range: Sun, 09 Sep 2001 01:46:41 GMT\r\n", holds: with(tagged, kept)},
		{name: "If-Modified-Since", path: "/page.html", header: "If-Modified-Since: " + modified + "\r\n", holds: same},
		{name: "modified since", path: "/page.html", header: "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", holds: with(tagged, kept)},
		{name: "If-Unmodified-Since", path: "/page.html", header: "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", holds: same},
		{name: "content", path: "/content", holds: with(tagged, kept)},
		{name: "If-None-Match, the tag we sent", path: "/content", header: "If-None-Match: W/\"x\"\r\n", holds: same},
		{name: "If-None-Match, another", path: "/content", header: "If-None-Match: W/\"y\"\r\n", holds: with(tagged, kept)},
		{name: "HEAD If-None-Match", method: "HEAD", path: "/content", header: "If-None-Match: \"x\"\r\n", holds: same},
		// No part of the original may be glued to a page of ours.
		{name: "If-Range, the tag we sent", path: "/content", header: "Range: bytes=50-\r\nIf-Range: W/\"x\"\r\n", holds: with(tagged, kept)},
		{name: "If-Range, the original tag", path: "/content", header: "Range: bytes=50-\r\nIf-Range: \"x\"\r\n", holds: same},
	}
	bare, ours, framed := serve(t, mux), serve(t, everywhere(t, mux)), serve(t, everywhereWith(t, keepalive.Config{NoScript: true}, mux))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method := tt.method
			if method == "" {
				method = "GET"
			}
			for _, proto := range protocols {
				want := bare.fetch(t, proto, method, tt.path, tt.header)
				tt.holds(t, want, ours.fetch(t, proto, method, tt.path, tt.header))
				tt.holds(t, want, unframe(t, want, framed.fetch(t, proto, method, tt.path, tt.header)))
			}
		})
	}
}

// HEAD may leave out the length, but what it says of a page must be what GET says.
func TestHeadSaysWhatGetSays(t *testing.T) {
	_, fs := files(t)
	tests := []struct {
		name, path string
		handler    http.Handler
	}{
		{name: "written", handler: respond(0, doc, html...)},
		{name: "written, with length", handler: respond(200, doc, "Content-Type", "text/html", "Content-Length", strconv.Itoa(len(doc)), "ETag", `"x"`)},
		{name: "no type", handler: respond(0, doc)},
		{name: "file", path: "page.html", handler: fs},
		{name: "long file", path: "long.html", handler: fs},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, noScript := range []bool{false, true} {
				ours := serve(t, everywhereWith(t, keepalive.Config{NoScript: noScript}, tt.handler))
				for _, proto := range protocols {
					get, head := ours.fetch(t, proto, "GET", "/"+tt.path, ""), ours.fetch(t, proto, "HEAD", "/"+tt.path, "")
					for name := range head.header {
						require.Equal(t, get.header[name], head.header[name], name)
					}
					require.Contains(t, []int64{-1, get.length}, head.length)
				}
			}
		})
	}
}

// gzipping is a compressor as many programs have one.
func gzipping(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			next.ServeHTTP(w, r)
			return
		}
		gw := &gzipWriter{ResponseWriter: w}
		next.ServeHTTP(gw, r)
		if gw.zip != nil {
			_ = gw.zip.Close()
		}
	})
}

type gzipWriter struct {
	http.ResponseWriter
	zip   *gzip.Writer
	ready bool
}

func (w *gzipWriter) WriteHeader(code int) {
	if !w.ready && code >= 200 {
		w.ready = true
		if code != 204 && code != 304 && w.Header().Get("Content-Encoding") == "" {
			w.zip = gzip.NewWriter(w.ResponseWriter)
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Del("Content-Length")
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *gzipWriter) Write(p []byte) (int, error) {
	if !w.ready {
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", http.DetectContentType(p))
		}
		w.WriteHeader(200)
	}
	if w.zip == nil {
		return w.ResponseWriter.Write(p)
	}
	return w.zip.Write(p)
}

func (w *gzipWriter) FlushError() error {
	if w.zip != nil {
		_ = w.zip.Flush()
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *gzipWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func gunzip(t testing.TB, s string) string {
	zr, err := gzip.NewReader(strings.NewReader(s))
	require.NoError(t, err)
	b, err := io.ReadAll(zr)
	require.NoError(t, err)
	return string(b)
}

// What a browser sends with a navigation, and with a script or a fetch.
const (
	forPage  = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"
	forAsset = "Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\n"
)

// plainTagged is a page that arrived plain where it would have been compressed
// without us; zipTagged one that was compressed after us.
func plainTagged(t *testing.T, bare, ours reply) {
	require.Equal(t, "gzip", bare.header.Get("Content-Encoding"))
	require.Empty(t, ours.header.Get("Content-Encoding"))
	page, tags := untag(ours.body)
	require.Equal(t, gunzip(t, bare.body), page)
	require.Equal(t, 1, tags)
}

func zipTagged(t *testing.T, bare, ours reply) {
	require.Equal(t, "gzip", ours.header.Get("Content-Encoding"))
	page, tags := untag(gunzip(t, ours.body))
	require.Equal(t, gunzip(t, bare.body), page)
	require.Equal(t, 1, tags)
}

func TestCompressors(t *testing.T) {
	pages := map[string]http.HandlerFunc{
		"one write": respond(200, doc, html...),
		"no type":   respond(0, doc),
		"length":    respond(0, doc, "Content-Type", "text/html", "Content-Length", strconv.Itoa(len(doc))),
		"pieces":    pieces(3, write),
		"flush":     flushing(18),
	}
	inside := func(h http.Handler) http.Handler { return everywhere(t, gzipping(h)) }
	outside := func(h http.Handler) http.Handler { return gzipping(everywhere(t, h)) }
	tests := []struct {
		name   string
		wrap   func(http.Handler) http.Handler
		header string
		holds  law
	}{
		{name: "inside, page", wrap: inside, header: forPage, holds: plainTagged},
		{name: "inside, asset", wrap: inside, header: forAsset, holds: same},
		{name: "inside, plain", wrap: inside, holds: tagged},
		{name: "outside, page", wrap: outside, header: forPage, holds: zipTagged},
		{name: "outside, asset", wrap: outside, header: forAsset, holds: zipTagged},
		{name: "outside, plain", wrap: outside, holds: tagged},
	}
	for _, tt := range tests {
		for name, h := range pages {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				bare, ours := serve(t, gzipping(h)), serve(t, tt.wrap(h))
				for _, proto := range protocols {
					tt.holds(t, bare.fetch(t, proto, "GET", "/", tt.header), ours.fetch(t, proto, "GET", "/", tt.header))
				}
			})
		}
	}
}

func TestReverseProxy(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/page", respond(200, doc, "Content-Type", "text/html", "ETag", `"x"`))
	mux.HandleFunc("/chunked", flushing(18))
	mux.HandleFunc("/json", respond(200, "{}", "Content-Type", "application/json"))
	mux.HandleFunc("/304", respond(304, "", "ETag", `"x"`))
	mux.HandleFunc("/br", respond(200, "x", "Content-Type", "text/html", "Content-Encoding", "br"))
	mux.HandleFunc("/dies", dying(respond(0, doc+comment, html...)))
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		respond(200, doc, html...)(w, r)
		w.Header().Set("Sum", "1")
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(103)
		respond(200, doc, html...)(w, r)
	})
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "echo")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(101)
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = buf.WriteString("by hand")
			_ = buf.Flush()
			_ = conn.Close()
		}
	})
	mux.Handle("/gzip/", http.StripPrefix("/gzip", gzipping(respond(200, doc, html...))))
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
		holds                      law
	}{
		{name: "page", path: "/page", holds: tagged},
		{name: "page for a browser", path: "/page", header: forPage, holds: tagged},
		{name: "HEAD", method: "HEAD", path: "/page", header: forPage, holds: tagged},
		{name: "chunked page", path: "/chunked", header: forPage, holds: tagged},
		{name: "JSON", path: "/json", header: forAsset, holds: same},
		{name: "JSON for a browser", path: "/json", header: forPage, holds: same},
		{name: "304", path: "/304", header: forPage, holds: same},
		{name: "compressed in any case", path: "/br", header: forPage, holds: same},
		{name: "upstream dies", path: "/dies", holds: broken},
		{name: "trailers", path: "/trailers", holds: tagged},
		{name: "early hints", path: "/hints", holds: tagged},
		{name: "upgrade", path: "/upgrade", header: "Connection: Upgrade\r\nUpgrade: echo\r\n", holds: same},
		{name: "gzip upstream, plain", path: "/gzip/", holds: tagged},
		{name: "gzip upstream, browser", path: "/gzip/", header: forPage, holds: plainTagged},
		{name: "gzip upstream, asset", path: "/gzip/", header: forAsset, holds: same},
	}
	bare, ours := serve(t, proxy), serve(t, everywhere(t, proxy))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method := tt.method
			if method == "" {
				method = "GET"
			}
			for _, proto := range protocols {
				if tt.name == "upgrade" && proto != "HTTP/1.1" {
					continue // HTTP/1.1 only (RFC 9110 section 7.8)
				}
				tt.holds(t, bare.fetch(t, proto, method, tt.path, tt.header), ours.fetch(t, proto, method, tt.path, tt.header))
			}
		})
	}
}

func TestTimeoutHandler(t *testing.T) {
	var running sync.WaitGroup
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		for range 20 { // on after the time, while the middleware outside looks at the request
			respond(200, doc[:20], html...)(w, r)
			_ = r.Header.Get("Accept-Encoding")
			time.Sleep(5 * time.Millisecond)
		}
	})
	// looking reads the request after next, which TimeoutHandler may have left.
	looking := func(next http.Handler) http.Handler {
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
	outside := func(h http.Handler) http.Handler {
		return looking(http.TimeoutHandler(h, 50*time.Millisecond, doc))
	}
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{})
	cookie := "Cookie: session=" + newToken(t, sm) + "\r\n"
	fast := respond(200, doc+comment, html...)
	tests := []struct {
		name       string
		bare, ours http.Handler
		holds      law
	}{
		{name: "outside, in time", bare: outside(fast), ours: outside(km.Inject(fast)), holds: tagged},
		{name: "outside, too late", bare: outside(slow), ours: outside(km.Inject(slow)), holds: same},
		{name: "inside, in time", bare: http.TimeoutHandler(fast, time.Minute, ""), ours: km.Inject(http.TimeoutHandler(fast, time.Minute, "")), holds: tagged},
		{name: "inside, too late", bare: http.TimeoutHandler(slow, 20*time.Millisecond, ""), ours: km.Inject(http.TimeoutHandler(slow, 20*time.Millisecond, "")), holds: inTheErrorPage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bare, ours := serve(t, tt.bare), serve(t, tt.ours)
			for _, proto := range protocols {
				tt.holds(t, bare.fetch(t, proto, "GET", "/", cookie+forPage), ours.fetch(t, proto, "GET", "/", cookie+forPage))
			}
		})
	}
	t.Run("LoadAndSave", func(t *testing.T) {
		ours := serve(t, outside(km.LoadAndSave(slow)))
		for _, proto := range protocols {
			require.Equal(t, 503, ours.fetch(t, proto, "GET", "/", cookie+forPage).status)
		}
	})
	running.Wait()
}

// That a request is to be answered plain is between us and what is inside.
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

// inTheErrorPage is TimeoutHandler's own: it has html tags but no doctype.
func inTheErrorPage(t *testing.T, bare, ours reply) {
	require.Equal(t, 503, ours.status)
	tagged(t, bare, ours)
}

// A middleware that recovers can still answer as long as the page is held.
func TestRecovering(t *testing.T) {
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
		"after WriteHeader": dying(respond(200, "", "Content-Type", "text/html", "ETag", `"x"`, "Content-Length", "10")),
		"within the prolog": dying(respond(0, doc[:20], "Content-Type", "text/html", "ETag", `"x"`)),
	} {
		t.Run(name, func(t *testing.T) {
			ours := serve(t, recovering(everywhere(t, h)))
			for _, proto := range protocols {
				got := ours.fetch(t, proto, "GET", "/", "")
				require.Equal(t, 500, got.status)
				require.Equal(t, "sorry\n", got.body)
				require.False(t, got.cut)
			}
		})
	}
}

// What was flushed has arrived before the handler goes on, but for the bytes of
// a token that may turn out to come after the tag.
func TestFirstBytesArriveAtOnce(t *testing.T) {
	tag := tagOf(t)
	tests := []struct {
		name    string
		flushed int
		seen    string
	}{
		{name: "nothing", flushed: 0, seen: ""},
		{name: "within the doctype", flushed: 10, seen: doc[:10]},
		{name: "after the doctype", flushed: 15, seen: doc[:15]},
		{name: "within a name", flushed: 18, seen: doc[:16]},
		{name: "within a tag that isn't head", flushed: 22, seen: doc[:22]},
		{name: "after html", flushed: 30, seen: doc[:30]},
		{name: "within head", flushed: 35, seen: doc[:30]},
		{name: "after head", flushed: 36, seen: doc[:36] + tag},
		{name: "within body", flushed: 60, seen: doc[:36] + tag + doc[36:60]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			read := make(chan struct{})
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				write(w, doc[:tt.flushed])
				w.(http.Flusher).Flush()
				select {
				case <-read:
				case <-r.Context().Done():
				}
				write(w, doc[tt.flushed:])
			})
			srv := httptest.NewServer(everywhere(t, h))
			defer srv.Close()
			client := srv.Client()
			client.Timeout = 5 * time.Second
			res, err := client.Get(srv.URL)
			require.NoError(t, err)
			seen := make([]byte, len(tt.seen))
			_, err = io.ReadFull(res.Body, seen)
			require.NoError(t, err)
			require.Equal(t, tt.seen, string(seen))
			close(read)
			page, _ := untag(string(seen) + body(t, res))
			require.Equal(t, doc, page)
		})
	}
}
