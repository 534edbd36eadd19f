package inject_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// failingWriter accepts some bytes, and then fails.
type failingWriter struct {
	*httptest.ResponseRecorder
	left int
}

func (w *failingWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	if n < len(p) {
		return n, net.ErrClosed
	}
	return n, nil
}

// WriteString hides the recorder's, which never fails.
func (w *failingWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// A handler hears that its client has gone, and what it goes on writing does no
// harm.
func TestErrorsReachTheHandler(t *testing.T) {
	const page = "<!doctype html><!-- a comment --><html lang=en><head><title>t</title></head>"
	const size = 9 // of a piece
	for name, write := range map[string]func(http.ResponseWriter, string) (int, error){
		"Write":       func(w http.ResponseWriter, s string) (int, error) { return w.Write([]byte(s)) },
		"WriteString": func(w http.ResponseWriter, s string) (int, error) { return io.WriteString(w, s) },
		"ReadFrom": func(w http.ResponseWriter, s string) (int, error) {
			n, err := io.Copy(w, io.LimitReader(strings.NewReader(s), 1<<20))
			return int(n), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for limit := range len(page) {
				var failed error
				h := wrap(tagAndTail, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/html")
					for range 3 { // a handler that takes no notice
						_ = http.NewResponseController(w).Flush()
						for rest := page; rest != ""; rest = rest[min(size, len(rest)):] {
							n, err := write(w, rest[:min(size, len(rest))])
							require.LessOrEqual(t, n, size)
							failed = errors.Join(failed, err)
						}
					}
				}))
				w := &failingWriter{ResponseRecorder: httptest.NewRecorder(), left: limit}
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				require.ErrorIs(t, failed, net.ErrClosed)
			}
		})
	}
}

// failOnce fails to write once, when fail is set.
type failOnce struct {
	*httptest.ResponseRecorder
	fail bool
}

func (w *failOnce) Write(p []byte) (int, error) {
	if w.fail {
		w.fail = false
		return 0, io.ErrShortWrite
	}
	return w.ResponseRecorder.Write(p)
}

func (w *failOnce) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// Whatever sends the bytes that are held returns the error of that, and sends
// nothing more.
func TestErrorsOfHeldBytes(t *testing.T) {
	tests := []struct {
		name string
		send func(http.ResponseWriter) error
	}{
		{name: "Write", send: func(w http.ResponseWriter) error { _, err := w.Write([]byte(page[20:])); return err }},
		{name: "WriteString", send: func(w http.ResponseWriter) error { _, err := io.WriteString(w, page[20:]); return err }},
		{name: "FlushError", send: func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }},
		{name: "Hijack", send: func(w http.ResponseWriter) error {
			_, _, err := http.NewResponseController(w).Hijack()
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &failOnce{ResponseRecorder: httptest.NewRecorder(), fail: true}
			wrap(onlyTag, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				respondHTML(0, page[:20])(w, nil)
				require.ErrorIs(t, tt.send(w), io.ErrShortWrite)
			})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			require.Empty(t, w.Body.String(), "nothing may follow the gap")
		})
	}
}

// A page with a gap gets no tail: it must not look whole.
func TestNoTailAfterAGap(t *testing.T) {
	for name, write := range map[string]func(http.ResponseWriter){
		"Write":       func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) },
		"WriteString": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") },
		"ReadFrom":    func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")) },
	} {
		for _, withLength := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", with length"}[withLength], func(t *testing.T) {
				w := &failOnce{ResponseRecorder: httptest.NewRecorder()}
				wrap(tagAndTail, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Type", "text/html")
					if withLength {
						rw.Header().Set("Content-Length", strconv.Itoa(len(page)+2))
					}
					mustWrite(rw, page)
					w.fail = true
					write(rw)
					write(rw)
				})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				rest, tags := removeTag(w.Body.String())
				require.Equal(t, page+"x", rest)
				require.Equal(t, 1, tags)
			})
		}
	}
}

// After a page, a connection that was handed over gets nothing of the Writer.
func TestNoTailAfterHijack(t *testing.T) {
	var logged bytes.Buffer
	srv := wiretest.Serve(t, wrap(tagAndTail, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		flushAfter(len(page))(w, r)
		conn, buf, err := http.NewResponseController(w).Hijack()
		abortUnless(err == nil)
		defer conn.Close()
		_, _ = buf.WriteString("by hand")
		_ = buf.Flush()
	})))
	srv.Plain.Config.ErrorLog = log.New(&logged, "", 0)
	got := srv.Fetch(t, "HTTP/1.1", "GET", "/", "")
	require.True(t, strings.HasSuffix(got.Raw, "by hand"))
	require.NotContains(t, got.Raw, tail)
	srv.Plain.Close() // which waits for the handler
	require.Empty(t, logged.String(), "net/http logs a write after Hijack")
}
