package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

func TestSessions(t *testing.T) {
	runInBrowsers(t, []browserTest{
		{name: "open page", run: testOpenPage},
		{name: "lifetime", run: testLifetime},
		{name: "failing store", run: testFailingStore},
		{name: "policies", run: testPolicies},
		{name: "policy that blocks", run: testBlockingPolicy},
		{name: "nobody active", run: testNobodyActive},
		{name: "user active", run: testUserActive},
		{name: "input in another tab", run: testInputInAnotherTab},
		{name: "unattended", run: testUnattended},
		{name: "presence reports", run: testPresenceReports},
		{name: "no script", run: testNoScript},
		{name: "cached page", run: testCachedPage},
	})
}

func testOpenPage(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, idle, time.Hour)
	token := a.login(t, b)
	for _, p := range a.waitForPosts(t, token, time.Time{}, 3) {
		require.Equal(t, http.StatusOK, p.status)
	}
	require.NotEmpty(t, events(b, "keepalive:ping"))
	require.Empty(t, events(b, "keepalive:expired"))

	page := b.Window()
	other := b.NewWindow("tab") // a browser ends with its last tab
	b.SwitchTo(page)
	b.CloseWindow()
	closed := time.Now()
	b.SwitchTo(other)
	a.waitForEnd(t, token)
	require.LessOrEqual(t, len(a.pings(closed)), 1, "a ping may have been on its way")
}

// Pings carry the session over its idle timeout, but not over its lifetime.
func testLifetime(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, idle, idle+idle/2)
	token := a.login(t, b)
	data, _, err := a.sm.Store.Find(token)
	require.NoError(t, err)
	deadline, _, err := a.sm.Codec.Decode(data)
	require.NoError(t, err)
	nearDeadline := deadline.Add(-time.Second) // when a ping has nothing to gain any more
	eventually(t, "pings gain all that is left", func() bool { return a.expiry(t, token).After(nearDeadline) })
	require.NotEmpty(t, a.posts(time.Time{}))
	require.False(t, a.expiry(t, token).After(deadline))
	a.waitForEnd(t, token)
	require.True(t, time.Now().After(nearDeadline))
	require.True(t, waitForExpired(t, b).time().After(nearDeadline))
	never(t, 2*time.Second, "keepalive:expired again", func() bool { return len(events(b, "keepalive:expired")) != 1 })
}

// The user asks to stay and the page tries until it has an answer.
func testFailingStore(t *testing.T, b *webdriver.Browser) {
	const (
		idle       = 30 * time.Second
		retryAfter = 5 * time.Second
	)
	a := newApp(t, idle, time.Hour)
	token := a.login(t, b)
	a.down.Store(true)
	failing := time.Now()
	webdriver.Script[any](b, "keepalive.stay()")
	eventually(t, "two pings", func() bool { return len(a.posts(failing)) > 1 })
	failed := a.posts(failing)
	for _, p := range failed {
		require.Equal(t, http.StatusServiceUnavailable, p.status)
		require.Equal(t, "5", p.retryAfter)
	}
	require.Greater(t, failed[1].start.Sub(failed[0].start), retryAfter)
	a.down.Store(false)
	eventually(t, "a ping is answered", func() bool {
		a.requireAlive(t, token)
		posts := a.posts(failing)
		return posts[len(posts)-1].status == http.StatusOK
	})
	require.Empty(t, events(b, "keepalive:expired"))
}
