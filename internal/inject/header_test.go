package inject_test

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/seed4a306b22/keepalive/internal/inject"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

func TestHeaderFields(t *testing.T) {
	runScenarios(t, []scenario{
		{name: "exact length", handler: respondHTML(200, page, "Content-Length", pageLength), check: all(inserted, exactLength)},
		{name: "exact length, no WriteHeader", handler: respondHTML(0, page, "Content-Length", pageLength), check: all(inserted, exactLength)},
		{name: "exact length, long page", handler: respondHTML(0, page+longComment, "Content-Length", strconv.Itoa(len(page+longComment))), check: all(inserted, exactLength)},
		{name: "exact length, late insertion point", handler: respondHTML(0, longComment[:4<<10]+"-->"+page, "Content-Length", strconv.Itoa(4<<10+3+len(page))), check: all(inserted, exactLength)},
		{name: "length not a number", handler: respondHTML(0, page, "Content-Length", "many"), check: lengthIgnored},
		{name: "negative length", handler: respondHTML(0, page, "Content-Length", "-5"), check: lengthIgnored},
		{name: "length too short", handler: respondHTML(0, page, "Content-Length", "80"), check: cutShort},
		{name: "length too long", handler: respondHTML(0, page, "Content-Length", "1000"), check: cutShort},
		{name: "JSON with a length too long", handler: respond(0, "{}", "Content-Type", "application/json", "Content-Length", "9"), check: unchanged},
		{name: "strong ETag", handler: respondHTML(0, page, "ETag", `"x"`), check: inserted},
		{name: "weak ETag", handler: respondHTML(0, page, "ETag", `W/"x"`), check: inserted},
		{name: "Accept-Ranges", handler: respondHTML(0, page, "Accept-Ranges", "bytes"), check: inserted},
		{name: "set after WriteHeader", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Changed", "before")
			w.Header().Set("Deleted", "before")
			w.Header().Add("Added", "before")
			w.WriteHeader(200)
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "3")
			w.Header().Set("Changed", "after")
			w.Header().Set("New", "after")
			w.Header().Add("Added", "after")
			w.Header().Del("Deleted")
			mustWrite(w, page)
		}, check: inserted},
		{name: "set after the first Write", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			mustWrite(w, page[:9])
			w.Header().Set("New", "after")
			w.WriteHeader(500)
			mustWrite(w, page[9:])
		}, check: inserted},
		{name: "set after an empty Write", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			mustWrite(w, "")
			w.Header().Set("New", "after")
		}, check: unchanged},
		{name: "superfluous WriteHeader", handler: func(w http.ResponseWriter, _ *http.Request) {
			respondHTML(404, page[:9])(w, nil)
			w.WriteHeader(200)
			w.WriteHeader(103)
			respond(500, page[9:], "New", "after")(w, nil)
			w.WriteHeader(200)
		}, check: inserted},
		{name: "declared trailers", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Early, Late, Never, Deleted")
			w.Header().Set("Early", "1")
			w.Header().Set("Deleted", "1")
			respondHTML(200, page)(w, nil)
			w.Header().Set("Early", "2")
			w.Header().Set("Late", "3")
			w.Header().Del("Deleted")
		}, check: inserted},
		{name: "declared trailers set while held", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Early, Late, Never, Deleted")
			w.Header().Set("Early", "1")
			w.Header().Set("Deleted", "1")
			respondHTML(200, page[:9])(w, nil)
			w.Header().Set("Early", "2")
			w.Header().Set("Late", "3")
			w.Header().Del("Deleted")
			mustWrite(w, page[9:])
		}, check: inserted},
		{name: "declared trailer whose second value changes while held", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Two")
			w.Header()["Two"] = []string{"1", "2"}
			respondHTML(200, page[:9])(w, nil)
			w.Header()["Two"] = []string{"1", "3"}
			mustWrite(w, page[9:])
		}, check: inserted},
		{name: "trailers that were not declared", handler: func(w http.ResponseWriter, _ *http.Request) {
			respondHTML(0, page[:20])(w, nil)
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"Sum", "1")
			mustWrite(w, page[20:])
		}, check: inserted},
		{name: "early hints", handler: earlyHints(earlyHints(respondHTML(200, page))), check: inserted},
		{name: "early hints, JSON", handler: earlyHints(respond(0, "{}", "Content-Type", "application/json")), check: unchanged},
	})
}

func TestHEAD(t *testing.T) {
	runScenarios(t, []scenario{
		{name: "HEAD, body written", method: "HEAD", handler: respondHTML(0, page), check: inserted},
		{name: "HEAD, body and length", method: "HEAD", handler: respondHTML(200, page, "Content-Length", pageLength, "ETag", `"x"`), check: all(inserted, exactLength)},
		{name: "HEAD, length but no body", method: "HEAD", handler: respondHTML(0, "", "Content-Length", pageLength, "ETag", `"x"`), check: all(inserted, noLength)},
		{name: "HEAD, length, WriteHeader but no body", method: "HEAD", handler: respondHTML(200, "", "Content-Length", pageLength), check: all(inserted, noLength)},
		{name: "HEAD, no type, body", method: "HEAD", handler: respond(0, page), check: inserted},
		{name: "HEAD, no type, no body", method: "HEAD", handler: respond(200, "", "Content-Length", "10"), check: unchanged},
		{name: "HEAD, JSON", method: "HEAD", handler: respond(0, "", "Content-Type", "application/json", "Content-Length", "10"), check: unchanged},
	})
}

// HEAD may leave the length out, but what it says of a page must be what GET says.
func TestHEADSaysWhatGETSays(t *testing.T) {
	files := http.FileServer(http.Dir(writeFiles(t)))
	tests := []struct {
		name, path string
		handler    http.Handler
	}{
		{name: "written", handler: respondHTML(0, page)},
		{name: "written, with length", handler: respondHTML(200, page, "Content-Length", pageLength, "ETag", `"x"`)},
		{name: "no type", handler: respond(0, page)},
		{name: "file", path: "page.html", handler: files},
		{name: "long file", path: "long.html", handler: files},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, ins := range []*inject.Insertion{onlyTag, tagAndTail} {
				srv := wiretest.Serve(t, wrap(ins, tt.handler))
				for _, proto := range wiretest.Protocols {
					get, head := srv.Fetch(t, proto, "GET", "/"+tt.path, ""), srv.Fetch(t, proto, "HEAD", "/"+tt.path, "")
					for name := range head.Header {
						require.Equal(t, get.Header[name], head.Header[name], name)
					}
					require.Contains(t, []int64{-1, get.Length}, head.Length)
				}
			}
		})
	}
}

// The slices in a header may be shared by all responses of a handler.
func TestHeaderValuesAreNotWrittenTo(t *testing.T) {
	newHeader := func() http.Header {
		return http.Header{"Content-Type": {"text/html"}, "Content-Length": {pageLength}, "Etag": {`"x"`}, "Accept-Ranges": {"bytes"}}
	}
	shared := newHeader()
	srv := wiretest.Serve(t, wrap(onlyTag, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), shared)
		mustWrite(w, page)
	})))
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() { srv.Fetch(t, "HTTP/1.1", "GET", "/", "") })
	}
	running.Wait()
	require.Equal(t, newHeader(), shared)
}

// The tag has the nonce of the page's policy, and the length counts it.
func TestNonce(t *testing.T) {
	const policy, withNonce = "Content-Security-Policy", tagStart + ` nonce="abc+/=" defer></script>`
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string // the tag
	}{
		{name: "policy with a nonce", handler: respondHTML(0, page, policy, "script-src 'nonce-abc+/='"), want: withNonce},
		{name: "with a length", handler: respondHTML(0, page, policy, "script-src 'nonce-abc+/='", "Content-Length", pageLength), want: withNonce},
		{name: "policy without a nonce", handler: respondHTML(0, page, policy, "script-src 'self'", "Content-Length", pageLength), want: tag},
		{name: "flushed page", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(policy, "script-src 'nonce-abc+/='")
			flushAfter(18)(w, r)
		}, want: withNonce},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			servers := compare(t, tt.handler)
			for _, proto := range wiretest.Protocols {
				bare, got := servers.bare.Fetch(t, proto, "GET", "/", ""), servers.tagged.Fetch(t, proto, "GET", "/", "")
				wiretest.RequireInserted(t, tt.want, bare, got)
				if bare.Header.Get("Content-Length") == pageLength {
					require.Contains(t, []int64{-1, bare.Length + int64(len(tt.want))}, got.Length)
				}
			}
			require.Contains(t, string(onlyTag.Tag), tag, "an Insertion is only read")
		})
	}
}
