package inject_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive/internal/inject"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// page is what most handlers of the tests answer.
const page = "<!doctype html>\n<html lang=en><head><title>t</title></head><body><p>text</body></html>\n"

var pageLength = strconv.Itoa(len(page))

// longComment is longer than what a Writer holds.
var longComment = "<!--" + strings.Repeat(" -", 8<<10) + "-->"

// What the Writers of the tests insert.
const (
	tagStart = `<script src="/t.js"` // a nonce goes behind it
	tag      = tagStart + ` defer></script>`
	tail     = `<noscript>tail</noscript>`
)

var (
	onlyTag    = inject.NewInsertion([]byte(tag), len(tagStart), nil)
	tagAndTail = inject.NewInsertion([]byte(tag), len(tagStart), []byte(tail))
)

// respond and respondHTML are short because the tables are full of them.
var (
	respond     = wiretest.Respond
	respondHTML = wiretest.RespondHTML
)

// sameForAll are Hooks that insert the same into every page, nil for nothing.
type sameForAll struct{ insertion *inject.Insertion }

func (sameForAll) BeforeHeader(http.ResponseWriter, int) error  { return nil }
func (sameForAll) AnswerError(_ http.ResponseWriter, err error) { panic(err) }
func (sameForAll) Inserted(http.Header, string)                 {}
func (sameForAll) Skipped(string)                               {}

func (h sameForAll) Insertion(http.Header) (*inject.Insertion, string) {
	return h.insertion, "nothing to insert"
}

// wrap returns next behind a Writer that puts ins into every page.
func wrap(ins *inject.Insertion, next http.Handler) http.Handler {
	return wrapWithHooks(func() inject.Hooks { return sameForAll{ins} }, next)
}

// wrapWithHooks makes new Hooks for each request.
func wrapWithHooks(newHooks func() inject.Hooks, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var writer inject.Writer
		hooks := newHooks()
		writer.Init(w, hooks)
		prepared, _ := writer.Prepare(r, false, false, func() *inject.Insertion {
			same, _ := hooks.(sameForAll)
			return same.insertion
		})
		writer.Serve(next, prepared)
	})
}

// record serves a GET request with a recorder.
func record(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w
}

// removeTag returns a body without its tags, and how many there were.
func removeTag(body string) (rest string, tags int) {
	return strings.ReplaceAll(body, tag, ""), strings.Count(body, tag)
}

// compared serves a handler alone and in Writers.
type compared struct{ bare, tagged, tailed wiretest.Servers }

func compare(t *testing.T, h http.Handler) compared {
	return compared{
		bare:   wiretest.Serve(t, h),
		tagged: wiretest.Serve(t, wrap(onlyTag, h)),
		tailed: wiretest.Serve(t, wrap(tagAndTail, h)),
	}
}

// fetch sends a request to all and checks what the Writers have done.
func (c compared) fetch(t *testing.T, proto, method, path, header string, check check) {
	bare := c.bare.Fetch(t, proto, method, path, header)
	check(t, bare, c.tagged.Fetch(t, proto, method, path, header))
	check(t, bare, removeTail(t, bare, c.tailed.Fetch(t, proto, method, path, header)))
}

// removeTail takes the tail off a response. It requires that a page with the tag
// ends with the tail, that others have none, and that one that was cut short has
// none either.
func removeTail(t *testing.T, bare, got wiretest.Response) wiretest.Response {
	rest, found := strings.CutSuffix(got.Body, tail)
	require.NotContains(t, rest, tail)
	_, tags := removeTag(rest)
	switch {
	case got.Truncated:
		require.False(t, found)
	case !strings.HasPrefix(got.Raw, "HTTP/1.0"): // where a panic looks like an end
		require.Equal(t, tags == 1, found, got.Body)
	}
	isHEAD := bare.Body == "" && got.Length > bare.Length
	if got.Length >= 0 && (found || isHEAD) {
		got.Length -= int64(len(tail))
	}
	got.Body = rest
	return got
}

// scenario is a handler, and what a Writer must make of its response.
type scenario struct {
	name    string
	method  string // default GET
	header  string // of the request, in lines
	handler http.HandlerFunc
	check   check
}

// runScenarios serves each handler alone and in Writers, over all protocols.
func runScenarios(t *testing.T, scenarios []scenario) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, _ := strconv.Atoi(r.URL.Path[1:])
		scenarios[i].handler(w, r)
	})
	servers, nothingInserted := compare(t, h), wiretest.Serve(t, wrap(nil, h))
	for i, tt := range scenarios {
		path := "/" + strconv.Itoa(i)
		method := tt.method
		if method == "" {
			method = "GET"
		}
		for _, proto := range wiretest.Protocols {
			t.Run(tt.name+"/"+proto, func(t *testing.T) {
				servers.fetch(t, proto, method, path, tt.header, tt.check)
			})
		}
		t.Run(tt.name+"/nothing to insert", func(t *testing.T) {
			bare := servers.bare.Fetch(t, "HTTP/1.1", method, path, tt.header)
			unchanged(t, bare, nothingInserted.Fetch(t, "HTTP/1.1", method, path, tt.header))
		})
	}
}

// check compares what a wrapped handler sent with what the handler alone sends.
type check func(t *testing.T, bare, got wiretest.Response)

// all is several checks.
func all(checks ...check) check {
	return func(t *testing.T, bare, got wiretest.Response) {
		for _, check := range checks {
			check(t, bare, got)
		}
	}
}

// unchanged is the same response.
func unchanged(t *testing.T, bare, got wiretest.Response) { wiretest.RequireUnchanged(t, bare, got) }

// inserted is the same page with the tag in it.
func inserted(t *testing.T, bare, got wiretest.Response) {
	wiretest.RequireInserted(t, tag, bare, got)
}

// exactLength is a Content-Length that has grown by the tag.
func exactLength(t *testing.T, bare, got wiretest.Response) {
	require.Equal(t, bare.Length+int64(len(tag)), got.Length)
}

// noLength is a response without Content-Length.
func noLength(t *testing.T, _, got wiretest.Response) { require.EqualValues(t, -1, got.Length) }

// cutShort is a page that ends too early in both. Over HTTP/1.0 that does not
// show without a length.
func cutShort(t *testing.T, bare, got wiretest.Response) {
	require.True(t, bare.Truncated || strings.HasPrefix(bare.Raw, "HTTP/1.0"))
	require.Equal(t, bare.Truncated, got.Truncated)
	require.False(t, got.Reusable)
	rest, _ := removeTag(got.Body)
	require.True(t, strings.HasPrefix(page+longComment, rest))
}

// lengthIgnored is the whole page although its Content-Length cannot be read.
// net/http alone sends such a length to clients of HTTP/1.0.
func lengthIgnored(t *testing.T, _, got wiretest.Response) {
	rest, tags := removeTag(got.Body)
	require.Equal(t, page, rest)
	require.Equal(t, 1, tags)
	require.False(t, got.Truncated)
}
