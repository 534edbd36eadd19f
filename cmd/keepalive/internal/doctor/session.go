package doctor

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minIdle is what hidden pages need, which browsers wake about once a minute.
const minIdle = 3 * time.Minute

// checkSession compares what two pings say, with a page load between them.
func (e *examination) checkSession(ctx context.Context) error {
	idle, warn := e.script.duration("data-idle"), e.script.duration("data-warn")
	e.saw("the idle timeout is %v", idle)
	if idle > 0 && idle < minIdle {
		e.found("idle-short", idle.String())
	}
	if e.broken {
		e.unchecked("whether a ping extends the session, as none comes through")
		return nil
	}
	first, err := e.ping(ctx)
	if err != nil {
		return err
	}
	select {
	case <-time.After(e.opts.Wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := e.getPage(ctx, e.user, "text/html", "gzip"); err != nil {
		return err
	}
	if e.last, err = e.ping(ctx); err != nil {
		return err
	}
	e.saw("the session's deadline is %v away", e.last.lifetime.Round(time.Second))
	isNew := e.opts.Header.Get("Cookie") == "" // else it may be near its end
	if full := min(idle, e.last.lifetime); e.last.idle < full-e.opts.Wait/2 {
		e.found("expiry-stuck", round(e.last.idle), idle.String())
	}
	elapsed := e.last.asked.Sub(first.answered) // at least
	if nearer := first.lifetime - e.last.lifetime; nearer < elapsed/2 {
		e.found("deadline-moves", round(elapsed), round(max(nearer, 0)))
	}
	if isNew && e.last.lifetime < idle-clockTolerance {
		e.found("lifetime-short", round(e.last.lifetime), idle.String())
	}
	// The script pings when at least a quarter of the time has passed.
	if most := idle * 3 / 4; warn > most {
		e.found("warning-long", warn.String(), "an idle timeout of "+idle.String())
	} else if isNew && warn > e.last.lifetime {
		e.found("warning-long", warn.String(), "a lifetime of "+round(e.last.lifetime))
	}
	return nil
}

func round(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// ping extends the session, and returns what is left.
func (e *examination) ping(ctx context.Context) (times, error) {
	asked := time.Now()
	a, err := e.post(ctx, func(h http.Header) { asBrowser(h, e.page) })
	if err != nil {
		return times{}, err
	}
	t, err := readTimes(a)
	t.asked = asked
	if err != nil {
		return times{}, errors.New("a ping was answered with " + a.Status + " after others had passed; try again")
	}
	return t, nil
}

// maxCookies bounds the cookies that are left out one by one.
const maxCookies = 12

// findSessionCookie finds the cookie without which pings find no session, and
// looks what they get then. first is the answer to one with all cookies.
func (e *examination) findSessionCookie(ctx context.Context, first *answer) error {
	cookies := e.user.client.Jar.Cookies(e.endpoint("ping"))
	for _, c := range cookies[:min(len(cookies), maxCookies)] {
		a, err := e.userWithout(c.Name).get(ctx, e.endpoint("ping"))
		if err != nil {
			return err
		}
		_, notTimes := readTimes(a)
		isGone := a.StatusCode == http.StatusUnauthorized && isGoneBody(a) && (a.isOurs() || !first.isOurs())
		if !isGone && (notTimes == nil || !isToken(c.Value)) {
			continue // it is another cookie, such as that of a proxy's own sign-in
		}
		e.sessionCookie = c.Name
		if !isGone {
			e.found("gone-rewritten", a.Status+", "+a.Header.Get("Content-Type"))
		}
		// A GET extends nothing, so keepalive sends no cookie with it.
		if slices.ContainsFunc(first.Cookies(), func(set *http.Cookie) bool { return set.Name == c.Name }) {
			e.found("scs-outside")
		}
		return nil
	}
	return nil
}

// userWithout returns a visitor with all of the user's cookies but one.
func (e *examination) userWithout(name string) *visitor {
	v := e.stranger()
	var kept []*http.Cookie
	for _, c := range e.user.client.Jar.Cookies(e.base) {
		if c.Name != name {
			kept = append(kept, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/"})
		}
	}
	v.client.Jar.SetCookies(e.base, kept)
	return v
}

// checkCookie looks at the session's cookie as the program has set it, if it has.
func (e *examination) checkCookie(context.Context) error {
	c, ok := e.sessionSet()
	if !ok {
		e.unchecked("the attributes of the session's cookie, as none was set; use -login")
		return nil
	}
	if c.from.Scheme == "https" && !c.Secure {
		e.found("cookie-not-secure")
	}
	if !c.HttpOnly {
		e.found("cookie-http-only")
	}
	if c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
		value := "no SameSite"
		if c.SameSite == http.SameSiteNoneMode {
			value = "SameSite=None"
		}
		e.found("cookie-same-site", value)
	}
	// keepalive's own lasts until the deadline. Where scs's LoadAndSave stands on
	// purpose, each ping sends the cookie again.
	ends := time.Duration(c.MaxAge) * time.Second
	if c.MaxAge > 0 && !e.broken && (ends-e.last.idle).Abs() < clockTolerance && e.last.lifetime-e.last.idle > 3*clockTolerance && !e.pingsSetCookie() {
		e.found("scs-inside")
	}
	return nil
}

// pingsSetCookie reports whether pings have set the session's cookie.
func (e *examination) pingsSetCookie() bool {
	return slices.ContainsFunc(e.user.set, func(c setCookie) bool {
		return c.Name == e.sessionCookie && strings.HasPrefix(c.from.Path, e.base.Path)
	})
}

// sessionSet returns the session's cookie as it was first set.
func (e *examination) sessionSet() (setCookie, bool) {
	i := slices.IndexFunc(e.user.set, func(c setCookie) bool { return c.Name == e.sessionCookie && c.Value != "" })
	if i < 0 {
		return setCookie{}, false
	}
	return e.user.set[i], true
}

// cookiePathMisses returns the Path of a cookie that does not reach the endpoints.
func (e *examination) cookiePathMisses() (path string, ok bool) {
	for _, c := range e.user.set {
		if isToken(c.Value) && c.Path != "" && !strings.HasPrefix(e.base.Path, strings.TrimSuffix(c.Path, "/")+"/") {
			return c.Path, true
		}
	}
	return "", false
}

// refusal says why a browser refuses a cookie, "" if it does not.
func (c setCookie) refusal() string {
	host := strings.ToLower(c.from.Hostname())
	domain := strings.ToLower(strings.TrimPrefix(c.Domain, "."))
	switch {
	case c.Secure && c.from.Scheme == "http":
		return "it has Secure, but comes without TLS"
	case domain != "" && host != domain && !strings.HasSuffix(host, "."+domain):
		return "its Domain " + strconv.Quote(domain) + " is not the page's"
	case c.SameSite == http.SameSiteNoneMode && !c.Secure:
		return "it has SameSite=None without Secure"
	case strings.HasPrefix(c.Name, "__Host-") && (!c.Secure || c.Path != "/" || c.Domain != ""):
		return "its name begins with __Host-, which needs Secure, Path=/ and no Domain"
	case strings.HasPrefix(c.Name, "__Secure-") && !c.Secure:
		return "its name begins with __Secure-, which needs Secure"
	}
	return ""
}

// isToken reports whether a cookie's value looks like a token of scs: 32 random
// bytes in base64.
func isToken(value string) bool {
	token, err := base64.RawURLEncoding.DecodeString(value)
	return err == nil && len(token) == 32
}
