package inject_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// What the handlers of the tests do with a response writer.

// abortUnless ends the response early when a handler sees something that is not
// as it should be, which the comparison with the bare handler then shows.
func abortUnless(ok bool) {
	if !ok {
		panic(http.ErrAbortHandler)
	}
}

func mustWrite(w http.ResponseWriter, s string) {
	n, err := w.Write([]byte(s))
	abortUnless(n == len(s) && err == nil)
}

func mustWriteString(w http.ResponseWriter, s string) {
	n, err := w.(io.StringWriter).WriteString(s)
	abortUnless(n == len(s) && err == nil)
}

func mustReadFrom(w http.ResponseWriter, s string) {
	// A strings.Reader alone would write itself.
	n, err := io.Copy(w, io.LimitReader(strings.NewReader(s), int64(len(s))))
	abortUnless(n == int64(len(s)) && err == nil)
}

func mustFlush(w http.ResponseWriter) {
	abortUnless(http.NewResponseController(w).Flush() == nil)
}

// inPieces writes the page in pieces of n bytes.
func inPieces(n int, write func(http.ResponseWriter, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for rest := page; rest != ""; rest = rest[min(n, len(rest)):] {
			write(w, rest[:min(n, len(rest))])
		}
	}
}

// byteByByte writes a page with its length, one byte at a time.
func byteByByte(page string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", fmt.Sprint(len(page)))
		for _, c := range []byte(page) {
			_, _ = w.Write([]byte{c})
		}
	}
}

// flushAfter writes the page and flushes after its first n bytes.
func flushAfter(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if n > 0 {
			mustWrite(w, page[:n])
		}
		mustFlush(w)
		if n < len(page) {
			mustWrite(w, page[n:])
		}
	}
}

// thenPanic panics after h.
func thenPanic(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(w, r)
		panic(http.ErrAbortHandler)
	}
}

// hijackAfter takes the connection over and answers by hand, or says why it
// cannot.
func hijackAfter(before func(http.ResponseWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		before(w)
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_, _ = io.WriteString(w, err.Error())
			return
		}
		defer conn.Close()
		_, err = w.Write([]byte("<!"))
		_, _ = fmt.Fprint(buf, "by hand: ", err)
		_ = buf.Flush()
	}
}

// earlyHints sends a 103 before h.
func earlyHints(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		h(w, r)
	}
}

// brokenReader fails at once.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrNoProgress }
