package doctor

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxBody        = 4 << 20
	requestTimeout = 30 * time.Second
	maxRedirects   = 10
)

// visitor is a browser of one user, as far as HTTP goes: it keeps cookies, and
// follows no redirect by itself.
type visitor struct {
	client *http.Client
	header http.Header
	set    []setCookie // all cookies that answers have set
}

// setCookie is a cookie as an answer has set it.
type setCookie struct {
	*http.Cookie
	from *url.URL
}

func newVisitor(header http.Header, insecure bool) *visitor {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // what comes compressed is a part of the examination
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: insecure}
	jar, _ := cookiejar.New(nil) // fails with options only
	v := &visitor{header: header}
	v.client = &http.Client{
		Transport:     recorder{v, transport},
		Jar:           jar,
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return v
}

// close closes the connections, so that the next request has a new one.
func (v *visitor) close() { v.client.CloseIdleConnections() }

// recorder notes the cookies of all answers, those of redirects too.
type recorder struct {
	visitor *visitor
	*http.Transport
}

func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.Transport.RoundTrip(req)
	if err == nil {
		for _, c := range res.Cookies() {
			r.visitor.set = append(r.visitor.set, setCookie{c, req.URL})
		}
	}
	return res, err
}

// useCookies lets the visitor have the cookies of a Cookie field, for all of u's origin.
func (v *visitor) useCookies(u *url.URL, field string) error {
	cookies, err := http.ParseCookie(field)
	if err != nil { // err shows the value
		return errors.New("the cookie can't be read; write name=value, and ; between several")
	}
	for _, c := range cookies {
		c.Path = "/"
	}
	v.client.Jar.SetCookies(u, cookies)
	return nil
}

// signIn sends a form as a browser does, and follows redirects. Without a form it
// opens the page.
func (v *visitor) signIn(ctx context.Context, login *url.URL, form string) error {
	method, body := http.MethodGet, io.Reader(nil)
	if form != "" {
		method, body = http.MethodPost, strings.NewReader(form)
	}
	r, err := v.newRequest(ctx, method, login, body)
	if err != nil {
		return err
	}
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	asBrowser(r.Header, login)
	client := *v.client
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirects {
			return errors.New("too many redirects")
		}
		if next.URL.Host != login.Host { // net/http keeps only those back that it knows as secrets
			for name := range v.header {
				next.Header.Del(name)
			}
		}
		return nil
	}
	res, err := client.Do(r)
	if err != nil {
		return withoutQuery(err)
	}
	defer res.Body.Close()
	switch _, err = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody)); {
	case err != nil:
		return err
	case res.StatusCode >= 400:
		return fmt.Errorf("signing in at %s is answered with %s", login.Path, res.Status)
	case len(v.set) == 0:
		return fmt.Errorf("signing in at %s sets no cookie; if the form needs a CSRF token, sign in with a browser and use -cookie", login.Path)
	}
	return nil
}

// asBrowser adds what a browser adds to requests of a page of this origin.
func asBrowser(h http.Header, page *url.URL) {
	h.Set("Origin", page.Scheme+"://"+page.Host)
	h.Set("Sec-Fetch-Site", "same-origin")
}

func (v *visitor) newRequest(ctx context.Context, method string, u *url.URL, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	r.Header = v.header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	return r, nil
}

// withoutQuery returns an error of net/http without the URL's query, which may hold a
// secret.
func withoutQuery(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		failed.URL, _, _ = strings.Cut(failed.URL, "?")
	}
	return err
}

// answer is a response with its body, decompressed.
type answer struct {
	*http.Response
	body    []byte
	garbled error // the body can't be decompressed
}

// ask sends a request and reads the answer. set adds to the header.
func (v *visitor) ask(ctx context.Context, method string, u *url.URL, set func(http.Header)) (*answer, error) {
	r, err := v.newRequest(ctx, method, u, nil)
	if err != nil {
		return nil, err
	}
	if set != nil {
		set(r.Header)
	}
	res, err := v.client.Do(r)
	if err != nil {
		return nil, withoutQuery(err)
	}
	defer res.Body.Close()
	a := &answer{Response: res}
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, maxBody)); err != nil {
		return nil, err
	}
	if a.coding() == "gzip" && len(a.body) > 0 {
		a.body, a.garbled = gunzip(a.body)
	}
	return a, nil
}

func gunzip(zipped []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(zr, maxBody))
	if errors.Is(err, io.ErrUnexpectedEOF) && len(body) > 0 { // a longer page, cut above
		err = nil
	}
	return body, err
}

// isOurs reports whether keepalive has answered, as far as the header says.
func (a *answer) isOurs() bool { return a.Header.Get("Keepalive") == "1" }

func (a *answer) coding() string {
	return strings.ToLower(strings.TrimSpace(a.Header.Get("Content-Encoding")))
}

// has reports whether a list in the header has a token, in any of its lines.
func (a *answer) has(field, token string) bool {
	return slices.ContainsFunc(tokens(a.Header, field), func(t string) bool { return strings.EqualFold(t, token) })
}

// tokens returns the members of a list in the header.
func tokens(h http.Header, field string) (list []string) {
	for _, line := range h.Values(field) {
		for item := range strings.SplitSeq(line, ",") {
			list = append(list, strings.TrimSpace(item))
		}
	}
	return list
}

// where is the path of a Location, without what may be secret.
func (a *answer) where() string {
	u, err := a.Location()
	if err != nil {
		return "nowhere"
	}
	if u.Host == a.Request.URL.Host {
		return u.Path
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// fromCache says how an answer shows that it is from a shared cache, "" if it does not.
func (a *answer) fromCache() string {
	if age, err := strconv.Atoi(a.Header.Get("Age")); err == nil && age > 0 {
		return fmt.Sprintf("Age: %d", age)
	}
	for _, field := range []string{"X-Cache", "X-Cache-Status", "Cf-Cache-Status", "X-Proxy-Cache", "Cache-Status"} {
		if value := a.Header.Get(field); strings.Contains(strings.ToLower(value), "hit") {
			return field + ": " + value
		}
	}
	return ""
}
