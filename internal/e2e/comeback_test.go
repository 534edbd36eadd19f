package e2e_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// Somebody signs out, and goes back to the private page at once. What the tabs know is not a second old.
func testComeback(t *testing.T, b *webdriver.Browser) {
	const signOut = `
		const form = document.createElement('form');
		form.method = 'post';
		form.action = '/logout';
		document.body.append(form);
		form.submit();`
	for _, test := range []struct {
		name, path string
		prelude    string
		leave      string // JavaScript
		persisted  bool   // it comes back as it was left
		after      keepalive.AfterEnd
	}{
		{name: "page", path: "/page", leave: signOut, persisted: true, after: keepalive.KeepPage},
		{name: "private page", path: "/page", leave: signOut, persisted: true, after: keepalive.BlankPage},
		// Without the cookie Chromium and Firefox would not take the page from their HTTP cache (Vary: Cookie), so it was another
		// device that has signed out. WebKit keeps these pages as they were left, too.
		{name: "cached page", path: "/kept", prelude: notPersisted, leave: "location.href = '/recorder.js'", after: keepalive.KeepPage},
		{name: "cached private page", path: "/kept", prelude: notPersisted, leave: "location.href = '/recorder.js'", after: keepalive.BlankPage},
	} {
		if !test.persisted && b.Engine == webdriver.WebKit {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			b := b.For(t)
			a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.AfterEnd = test.after })
			// What listeners see of the page when they hear of the end.
			a.prelude = test.prelude + "addEventListener('keepalive:state', ({ detail }) => { window.seen = detail.gone && document.querySelector('h1') !== null; });"
			var answered, shows, asked int
			release := func() {} // at the latest when the test has failed
			eventually(t, "the page comes back as it should", func() bool {
				release()
				a.front.Store(nil)
				token := a.login(t, b)
				b.Navigate(a.URL + test.path)
				stay(t, b)
				answered = len(a.requests(test.path, time.Time{}))
				if test.persisted {
					shows, asked = len(events(b, "pageshow")), len(events(b, "sent"))
				}
				return test.persisted == comeBack(t, b, test.leave, func() {
					require.NoError(t, a.sm.Store.Delete(token))
					var held context.Context
					held, release = context.WithCancel(t.Context())
					a.setFront(func(w http.ResponseWriter, r *http.Request, app http.Handler) {
						<-held.Done()
						app.ServeHTTP(w, r)
					})
				})
			})
			require.Equal(t, test.persisted, waitForEvent(t, b, "pageshow", shows+1).Persisted)
			waitForEvent(t, b, "sent", asked+1)
			require.Len(t, a.requests(test.path, time.Time{}), answered, "it did not come from the server")
			const isVisible = "return document.querySelector('h1')?.checkVisibility() ?? false"
			require.Equal(t, test.after == keepalive.KeepPage, webdriver.Script[bool](b, isVisible), "while it asks")

			release()
			waitForExpired(t, b)
			require.Equal(t, test.after == keepalive.KeepPage, webdriver.Script[bool](b, isVisible), "after the answer")
			require.Equal(t, test.after == keepalive.KeepPage, webdriver.Script[bool](b, "return seen"), "by listeners of the page")
		})
	}
}

// notPersisted keeps a page out of the back/forward cache.
const notPersisted = "addEventListener('unload', () => {});"

// worker answers with pages of its own cache, and resources for it, and asks the server only for the first.
const worker = `
addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
	if (event.request.mode !== 'navigate' && !event.request.url.includes('worker=')) return;
	event.respondWith(caches.open('pages').then(async (cache) => {
		const cached = await cache.match(event.request);
		if (cached) return cached;
		const response = await fetch(event.request);
		await cache.put(event.request, response.clone());
		return response;
	}));
});`

// A worker's cache repeats the page of the first session for ever. It was told of that session's end, and is not told
// again once there is another.
func testWorkersCache(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour)
	a.login(t, b)
	registerWorker(b)
	open := func() {
		b.Navigate(a.URL + "/page")
		require.Len(t, a.requests("/page", time.Time{}), 1, "it comes from the worker's cache")
	}
	open()
	require.Equal(t, 200, webdriver.AsyncScript[int](b, logout))
	webdriver.Script[any](b, "keepalive.look()")
	waitForExpired(t, b)
	open()
	waitForExpired(t, b)
	require.Equal(t, 200, webdriver.AsyncScript[int](b, "fetch('/login').then(response => arguments[0](response.status))"))
	open()
	waitForEvent(t, b, "keepalive:ping", 1)
	webdriver.Script[any](b, "keepalive.stay()")
	waitForEvent(t, b, "keepalive:ping", 2)
	require.False(t, webdriver.Script[bool](b, "return keepalive.state.gone"))
	require.Empty(t, events(b, "keepalive:expired"))
}
