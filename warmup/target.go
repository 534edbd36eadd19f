package warmup

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// parseTarget checks spec and returns it with its absolute URL. If origin is nil
// the URL must be absolute itself.
func parseTarget(spec Target, origin *url.URL) (*target, error) {
	u, err := parseTargetURL(spec.URL, origin)
	if err != nil {
		return nil, err
	}
	t := &target{Target: spec, url: u}
	t.Header, t.Status = maps.Clone(spec.Header), slices.Clone(spec.Status) // the caller may change them
	if t.Method == "" {
		t.Method = http.MethodGet
	}
	if !isToken(t.Method) || t.Method == http.MethodConnect {
		return nil, fmt.Errorf("the method %q can't be sent; write GET, HEAD or another of RFC 9110 section 9", t.Method)
	}
	for _, code := range t.Status {
		if code < 200 || code > 599 {
			return nil, fmt.Errorf("the status %d is none that ends a request; write 200 to 599", code)
		}
	}
	return t, checkHeader(t.Header)
}

// parseTargetURL returns the absolute URL of a target, its origin in the form that
// originOf returns.
func parseTargetURL(s string, origin *url.URL) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	isPath := u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/")
	urlOrigin := originOf(u)
	switch {
	case u.Fragment != "" || strings.HasSuffix(s, "#"):
		return nil, errors.New("a fragment is never sent to a server; leave it out")
	case u.User != nil:
		return nil, errors.New("a URL must not hold a name or a password; use Header")
	case isPath && origin == nil:
		return nil, errors.New("a path needs Settings.Origin or Config.Handler, or a whole URL before it")
	case isPath:
		urlOrigin = origin
	case urlOrigin == nil:
		return nil, errors.New("write a path that begins with a slash, or an http or https URL")
	case origin != nil && *urlOrigin != *origin:
		return nil, fmt.Errorf("%w than %s; all targets must have the same", ErrOrigin, origin)
	}
	u.Scheme, u.Host = urlOrigin.Scheme, urlOrigin.Host
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

// forbiddenHeaders would name another origin, sign somebody in, or change where
// the message ends.
var forbiddenHeaders = []string{"Host", "Cookie", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer", "Expect"}

func checkHeader(header map[string]string) error {
	names := make(map[string]bool)
	for name, value := range header {
		name = http.CanonicalHeaderKey(name)
		switch {
		case !isToken(name) || strings.ContainsFunc(value, isControl):
			return fmt.Errorf("the header %q can't be sent (RFC 9110 section 5)", name)
		case slices.Contains(forbiddenHeaders, name):
			return fmt.Errorf("the header %s can't be set by a target", name)
		case names[name]:
			return fmt.Errorf("the header %s is given twice", name)
		}
		names[name] = true
	}
	return nil
}

// isToken reports whether s is a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// isControl reports whether c must not stand in a field value, RFC 9110 section 5.5.
func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// parseOrigin accepts a scheme and a host with nothing after them but a slash.
func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	origin := originOf(u)
	if origin == nil || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("that is no http or https origin")
	}
	return origin, nil
}

// originOf returns scheme and host of u in lower case and without a default port,
// so that equal origins are equal values. It returns nil unless u is an absolute
// http or https URL.
func originOf(u *url.URL) *url.URL {
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Host), u.Port()
	if u.Hostname() == "" || scheme != "http" && scheme != "https" {
		return nil
	}
	if port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return &url.URL{Scheme: scheme, Host: host}
}
