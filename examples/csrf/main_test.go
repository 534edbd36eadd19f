package main

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/examples/internal/site/sitetest"
	"github.com/stretchr/testify/require"
)

// browser has the cookies of all its tabs.
type browser struct {
	*sitetest.Browser
	t *testing.T
}

func open(t *testing.T) browser {
	handler, err := newHandler(20 * time.Second)
	require.NoError(t, err)
	return browser{sitetest.Open(t, handler), t}
}

// ping sends what the page's script sends, without a token, and returns the data
// of the answer.
func (b browser) ping(method string) string {
	_, body := b.Send(http.StatusOK, b.Request(method, "/keepalive/ping", ""))
	var answer struct{ Data string }
	require.NoError(b.t, json.Unmarshal([]byte(body), &answer), "%s", body)
	require.NotEmpty(b.t, answer.Data, "%s", body)
	return answer.Data
}

var field = regexp.MustCompile(`<input type="hidden" name="csrf_token" value="([^"]+)">`)

// tokenOf returns the token in the forms of a page.
func tokenOf(t *testing.T, body string) string {
	found := field.FindStringSubmatch(body)
	require.NotNil(t, found, "%s", body)
	return html.UnescapeString(found[1])
}

func (b browser) signIn(name string) {
	form := url.Values{"csrf_token": {tokenOf(b.t, b.Get("/sign-in"))}, "name": {name}}
	require.Contains(b.t, b.Post(http.StatusOK, "/sign-in", form), html.EscapeString(name))
}

func (b browser) saveNote(code int, token, note string) string {
	return b.Post(code, "/note", url.Values{"csrf_token": {token}, "note": {note}})
}

func TestRenewal(t *testing.T) {
	for _, method := range []string{"POST", "GET"} {
		t.Run(method, func(t *testing.T) {
			b := open(t)
			b.signIn("Ann")
			old := tokenOf(t, b.Get("/note"))
			b.signIn("Ann") // in another tab

			require.Contains(t, b.saveNote(http.StatusBadRequest, old, "A long text"), "out of date")
			require.NotContains(t, b.Get("/note"), "A long text")

			renewed := b.ping(method)
			require.NotEqual(t, old, renewed)
			require.Contains(t, b.saveNote(http.StatusOK, renewed, "A long text"), ">A long text</textarea>")
			b.saveNote(http.StatusOK, renewed, "A long text") // the token stays valid
			require.Contains(t, b.saveNote(http.StatusBadRequest, old, "A long text"), "out of date")
		})
	}
}

// A browser that has lost the cookie gets a new one with the ping, for every path.
func TestLostCookie(t *testing.T) {
	b := open(t)
	b.signIn("Ann")
	b.SetCookies([]*http.Cookie{{Name: "csrf_token", Path: "/", MaxAge: -1}})
	b.saveNote(http.StatusOK, b.ping("POST"), "x")
}

func TestTokenBelongsToOneBrowser(t *testing.T) {
	ann := open(t)
	ann.signIn("Ann")
	eve := browser{ann.Another(), t}
	eve.signIn("Eve")
	ann.saveNote(http.StatusBadRequest, eve.ping("POST"), "x")
}

func TestSession(t *testing.T) {
	b := open(t)
	require.Contains(t, b.Get("/"), sitetest.Anonymous)
	b.Post(http.StatusUnauthorized, "/keepalive/ping", nil)
	b.signIn("Ann <b>")
	for _, path := range []string{"/", "/about", "/sign-in", "/note"} {
		require.Contains(t, b.Get(path), sitetest.Tag, path)
		require.NotContains(t, b.Get(path), sitetest.Anonymous, path)
	}
	b.PostCrossSite("/keepalive/ping", nil)
	b.Post(http.StatusBadRequest, "/sign-out", nil)
	require.Contains(t, b.Get("/"), "Ann &lt;b&gt;")

	body := b.Post(http.StatusOK, "/sign-out", url.Values{"csrf_token": {tokenOf(t, b.Get("/"))}})
	require.Contains(t, body, sitetest.Anonymous)
	body = b.saveNote(http.StatusUnauthorized, tokenOf(t, b.Get("/sign-in")), "A long text")
	require.Contains(t, body, ">A long text</textarea>", "the text is not lost")
	require.Contains(t, body, sitetest.Anonymous)
	require.Contains(t, b.Get("/note"), "<h1>Sign in</h1>")
	b.Send(http.StatusUnauthorized, b.Request("GET", "/keepalive/ping", ""))
}

func TestAnotherUser(t *testing.T) {
	b := open(t)
	b.signIn("Ann")
	b.saveNote(http.StatusOK, b.ping("GET"), "Private")
	before := b.Cookies()

	b.signIn("Bob")
	require.NotContains(t, b.Get("/note"), "Private")
	b.SetCookies(before)
	require.Contains(t, b.Get("/note"), "<h1>Sign in</h1>", "the old token has no session")
}

// Browsers that send no Sec-Fetch-Site send Origin, whose scheme must be the app's.
func TestOrigin(t *testing.T) {
	b := open(t)
	for origin, code := range map[string]int{b.URL.String(): http.StatusOK, "http://evil.example": http.StatusBadRequest} {
		form := url.Values{"csrf_token": {tokenOf(t, b.Get("/sign-in"))}, "name": {"Ann"}}
		r := b.Request("POST", "/sign-in", form.Encode())
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", origin)
		b.Send(code, r)
	}
}

func TestScriptHasNoCookie(t *testing.T) {
	b := open(t)
	tag := regexp.MustCompile(`<script src="(/keepalive/keepalive\.[^"]+\.js)"`).FindStringSubmatch(b.Get("/sign-in"))
	require.NotNil(t, tag)
	w, body := b.Send(http.StatusOK, b.Request("GET", tag[1], ""))
	require.Empty(t, w.Cookies())
	require.NotContains(t, w.Header.Values("Vary"), "Cookie")
	require.NotEmpty(t, body)
}
