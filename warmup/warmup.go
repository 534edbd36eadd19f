// Package warmup keeps the pages of a web app warm. It fetches a list of targets
// of one origin when the app starts, at an interval and on demand, so that caches
// are filled and connections are open before the first user comes. It imports only
// the standard library.
//
//	warm, err := warmup.New(warmup.Config{
//		Handler:  handler, // the outermost one that the app serves
//		Settings: warmup.Settings{Targets: []warmup.Target{{URL: "/"}, {URL: "/report"}}},
//	})
//	go warm.Run(ctx)
//	ops.Handle("/readyz", warm.ReadyHandler())
//	ops.Handle("/warmup", warm.StatusHandler())
//
// A run fetches all targets. A target is warm when its page was read and its status
// is an accepted one; else it has failed, and is retried before the next run.
//
// # Rules of interaction
//
// Targets SHOULD be pages that anybody may see and that change nothing. Requests
// carry no cookies, so a page behind a login answers with a redirect, which is not
// warm. A target SHOULD NOT be a page whose visits are counted or paid for.
//
// With [Config.Handler] the package calls the handler directly. It MUST be the
// outermost handler that the app serves, sessions included: a page that uses a
// session would panic without the middleware that loads it. Network, proxies and
// TLS take no part, and are not warmed either. The handler MUST return soon
// after the context of its request ends; until it returns it occupies one of the
// requests that [Settings.Concurrency] allows.
//
// Over the network the server may begin to listen after [Pinger.Run] was called:
// failed targets are retried, first within a second.
//
// # Switching off
//
// The environment variable KEEPALIVE_WARMUP overrides [Settings.Enabled]: off, 0,
// false or no switches the warm-up off; on, 1, true or yes switches it on. [New]
// and [Pinger.Reload] read it. While the warm-up is off nothing is fetched and
// [Pinger.Ready] is true.
package warmup

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Env is the environment variable that switches the warm-up on or off.
const Env = "KEEPALIVE_WARMUP"

// ErrOrigin is wrapped by the error of a target or redirect that leads to another
// origin (scheme, host and port, RFC 6454 section 4) than the app's.
var ErrOrigin = errors.New("another origin")

// Config holds the settings of a Pinger and the parts of the program that it uses.
// The zero value of each field is its default. Fields must be named in literals.
type Config struct {
	_ [0]func()

	// Settings is the part that can be read from a file and be replaced by
	// Pinger.Reload.
	Settings

	// Handler is called in place of requests over the network: the outermost
	// handler that the app serves, sessions included. Its requests have
	// the remote address 127.0.0.1, and TLS set if the origin is https. Its
	// http.ResponseWriter is an http.Flusher; it can't be hijacked and has no
	// deadlines. A panic is a failure of the target. Default: nil, requests go
	// over the network.
	Handler http.Handler

	// Transport sends the requests, for example with a private certificate
	// authority or over a Unix socket. It must end a request when the request's
	// context ends, and must not add cookies. Setting it together with Handler is
	// an error. Default: an http.Transport of the Pinger's own that uses the
	// environment's proxy and keeps no connections between runs.
	Transport http.RoundTripper

	// Logger receives a warning when a target fails for the first time, a message
	// when it is warm again, and one for each request at the debug level.
	// Default: slog.Default() at the time of use.
	Logger *slog.Logger

	// Observer receives each result. It is called in the request's goroutine,
	// possibly from several at once, and must not block. Requests that end
	// because Run ends have no result. Default: nil.
	Observer func(Result)
}

// Pinger fetches targets to keep them warm. Make one with New; the zero value
// can't be used. Its methods are safe for concurrent use.
type Pinger struct {
	cfg              Config
	defaultTransport *http.Transport // nil if Config has a Handler or a Transport
	requests         limiter
	wake             chan struct{} // capacity 1; a value makes Run call nextRun again
	running          atomic.Bool

	mu         sync.Mutex
	plan       *plan
	startedAt  time.Time // when Run was first called
	ready      bool
	nextFullAt time.Time // when all targets are fetched next; zero while nothing is scheduled
	nextReason string    // Result.Reason of that run
	history    []Result  // oldest first
}

// New returns a Pinger for cfg; it fetches nothing until Run is called. New makes
// its own copy of the targets.
//
// The error joins all problems of cfg and of the environment; errors.Is and
// errors.As reach each.
func New(cfg Config) (*Pinger, error) {
	plan, err := newPlan(cfg.Settings, cfg.Handler != nil)
	if cfg.Handler != nil && cfg.Transport != nil {
		err = errors.Join(err, errors.New("warmup: Config.Handler and Config.Transport are both set; leave one out"))
	}
	if err != nil {
		return nil, err
	}
	p := &Pinger{cfg: cfg, plan: plan, wake: make(chan struct{}, 1)}
	if cfg.Handler == nil && cfg.Transport == nil {
		p.defaultTransport = newTransport()
		p.cfg.Transport = p.defaultTransport
	}
	return p, nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // Result.Bytes counts the page itself, as with Config.Handler
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Reload replaces the settings without a restart, and then all targets are fetched.
// If a setting is wrong, the error joins all problems, as that of New does, and the
// old settings remain in use. Reload returns at once, whether or not Run is running.
//
// A run in progress begins no more requests; its unfinished ones end by the old
// settings. A target of the old and the new settings keeps its last result and its
// failures. Ready does not go back to false.
func (p *Pinger) Reload(s Settings) error {
	plan, err := newPlan(s, p.cfg.Handler != nil)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	plan.keepState(p.plan)
	close(p.plan.superseded)
	p.plan = plan
	p.trimHistory()
	p.scheduleFullRun(time.Now(), "reload")
	return nil
}

func (p *Pinger) log() *slog.Logger {
	if p.cfg.Logger != nil {
		return p.cfg.Logger
	}
	return slog.Default()
}
