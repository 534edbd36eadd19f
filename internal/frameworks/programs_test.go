package frameworks_test

import (
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/NYTimes/gziphandler"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/klauspost/compress/gzhttp"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/seed4a306b22/keepalive/internal/wiretest/programs"
	"github.com/stretchr/testify/require"
)

var seed = flag.Uint64("seed", 0, "run only this random program")

// A layer is middleware of somebody else.
type layer struct {
	name string
	wrap func(http.Handler) http.Handler
}

const (
	recoverer = "chi/middleware.Recoverer"
	logger    = "chi/middleware.RequestLogger"
	gorilla   = "gorilla/handlers.CompressHandler"
	timeout   = "http.TimeoutHandler"
)

// Layers that work on either side of keepalive.
var layers = []layer{
	{recoverer, chimiddleware.Recoverer},
	{logger, chimiddleware.RequestLogger(silent{})},
	{"chi/middleware.Timeout", chimiddleware.Timeout(time.Minute)},
	{timeout, func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "late") }},
	{"http.MaxBytesHandler", func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 1<<20) }},
	{"http.StripPrefix", func(h http.Handler) http.Handler { return http.StripPrefix("/", h) }},
	{"sendsHeaderLate", sendsHeaderLate},
}

// silent is a log of chi that keeps nothing.
type silent struct{}

func (silent) NewLogEntry(*http.Request) chimiddleware.LogEntry { return silent{} }
func (silent) Write(int, int, http.Header, time.Duration, any)  {}
func (silent) Panic(any, []byte)                                {}

// Layers that must stand outside.
var outerLayers = append([]layer{
	// By default it deletes the Accept-Ranges that the comparison looks at.
	{"gzhttp", func(h http.Handler) http.Handler {
		wrap, err := gzhttp.NewWrapper(gzhttp.KeepAcceptRanges())
		if err != nil {
			panic(err)
		}
		return wrap(h)
	}},
	{"gziphandler", func(h http.Handler) http.Handler { return gziphandler.GzipHandler(h) }},
	{gorilla, handlers.CompressHandler},
	{"chi/middleware.Compress", chimiddleware.Compress(5)},
}, layers...)

// lateWriter keeps WriteHeader until the first Write, as gin's and others do.
type lateWriter struct {
	http.ResponseWriter
	code int
}

func sendsHeaderLate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lw := &lateWriter{ResponseWriter: w}
		next.ServeHTTP(lw, r)
		lw.sendHeader()
	})
}

func (w *lateWriter) sendHeader() {
	if w.code != 0 {
		w.ResponseWriter.WriteHeader(w.code)
		w.code = 0
	}
}

func (w *lateWriter) WriteHeader(code int) {
	switch {
	case code < 200:
		w.ResponseWriter.WriteHeader(code)
	case w.code == 0:
		w.code = code
	}
}

func (w *lateWriter) Write(p []byte) (int, error) {
	w.sendHeader()
	return w.ResponseWriter.Write(p)
}

func (w *lateWriter) FlushError() error {
	w.sendHeader()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *lateWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// stack is what is around one random program.
type stack struct {
	outer, inner []layer
	wrapper      string // of keepalive
}

func newStack(seed uint64, p *programs.Program) (s stack) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	draw := func(from []layer) (drawn []layer) {
		for range rnd.IntN(3) {
			l := from[rnd.IntN(len(from))]
			if p.Copies() && (l.name == logger || l.name == gorilla) {
				continue // the ReadFrom of their writers sends a header too early, or a wrong length
			}
			drawn = append(drawn, l)
		}
		return drawn
	}
	s.outer, s.inner = draw(outerLayers), draw(layers)
	if p.Panics() { // one outside may answer as long as the page is held
		s.outer = slices.DeleteFunc(s.outer, func(l layer) bool { return l.name == recoverer })
	}
	s.wrapper = wrappers[rnd.IntN(len(wrappers))]
	return s
}

var wrappers = []string{"LoadAndSave", "LoadAndSave", "LoadAndSave, no session", "Inject"}

func (s stack) String() string {
	var text strings.Builder
	for _, l := range s.outer {
		text.WriteString(l.name + "(")
	}
	text.WriteString("km." + s.wrapper + "(")
	for _, l := range s.inner {
		text.WriteString(l.name + "(")
	}
	return text.String() + "program"
}

// around returns h inside layers, of which the first is outermost.
func around(h http.Handler, layers []layer) http.Handler {
	for _, l := range slices.Backward(layers) {
		h = l.wrap(h)
	}
	return h
}

// Programs of random calls answer inside keepalive as they do alone, under random
// middleware of others. A seed runs one again:
//
//	go test . -run RandomPrograms -seed 123
func TestRandomPrograms(t *testing.T) {
	sm, token := newSession(t)
	km := newManager(t, sm)
	serve := func(wrap map[string]func(http.Handler) http.Handler) wiretest.Servers {
		return wiretest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seed, _ := strconv.ParseUint(strings.TrimPrefix(r.URL.Path, "/"), 10, 64)
			p := programs.New(seed, true)
			s := newStack(seed, p)
			h := around(p, s.inner)
			if wrap != nil {
				h = wrap[s.wrapper](h)
			}
			around(h, s.outer).ServeHTTP(w, chimiddleware.WithLogEntry(r, silent{}))
		}))
	}
	bare := serve(nil)
	wrapped := serve(map[string]func(http.Handler) http.Handler{
		"LoadAndSave":             km.LoadAndSave,
		"LoadAndSave, no session": km.LoadAndSave,
		"Inject":                  km.Inject,
	})
	_, body := get(t, http.MethodGet, newServer(t, km.LoadAndSave(ways[0].write)).URL, token, "")
	element := tag.FindString(body)
	require.NotEmpty(t, element)

	run := func(seed uint64) {
		path := strconv.FormatUint(seed, 10)
		t.Run(path, func(t *testing.T) {
			p := programs.New(seed, true)
			s := newStack(seed, p)
			defer func() {
				if t.Failed() {
					t.Log(s)
				}
			}()
			expected := element
			if s.wrapper == "LoadAndSave, no session" {
				expected = ""
			} else {
				p.RequestHeader += fmt.Sprintf("Cookie: session=%s\r\n", token)
			}
			compared := 0
			p.Compare(t, "/"+path, expected, bare, wrapped, func(r *wiretest.Response) {
				// The first is that of bare. After a Hijack that fails the header may change once more.
				if compared++; compared == 2 && (p.Proto != "HTTP/2.0" || !p.Hijacks()) {
					require.Equal(t, s.timingIsDue(r), slices.ContainsFunc(r.Header["Server-Timing"], isOurMetric))
				}
				s.normalise(r)
			})
		})
	}
	if *seed != 0 {
		run(*seed)
		return
	}
	for seed := range uint64(10_000) {
		run(seed + 1)
	}
}

// timingIsDue reports whether keepalive adds Server-Timing to a response.
func (s stack) timingIsDue(r *wiretest.Response) bool {
	switch {
	case s.wrapper == "Inject":
		return false
	case r.Status == http.StatusNotModified:
		return true
	case s.wrapper == "LoadAndSave, no session":
		return false
	}
	cacheControl := strings.Join(r.Header["Cache-Control"], ",")
	return strings.Contains(cacheControl, "private") || strings.Contains(cacheControl, "no-store")
}

func isOurMetric(v string) bool { return strings.HasPrefix(v, "keepalive") }

// normalise takes away what keepalive adds to every response, and compression:
// whether a body is worth it may depend on its length.
func (s stack) normalise(r *wiretest.Response) {
	// A writer outside that sends its header after WriteHeader takes trailers for
	// a part of it.
	r.Header.Del("Sum")
	// TimeoutHandler replaces the Vary that is there by that of its handler.
	if slices.ContainsFunc(s.outer, func(l layer) bool { return l.name == timeout }) {
		r.Header.Del("Vary")
	}
	timing := slices.DeleteFunc(r.Header["Server-Timing"], isOurMetric)
	if r.Header.Del("Server-Timing"); len(timing) > 0 {
		r.Header["Server-Timing"] = timing
	}
	if r.Header.Get("Cache-Control") == "private, no-cache" {
		r.Header.Del("Cache-Control")
	}
	vary := slices.DeleteFunc(r.Header["Vary"], func(v string) bool { return v == "Cookie" })
	if r.Header.Del("Vary"); len(vary) > 0 {
		r.Header["Vary"] = vary
	}
	if r.Header.Get("Content-Encoding") != "gzip" {
		return
	}
	r.Header.Del("Content-Encoding")
	if zr, err := gzip.NewReader(strings.NewReader(r.Body)); err == nil {
		body, _ := io.ReadAll(zr) // as much of it as arrived
		r.Body = string(body)
	}
}
