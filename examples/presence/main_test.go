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

func TestBoard(t *testing.T) {
	handler, stop, err := newHandler(20 * time.Minute)
	require.NoError(t, err)
	defer stop()
	srv := httptest.NewServer(handler)
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar}
	get := func(path string) string {
		res, err := client.Get(srv.URL + path)
		require.NoError(t, err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return string(b)
	}
	post := func(path string, form url.Values) int {
		res, err := client.PostForm(srv.URL+path, form)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}

	require.Contains(t, get("/who"), "<h1>Sign in</h1>", "nobody else may look")
	require.Equal(t, http.StatusUnprocessableEntity, post("/sign-in", url.Values{"name": {" "}}))
	require.Equal(t, http.StatusOK, post("/sign-in", url.Values{"name": {"<Ann>"}}))
	for path, title := range places {
		page := get(path)
		require.Contains(t, page, "<h1>"+title+"</h1>")
		require.Contains(t, page, `data-presence="path"`)
		require.Contains(t, page, "&lt;Ann&gt;")
	}
	require.NotContains(t, get("/who"), "Ann", "no page has said that it is open")
	require.Equal(t, http.StatusNoContent, post("/keepalive/here", url.Values{"tab": {"a"}, "page": {"/orders"}}))
	require.Contains(t, strings.ReplaceAll(get("/who"), `\u003c`, "<"), `"path":"/orders"`)
	require.Equal(t, http.StatusOK, post("/sign-out", nil))
	require.Contains(t, get("/board"), "<h1>Sign in</h1>")
}
