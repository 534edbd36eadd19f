// Command warmup shows what a warm-up is good for. Two pages each build a cache on
// the first request, and again each time the cache is dropped. Package warmup keeps
// one of them warm. Every few seconds a visitor requests both, and the front page
// plots how long the visitors wait.
//
//	go run ./examples/warmup
//	go run ./examples/warmup -drop 10s -addr :8081
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

	"github.com/seed4a306b22/keepalive/examples/internal/site"
	"github.com/seed4a306b22/keepalive/warmup"
)

type options struct {
	addr               string
	drop, build, visit time.Duration // the flags of these names
}

func main() {
	var opt options
	flag.StringVar(&opt.addr, "addr", "localhost:8080", "`host:port` to listen on")
	flag.DurationVar(&opt.drop, "drop", 30*time.Second, "how often the cache is dropped")
	flag.DurationVar(&opt.build, "build", 600*time.Millisecond, "how long it takes to build the cache")
	flag.DurationVar(&opt.visit, "visit", 4*time.Second, "how often a visitor comes, on average")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opt, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "warmup:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, opt options, out io.Writer) error {
	if min(opt.drop, opt.build, opt.visit) <= 0 || opt.drop < 2*opt.build {
		return errors.New("-drop, -build and -visit must be above 0, and -drop at least twice -build")
	}
	a, err := newApp(opt)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", opt.addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Open http://%s: the cache is dropped every %v. Ctrl-C stops.\n", ln.Addr(), opt.drop)

	// All goroutines end with this context, also when the server fails.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = a.warm.Run(ctx) }) // nil: the handler listens to its context
	wg.Go(func() { a.dropCaches(ctx) })
	wg.Go(func() { a.sendVisitors(ctx) })

	srv := &http.Server{Handler: a.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	err = site.Serve(ctx, ln, srv)
	cancel() // before the wait for what runs beside the server
	return err
}

type app struct {
	options
	warm    *warmup.Pinger
	handler http.Handler
	lanes   [2]*lane // with warm-up, and without
}

// lane is one of the two pages, with its cache and how long its visitors waited.
type lane struct {
	Name, Title string
	build       time.Duration

	cache chan []byte // holds the page, nil until it is built

	mu    sync.Mutex
	waits []wait
	drops []time.Time
}

type wait struct {
	at   time.Time
	took time.Duration
	slow bool // it waited for the cache
}

// history is how far back the plots go.
const history = 2 * time.Minute

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

// ServeHTTP answers with the page. The first request without a cache builds it, and
// the others wait.
func (l *lane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var page []byte
	select {
	case page = <-l.cache:
	case <-r.Context().Done():
		return
	}
	if page == nil {
		select {
		case <-time.After(l.build): // as if it read files, queried databases, and rendered
			page = fmt.Appendf(nil, "<!doctype html><title>Report</title><p>Built at %s.\n", time.Now().Format(time.TimeOnly))
		case <-r.Context().Done():
		}
	}
	l.cache <- page
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page) // the client may have disconnected
}

// drop empties the cache, as a deployment or an expiry would.
func (l *lane) drop() {
	<-l.cache
	l.cache <- nil
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drops = append(l.drops, time.Now())
}

func (a *app) dropCaches(ctx context.Context) {
	tick := time.NewTicker(a.drop)
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
		a.warm.Trigger() // the code that drops a cache knows best when it is cold
	}
}

// sendVisitors requests both pages at the same moments. These are random: in step
// with the drops, a visitor would always come first after one, or never.
func (a *app) sendVisitors(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-time.After(a.visit/2 + rand.N(a.visit)):
		case <-ctx.Done():
			return
		}
		for _, l := range a.lanes {
			wg.Go(func() { a.request(ctx, l) })
		}
	}
}

// request is one visit, whose duration the lane records.
func (a *app) request(ctx context.Context, l *lane) {
	r, err := http.NewRequestWithContext(ctx, "GET", "/report/"+l.Name, nil)
	if err != nil {
		return
	}
	start := time.Now()
	a.handler.ServeHTTP(&discardWriter{}, r)
	if ctx.Err() != nil {
		return
	}
	took := time.Since(start)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits = append(l.waits, wait{start, took, took > a.build/20})
	for len(l.waits) > 0 && time.Since(l.waits[0].at) > history {
		l.waits = l.waits[1:]
	}
	for len(l.drops) > 0 && time.Since(l.drops[0]) > history {
		l.drops = l.drops[1:]
	}
}

// discardWriter is the ResponseWriter of a visitor: it reads the response and drops it.
type discardWriter struct{ header http.Header }

func (d *discardWriter) Header() http.Header {
	if d.header == nil {
		d.header = make(http.Header)
	}
	return d.header
}
func (d *discardWriter) Write(b []byte) (int, error) { return len(b), nil }
func (d *discardWriter) WriteHeader(int)             {}

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
	_, _ = w.Write(b.Bytes())
}
