package inject_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/inject"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// recorder are Hooks that note how they are called.
type recorder struct {
	insertion *inject.Insertion
	err       error // of BeforeHeader
	calls     []string
}

func (r *recorder) BeforeHeader(w http.ResponseWriter, _ int) error {
	r.calls = append(r.calls, "BeforeHeader")
	w.Header().Set("Before-Header", "was called")
	return r.err
}

func (r *recorder) AnswerError(w http.ResponseWriter, err error) {
	r.calls = append(r.calls, "AnswerError")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, "answered: "+err.Error())
}

func (r *recorder) Insertion(http.Header) (*inject.Insertion, string) {
	r.calls = append(r.calls, "Insertion")
	return r.insertion, "the owner's reason"
}

func (r *recorder) Inserted(h http.Header, nonce string) {
	r.calls = append(r.calls, "Inserted "+nonce)
}

func (r *recorder) Skipped(reason string) { r.calls = append(r.calls, "Skipped "+reason) }

// wrapRecorded returns next behind a Writer with the given Hooks, for one request.
func wrapRecorded(hooks inject.Hooks, next http.Handler) http.Handler {
	return wrapWithHooks(func() inject.Hooks { return hooks }, next)
}

// The owner learns once what becomes of each response that may be a page.
func TestHooksAreCalled(t *testing.T) {
	// The calls of BeforeHeader and Insertion come first, and in this order.
	const asked, notAsked = "BeforeHeader, Insertion, ", "BeforeHeader, "
	tests := []struct {
		name    string
		method  string
		nothing bool // Insertion returns nothing
		handler http.HandlerFunc
		want    string
	}{
		{name: "page", handler: respondHTML(0, page), want: asked + "Inserted "},
		{name: "nonce", handler: respondHTML(0, page, "Content-Security-Policy", "script-src 'nonce-abc'"), want: asked + "Inserted abc"},
		{name: "flushed page", handler: flushAfter(18), want: asked + "Inserted "},
		{name: "early hints", handler: earlyHints(respondHTML(0, page)), want: asked + "Inserted "},
		{name: "nothing to insert", nothing: true, handler: respondHTML(0, page), want: asked + "Skipped the owner's reason"},
		{name: "fragment", handler: respondHTML(0, "<p>x"), want: asked + "Skipped not a whole document"},
		{name: "open comment", handler: respondHTML(0, "<!doctype html><!--"), want: asked + "Skipped not a whole document"},
		{name: "empty", handler: respondHTML(0, ""), want: asked + "Skipped no body"},
		{name: "HEAD", method: "HEAD", handler: respondHTML(0, ""), want: asked + "Skipped no body"},
		{name: "no type, text", handler: respond(0, strings.Repeat(" ", 601)+page), want: asked + "Skipped no Content-Type, and net/http takes it for something else"},
		{name: "no type, flushed", handler: func(w http.ResponseWriter, _ *http.Request) {
			mustWrite(w, page[:5])
			mustFlush(w)
		}, want: asked + "Skipped no Content-Type, and net/http takes it for something else"},
		{name: "no type but encoded", handler: respond(0, page, "Content-Encoding", "br"), want: notAsked + "Skipped no Content-Type, but encoded"},
		{name: "redirect", handler: respondHTML(302, page), want: notAsked + "Skipped status"},
		{name: "compressed", handler: respondHTML(0, page, "Content-Encoding", "gzip"), want: notAsked + "Skipped Content-Encoding: compress outside"},
		{name: "no-transform", handler: respondHTML(0, page, "Cache-Control", "no-transform"), want: notAsked + "Skipped Cache-Control: no-transform"},
		{name: "attachment", handler: respondHTML(0, page, "Content-Disposition", "attachment"), want: notAsked + "Skipped Content-Disposition: attachment"},
		{name: "range", handler: respondHTML(200, page, "Content-Range", "bytes 0-9/10"), want: notAsked + "Skipped Content-Range"},
		{name: "digest", handler: respondHTML(200, page, "Digest", "x"), want: notAsked + "Skipped digest"},
		{name: "UTF-16", handler: respond(0, page, "Content-Type", "text/html; charset=utf-16"), want: notAsked + "Skipped Content-Type: its charset is not like ASCII, or it can't be read"},
		{name: "two types", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{"text/html", "text/html"}
		}, want: notAsked + "Skipped not one Content-Type"},
		{name: "JSON", handler: respond(0, "{}", "Content-Type", "application/json"), want: "BeforeHeader"},
		{name: "panic", handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hooks := &recorder{insertion: onlyTag}
			if tt.nothing {
				hooks.insertion = nil
			}
			func() {
				defer func() { _ = recover() }()
				wrapRecorded(hooks, tt.handler).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(tt.method, "/", nil))
			}()
			require.Equal(t, tt.want, strings.Join(hooks.calls, ", "))
			if _, reason, found := strings.Cut(tt.want, "Skipped "); found && !tt.nothing {
				require.Contains(t, inject.SkipReasons, reason)
			}
		})
	}
}

// BeforeHeader may still change the header, whatever sends it. After an error of
// it AnswerError answers, and the handler's response is dropped.
func TestBeforeHeader(t *testing.T) {
	failure := errors.New("the store fails")
	tests := []struct {
		name string
		send func(http.ResponseWriter) error
	}{
		{name: "Write", send: func(w http.ResponseWriter) error { _, err := w.Write([]byte(page)); return err }},
		{name: "WriteString", send: func(w http.ResponseWriter) error { _, err := io.WriteString(w, page); return err }},
		{name: "ReadFrom", send: func(w http.ResponseWriter) error {
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(page))
			return err
		}},
		{name: "FlushError", send: func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }},
		{name: "WriteHeader", send: func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusAccepted)
			_, err := io.WriteString(w, page)
			return err
		}},
		{name: "return", send: func(http.ResponseWriter) error { return failure }},
	}
	for _, tt := range tests {
		for _, contentType := range []string{"text/html", "application/json"} {
			t.Run(tt.name+", "+contentType, func(t *testing.T) {
				for _, hooks := range []*recorder{{insertion: tagAndTail}, {insertion: tagAndTail, err: failure}} {
					var got error
					srv := httptest.NewServer(wrapRecorded(hooks, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Content-Type", contentType)
						got = tt.send(w)
						w.Header().Set("Before-Header", "too late")
					})))
					res, err := http.Get(srv.URL)
					require.NoError(t, err)
					b, err := io.ReadAll(res.Body)
					require.NoError(t, err)
					require.NoError(t, res.Body.Close())
					srv.Close() // which waits for the handler
					require.Equal(t, 1, strings.Count(strings.Join(hooks.calls, " "), "BeforeHeader"))
					if tt.name != "return" {
						require.ErrorIs(t, got, hooks.err)
						require.Equal(t, "was called", res.Header.Get("Before-Header"))
					}
					if hooks.err != nil {
						require.Equal(t, []string{"BeforeHeader", "AnswerError"}, hooks.calls)
						require.Equal(t, http.StatusInternalServerError, res.StatusCode)
						require.Equal(t, "answered: the store fails", string(b))
					}
				}
			})
		}
	}
}

// The length of the response that is dropped is not that of AnswerError's.
func TestAnswerErrorWithoutTheDroppedLength(t *testing.T) {
	hooks := &recorder{insertion: onlyTag, err: errors.New("broken")}
	srv := wiretest.Serve(t, wrapRecorded(hooks, respondHTML(0, page, "Content-Length", pageLength)))
	got := srv.Fetch(t, "HTTP/1.1", "GET", "/", "")
	require.Equal(t, "answered: broken", got.Body)
	require.False(t, got.Truncated)
}

// A 101 is a final header, unlike other informational ones.
func TestBeforeHeaderOfSwitchingProtocols(t *testing.T) {
	hooks := &recorder{insertion: onlyTag}
	srv := wiretest.Serve(t, wrapRecorded(hooks, hijackAfter(func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusSwitchingProtocols)
	})))
	got := srv.Fetch(t, "HTTP/1.1", "GET", "/", "")
	require.Equal(t, http.StatusSwitchingProtocols, got.Status)
	require.Equal(t, "was called", got.Header.Get("Before-Header"))
}

// A connection is only handed over when BeforeHeader has succeeded.
func TestHijackCallsBeforeHeader(t *testing.T) {
	failure := errors.New("the store fails")
	for name, err := range map[string]error{"success": nil, "failure": failure} {
		t.Run(name, func(t *testing.T) {
			hooks := &recorder{insertion: onlyTag, err: err}
			srv := wiretest.Serve(t, wrapRecorded(hooks, hijackAfter(func(http.ResponseWriter) {})))
			got := srv.Fetch(t, "HTTP/1.1", "GET", "/", "")
			if err == nil {
				require.Equal(t, "by hand: "+http.ErrHijacked.Error(), got.Raw)
			} else {
				require.NotContains(t, got.Raw, "by hand")
				require.Contains(t, strings.Join(hooks.calls, " "), "AnswerError", "what the handler writes instead is dropped")
			}
			srv.Plain.Close() // which waits for the handler
			require.Equal(t, 1, strings.Count(strings.Join(hooks.calls, " "), "BeforeHeader"))
		})
	}
}

// Find sees Writers through others that can be unwrapped.
func TestFind(t *testing.T) {
	hooks, other := &recorder{insertion: onlyTag}, &recorder{insertion: onlyTag}
	otherWriter := func(h http.Handler) http.Handler { return wrapRecorded(other, h) }
	hidden := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") }
	tests := []struct {
		name  string
		outer *recorder
		wrap  func(http.Handler) http.Handler // between the Writer and the handler
		want  bool
	}{
		{name: "the writer itself", outer: hooks, wrap: func(h http.Handler) http.Handler { return h }, want: true},
		{name: "another's", outer: other, wrap: func(h http.Handler) http.Handler { return h }},
		{name: "below a compressor", outer: hooks, wrap: wiretest.Compress, want: true},
		{name: "below another Writer", outer: hooks, wrap: otherWriter, want: true},
		{name: "hidden", outer: hooks, wrap: hidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var found bool
			h := wrapRecorded(tt.outer, tt.wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				found = inject.Find(w, func(h inject.Hooks) bool { return h == hooks })
			})))
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept-Encoding", "gzip") // or the compressor does nothing
			h.ServeHTTP(httptest.NewRecorder(), r)
			require.Equal(t, tt.want, found)
		})
	}
	require.False(t, inject.Find(httptest.NewRecorder(), func(inject.Hooks) bool { return true }))
}

// pushRecorder is a writer that takes pushes.
type pushRecorder struct {
	*httptest.ResponseRecorder
	pushed []string
}

func (p *pushRecorder) Push(target string, _ *http.PushOptions) error {
	p.pushed = append(p.pushed, target)
	return nil
}

func TestPush(t *testing.T) {
	var err error
	h := wrap(onlyTag, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		err = w.(http.Pusher).Push("/a.css", nil)
	}))
	p := &pushRecorder{ResponseRecorder: httptest.NewRecorder()}
	h.ServeHTTP(p, httptest.NewRequest("GET", "/", nil))
	require.NoError(t, err)
	require.Equal(t, []string{"/a.css"}, p.pushed)
	record(h)
	require.ErrorIs(t, err, http.ErrNotSupported)
}

func TestUnwrap(t *testing.T) {
	w := httptest.NewRecorder()
	wrap(onlyTag, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		require.Same(t, w, rw.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
	})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
}
