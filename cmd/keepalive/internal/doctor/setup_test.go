package doctor_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/cmd/keepalive/internal/doctor"
	"github.com/stretchr/testify/require"
)

// program is an app with sessions, and where it runs.
type program struct {
	t     *testing.T
	sm    *scs.SessionManager
	store *memstore.MemStore
	cfg   keepalive.Config
	km    *keepalive.Manager
	mux   *http.ServeMux
	page  string // what its pages begin with
	path  string // of the page to examine
}

func newProgram(t *testing.T) *program {
	p := &program{t: t, sm: scs.New(), store: memstore.NewWithCleanupInterval(0), page: "<!doctype html><title>App</title>"}
	p.sm.Store = p.store
	p.sm.IdleTimeout, p.sm.Lifetime = 20*time.Minute, 12*time.Hour
	p.path = "/"
	p.cfg.Logger = slog.New(slog.DiscardHandler)
	p.mux = http.NewServeMux()
	p.mux.HandleFunc("/sign-in", func(w http.ResponseWriter, r *http.Request) {
		if err := p.sm.RenewToken(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		p.sm.Put(r.Context(), "user", r.FormValue("user"))
		_, _ = io.WriteString(w, p.page)
	})
	p.mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "%s<p>User: %q%s", p.page, p.sm.GetString(r.Context(), "user"), strings.Repeat("<p>long enough to be compressed", 100))
	})
	return p
}

// loadAndSave is the app with keepalive, as its users are told to write it.
func loadAndSave(p *program) http.Handler { return p.km.LoadAndSave(p.mux) }

// setup is a way to run a program.
type setup struct {
	name    string
	want    []string                            // names of the findings
	prepare func(*program)                      // what is set before New
	wrap    func(*program) http.Handler         // the middleware; default loadAndSave
	serve   func(*program, http.Handler) string // returns the origin; default an HTTP server
	options func(*doctor.Options)
}

// examine runs a program and examines it.
func (s setup) examine(t *testing.T) *doctor.Report {
	p := newProgram(t)
	if s.prepare != nil {
		s.prepare(p)
	}
	var err error
	p.km, err = keepalive.New(p.sm, p.cfg)
	require.NoError(t, err)
	wrap, serve := s.wrap, s.serve
	if wrap == nil {
		wrap = loadAndSave
	}
	if serve == nil {
		serve = serveHTTP
	}
	opts := doctor.Options{
		URL:        serve(p, wrap(p)) + p.path,
		Login:      path.Join(path.Dir(p.path+"x"), "sign-in"),
		Form:       "user=ann",
		SecondForm: "user=bob",
		Wait:       time.Second / 4, // memstore rounds nothing
		Insecure:   true,
	}
	if s.options != nil {
		s.options(&opts)
	}
	report, err := doctor.Examine(t.Context(), opts)
	require.NoError(t, err)
	tokens, err := p.store.All()
	require.NoError(t, err)
	for token := range tokens {
		require.NotContains(t, report.String(), token)
	}
	return report
}

func serveHTTP(p *program, h http.Handler) string {
	srv := httptest.NewServer(h)
	p.t.Cleanup(srv.Close)
	return srv.URL
}

func serveTLS(p *program, h http.Handler) string {
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	p.t.Cleanup(srv.Close)
	return srv.URL
}

// behind serves a program behind a proxy.
func behind(px proxy) func(*program, http.Handler) string {
	return func(p *program, h http.Handler) string {
		upstream, err := url.Parse(serveHTTP(p, h))
		require.NoError(p.t, err)
		return px.start(p.t, upstream.Host)
	}
}

// withHeader sets a field of all responses, which next may replace.
func withHeader(next http.Handler, name, value string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		next.ServeHTTP(w, r)
	})
}
