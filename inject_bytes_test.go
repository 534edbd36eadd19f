package keepalive_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// FuzzWrites shows that the bytes depend on the page alone: however its handler
// splits it over the ways to write, the body is the same, and taking the tag out
// gives the page back; so too with flushes, but that these settle for good what
// net/http thinks of a page without a type. A page with the tag has the frame at
// its end, if that is asked for.
//
// plan is read in pairs: the length of a piece, and the way to write it.
func FuzzWrites(f *testing.F) {
	plans := []string{"", "\x01\x00", "\x01\x01", "\x01\x02", "\x03\x00\x05\x01\x07\x02", "\x01\x04", "\x02\x05\x03\x06", "\x00\x04", "\x10\x07\x00\x00\x01\x04\xff\x02"}
	for _, page := range []string{doc, "", "<p>", "\xEF\xBB\xBF \t" + doc, "<!--" + strings.Repeat("-", 3000) + "-->" + doc, comment + doc,
		"<!doctype html><!-- <head> --><html a='<head>'><body>", "<!doctype html>&#32;&Tab;x", "<!doctype html><htm", "<?xml?><html><head/>x",
		"<!doctype html><header></header>", "<!doctype html></p></head>", "<html><head", "{}", strings.Repeat(" ", 511) + "<html>", strings.Repeat(" ", 520) + "<html>"} {
		for _, plan := range plans {
			f.Add(page, plan, true)
			f.Add(page, plan, false)
		}
	}
	km, framed := newManager(f, newSessions(), keepalive.Config{}), newManager(f, newSessions(), keepalive.Config{NoScript: true})
	f.Fuzz(func(t *testing.T, page, plan string, typed bool) {
		if tagPattern.MatchString(page) {
			t.Skip("a page with the tag in it can't be told from one that got it")
		}
		whole := written(t, km, page, "", typed)
		got := written(t, km, page, plan, typed)
		back, tags := untag(got)
		require.Equal(t, page, back)
		require.LessOrEqual(t, tags, 1)
		if typed || !flushes(plan) {
			require.Equal(t, whole, got)
		}
		require.Equal(t, got+strings.Repeat(frame, tags), written(t, framed, page, plan, typed))
	})
}

func flushes(plan string) bool {
	for i := 1; i < len(plan); i += 2 {
		if plan[i]&4 != 0 {
			return true
		}
	}
	return false
}

// written is the body of a page that is written by plan, over and over until it
// is all out.
func written(t *testing.T, km *keepalive.Manager, page, plan string, typed bool) string {
	rec := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: "x"})
	km.Inject(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if typed {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		}
		if len(plan) < 2 || !strings.ContainsFunc(plan, func(c rune) bool { return c > 0 }) {
			write(w, page)
			return
		}
		ways := []func(http.ResponseWriter, string){write, writeString, readFrom, write}
		for i, rounds := 0, 0; len(page) > 0; i += 2 {
			if i+1 >= len(plan) {
				if i, rounds = 0, rounds+1; rounds > 100 { // a plan of nothing but empty pieces
					write(w, page)
					return
				}
			}
			n := min(int(plan[i]), len(page))
			ways[plan[i+1]&3](w, page[:n])
			if page = page[n:]; plan[i+1]&4 != 0 {
				w.(http.Flusher).Flush()
			}
		}
	})).ServeHTTP(rec, r)
	if length := rec.Result().Header.Get("Content-Length"); length != "" {
		require.Equal(t, strconv.Itoa(rec.Body.Len()), length)
	}
	return rec.Body.String()
}

// A client that has gone is told of to the handler, and what it goes on writing
// does no harm.
func TestFailingConnection(t *testing.T) {
	const page = "<!doctype html><!-- a comment --><html lang=en><head><title>t</title></head>"
	for limit := range len(page) {
		for _, plan := range []func(http.ResponseWriter, string) (int, error){
			func(w http.ResponseWriter, s string) (int, error) { return w.Write([]byte(s)) },
			func(w http.ResponseWriter, s string) (int, error) { return io.WriteString(w, s) },
			func(w http.ResponseWriter, s string) (int, error) {
				n, err := io.Copy(w, io.LimitReader(strings.NewReader(s), 1<<20))
				return int(n), err
			},
		} {
			var failed error
			everywhere(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				for range 3 { // a handler that takes no notice
					_ = http.NewResponseController(w).Flush()
					for rest := page; rest != ""; rest = rest[min(9, len(rest)):] {
						n, err := plan(w, rest[:min(9, len(rest))])
						require.LessOrEqual(t, n, 9)
						failed = errors.Join(failed, err)
					}
				}
			})).ServeHTTP(&shortWriter{ResponseRecorder: httptest.NewRecorder(), left: limit}, httptest.NewRequest("GET", "/", nil))
			require.ErrorIs(t, failed, net.ErrClosed)
		}
	}
}

type shortWriter struct {
	*httptest.ResponseRecorder
	left int
}

func (w *shortWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	if n < len(p) {
		return n, net.ErrClosed
	}
	return n, nil
}

// WriteString hides the recorder's, which never fails.
func (w *shortWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

type pusher struct {
	http.ResponseWriter
	pushed []string
}

func (p *pusher) Push(target string, _ *http.PushOptions) error {
	p.pushed = append(p.pushed, target)
	return nil
}

func TestPush(t *testing.T) {
	h := everywhere(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		err := w.(http.Pusher).Push("/a.css", nil)
		w.Header().Set("Push", strconv.FormatBool(err == nil))
		require.True(t, err == nil || errors.Is(err, http.ErrNotSupported))
	}))
	rec := httptest.NewRecorder()
	p := &pusher{ResponseWriter: rec}
	h.ServeHTTP(p, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, []string{"/a.css"}, p.pushed)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestUnwrap(t *testing.T) {
	rec := httptest.NewRecorder()
	everywhere(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		require.Same(t, rec, w.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
	})).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
}

// sendfileListener counts what its connections get handed as a file, which is
// when the kernel copies it.
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
	limited, ok := src.(*io.LimitedReader)
	if ok {
		src = limited.R
	}
	_, isFile := src.(*os.File)
	if ok {
		src = limited
	}
	n, err := c.TCPConn.ReadFrom(src)
	if isFile {
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
	require.NoError(t, os.WriteFile(filepath.Join(dir, "big.html"), []byte(doc+strings.Repeat("x", size-len(doc))), 0o600))
	fs := http.FileServer(http.Dir(dir))
	tests := []struct {
		name  string
		h     http.Handler
		first int64 // at most so many bytes are copied
	}{
		{name: "bare", h: fs, first: 512},
		{name: "Inject", h: everywhere(t, fs), first: 2 << 10},
		{name: "LoadAndSave", h: newManager(t, newSessions(), keepalive.Config{Anonymous: true}).LoadAndSave(fs), first: 2 << 10},
		{name: "NoScript", h: everywhereWith(t, keepalive.Config{NoScript: true}, fs), first: 2 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(tt.h)
			l := &sendfileListener{Listener: srv.Listener}
			srv.Listener = l
			srv.Start()
			defer srv.Close()
			res, err := http.Get(srv.URL + "/big.html")
			require.NoError(t, err)
			page, _ := untag(body(t, res))
			page, framed := strings.CutSuffix(page, frame)
			require.Equal(t, tt.name == "NoScript", framed)
			require.Len(t, page, size)
			srv.Close() // which waits for the handler
			require.EqualValues(t, 1, l.calls.Load())
			require.GreaterOrEqual(t, l.bytes.Load(), size-tt.first)
		})
	}
}

// A page of 1 GB passes in constant memory, wherever its head is.
func TestGigabyte(t *testing.T) {
	const size = 1 << 30
	for name, prolog := range map[string]string{"page": doc, "a comment that never ends": "<!doctype html><!--"} {
		t.Run(name, func(t *testing.T) {
			var peak, start uint64
			var once sync.Once
			chunk := []byte(strings.Repeat("x", 256<<10))
			srv := httptest.NewServer(everywhere(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				write(w, prolog)
				var m runtime.MemStats
				for sent := 0; sent < size; sent += len(chunk) {
					if sent%(64<<20) == 0 {
						runtime.ReadMemStats(&m)
						once.Do(func() { start = m.TotalAlloc })
						peak = max(peak, m.TotalAlloc-start)
					}
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			})))
			defer srv.Close()
			res, err := http.Get(srv.URL)
			require.NoError(t, err)
			n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, make([]byte, 256<<10))
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.GreaterOrEqual(t, n, int64(size))
			srv.Close()
			// All that was ever allocated, by client, server and test together,
			// not only what was in use: so no garbage collection can hide it.
			require.Less(t, peak, uint64(4<<20))
		})
	}
}
