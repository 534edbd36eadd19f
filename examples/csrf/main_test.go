package main

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// browser is one without scripts, which follows redirects. Its tabs share the
// cookies.
type browser struct {
	t *testing.T
	http.Client
	url string
}

func open(t *testing.T) *browser {
	handler, err := newHandler(20 * time.Second)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t, http.Client{Jar: jar}, server.URL}
}

func (b *browser) do(code int, method, path string, form url.Values, site string) (*http.Response, string) {
	r, err := http.NewRequest(method, b.url+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", site)
	w, err := b.Do(r)
	require.NoError(b.t, err)
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	require.NoError(b.t, err)
	require.Equal(b.t, code, w.StatusCode, "%s", body)
	return w, string(body)
}

func (b *browser) get(path string) string {
	_, body := b.do(200, "GET", path, nil, "same-origin")
	return body
}

func (b *browser) post(code int, path string, form url.Values) string {
	_, body := b.do(code, "POST", path, form, "same-origin")
	return body
}

// ping is what the page's script sends, without a token, and what it does with
// the answer: it returns the data.
func (b *browser) ping(method string) string {
	_, body := b.do(200, method, "/keepalive/ping", nil, "same-origin")
	var answer struct{ Data string }
	require.NoError(b.t, json.Unmarshal([]byte(body), &answer), "%s", body)
	require.NotEmpty(b.t, answer.Data, "%s", body)
	return answer.Data
}

var field = regexp.MustCompile(`<input type="hidden" name="csrf_token" value="([^"]+)">`)

// token is that of the forms of a page.
func token(t *testing.T, body string) string {
	found := field.FindStringSubmatch(body)
	require.NotNil(t, found, "%s", body)
	return html.UnescapeString(found[1])
}

func (b *browser) signIn(name string) {
	form := url.Values{"csrf_token": {token(b.t, b.get("/sign-in"))}, "name": {name}}
	require.Contains(b.t, b.post(200, "/sign-in", form), html.EscapeString(name))
}

func TestRenewal(t *testing.T) {
	for _, method := range []string{"POST", "GET"} {
		t.Run(method, func(t *testing.T) {
			b := open(t)
			b.signIn("Ann")
			open := token(t, b.get("/note"))
			b.signIn("Ann") // in another tab

			note := func(token string) url.Values { return url.Values{"csrf_token": {token}, "note": {"A long text"}} }
			require.Contains(t, b.post(http.StatusBadRequest, "/note", note(open)), "out of date")
			require.NotContains(t, b.get("/note"), "A long text")

			renewed := b.ping(method)
			require.NotEqual(t, open, renewed)
			require.Contains(t, b.post(200, "/note", note(renewed)), ">A long text</textarea>")
			b.post(200, "/note", note(renewed)) // and stays good
			require.Contains(t, b.post(http.StatusBadRequest, "/note", note(open)), "out of date")
		})
	}
}

// A browser that has lost the cookie gets a new one with the ping, for every path.
func TestLostCookie(t *testing.T) {
	b := open(t)
	b.signIn("Ann")
	origin, err := url.Parse(b.url)
	require.NoError(t, err)
	b.Jar.SetCookies(origin, []*http.Cookie{{Name: "csrf_token", Path: "/", MaxAge: -1}})
	renewed := b.ping("POST")
	b.post(200, "/note", url.Values{"csrf_token": {renewed}, "note": {"x"}})
}

func TestTokenIsOfOneBrowser(t *testing.T) {
	b := open(t)
	b.signIn("Ann")
	other := open(t)
	other.url = b.url
	other.signIn("Eve")
	b.post(http.StatusBadRequest, "/note", url.Values{"csrf_token": {other.ping("POST")}, "note": {"x"}})
}

func TestSession(t *testing.T) {
	const tag, anonymous = `<head><script src="/keepalive/keepalive.`, ` data-anonymous`
	b := open(t)
	require.Contains(t, b.get("/"), anonymous)
	b.do(http.StatusUnauthorized, "POST", "/keepalive/ping", nil, "same-origin")
	b.signIn("Ann <b>")
	for _, path := range []string{"/", "/about", "/sign-in", "/note"} {
		require.Contains(t, b.get(path), tag, path)
		require.NotContains(t, b.get(path), anonymous, path)
	}
	signOut := url.Values{"csrf_token": {token(t, b.get("/"))}}
	b.do(http.StatusForbidden, "POST", "/keepalive/ping", nil, "cross-site")
	b.post(http.StatusBadRequest, "/sign-out", nil)
	require.Contains(t, b.get("/"), "Ann &lt;b&gt;")
	body := b.post(200, "/sign-out", signOut)
	require.Contains(t, body, anonymous)
	body = b.post(http.StatusUnauthorized, "/note", url.Values{"csrf_token": {token(t, b.get("/sign-in"))}, "note": {"A long text"}})
	require.Contains(t, body, ">A long text</textarea>", "it is not lost")
	require.Contains(t, body, anonymous)
	require.Contains(t, b.get("/note"), "<h1>Sign in</h1>")
	b.do(http.StatusUnauthorized, "GET", "/keepalive/ping", nil, "same-origin")
}

func TestAnotherUser(t *testing.T) {
	b := open(t)
	b.signIn("Ann")
	b.post(200, "/note", url.Values{"csrf_token": {b.ping("GET")}, "note": {"Private"}})
	origin, err := url.Parse(b.url)
	require.NoError(t, err)
	before := b.Jar.Cookies(origin)

	b.signIn("Bob")
	require.NotContains(t, b.get("/note"), "Private")
	b.Jar.SetCookies(origin, before)
	require.Contains(t, b.get("/note"), "<h1>Sign in</h1>", "the token from before is worth nothing")
}

// Browsers that send no Sec-Fetch-Site send Origin, whose scheme must be the app's.
func TestOrigin(t *testing.T) {
	b := open(t)
	for origin, code := range map[string]int{b.url: http.StatusSeeOther, "http://evil.example": http.StatusBadRequest} {
		form := url.Values{"csrf_token": {token(t, b.get("/sign-in"))}, "name": {"Ann"}}
		r, err := http.NewRequest("POST", b.url+"/sign-in", strings.NewReader(form.Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
		client := http.Client{Jar: b.Jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		w, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, w.Body.Close())
		require.Equal(t, code, w.StatusCode, origin)
	}
}

func TestScriptHasNoCookie(t *testing.T) {
	w, body := open(t).do(200, "GET", "/keepalive/keepalive.js", nil, "same-origin")
	require.Empty(t, w.Cookies())
	require.NotContains(t, w.Header.Values("Vary"), "Cookie")
	require.NotEmpty(t, body)
}
