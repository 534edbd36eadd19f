// Package benchmarks sets the library beside other ways to do its work. It is a
// module of its own, for what these need.
package benchmarks

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/klauspost/compress/gzhttp"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/benchmarks/internal/cpu"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// ways are how people put a script into the pages of a handler.
var ways = []struct {
	name string
	wrap func(http.Handler) http.Handler
}{
	{name: "bare", wrap: func(next http.Handler) http.Handler { return next }},
	{name: "keepalive", wrap: withKeepalive},
	{name: "stream", wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := &streamReplacer{ResponseWriter: w}
			next.ServeHTTP(s, r)
			_, _ = w.Write(s.held)
		})
	}},
	{name: "buffer", wrap: buffered(func(page []byte) ([]byte, error) {
		return bytes.Replace(page, headEnd, append([]byte(tag), headEnd...), 1), nil
	})},
	{name: "parse", wrap: buffered(func(page []byte) ([]byte, error) {
		root, err := html.Parse(bytes.NewReader(page))
		if err != nil {
			return nil, err
		}
		for n := range root.Descendants() {
			if n.DataAtom == atom.Head {
				n.AppendChild(&html.Node{Type: html.ElementNode, DataAtom: atom.Script, Data: "script", Attr: []html.Attribute{
					{Key: "src", Val: "/keepalive/keepalive.js"}, {Key: "defer"},
				}})
				break
			}
		}
		var out bytes.Buffer
		err = html.Render(&out, root)
		return out.Bytes(), err
	})},
}

const tag = `<script src="/keepalive/keepalive.js" defer=""></script>`

// token has the form of a session token: Inject alone asks no store.
var token = strings.Repeat("A", 43)

var headEnd = []byte("</head>")

func withKeepalive(next http.Handler) http.Handler {
	sm := scs.New()
	sm.IdleTimeout = 20 * time.Minute
	km, err := keepalive.New(sm, keepalive.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	return km.Inject(next)
}

// buffered keeps the response until it is whole, and changes it then.
func buffered(change func([]byte) ([]byte, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b := &bufferingWriter{ResponseWriter: w, status: http.StatusOK}
			next.ServeHTTP(b, r)
			page, err := change(b.page.Bytes())
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(page)))
			w.WriteHeader(b.status)
			_, _ = w.Write(page)
		})
	}
}

type bufferingWriter struct {
	http.ResponseWriter
	page   bytes.Buffer
	status int
}

func (b *bufferingWriter) WriteHeader(status int)      { b.status = status }
func (b *bufferingWriter) Write(p []byte) (int, error) { return b.page.Write(p) }

// streamReplacer looks for the end of the head in all that it passes on, and holds
// back what may be the beginning of it.
type streamReplacer struct {
	http.ResponseWriter
	held  []byte
	found bool
}

func (s *streamReplacer) Write(p []byte) (int, error) {
	if s.found {
		return s.ResponseWriter.Write(p)
	}
	all := append(s.held, p...)
	if i := bytes.Index(all, headEnd); i >= 0 {
		s.found, s.held = true, nil
		for _, part := range [][]byte{all[:i], []byte(tag), all[i:]} {
			if _, err := s.ResponseWriter.Write(part); err != nil {
				return 0, err
			}
		}
		return len(p), nil
	}
	safe := max(0, len(all)-len(headEnd)+1)
	if _, err := s.ResponseWriter.Write(all[:safe]); err != nil {
		return 0, err
	}
	s.held = append([]byte(nil), all[safe:]...)
	return len(p), nil
}

// pageOf returns a table of orders of at least that size, as an app would send it.
func pageOf(size int) string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"/><title>Orders</title>" +
		"<link rel=\"stylesheet\" href=\"/app.css\"/></head><body><h1>Orders</h1><table><tbody>")
	for i := 1; b.Len() < size; i++ {
		n := strconv.Itoa(i * 7919)
		b.WriteString("<tr class=\"order\"><td><a href=\"/orders/" + n + "\">" + n + "</a></td><td>Customer " + n + "</td><td>1.50</td></tr>")
	}
	b.WriteString("</tbody></table></body></html>")
	return b.String()
}

var pageSizes = []struct {
	name string
	page []byte
}{
	{name: "1KB", page: []byte(pageOf(1 << 10))},
	{name: "20KB", page: []byte(pageOf(20 << 10))},
	{name: "1MB", page: []byte(pageOf(1 << 20))},
}

// serve starts a server that answers with the page, in 32 KB pieces as
// html/template and io.Copy would, wrapped in a way and maybe in gzhttp.
func serve(tb testing.TB, page []byte, wrap func(http.Handler) http.Handler, zipped bool) *httptest.Server {
	h := wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		for p := page; len(p) > 0; p = p[min(32<<10, len(p)):] {
			_, _ = w.Write(p[:min(32<<10, len(p))])
		}
	}))
	if zipped {
		h = gzhttp.GzipHandler(h)
	}
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	return srv
}

// BenchmarkInject is a page over a loopback connection, for each way to put a
// script into it. The time of the processor varies less than that of the clock where
// other programs run.
func BenchmarkInject(b *testing.B) {
	for _, size := range pageSizes {
		for _, encoding := range []string{"plain", "gzip"} {
			for _, way := range ways {
				b.Run(size.name+"/"+encoding+"/"+way.name, func(b *testing.B) {
					srv := serve(b, size.page, way.wrap, encoding == "gzip")
					c := apptest.Dial(b, srv.Listener.Addr().String(),
						"Cookie: session="+token+"\r\nAccept: text/html\r\nAccept-Encoding: "+strings.Replace(encoding, "plain", "identity", 1)+"\r\n")
					b.ReportAllocs()
					before := cpu.Used()
					for b.Loop() {
						if _, err := c.Get(nil); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64((cpu.Used()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
				})
			}
		}
	}
}

func TestEachWayInsertsTheScript(t *testing.T) {
	for _, size := range pageSizes {
		for _, zipped := range []bool{false, true} {
			for _, way := range ways {
				t.Run(size.name+"/"+way.name+"/"+strconv.FormatBool(zipped), func(t *testing.T) {
					srv := serve(t, size.page, way.wrap, zipped)
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
					require.NoError(t, err)
					r.Header.Set("Cookie", "session="+token)
					r.Header.Set("Accept", "text/html")
					transport := &http.Transport{DisableCompression: !zipped}
					defer transport.CloseIdleConnections()
					res, err := transport.RoundTrip(r)
					require.NoError(t, err)
					defer res.Body.Close()
					require.Equal(t, zipped, res.Uncompressed)
					body, err := io.ReadAll(res.Body)
					require.NoError(t, err)
					before, rest, found := strings.Cut(string(body), "<script ")
					if way.name == "bare" {
						require.False(t, found)
						require.Equal(t, string(size.page), string(body))
						return
					}
					require.True(t, found)
					_, after, found := strings.Cut(rest, "</script>")
					require.True(t, found)
					require.Equal(t, string(size.page), before+after)
				})
			}
		}
	}
}
