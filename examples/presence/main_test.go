package main

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/examples/internal/site/sitetest"
	"github.com/stretchr/testify/require"
)

func TestBoard(t *testing.T) {
	handler, stop, err := newHandler(20 * time.Minute)
	require.NoError(t, err)
	t.Cleanup(stop)
	b := sitetest.Open(t, handler)
	// who asks for JSON, as other clients than the board do.
	who := func() string {
		r := b.Request("GET", "/who", "")
		r.Header.Set("Accept", "application/json")
		_, body := b.Send(http.StatusOK, r)
		return body
	}

	require.Contains(t, who(), "<h1>Sign in</h1>", "only users may look")
	b.Post(http.StatusUnprocessableEntity, "/sign-in", url.Values{"name": {" "}})
	b.Post(http.StatusOK, "/sign-in", url.Values{"name": {"<Ann>"}})
	for path, title := range titles {
		page := b.Get(path)
		require.Contains(t, page, "<h1>"+title+"</h1>")
		require.Contains(t, page, `data-presence="path idle"`)
		require.Contains(t, page, `<a href="`+path+`" aria-current="page">`+title+`</a>`)
		require.Contains(t, page, "&lt;Ann&gt;")
	}
	require.NotContains(t, who(), "Ann", "no page has reported that it is open")
	b.Post(http.StatusNoContent, "/keepalive/here", url.Values{"tab": {"a"}, "page": {"/orders"}})
	require.Contains(t, who(), `"path":"/orders"`)
	require.Contains(t, who(), "Ann")
	require.NotContains(t, who(), `"away"`)
	b.Post(http.StatusNoContent, "/keepalive/here", url.Values{"tab": {"a"}, "page": {"/orders"}, "idle": {"300000"}})
	require.Contains(t, who(), `"away":true`)
	b.PostCrossSite("/sign-out", nil)
	b.Post(http.StatusOK, "/sign-out", nil)
	require.Contains(t, b.Get("/board"), "<h1>Sign in</h1>")
}
