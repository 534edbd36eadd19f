package main

import (
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

func (b *browser) do(code int, method, path, body, site string) string {
	r, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	require.NoError(b.t, err)
	r.Header.Set("Accept", "text/html,*/*")
	r.Header.Set("Sec-Fetch-Site", site)
	w, err := b.Do(r)
	require.NoError(b.t, err)
	defer w.Body.Close()
	data, err := io.ReadAll(w.Body)
	require.NoError(b.t, err)
	require.Equal(b.t, code, w.StatusCode, "%s", data)
	require.Equal(b.t, policy, w.Header.Get("Content-Security-Policy"))
	return string(data)
}

func (b *browser) get(path string) string { return b.do(200, "GET", path, "", "same-origin") }

func (b *browser) post(code int, path, body string) string {
	return b.do(code, "POST", path, body, "same-origin")
}

func TestSession(t *testing.T) {
	const tag, anonymous = `<head><script src="/keepalive/keepalive.`, ` data-anonymous`
	b := open(t)
	require.Contains(t, b.get("/"), tag)
	require.Contains(t, b.get("/"), anonymous)
	require.JSONEq(t, `{"user":"","note":""}`, b.get("/api/me"))
	b.post(http.StatusUnauthorized, "/keepalive/ping", "")

	require.JSONEq(t, `{"user":"Ann <b>","note":""}`, b.post(200, "/api/login", `{"user":" Ann <b> "}`))
	b.post(200, "/keepalive/ping", "")
	require.Contains(t, b.get("/"), tag)
	require.NotContains(t, b.get("/"), anonymous)
	require.JSONEq(t, `{"user":"Ann <b>","note":"x"}`, b.post(200, "/api/note", `{"note":"x"}`))
	require.JSONEq(t, `{"user":"Ann <b>","note":"x"}`, b.get("/api/me"))
	require.JSONEq(t, `{"user":"Bob","note":""}`, b.post(200, "/api/login", `{"user":"Bob"}`), "another user begins anew")

	require.JSONEq(t, `{"user":"","note":""}`, b.post(200, "/api/logout", "{}"))
	require.Contains(t, b.get("/"), anonymous)
	b.post(http.StatusUnauthorized, "/keepalive/ping", "")
}

func TestSignInRenewsToken(t *testing.T) {
	b := open(t)
	b.post(200, "/api/login", `{"user":"Ann"}`)
	origin, err := url.Parse(b.url)
	require.NoError(t, err)
	before := b.Jar.Cookies(origin)
	b.post(200, "/api/login", `{"user":"Ann"}`)
	b.Jar.SetCookies(origin, before)
	require.JSONEq(t, `{"user":"","note":""}`, b.get("/api/me"))
}

func TestRefusals(t *testing.T) {
	b := open(t)
	for _, body := range []string{"", "{}", `{"user":" "}`, "user=Ann", `"` + strings.Repeat("x", 33<<10)} {
		b.post(http.StatusUnprocessableEntity, "/api/login", body)
	}
	b.post(http.StatusUnauthorized, "/api/note", `{"note":"x"}`)
	b.post(http.StatusBadRequest, "/api/note", "x")
	for _, path := range []string{"/api/login", "/api/note", "/api/logout"} {
		b.do(http.StatusForbidden, "POST", path, `{"user":"Eve"}`, "cross-site")
		b.do(http.StatusMethodNotAllowed, "PUT", path, "{}", "same-origin")
	}
}

func TestFiles(t *testing.T) {
	b := open(t)
	require.Contains(t, b.get("/app.js"), "keepalive:check")
	require.Contains(t, b.get("/app.css"), "color-scheme")
	b.do(http.StatusNotFound, "GET", "/none", "", "none")
}
