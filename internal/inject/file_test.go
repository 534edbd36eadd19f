package inject_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// writeFiles makes a directory for http.FileServer.
func writeFiles(t *testing.T) (dir string) {
	dir = t.TempDir()
	for name, content := range map[string]string{
		"page.html": page, "long.html": page + longComment, "late.html": longComment + page, "empty.html": "",
		"part.html": "<p>part</p>", "a.txt": page, "a.css": "p {}", "data.bin": longComment,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Unix(1e9, 0)))
	}
	return dir
}

func TestFiles(t *testing.T) {
	const modified = "Sun, 09 Sep 2001 01:46:40 GMT"
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(writeFiles(t))))
	mux.HandleFunc("/content", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"x"`)
		http.ServeContent(w, r, "page.html", time.Unix(1e9, 0), strings.NewReader(page+longComment))
	})
	pageWithLength := all(inserted, exactLength)
	tests := []struct {
		name, method, path, header string
		check                      check
	}{
		{name: "page", path: "/page.html", check: pageWithLength},
		{name: "long page", path: "/long.html", check: pageWithLength},
		{name: "long prolog", path: "/late.html", check: all(inserted, noLength)},
		{name: "empty", path: "/empty.html", check: unchanged},
		{name: "fragment", path: "/part.html", check: unchanged},
		{name: "directory", path: "/", check: inserted},
		{name: "index", path: "/index.html", check: unchanged},
		{name: "missing", path: "/missing.html", check: unchanged},
		{name: "text", path: "/a.txt", check: unchanged},
		{name: "style", path: "/a.css", check: unchanged},
		{name: "binary", path: "/data.bin", check: unchanged},
		{name: "HEAD text", method: "HEAD", path: "/a.txt", check: unchanged},
		{name: "HEAD page", method: "HEAD", path: "/page.html", check: all(inserted, noLength)},
		{name: "range", path: "/page.html", header: "Range: bytes=0-9\r\n", check: unchanged},
		{name: "range of all", path: "/page.html", header: "Range: bytes=0-\r\n", check: unchanged},
		{name: "ranges", path: "/a.txt", header: "Range: bytes=5-\r\n", check: unchanged},
		{name: "range out of bounds", path: "/page.html", header: "Range: bytes=99999-\r\n", check: unchanged},
		{name: "HEAD range", method: "HEAD", path: "/page.html", header: "Range: bytes=0-9\r\n", check: unchanged},
		{name: "If-Range by date", path: "/page.html", header: "Range: bytes=0-9\r\nIf-Range: " + modified + "\r\n", check: unchanged},
		{name: "If-Range by another date", path: "/page.html", header: "Range: bytes=0-9\r\nIf-Range: Sun, 09 Sep 2001 01:46:41 GMT\r\n", check: pageWithLength},
		{name: "If-Modified-Since", path: "/page.html", header: "If-Modified-Since: " + modified + "\r\n", check: unchanged},
		{name: "modified since", path: "/page.html", header: "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", check: pageWithLength},
		{name: "If-Unmodified-Since", path: "/page.html", header: "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", check: unchanged},
		{name: "content", path: "/content", check: pageWithLength},
		{name: "If-None-Match, another", path: "/content", header: "If-None-Match: W/\"y\"\r\n", check: pageWithLength},
		{name: "HEAD If-None-Match", method: "HEAD", path: "/content", header: "If-None-Match: \"x\"\r\n", check: unchanged},
		// No part of the original may be glued to a page that was changed.
		{name: "If-Range, the ETag that was sent", path: "/content", header: "Range: bytes=50-\r\nIf-Range: W/\"x\"\r\n", check: pageWithLength},
		{name: "If-Range, the original ETag", path: "/content", header: "Range: bytes=50-\r\nIf-Range: \"x\"\r\n", check: unchanged},
	}
	servers := compare(t, mux)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method := tt.method
			if method == "" {
				method = "GET"
			}
			for _, proto := range wiretest.Protocols {
				servers.fetch(t, proto, method, tt.path, tt.header, tt.check)
			}
		})
	}
}

// sendfileListener counts what its connections are given as a file: there the
// kernel copies.
type sendfileListener struct {
	net.Listener
	calls, bytes atomic.Int64
}

func (l *sendfileListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sendfileConn{conn.(*net.TCPConn), l}, nil
}

type sendfileConn struct {
	*net.TCPConn
	l *sendfileListener
}

func (c *sendfileConn) ReadFrom(src io.Reader) (int64, error) {
	file := src
	if limited, ok := src.(*io.LimitedReader); ok {
		file = limited.R
	}
	n, err := c.TCPConn.ReadFrom(src)
	if _, ok := file.(*os.File); ok {
		c.l.calls.Add(1)
		c.l.bytes.Add(n)
	}
	return n, err
}

// A file still goes from the disk to the network without passing through the
// program, but for its first bytes.
func TestSendfile(t *testing.T) {
	const size = 5 << 20
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "big.html"), []byte(page+strings.Repeat("x", size-len(page))), 0o600))
	files := http.FileServer(http.Dir(dir))
	tests := []struct {
		name     string
		handler  http.Handler
		inserted string
		copied   int64 // at most so many bytes do pass through the program
	}{
		{name: "bare", handler: files, copied: 512},
		{name: "nothing to insert", handler: wrap(nil, files), copied: 512},
		{name: "tag", handler: wrap(onlyTag, files), inserted: tag, copied: 2 << 10},
		{name: "tag and tail", handler: wrap(tagAndTail, files), inserted: tag + tail, copied: 2 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(tt.handler)
			l := &sendfileListener{Listener: srv.Listener}
			srv.Listener = l
			srv.Start()
			defer srv.Close()
			res, err := http.Get(srv.URL + "/big.html")
			require.NoError(t, err)
			b, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Len(t, b, size+len(tt.inserted))
			srv.Close() // which waits for the handler
			require.EqualValues(t, 1, l.calls.Load())
			require.GreaterOrEqual(t, l.bytes.Load(), size-tt.copied)
		})
	}
}
