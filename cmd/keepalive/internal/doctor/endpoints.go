package doctor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

var errNoSession = errors.New("the program knows no live session by these cookies; sign in again, and give the cookie that the program sets then")

// clockTolerance is how far apart two clocks may be without harm.
const clockTolerance = time.Minute

// get asks an endpoint as the script does.
func (v *visitor) get(ctx context.Context, u *url.URL) (*answer, error) {
	return v.ask(ctx, http.MethodGet, u, func(h http.Header) { h.Set("Sec-Fetch-Site", "same-origin") })
}

// endpoint returns the URL of an endpoint.
func (e *examination) endpoint(name string) *url.URL { return e.base.JoinPath(name) }

// findEndpoints looks where the endpoints are.
func (e *examination) findEndpoints(ctx context.Context) error {
	folder := e.opts.Path
	if e.script != nil {
		folder = e.script.folder()
	} else if folder == "" {
		folder = "/keepalive/"
	}
	e.base = e.page.ResolveReference(&url.URL{Path: folder})
	asked, err := e.user.get(ctx, e.endpoint("ping"))
	if err != nil {
		return err
	}
	if asked.isOurs() || !isSomebodyElses(asked) {
		return nil
	}
	// Below each folder of the page there may be the endpoints of an app whose prefix
	// was stripped.
	for dir := path.Dir(e.page.Path + "x"); dir != "/" && dir != "."; dir = path.Dir(dir) {
		u := e.page.ResolveReference(&url.URL{Path: dir + folder})
		if a, err := e.user.get(ctx, u.JoinPath("ping")); err != nil || !a.isOurs() {
			continue
		}
		if e.script == nil {
			e.base = u
			return nil
		}
		e.found("prefix", folder, u.Path)
		return errEnough
	}
	if e.script != nil {
		e.found("not-routed", e.base.Path, asked.Status+", "+asked.Header.Get("Content-Type"))
		return errEnough
	}
	return nil
}

// isSomebodyElses reports whether an answer is that of another handler, rather than
// of a guard or a proxy in between.
func isSomebodyElses(a *answer) bool {
	_, err := readTimes(a)
	return a.StatusCode == http.StatusNotFound || a.StatusCode == http.StatusMethodNotAllowed || a.StatusCode == http.StatusOK && err != nil
}

// checkPings asks both ways, with and without a session.
func (e *examination) checkPings(ctx context.Context) error {
	first, err := e.user.get(ctx, e.endpoint("ping"))
	if err != nil {
		return err
	}
	if !e.isPing("GET", first) {
		e.broken = true
		return nil
	}
	e.saw("the endpoints are at %s", e.base.Path)
	e.checkClock(first)
	e.checkPingHeader(first)
	if first.StatusCode == http.StatusUnauthorized && !e.script.isOfSession() {
		return errNoSession
	}
	if err := e.checkInstances(ctx); err != nil {
		return err
	}
	if e.broken {
		return nil
	}
	if err := e.findSessionCookie(ctx, first); err != nil {
		return err
	}
	return e.checkPost(ctx)
}

// checkPost pings as a browser of today does, and as one that says less.
func (e *examination) checkPost(ctx context.Context) error {
	a, err := e.post(ctx, func(h http.Header) { asBrowser(h, e.page) })
	if err != nil {
		return err
	}
	e.saw("pings use %s", a.Proto)
	if !e.isPing("POST", a) {
		e.broken = true
		return nil
	}
	if a.ProtoMajor == 1 && a.Close {
		e.found("connection-closed")
	}
	plain, err := e.post(ctx, func(h http.Header) {
		asBrowser(h, e.page)
		h.Del("Sec-Fetch-Site")
	})
	if err != nil {
		return err
	}
	if plain.isOurs() && plain.StatusCode == http.StatusForbidden {
		e.found("host-rewritten")
	}
	return nil
}

func (e *examination) post(ctx context.Context, set func(http.Header)) (*answer, error) {
	return e.user.ask(ctx, http.MethodPost, e.endpoint("ping"), set)
}

// isPing reports whether keepalive has answered a ping, if only with 401. Else it
// says who has.
func (e *examination) isPing(method string, a *answer) bool {
	_, notTimes := readTimes(a)
	switch {
	case a.StatusCode == http.StatusTooManyRequests:
		e.found("limited", a.Status)
	case a.StatusCode >= 500:
		e.found("unavailable", method, a.Status)
	case a.isOurs() && a.StatusCode == http.StatusUnauthorized:
		return true
	case a.isOurs() && a.StatusCode != http.StatusOK:
		e.found("ping-rewritten", a.Status)
	case a.isOurs() && notTimes != nil:
		e.found("ping-rewritten", "it is no JSON of times")
	case a.isOurs():
		return true
	case a.StatusCode >= 300 && a.StatusCode < 400:
		e.found("redirected", method, a.where())
	case notTimes == nil || isGoneBody(a):
		e.found("mark-stripped")
		return true
	case a.StatusCode >= 400:
		e.found("refused", method, a.Status)
	default:
		e.found("not-routed", e.base.Path, a.Status+", "+a.Header.Get("Content-Type"))
	}
	return false
}

// isGoneBody reports whether a body is that of keepalive's 401.
func isGoneBody(a *answer) bool { return bytes.Contains(a.body, []byte(`{"gone":true}`)) }

// checkPingHeader looks at what no cache and no proxy may change.
func (e *examination) checkPingHeader(a *answer) {
	if source := a.fromCache(); source != "" {
		e.found("ping-cached", source)
	} else if !a.has("Cache-Control", "no-store") {
		e.found("ping-rewritten", "Cache-Control is "+strconv.Quote(a.Header.Get("Cache-Control"))+" in place of no-store")
	}
}

func (e *examination) checkClock(a *answer) {
	date, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil || a.fromCache() != "" {
		return
	}
	if off := time.Since(date); off.Abs() > clockTolerance {
		e.found("clock", off.Abs().Round(time.Second).String())
	}
}

// probes is how often checkInstances asks.
const probes = 6

// checkInstances asks several times by new connections, which a load balancer
// spreads over the instances.
func (e *examination) checkInstances(ctx context.Context) error {
	alive := 0
	for range probes {
		e.user.close()
		a, err := e.user.get(ctx, e.endpoint("ping"))
		if err != nil {
			return err
		}
		if !e.isPing("GET", a) {
			e.broken = true
			return nil
		}
		if a.StatusCode == http.StatusOK {
			alive++
		}
	}
	switch alive {
	case probes:
		return nil
	case 0:
		if path, ok := e.cookiePathMisses(); ok {
			e.found("cookie-path", path, e.base.Path)
		} else {
			e.found("no-session-in-ping")
		}
	default:
		e.found("instances", strconv.Itoa(probes))
	}
	e.broken = true
	return nil
}

// checkScript loads the script as the page does.
func (e *examination) checkScript(ctx context.Context) error {
	if e.broken {
		e.unchecked("the script")
		return nil
	}
	u := e.page.ResolveReference(&url.URL{Path: e.script.path("src")})
	a, err := e.user.ask(ctx, http.MethodGet, u, func(h http.Header) {
		h.Set("Accept-Encoding", "gzip")
		h.Set("Sec-Fetch-Site", "same-origin")
	})
	if err != nil {
		return err
	}
	mediaType, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	switch {
	case a.StatusCode != http.StatusOK:
		e.found("script-unreachable", u.Path, a.Status)
		return nil
	case !strings.HasSuffix(mediaType, "/javascript"):
		e.found("script-type", strconv.Quote(a.Header.Get("Content-Type")))
		return nil
	}
	if what := garbled(a, e.script.attr["integrity"]); what != "" {
		e.found("script-garbled", what)
	}
	if a.coding() == "" && path.Base(u.Path) != "keepalive.debug.js" {
		e.found("script-uncompressed")
	}
	if path.Base(u.Path) != "keepalive.debug.js" && !isKept(a) {
		e.found("script-not-cached", strconv.Quote(a.Header.Get("Cache-Control")))
	}
	for _, c := range a.Cookies() {
		if c.Name != e.sessionCookie { // that one is scs's, which has its own finding
			e.found("script-sets-cookie", c.Name)
		}
	}
	return nil
}

// garbled says what has happened to the script on its way, "" for nothing.
func garbled(a *answer, integrity string) string {
	sum := sha256.Sum256(a.body)
	switch {
	case a.garbled != nil:
		return a.garbled.Error()
	case bytes.HasPrefix(a.body, []byte("\x1f\x8b")):
		return "it is compressed twice"
	case !bytes.Contains(a.body, []byte("keepalive:")):
		return "it is not keepalive's"
	case integrity != "" && integrity != "sha256-"+base64.StdEncoding.EncodeToString(sum[:]):
		return "its content is not what the tag's integrity says"
	}
	return ""
}

// isKept reports whether browsers keep an answer for a month or more.
func isKept(a *answer) bool {
	for _, t := range tokens(a.Header, "Cache-Control") {
		if value, ok := strings.CutPrefix(strings.ToLower(t), "max-age="); ok {
			seconds, _ := strconv.Atoi(value)
			return seconds >= 30*24*60*60 && !a.has("Cache-Control", "no-cache") && !a.has("Cache-Control", "no-store")
		}
	}
	return false
}

// times is what a ping says.
type times struct {
	asked, answered time.Time
	idle, lifetime  time.Duration
}

func readTimes(a *answer) (times, error) {
	var body struct{ IdleMs, LifetimeMs *int64 }
	if err := json.Unmarshal(a.body, &body); err != nil {
		return times{}, err
	}
	if body.IdleMs == nil || body.LifetimeMs == nil {
		return times{}, errors.New("no times")
	}
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	return times{answered: time.Now(), idle: ms(*body.IdleMs), lifetime: ms(*body.LifetimeMs)}, nil
}

// endsByDeadline reports whether no ping could extend the session.
func (t times) endsByDeadline() bool { return t.lifetime-t.idle < time.Second }
