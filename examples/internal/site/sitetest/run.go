package sitetest

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// What keepalive inserts in a page, and what it adds where there is no session.
const (
	Tag       = `<head><script src="/keepalive/keepalive.`
	Anonymous = ` data-anonymous`
)

// The addresses and titles of an app's pages.
var pages = map[string]string{"/": "Home", "/about": "About", "/sign-in": "Sign in", "/note": "Note"}

// Run tests an example with a site.App that has the page of the note, is protected
// from forms of other sites, and sets keepalive.Config.Anonymous.
func Run(t *testing.T, app http.Handler) {
	t.Run("session", func(t *testing.T) { testSession(t, Open(t, app)) })
	t.Run("another user", func(t *testing.T) { testAnotherUser(t, Open(t, app)) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, Open(t, app)) })
	t.Run("other sites", func(t *testing.T) { testOtherSites(t, Open(t, app)) })
}

func testSession(t *testing.T, b *Browser) {
	for path := range pages {
		body := b.Get(path)
		require.Contains(t, body, Tag, path)
		require.Contains(t, body, Anonymous, path)
	}
	require.Contains(t, b.Get("/note"), "<h1>Sign in</h1>", "a redirect")

	body := b.Post(http.StatusOK, "/sign-in", url.Values{"name": {" Ann <b> "}})
	require.Contains(t, body, "<h1>Home</h1>")
	require.Contains(t, body, `<span id="user">Ann &lt;b&gt;</span>`)
	for path, title := range pages {
		body := b.Get(path)
		require.Contains(t, body, "<h1>"+title+"</h1>")
		require.Contains(t, body, Tag, path)
		require.NotContains(t, body, Anonymous, path)
	}

	body = b.Post(http.StatusOK, "/note", url.Values{"note": {"</textarea>"}})
	require.Contains(t, body, "<h1>Note</h1>")
	require.Contains(t, body, ">&lt;/textarea&gt;</textarea>")

	body = b.Post(http.StatusOK, "/sign-out", nil)
	require.Contains(t, body, "<h1>Home</h1>")
	require.Contains(t, body, Anonymous)
	require.NotContains(t, body, "Ann")
}

func testAnotherUser(t *testing.T, b *Browser) {
	b.Post(http.StatusOK, "/sign-in", url.Values{"name": {"Ann"}})
	b.Post(http.StatusOK, "/note", url.Values{"note": {"Private"}})
	before := b.Cookies()

	b.Post(http.StatusOK, "/sign-in", url.Values{"name": {"Bob"}})
	require.NotContains(t, b.Get("/note"), "Private")
	b.SetCookies(before)
	require.Contains(t, b.Get("/note"), "<h1>Sign in</h1>", "the old token has no session")
}

func testRefusals(t *testing.T, b *Browser) {
	body := b.Post(http.StatusUnprocessableEntity, "/sign-in", url.Values{"name": {" "}})
	require.Contains(t, body, "Please write a name.")

	body = b.Post(http.StatusUnauthorized, "/note", url.Values{"note": {"A long text"}})
	require.Contains(t, body, "Not saved: your session has ended.")
	require.Contains(t, body, ">A long text</textarea>", "the text is not lost")

	b.Post(http.StatusOK, "/sign-in", url.Values{"name": {"Ann"}})
	b.Post(http.StatusOK, "/note", url.Values{"note": {"A text"}})
	b.Post(http.StatusBadRequest, "/note", url.Values{"note": {string(make([]byte, 32<<10))}})
	require.Contains(t, b.Get("/note"), ">A text</textarea>", "one that is too long replaces nothing")
}

func testOtherSites(t *testing.T, b *Browser) {
	for _, path := range []string{"/sign-in", "/note", "/sign-out"} {
		b.PostCrossSite(path, url.Values{"name": {"Eve"}})
	}
}
