package wiretest

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Respond answers with a status, 0 for none, a body, and header fields given as
// name, value, name, value.
func Respond(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		if body != "" {
			_, _ = w.Write([]byte(body))
		}
	}
}

// RespondHTML is Respond with a Content-Type of text/html.
func RespondHTML(status int, body string, header ...string) http.HandlerFunc {
	return Respond(status, body, append([]string{"Content-Type", "text/html"}, header...)...)
}

// What a browser sends with a navigation, and with a script or a fetch.
const (
	ForPage  = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"
	ForAsset = "Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\n"
)

// Compress is middleware that compresses as many programs do: every body, by a
// writer that can be unwrapped.
func Compress(next http.Handler) http.Handler {
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
	zip     *gzip.Writer // nil where nothing is compressed
	decided bool
}

func (w *gzipWriter) WriteHeader(code int) {
	if !w.decided && code >= 200 {
		w.decided = true
		if code != 204 && code != 304 && w.Header().Get("Content-Encoding") == "" {
			w.zip = gzip.NewWriter(w.ResponseWriter)
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Del("Content-Length")
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *gzipWriter) Write(p []byte) (int, error) {
	if !w.decided {
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

// Decompress returns what Compress has compressed.
func Decompress(t testing.TB, body string) string {
	zr, err := gzip.NewReader(strings.NewReader(body))
	require.NoError(t, err)
	b, err := io.ReadAll(zr)
	require.NoError(t, err)
	return string(b)
}
