package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/examples/internal/site/sitetest"
	"github.com/stretchr/testify/require"
)

func open(t *testing.T) *sitetest.Browser {
	handler, err := newHandler(20 * time.Second)
	require.NoError(t, err)
	return sitetest.Open(t, handler)
}

func post(b *sitetest.Browser, code int, path, body string) string {
	_, answer := b.Send(code, b.Request("POST", path, body))
	return answer
}

func TestSession(t *testing.T) {
	b := open(t)
	require.Contains(t, b.Get("/"), sitetest.Tag)
	require.Contains(t, b.Get("/"), sitetest.Anonymous)
	require.JSONEq(t, `{"user":"","note":""}`, b.Get("/api/me"))
	post(b, http.StatusUnauthorized, "/keepalive/ping", "")

	require.JSONEq(t, `{"user":"Ann <b>","note":""}`, post(b, http.StatusOK, "/api/login", `{"user":" Ann <b> "}`))
	post(b, http.StatusOK, "/keepalive/ping", "")
	require.Contains(t, b.Get("/"), sitetest.Tag)
	require.NotContains(t, b.Get("/"), sitetest.Anonymous)
	require.JSONEq(t, `{"user":"Ann <b>","note":"x"}`, post(b, http.StatusOK, "/api/note", `{"note":"x"}`))
	require.JSONEq(t, `{"user":"Ann <b>","note":"x"}`, b.Get("/api/me"))
	require.JSONEq(t, `{"user":"Bob","note":""}`, post(b, http.StatusOK, "/api/login", `{"user":"Bob"}`), "another user has no note yet")

	require.JSONEq(t, `{"user":"","note":""}`, post(b, http.StatusOK, "/api/logout", "{}"))
	require.Contains(t, b.Get("/"), sitetest.Anonymous)
	post(b, http.StatusUnauthorized, "/keepalive/ping", "")
}

func TestSignInRenewsToken(t *testing.T) {
	b := open(t)
	post(b, http.StatusOK, "/api/login", `{"user":"Ann"}`)
	before := b.Cookies()
	post(b, http.StatusOK, "/api/login", `{"user":"Ann"}`)
	b.SetCookies(before)
	require.JSONEq(t, `{"user":"","note":""}`, b.Get("/api/me"))
}

func TestRefusals(t *testing.T) {
	b := open(t)
	for _, body := range []string{"", "{}", `{"user":" "}`, "user=Ann", `"` + strings.Repeat("x", 33<<10)} {
		post(b, http.StatusUnprocessableEntity, "/api/login", body)
	}
	post(b, http.StatusUnauthorized, "/api/note", `{"note":"x"}`)
	post(b, http.StatusBadRequest, "/api/note", "x")
	for _, path := range []string{"/api/login", "/api/note", "/api/logout"} {
		b.PostCrossSite(path, nil)
		b.Send(http.StatusMethodNotAllowed, b.Request("PUT", path, "{}"))
	}
}

func TestFiles(t *testing.T) {
	b := open(t)
	require.Contains(t, b.Get("/app.js"), "keepalive:check")
	require.Contains(t, b.Get("/app.css"), "#message")
	require.Contains(t, b.Get("/site.css"), "color-scheme")
	b.Send(http.StatusNotFound, b.Request("GET", "/none", ""))
}

func TestPolicy(t *testing.T) {
	b := open(t)
	for path, code := range map[string]int{"/": 200, "/app.js": 200, "/api/me": 200, "/keepalive/keepalive.js": 200, "/none": 404} {
		w, _ := b.Send(code, b.Request("GET", path, ""))
		require.Equal(t, policy, w.Header.Get("Content-Security-Policy"), path)
		require.Equal(t, "nosniff", w.Header.Get("X-Content-Type-Options"), path)
	}
}
