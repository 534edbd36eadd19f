package inject_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive/internal/inject"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// cookieHooks insert a tag into every page, and set a cookie before the header.
type cookieHooks struct{ before int }

var cookieInsertion = inject.NewInsertion([]byte("<script></script>"), len("<script"), nil)

func (h *cookieHooks) BeforeHeader(w http.ResponseWriter, _ int) error {
	h.before++
	http.SetCookie(w, &http.Cookie{Name: "saved", Value: strconv.Itoa(h.before)})
	return nil
}

func (h *cookieHooks) AnswerError(http.ResponseWriter, error) { panic("BeforeHeader never fails") }
func (h *cookieHooks) Insertion(http.Header) (*inject.Insertion, string) {
	return cookieInsertion, ""
}
func (h *cookieHooks) Inserted(http.Header, string) {}
func (h *cookieHooks) Skipped(string)               {}

func withCookie(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var iw inject.Writer
		iw.Init(w, &cookieHooks{})
		iw.Serve(next, r)
	})
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("no such file") }

// What writes nothing sends the header exactly where that of net/http does, and
// leaves the answer open where that does.
func TestWritingNothing(t *testing.T) {
	fall := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusSeeOther) }
	tests := []struct {
		name    string
		nothing func(http.ResponseWriter)
		then    http.HandlerFunc
		status  int
	}{
		{"copy of nothing, then a redirect", func(w http.ResponseWriter) { _, _ = io.Copy(w, onlyReader{strings.NewReader("")}) }, fall, 303},
		{"copy that fails, then a redirect", func(w http.ResponseWriter) { _, _ = io.Copy(w, failingReader{}) }, fall, 303},
		{"copy that fails, then an error", func(w http.ResponseWriter) { _, _ = io.Copy(w, failingReader{}) },
			func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad gateway", http.StatusBadGateway) }, 502},
		{"copy of nothing, then no content", func(w http.ResponseWriter) { _, _ = io.Copy(w, onlyReader{strings.NewReader("")}) },
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, 204},
		{"copy of nothing, then early hints and no content", func(w http.ResponseWriter) { _, _ = io.Copy(w, failingReader{}) },
			func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusEarlyHints)
				w.WriteHeader(http.StatusNoContent)
			}, 204},
		{"copy of nothing, and nothing else", func(w http.ResponseWriter) { _, _ = io.Copy(w, failingReader{}) },
			func(http.ResponseWriter, *http.Request) {}, 200},
		{"empty Write, then a redirect", func(w http.ResponseWriter) { _, _ = w.Write(nil) }, fall, 200},
		{"empty WriteString, then a redirect", func(w http.ResponseWriter) { _, _ = io.WriteString(w, "") }, fall, 200},
	}
	for _, tt := range tests {
		for _, contentType := range []string{"", "text/html", "text/plain"} {
			t.Run(tt.name+", "+contentType, func(t *testing.T) {
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if contentType != "" {
						w.Header().Set("Content-Type", contentType)
					}
					tt.nothing(w)
					tt.then(w, r)
				})
				bare, wrapped := answer(t, h), answer(t, withCookie(h))
				require.Equal(t, tt.status, bare.StatusCode)
				require.Equal(t, tt.status, wrapped.StatusCode)
				require.Equal(t, bare.Header.Get("Location"), wrapped.Header.Get("Location"))
				require.Equal(t, "saved=1", wrapped.Header.Get("Set-Cookie"))
			})
		}
	}
}

// onlyReader hides WriterTo, so that io.Copy calls ReadFrom.
type onlyReader struct{ io.Reader }

func answer(t *testing.T, h http.Handler) *http.Response {
	srv := httptest.NewServer(h)
	defer srv.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(srv.URL)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res
}

// A page that is shorter than its Content-Length promised is cut on the wire, and
// not taken for whole, also when the length was dropped by a flush.
func TestShortPageIsCut(t *testing.T) {
	const whole = "<!doctype html><!-- " + "a long comment" + " --><html><head><title>x</title>"
	for _, n := range []int{0, 5, 15, 25, 38, len(whole) - 20, len(whole) - 1, len(whole)} {
		for _, flushes := range []bool{false, true} {
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
				if flushes {
					_ = http.NewResponseController(w).Flush()
				}
				_, _ = io.WriteString(w, whole[:n])
			})
			for name, h := range map[string]http.Handler{"bare": h, "wrapped": withCookie(h)} {
				srv := httptest.NewServer(h)
				res, err := http.Get(srv.URL)
				if err == nil {
					_, err = io.ReadAll(res.Body)
					require.NoError(t, res.Body.Close())
				}
				srv.Close()
				if n == len(whole) {
					require.NoError(t, err, "%s, %d, %v", name, n, flushes)
				} else {
					require.Error(t, err, "%s, %d, %v", name, n, flushes)
				}
			}
		}
	}
}

// What exceeds a page's Content-Length is refused, as net/http refuses it, and
// the page is whole without it.
func TestExcessIsRefused(t *testing.T) {
	const whole, excess = "<!doctype html><html><head><title>x</title>", "sorry"
	writes := map[string]func(http.ResponseWriter, string) (int, error){
		"Write":       func(w http.ResponseWriter, s string) (int, error) { return w.Write([]byte(s)) },
		"WriteString": func(w http.ResponseWriter, s string) (int, error) { return io.WriteString(w, s) },
	}
	for name, write := range writes {
		for _, promised := range []int{0, 10, len(whole)} { // before and behind the insertion point
			for _, flushes := range []bool{false, true} {
				t.Run(name+" "+strconv.Itoa(promised), func(t *testing.T) {
					h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Content-Type", "text/html")
						w.Header().Set("Content-Length", strconv.Itoa(promised))
						_, _ = write(w, whole[:promised])
						if flushes {
							_ = http.NewResponseController(w).Flush()
						}
						_, err := write(w, excess)
						abortUnless(errors.Is(err, http.ErrContentLength))
					})
					servers := compare(t, h)
					servers.fetch(t, "HTTP/1.1", "GET", "/", "", func(t *testing.T, _, got wiretest.Response) {
						rest, _ := removeTag(got.Body)
						require.Equal(t, whole[:promised], rest)
						require.False(t, got.Truncated)
					})
				})
			}
		}
	}
}
