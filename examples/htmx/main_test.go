package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// browser is one without scripts, which follows redirects.
type browser struct {
	t *testing.T
	http.Client
	url string
}

func open(t *testing.T, library string) *browser {
	handler, err := newHandler(20*time.Second, library)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t, http.Client{Jar: jar}, server.URL}
}

// page returns the path and the content of the page that an answer leads to.
func (b *browser) page(code int, method, path string, form url.Values, site string) (string, string) {
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
	return w.Request.URL.Path, string(body)
}

func (b *browser) get(path string) (string, string) {
	return b.page(http.StatusOK, "GET", path, nil, "none")
}

func (b *browser) post(path string, form url.Values) (string, string) {
	return b.page(http.StatusOK, "POST", path, form, "same-origin")
}

const (
	tag       = `<head><script src="/keepalive/keepalive.`
	anonymous = ` data-anonymous`
)

func TestSession(t *testing.T) {
	b := open(t, htmxURL)
	for _, path := range []string{"/", "/about", "/sign-in", "/note"} {
		_, body := b.get(path)
		require.Contains(t, body, tag, path)
		require.Contains(t, body, anonymous, path)
	}
	path, _ := b.get("/note")
	require.Equal(t, "/sign-in", path)

	path, body := b.post("/sign-in", url.Values{"name": {"Ann <b>"}})
	require.Equal(t, "/", path)
	require.Contains(t, body, "Ann &lt;b&gt;")
	for _, path := range []string{"/", "/about", "/sign-in", "/note"} {
		_, body := b.get(path)
		require.Contains(t, body, tag, path)
		require.NotContains(t, body, anonymous, path)
	}

	path, body = b.post("/note", url.Values{"note": {"</textarea>"}})
	require.Equal(t, "/note", path)
	require.Contains(t, body, ">&lt;/textarea&gt;</textarea>")

	path, body = b.post("/sign-out", nil)
	require.Equal(t, "/", path)
	require.Contains(t, body, anonymous)
	require.NotContains(t, body, "Ann")
}

func TestAnotherUser(t *testing.T) {
	b := open(t, htmxURL)
	b.post("/sign-in", url.Values{"name": {"Ann"}})
	b.post("/note", url.Values{"note": {"Private"}})
	origin, err := url.Parse(b.url)
	require.NoError(t, err)
	before := b.Jar.Cookies(origin)

	b.post("/sign-in", url.Values{"name": {"Bob"}})
	_, body := b.get("/note")
	require.NotContains(t, body, "Private")
	b.Jar.SetCookies(origin, before)
	path, _ := b.get("/note")
	require.Equal(t, "/sign-in", path, "the token from before is worth nothing")
}

func TestRefusals(t *testing.T) {
	b := open(t, htmxURL)
	_, body := b.page(http.StatusUnprocessableEntity, "POST", "/sign-in", url.Values{"name": {" "}}, "same-origin")
	require.Contains(t, body, "Please write a name.")

	_, body = b.page(http.StatusUnauthorized, "POST", "/note", url.Values{"note": {"A long text"}}, "same-origin")
	require.Contains(t, body, "Not saved: your session has ended.")
	require.Contains(t, body, ">A long text</textarea>", "it is not lost")

	for _, path := range []string{"/sign-in", "/note", "/sign-out"} {
		b.page(http.StatusForbidden, "POST", path, url.Values{"name": {"Eve"}}, "cross-site")
	}
}

func TestLibrary(t *testing.T) {
	_, body := open(t, htmxURL).get("/")
	require.Contains(t, html.UnescapeString(body), `<script src="`+htmxURL+`" integrity="`+htmxHash+`" crossorigin="anonymous" defer>`)
	_, body = open(t, `http://127.0.0.1:1/htmx.js?"><b>`).get("/")
	require.Contains(t, body, `<script src="http://127.0.0.1:1/htmx.js?%22%3e%3cb%3e" defer>`)
}
