package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// newAppWithUsers knows its users, and guests who have a session too.
func newAppWithUsers(t *testing.T) (a *app) {
	a = newApp(t, longIdle, time.Hour, func(c *keepalive.Config) {
		c.Salt, c.LoginURL = "salt", "/login"
		c.Identify = func(ctx context.Context) string {
			if user := a.sm.GetString(ctx, "user"); user != "guest" {
				return user
			}
			return ""
		}
	})
	return a
}

// Ann's tab is told that somebody else has signed in, and not that she has done so again.
func testAnotherUser(t *testing.T, b *webdriver.Browser) {
	a := newAppWithUsers(t)
	first, second := b.Window(), b.NewWindow("tab")
	// signIn does so in the second tab, and goes on in the first.
	signIn := func(user string) {
		b.SwitchTo(second)
		b.Navigate(a.URL + "/login?user=" + user)
		b.SwitchTo(first)
		stay(t, b) // an answer of its own comes after what the other tab knows
	}
	requireOtherUser := func(is bool, times int) {
		t.Helper()
		eventually(t, "the page knows the user", func() bool {
			return is == webdriver.Script[bool](b, "return keepalive.state.otherUser") && len(events(b, "keepalive:user")) >= times
		})
		require.Len(t, events(b, "keepalive:user"), times)
		require.Empty(t, events(b, "keepalive:expired"))
	}
	b.Navigate(a.URL + "/login?user=Ann")
	stamp := webdriver.Script[string](b, "return keepalive.user")
	require.Len(t, stamp, 12)
	token := a.token(t, b)
	signIn("Ann")
	require.NotEqual(t, token, a.token(t, b), "it is renewed at each sign-in")
	requireOtherUser(false, 0)
	signIn("Bob")
	requireOtherUser(true, 1)
	signIn("Ann")
	requireOtherUser(false, 1)
	require.Len(t, events(b, "keepalive:resumed"), 1)
	signIn("Bob")
	requireOtherUser(true, 2)

	// Whoever loads the page again has Bob's.
	b.Navigate(a.URL + "/page")
	stay(t, b)
	requireOtherUser(false, 0)
	require.NotEqual(t, stamp, webdriver.Script[string](b, "return keepalive.user"))
}

// A guest's session is kept like others, and its end is nothing to talk about.
func testGuest(t *testing.T, b *webdriver.Browser) {
	a := newAppWithUsers(t)
	b.Navigate(a.URL + "/login?user=guest")
	require.Empty(t, webdriver.Script[string](b, "return keepalive.user"))
	page, other := b.Window(), b.NewWindow("tab")
	b.SwitchTo(other)
	b.Navigate(a.URL + "/login?user=Ann")
	b.SwitchTo(page)
	stay(t, b)
	require.Empty(t, events(b, "keepalive:user"), "she has signed in herself")

	require.NoError(t, a.sm.Store.Delete(a.token(t, b)))
	webdriver.Script[any](b, "keepalive.stay()") // look() would forget that it is a guest's page
	waitForExpired(t, b)
	b.SwitchTo(other)
	waitForOurDialog(t, b)
	b.SwitchTo(page)
	require.Empty(t, readOurDialog(b).Title)
}
