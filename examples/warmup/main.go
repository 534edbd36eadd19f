// Command warmup shows what a warm-up is good for: an app with a page that builds
// a cache on its first hit, and again each time the cache is dropped. There are two
// such pages; one is kept warm by the package warmup, the other is not. A visitor
// comes to each of them every few seconds, and the front page plots what they wait.
//
//	go run ./examples/warmup
//	go run ./examples/warmup -drop 10s -listen :8080
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
)

type options struct {
	listen                string
	drop, build, interval time.Duration
}

func main() {
	var opt options
	flag.StringVar(&opt.listen, "listen", "localhost:8080", "`host:port` to listen on")
	flag.DurationVar(&opt.drop, "drop", 30*time.Second, "the cache is dropped each time so long has passed")
	flag.DurationVar(&opt.build, "build", 600*time.Millisecond, "how long it takes to build the cache")
	flag.DurationVar(&opt.interval, "visit", 4*time.Second, "a visitor comes each time about so long has passed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opt, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "warmup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opt options, out io.Writer) error {
	if min(opt.drop, opt.build, opt.interval) <= 0 || opt.drop < 2*opt.build {
		return errors.New("-drop, -build and -visit must be above 0, and -drop at least twice -build")
	}
	a, err := newApp(opt)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", opt.listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Open http://%s: the cache is dropped every %v. Ctrl-C stops.\n", ln.Addr(), opt.drop)

	// Everything ends with this context, also when the server fails.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = a.warm.Run(ctx) }) // nil: the handler listens to its context
	wg.Go(func() { a.dropper(ctx) })
	wg.Go(func() { a.visitors(ctx) })

	srv := &http.Server{Handler: a.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		cancel()
		return err
	case <-ctx.Done():
	}
	down, end := context.WithTimeout(context.Background(), 5*time.Second)
	defer end()
	return srv.Shutdown(down)
}

type app struct {
	options
	warm    *warmup.Pinger
	handler http.Handler
	lanes   [2]*lane // with warm-up, and without
}

// lane is one of the two pages, its cache and what its visitors waited.
type lane struct {
	Name, Title string
	build       time.Duration

	cache chan []byte // holds the page, nil if it has yet to be built

	mu    sync.Mutex
	waits []wait
	drops []time.Time
}

type wait struct {
	at   time.Time
	took time.Duration
	slow bool
}

// kept is how far back the picture goes.
const kept = 4 * time.Minute

func newApp(opt options) (*app, error) {
	a := &app{options: opt}
	mux := http.NewServeMux()
	for i, name := range []string{"with", "without"} {
		l := &lane{Name: name, Title: map[string]string{"with": "With warm-up", "without": "Without"}[name], build: opt.build, cache: make(chan []byte, 1)}
		l.cache <- nil
		a.lanes[i] = l
		mux.Handle("GET /report/"+name, l)
	}
	var err error
	a.warm, err = warmup.New(warmup.Config{Handler: mux, Settings: warmup.Settings{
		Targets:  []warmup.Target{{URL: "/report/with"}},
		Interval: max(opt.drop/2, time.Second),
	}})
	if err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /{$}", a.home)
	mux.Handle("GET /warmup", a.warm.StatusHandler())
	mux.Handle("GET /readyz", a.warm.ReadyHandler())
	a.handler = mux
	return a, nil
}

// ServeHTTP is the slow page: who finds no cache builds it, and the others wait.
func (l *lane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var page []byte
	select {
	case page = <-l.cache:
	case <-r.Context().Done():
		return
	}
	if page == nil {
		select {
		case <-time.After(l.build): // reads files, asks databases, renders
			page = fmt.Appendf(nil, "<!doctype html><title>Report</title><p>Built at %s.\n", time.Now().Format(time.TimeOnly))
		case <-r.Context().Done():
		}
	}
	l.cache <- page
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page) // the client has gone
}

// drop forgets the cache, as a deployment or an expiry would.
func (l *lane) drop() {
	<-l.cache
	l.cache <- nil
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drops = append(l.drops, time.Now())
}

func (a *app) dropper(ctx context.Context) {
	tick := time.NewTicker(a.options.drop)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, l := range a.lanes {
			l.drop()
		}
		a.warm.Trigger() // who drops a cache knows best when it is cold
	}
}

// visitors come to both pages at the same moments, at random: in step with the
// drops they would always come first, or never.
func (a *app) visitors(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-time.After(a.interval/2 + rand.N(a.interval)):
		case <-ctx.Done():
			return
		}
		for _, l := range a.lanes {
			wg.Go(func() { a.visit(ctx, l) })
		}
	}
}

func (a *app) visit(ctx context.Context, l *lane) {
	r, err := http.NewRequestWithContext(ctx, "GET", "/report/"+l.Name, nil)
	if err != nil {
		return
	}
	began := time.Now()
	a.handler.ServeHTTP(&nobody{}, r)
	if ctx.Err() != nil {
		return
	}
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits = append(l.waits, wait{began, took, took > a.build/20})
	for len(l.waits) > 0 && time.Since(l.waits[0].at) > kept {
		l.waits = l.waits[1:]
	}
	for len(l.drops) > 0 && time.Since(l.drops[0]) > kept {
		l.drops = l.drops[1:]
	}
}

// nobody reads a response and forgets it.
type nobody struct{ header http.Header }

func (n *nobody) Header() http.Header {
	if n.header == nil {
		n.header = make(http.Header)
	}
	return n.header
}
func (n *nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n *nobody) WriteHeader(int)             {}

func (a *app) home(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	if err := page.Execute(&b, a.picture(time.Now())); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Refresh", "2")
	_, _ = w.Write(b.Bytes())
}
