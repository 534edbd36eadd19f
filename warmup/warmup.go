// Package warmup keeps the pages of a web app warm: it fetches a list of targets
// of one origin when the app starts, at an interval and on demand, so that caches
// are filled and connections are open before the first user comes. It needs the
// standard library only, and nothing else of this module.
//
//	warm, err := warmup.New(warmup.Config{
//		Handler:  mux,
//		Settings: warmup.Settings{Targets: []warmup.Target{{URL: "/"}, {URL: "/report"}}},
//	})
//	go warm.Run(ctx)
//	ops.Handle("/readyz", warm.ReadyHandler())
//	ops.Handle("/warmup", warm.StatusHandler())
//
// # Rules of interaction
//
// Targets SHOULD be pages that anybody may see and that change nothing: requests
// carry no cookies, so a page behind a login answers with a redirect, which is not
// warm. A target SHOULD NOT be one that is counted or paid for.
//
// With [Config.Handler] requests go straight into the handler: no network, no
// proxy and no TLS are in the way, and none of those are warmed. The handler MUST
// return soon after its request's context ends; one that does not keeps its place
// in [Settings.Concurrency] until it returns.
//
// Over the network the server may begin to listen after [Pinger.Run] began: what
// fails is tried again, first within a second.
//
// # Switching off
//
// The environment variable KEEPALIVE_WARMUP overrides [Settings.Enabled]: off, 0,
// false or no switches the warm-up off, on, 1, true or yes switches it on. It is
// read by [New] and by [Pinger.Reload]. While the warm-up is off [Pinger.Ready]
// is true and nothing is fetched.
package warmup

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Env is the environment variable that switches the warm-up on or off.
const Env = "KEEPALIVE_WARMUP"

// ErrOrigin is wrapped by the error of a target, or of a redirect, that leads to
// another origin than that of the app (RFC 6454 section 4: scheme, host, port).
var ErrOrigin = errors.New("another origin")

// Config says what a Pinger fetches and how. The zero value of each field is its
// default. Fields must be named in literals.
type Config struct {
	_ [0]func()

	// Settings is what may be read from a file and changed by Pinger.Reload.
	Settings

	// Handler is called in the process instead of the network. Its requests come
	// from 127.0.0.1, and as by TLS if the origin is https. Its writer can be
	// flushed, and neither hijacked nor given deadlines. A panic is a failure of
	// the target. Default: nil, requests go over the network.
	Handler http.Handler

	// Transport sends the requests, for a private certificate authority or a Unix
	// socket. It must end a request with the request's context, and not add
	// cookies. It can't be set together with Handler. Default: an own
	// http.Transport that uses the environment's proxy and keeps no connections
	// between runs.
	Transport http.RoundTripper

	// Logger is told when a target fails for the first time and when it is warm
	// again, and of each request on the debug level. Default: slog.Default() at
	// the time of use.
	Logger *slog.Logger

	// Observer is told each result. It is called in the request's goroutine,
	// possibly from many at once, and must not block. Requests that end because
	// Run ends have no result. Default: nil.
	Observer func(Result)
}

// Pinger fetches targets to keep them warm. Make one with New; the zero value
// can't be used. Its methods are safe for concurrent use.
type Pinger struct {
	cfg     Config
	own     *http.Transport // nil if the program brought something else
	slots   slots
	wake    chan struct{} // capacity 1: Run has to look at what follows again
	running atomic.Bool

	mu      sync.Mutex
	plan    *plan
	began   time.Time // when Run was first called
	isReady bool
	full    time.Time // when all targets are fetched next; zero: not set
	why     string    // the reason for that
	ring    []Result  // oldest first
}

// plan is Settings with defaults filled in, checked and taken apart. Only the
// state of its targets changes, under Pinger.mu.
type plan struct {
	Settings
	on         bool
	origin     *url.URL
	targets    []*target
	superseded chan struct{} // closed by Reload
}

// target is a Target and what became of it.
type target struct {
	Target
	url   *url.URL
	last  Result
	fails int       // in a row
	retry time.Time // set while fails > 0
}

func (t *target) key() string { return t.Method + " " + t.url.String() }

// New returns a Pinger for cfg; it fetches nothing until Run is called.
//
// The error joins all problems of cfg and of the environment; errors.Is and
// errors.As reach each.
func New(cfg Config) (*Pinger, error) {
	p := &Pinger{cfg: cfg, wake: make(chan struct{}, 1)}
	pl, err := newPlan(cfg.Settings, cfg.Handler != nil)
	if cfg.Handler != nil && cfg.Transport != nil {
		err = errors.Join(err, errors.New("warmup: Config.Handler and Config.Transport are both set; leave one out"))
	}
	if err != nil {
		return nil, err
	}
	p.plan = pl
	if cfg.Handler == nil && cfg.Transport == nil {
		// A page's size is counted as it is, as with Handler, so it is not compressed.
		p.own = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableCompression: true, MaxIdleConnsPerHost: 16, MaxResponseHeaderBytes: 64 << 10}
		p.cfg.Transport = p.own
	}
	return p, nil
}

// Reload replaces the settings without a restart. If any of them is wrong the
// error joins all problems, as that of New, and the old settings go on.
//
// A run that is going on begins no more requests; those under way end by the
// settings they began with. Then all targets of the new settings are fetched.
// What is known of targets that stay is kept. Ready does not go back to false.
func (p *Pinger) Reload(s Settings) error {
	pl, err := newPlan(s, p.cfg.Handler != nil)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := make(map[string]*target)
	for _, t := range p.plan.targets {
		known[t.key()] = t
	}
	for _, t := range pl.targets {
		if k := known[t.key()]; k != nil {
			t.last, t.fails, t.retry = k.last, k.fails, k.retry
		}
	}
	close(p.plan.superseded)
	p.plan = pl
	p.full, p.why = time.Now(), "reload"
	p.trim()
	p.nudge()
	return nil
}

// newPlan checks settings as a whole.
func newPlan(s Settings, inProcess bool) (*plan, error) {
	pl := &plan{Settings: s.withDefaults(), on: s.Enabled == nil || *s.Enabled, superseded: make(chan struct{})}
	errs := pl.check()
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("warmup: "+format, args...)) }
	switch v := strings.ToLower(os.Getenv(Env)); v {
	case "":
	case "off", "0", "false", "no":
		pl.on = false
	case "on", "1", "true", "yes":
		pl.on = true
	default:
		fault("the environment's %s is %q; write on or off", Env, v)
	}
	if len(s.Targets) == 0 && pl.on {
		fault(`Settings.Targets is empty; name at least one, such as {URL: "/"}, or switch the warm-up off`)
	}
	if s.Origin != "" {
		var err error
		if pl.origin, err = parseOrigin(s.Origin); err != nil {
			fault("Settings.Origin is %q: %w; write scheme and host, such as http://localhost:8080", s.Origin, err)
			return nil, errors.Join(errs...) // nothing can be said of the targets
		}
	} else if inProcess {
		pl.origin = &url.URL{Scheme: "http", Host: "localhost"}
	}
	seen := make(map[string]bool)
	for i, spec := range s.Targets {
		t, err := parseTarget(spec, pl.origin)
		if err != nil {
			fault("Settings.Targets[%d] is %q: %w", i, spec.URL, err)
			continue
		}
		if pl.origin == nil {
			pl.origin = &url.URL{Scheme: t.url.Scheme, Host: t.url.Host}
		}
		if seen[t.key()] {
			fault("Settings.Targets[%d] is %q: it is in the list twice", i, spec.URL)
		}
		seen[t.key()] = true
		pl.targets = append(pl.targets, t)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return pl, nil
}

// parseOrigin accepts a scheme and a host, and nothing behind them but a slash.
func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	if u.Path == "/" {
		u.Path = ""
	}
	o := originOf(u)
	if o == nil || u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("that is no http or https origin")
	}
	return o, nil
}

// originOf is scheme and host of an absolute URL in lower case, without the port
// that goes without saying; nil if u has no origin that can be fetched from.
func originOf(u *url.URL) *url.URL {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if u.Hostname() == "" || scheme != "http" && scheme != "https" {
		return nil
	}
	if p := u.Port(); p == "" || scheme == "http" && p == "80" || scheme == "https" && p == "443" {
		host = strings.TrimSuffix(host, ":"+p)
	}
	return &url.URL{Scheme: scheme, Host: host}
}

func sameOrigin(u, origin *url.URL) bool {
	o := originOf(u)
	return o != nil && *o == *origin
}

// parseTarget checks a target. Without an origin its URL must have one.
func parseTarget(spec Target, origin *url.URL) (*target, error) {
	t := &target{Target: spec}
	if t.Method == "" {
		t.Method = http.MethodGet
	}
	u, err := url.Parse(spec.URL)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Fragment != "" || strings.HasSuffix(spec.URL, "#"):
		return nil, errors.New("a fragment is never sent to a server; leave it out")
	case u.User != nil:
		return nil, errors.New("a URL must not hold a name or a password; use Header")
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		if origin == nil {
			return nil, errors.New("a path needs Settings.Origin or Config.Handler, or a whole URL before it")
		}
		u.Scheme, u.Host = origin.Scheme, origin.Host
	case originOf(u) == nil:
		return nil, errors.New("write a path that begins with a slash, or an http or https URL")
	case origin != nil && !sameOrigin(u, origin):
		return nil, fmt.Errorf("%w than %s, and only one is warmed", ErrOrigin, origin)
	default:
		o := originOf(u)
		u.Scheme, u.Host = o.Scheme, o.Host
	}
	if u.Path == "" {
		u.Path = "/"
	}
	t.url = u
	t.Header, t.Status = maps.Clone(spec.Header), slices.Clone(spec.Status) // the caller may change them
	if !isToken(t.Method) || t.Method == http.MethodConnect {
		return nil, fmt.Errorf("the method %q can't be sent; write GET, HEAD or another of RFC 9110 section 9", t.Method)
	}
	for _, code := range spec.Status {
		if code < 200 || code > 599 {
			return nil, fmt.Errorf("the status %d is none that ends a request; write 200 to 599", code)
		}
	}
	names := make(map[string]bool)
	for name, value := range spec.Header {
		name = http.CanonicalHeaderKey(name)
		switch {
		case !isToken(name) || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
			return nil, fmt.Errorf("the header %q can't be sent (RFC 9110 section 5)", name)
		case slices.Contains(notHeaders, name):
			return nil, fmt.Errorf("the header %s is not one to set here", name)
		case names[name]:
			return nil, fmt.Errorf("the header %s is given twice", name)
		}
		names[name] = true
	}
	return t, nil
}

// notHeaders would name another origin, sign somebody in, or break the message.
var notHeaders = []string{"Host", "Cookie", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer", "Expect"}

// isToken is RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func (p *Pinger) log() *slog.Logger {
	if p.cfg.Logger != nil {
		return p.cfg.Logger
	}
	return slog.Default()
}
