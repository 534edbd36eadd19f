package inject_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/inject"
	"github.com/stretchr/testify/require"
)

// Three things that may go into a page, by the session and the configuration.
var (
	signedIn   = inject.NewInsertion([]byte("<script>in</script>"), len("<script"), nil)
	configured = inject.NewInsertion([]byte("<script>other</script>"), len("<script"), nil)
	nothing    *inject.Insertion
)

// serveWith serves one request with ins going into pages.
func serveWith(next http.Handler, ins *inject.Insertion, method string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "/", nil)
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	var iw inject.Writer
	iw.Init(w, sameForAll{ins})
	prepared, _ := iw.Prepare(r, false, ins == nil, func() *inject.Insertion { return ins })
	iw.Serve(next, prepared)
	return w.Result()
}

func readBody(t *testing.T, res *http.Response) string {
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(b)
}

const taggedPage = "<!doctype html><title>Page</title>"

// document is a page with validators, as http.ServeContent serves it.
func document(etag string, modified time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		http.ServeContent(w, r, "page.html", modified, strings.NewReader(taggedPage))
	})
}

// A cached page is good for as long as the same would go into it again, and no
// longer: not over a sign-in, a sign-out or a change of the configuration.
func TestCachedPages(t *testing.T) {
	modified := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name string
		page http.Handler
	}{
		{"strong tag", document(`"abc"`, time.Time{})},
		{"strong tag and date", document(`"abc"`, modified)},
		{"weak tag", document(`W/"abc"`, time.Time{})},
		{"tag with a comma and a semicolon", document(`"a,b;k"`, time.Time{})},
		{"empty tag", document(`""`, time.Time{})},
		{"date only", document("", modified)},
	}
	states := map[string]*inject.Insertion{"nothing": nothing, "signed in": signedIn, "configured": configured}
	for _, tt := range tests {
		for cachedName, cached := range states {
			for nowName, now := range states {
				t.Run(tt.name+", cached "+cachedName+", now "+nowName, func(t *testing.T) {
					first := serveWith(tt.page, cached, http.MethodGet)
					require.Equal(t, http.StatusOK, first.StatusCode)
					etag, date := first.Header.Get("ETag"), first.Header.Get("Last-Modified")
					conditional := func(method string) *http.Response {
						var header []string
						if etag != "" {
							header = append(header, "If-None-Match", etag)
						}
						if date != "" {
							header = append(header, "If-Modified-Since", date)
						}
						return serveWith(tt.page, now, method, header...)
					}
					for _, method := range []string{http.MethodGet, http.MethodHead} {
						res := conditional(method)
						if cached == now {
							require.Equal(t, http.StatusNotModified, res.StatusCode)
							require.Equal(t, etag, res.Header.Get("ETag"))
							continue
						}
						require.Equal(t, http.StatusOK, res.StatusCode)
						require.Equal(t, serveWith(tt.page, now, method).Header, res.Header)
					}
					if cached != now {
						require.Equal(t, readBody(t, serveWith(tt.page, now, http.MethodGet)), readBody(t, conditional(http.MethodGet)))
					}
				})
			}
		}
	}
}

// A page that changes has another tag than the handler's, and always a weak one.
func TestETagOfAChangedPage(t *testing.T) {
	modified := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	seen := make(map[string]string)
	for name, page := range map[string]http.Handler{
		"strong": document(`"abc"`, modified), "weak": document(`W/"abc"`, modified), "date": document("", modified),
		"date, a second later": document("", modified.Add(time.Second)),
	} {
		for insName, ins := range map[string]*inject.Insertion{"signed in": signedIn, "configured": configured} {
			etag := serveWith(page, ins, http.MethodGet).Header.Get("ETag")
			require.Regexp(t, `^W/"[^"]+;k[\w-]{8}[swm]"$`, etag)
			require.Empty(t, seen[etag], "%s, %s and %s", name, insName, seen[etag])
			seen[etag] = name
		}
	}
	// What cannot be read is left alone.
	require.Equal(t, "abc", serveWith(document("abc", time.Time{}), signedIn, http.MethodGet).Header.Get("ETag"))
}

// What the handler gets to see of a request's conditions.
func TestConditionsOfARequest(t *testing.T) {
	suffixed := func(etag string) string {
		return serveWith(document(etag, time.Time{}), signedIn, http.MethodGet).Header.Get("ETag")
	}
	const date = "Fri, 02 Jan 2026 03:04:05 GMT"
	made := serveWith(document("", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), signedIn, http.MethodGet).Header.Get("ETag")
	strong, weak := suffixed(`"a"`), suffixed(`W/"b"`)
	const other = `W/"c;k00000000s"`
	tests := []struct {
		name   string
		method string
		now    *inject.Insertion
		header [2]string
		since  bool // If-Modified-Since comes with it
		want   string
		kept   bool // If-Modified-Since stays
	}{
		{"own tag", "GET", signedIn, [2]string{"If-None-Match", strong}, true, `"a"`, true},
		{"own tags in a list", "GET", signedIn, [2]string{"If-None-Match", strong + " , ," + weak}, true, `"a", W/"b"`, true},
		{"comma in a tag", "GET", signedIn, [2]string{"If-None-Match", suffixed(`"x, y"`)}, true, `"x, y"`, true},
		{"tag of another insertion", "GET", signedIn, [2]string{"If-None-Match", other}, true, "", false},
		{"the handler's tag", "GET", signedIn, [2]string{"If-None-Match", `"a"`}, true, "", false},
		{"own and another", "GET", signedIn, [2]string{"If-None-Match", other + "," + strong}, true, `"a"`, false},
		{"made tag", "GET", signedIn, [2]string{"If-None-Match", made}, true, "", true},
		{"any", "GET", signedIn, [2]string{"If-None-Match", "*"}, true, "*", true},
		{"no list of tags", "GET", signedIn, [2]string{"If-None-Match", "a, b"}, true, "", false},
		{"open tag", "GET", signedIn, [2]string{"If-None-Match", `"a`}, true, "", false},
		{"date only", "GET", signedIn, [2]string{}, true, "", false},
		{"nothing to insert, own tag", "GET", nothing, [2]string{"If-None-Match", strong}, true, "", false},
		{"nothing to insert, the handler's tag", "GET", nothing, [2]string{"If-None-Match", `"a"`}, true, `"a"`, true},
		{"nothing to insert, date only", "GET", nothing, [2]string{}, true, "", true},
		{"write by own tag", "PUT", signedIn, [2]string{"If-Match", strong}, false, `"a"`, false},
		{"write by own tag, signed out", "PUT", nothing, [2]string{"If-Match", strong}, false, `"a"`, false},
		{"write by a tag of another insertion", "PUT", signedIn, [2]string{"If-Match", other}, false, `"c"`, false},
		{"write by a weak tag", "PUT", signedIn, [2]string{"If-Match", weak}, false, `W/"b"`, false},
		{"write by a made tag", "PUT", signedIn, [2]string{"If-Match", made}, false, made, false},
		{"write by the handler's tag", "PUT", signedIn, [2]string{"If-Match", `"a", "b"`}, false, `"a", "b"`, false},
		{"write by any", "PUT", signedIn, [2]string{"If-Match", "*"}, false, "*", false},
		{"write by no list of tags", "PUT", signedIn, [2]string{"If-Match", "a"}, false, "a", false},
		{"POST is no conditional request for a page", "POST", signedIn, [2]string{"If-None-Match", strong}, true, strong, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := []string{"If-Unmodified-Since", date}
			if tt.header[0] != "" {
				header = append(header, tt.header[:]...)
			}
			if tt.since {
				header = append(header, "If-Modified-Since", date)
			}
			var got http.Header
			serveWith(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }), tt.now, tt.method, header...)
			if tt.header[0] != "" {
				require.Equal(t, tt.want, got.Get(tt.header[0]))
			}
			require.Equal(t, tt.kept, got.Get("If-Modified-Since") != "")
			require.Equal(t, date, got.Get("If-Unmodified-Since"))
		})
	}
	t.Run("not for HTML", func(t *testing.T) {
		var got http.Header
		serveWith(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }), signedIn, "GET",
			"Accept", "application/json", "If-None-Match", strong, "If-Modified-Since", date)
		require.Equal(t, strong, got.Get("If-None-Match"))
		require.Equal(t, date, got.Get("If-Modified-Since"))
	})
}

// A client that was cut off must not go on with a range of the original: its tag
// is weak, and If-Range needs a strong one.
func TestRangeAfterNotModified(t *testing.T) {
	page := document(`"abc"`, time.Time{})
	etag := serveWith(page, signedIn, http.MethodGet).Header.Get("ETag")
	etag = serveWith(page, signedIn, http.MethodGet, "If-None-Match", etag).Header.Get("ETag")
	res := serveWith(page, signedIn, http.MethodGet, "Range", "bytes=5-", "If-Range", etag)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, readBody(t, res), "<script>")
}
