package e2e_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// policies are strict ones under which everything works.
var policies = []struct{ name, policy string }{
	{"self", "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'"},
	{"nonce", "default-src 'none'; script-src 'nonce-" + nonce + "'; connect-src 'self'; img-src 'self'"},
	{"strict-dynamic", "script-src 'nonce-" + nonce + "' 'strict-dynamic'; object-src 'none'; base-uri 'none'"},
	{"trusted types", "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"},
}

func testPolicies(t *testing.T, b *webdriver.Browser) {
	for _, test := range policies {
		t.Run(test.name, func(t *testing.T) {
			b := b.For(t)
			a := newApp(t, longIdle, time.Hour)
			b.Navigate(a.URL + "/login?policy=" + url.QueryEscape(test.policy))
			stay(t, b)
			require.Empty(t, b.Console())
		})
	}
}

func testBlockingPolicy(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, shortIdle, time.Hour)
	b.Navigate(a.URL + "/login?policy=" + url.QueryEscape("default-src 'none'; script-src 'self'; img-src 'self'"))
	webdriver.Script[any](b, "keepalive.stay()")
	var console []string
	eventually(t, "a message in the console", func() bool {
		console = append(console, b.Console()...)
		// Chromium's driver quotes each word.
		return strings.Contains(strings.ReplaceAll(strings.Join(console, "\n"), `"`, ""), "keepalive stopped: connect-src")
	})
	time.Sleep(shortIdle) // two intervals
	console = append(console, b.Console()...)
	require.LessOrEqual(t, len(console), 3, "%q", console)
	require.Empty(t, a.pings(time.Time{}))
}
