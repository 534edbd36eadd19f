package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// shell is a page that browsers keep in their cache, and ask about each time.
func shell(etag string, modified time.Time) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		http.ServeContent(w, r, "", modified, strings.NewReader(pageHTML))
	}
}

// handMadeShell is a page of a handler that compares tags itself.
func handMadeShell(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", `"by-hand"`)
	if r.Header.Get("If-None-Match") == `"by-hand"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, pageHTML)
}

// A page in the browser's own cache is good for as long as the same would go into
// it: with the script after signing in, and without it after signing out.
func testCachedPage(t *testing.T, b *webdriver.Browser) {
	for _, path := range []string{"/shell-by-tag", "/shell-by-date", "/shell-by-hand"} {
		a := newApp(t, time.Hour, 12*time.Hour)
		// open returns the status of the page that the server sent, and whether it runs the script.
		open := func() (status int, hasScript bool) {
			since := time.Now()
			b.Navigate(a.URL + "/recorder.js") // or the same page might be shown without asking
			b.Navigate(a.URL + path)
			requests := a.requests(path, since)
			require.NotEmpty(t, requests, "the browser asks about the page")
			return requests[len(requests)-1].status, webdriver.Script[bool](b, "return 'keepalive' in window")
		}
		requireOpened := func(status int, hasScript bool, when string) {
			t.Helper()
			gotStatus, got := open()
			require.Equal(t, hasScript, got, "%s, %s", path, when)
			require.Equal(t, status, gotStatus, "%s, %s", path, when)
		}
		requireOpened(http.StatusOK, false, "at first")
		requireOpened(http.StatusNotModified, false, "cached before signing in")
		a.login(t, b)
		requireOpened(http.StatusOK, true, "after signing in")
		requireOpened(http.StatusNotModified, true, "cached while signed in")
		webdriver.Script[any](b, "return fetch('/logout', {method: 'POST'}).then(() => 0)")
		requireOpened(http.StatusOK, false, "after signing out")
		requireOpened(http.StatusNotModified, false, "cached after signing out")
	}
}
