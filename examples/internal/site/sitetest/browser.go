// Package sitetest tests the examples over HTTP.
package sitetest

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Browser sends requests to an app as one without scripts does: it keeps cookies
// and follows redirects.
type Browser struct {
	http.Client
	URL *url.URL // of the app

	t *testing.T
}

// Open serves an app until the end of the test, and returns a browser for it.
func Open(t *testing.T, app http.Handler) *Browser {
	t.Helper()
	server := httptest.NewServer(app)
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	return (&Browser{URL: address, t: t}).Another()
}

// Another returns a browser for the same app that has no cookies.
func (b *Browser) Another() *Browser {
	jar, err := cookiejar.New(nil)
	require.NoError(b.t, err)
	return &Browser{Client: http.Client{Jar: jar}, URL: b.URL, t: b.t}
}

// Request returns a request from a page of the app.
func (b *Browser) Request(method, path, body string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequest(method, b.URL.String()+path, strings.NewReader(body))
	require.NoError(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html,*/*")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// Send returns the response, and the body that was read from it. The status must
// be code.
func (b *Browser) Send(code int, r *http.Request) (*http.Response, string) {
	b.t.Helper()
	w, err := b.Do(r)
	require.NoError(b.t, err)
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	require.NoError(b.t, err)
	require.Equal(b.t, code, w.StatusCode, "%s %s: %s", r.Method, r.URL, body)
	return w, string(body)
}

// Get returns a page.
func (b *Browser) Get(path string) string {
	b.t.Helper()
	_, body := b.Send(http.StatusOK, b.Request("GET", path, ""))
	return body
}

// Post returns the page that sending a form leads to.
func (b *Browser) Post(code int, path string, form url.Values) string {
	b.t.Helper()
	_, body := b.Send(code, b.Request("POST", path, form.Encode()))
	return body
}

// PostCrossSite sends a form from a page of another site. The app must refuse it.
func (b *Browser) PostCrossSite(path string, form url.Values) {
	b.t.Helper()
	r := b.Request("POST", path, form.Encode())
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	b.Send(http.StatusForbidden, r)
}

// Cookies returns those that the browser has for the app.
func (b *Browser) Cookies() []*http.Cookie { return b.Jar.Cookies(b.URL) }

// SetCookies gives the browser cookies of the app.
func (b *Browser) SetCookies(cookies []*http.Cookie) { b.Jar.SetCookies(b.URL, cookies) }
