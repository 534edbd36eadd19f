package e2e_test

import (
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// optional is what the script can do without. It is missing in browsers that docs/page.md promises to serve, or refused by a
// setting of the user.
var optional = []struct {
	name      string
	missing   []string // expressions that are true then
	remove    string
	noReports bool // nothing is left to report presence with
	noDialogs bool
}{
	{
		name: "what is new",
		missing: []string{
			"!navigator.locks", "!AbortSignal.timeout", "!window.navigation", "!('prerendering' in document)",
			"!('keepalive' in Request.prototype)", "!performance.getEntriesByType('navigation').length",
		},
		remove: `
			delete Navigator.prototype.locks;
			delete AbortSignal.timeout;
			delete window.navigation;
			delete Document.prototype.prerendering;
			delete Request.prototype.keepalive;
			performance.getEntriesByType = () => [];
			window.CSSStyleSheet = function () { throw new TypeError('Illegal constructor'); };
			for (const { prototype } of [Document, DocumentFragment, Element])
				for (const name of ['querySelectorAll', 'querySelector', 'matches']) {
					const original = prototype[name];
					if (original) prototype[name] = function (selector) {
						return original.call(this, /:modal|:popover-open/.test(selector) ? ':unknown' : selector);
					};
				}`,
	},
	{
		name: "parts of that",
		missing: []string{
			"!('adoptedStyleSheets' in document)", "!navigator.sendBeacon",
			"!('deliveryType' in PerformanceResourceTiming.prototype)", "!('transferSize' in PerformanceResourceTiming.prototype)",
		},
		remove: `
			for (const { prototype } of [Document, ShadowRoot]) delete prototype.adoptedStyleSheets;
			delete Navigator.prototype.sendBeacon;
			for (const name of ['deliveryType', 'transferSize']) delete PerformanceResourceTiming.prototype[name];`,
	},
	{
		name:    "storage",
		missing: []string{"(() => { try { localStorage } catch { return true } })()"},
		remove: `
			for (const name of ['localStorage', 'sessionStorage'])
				Object.defineProperty(window, name, { get() { throw new DOMException('refused', 'SecurityError'); } });`,
	},
	{
		name:      "reports",
		missing:   []string{"!navigator.sendBeacon", "!('keepalive' in Request.prototype)"},
		remove:    "delete Navigator.prototype.sendBeacon; delete Request.prototype.keepalive",
		noReports: true,
	},
	{
		name:      "dialogs",
		missing:   []string{"!HTMLDialogElement.prototype.showModal"},
		remove:    "delete HTMLDialogElement.prototype.showModal",
		noDialogs: true,
	},
}

// Whatever an engine lacks, pages ping, report their presence, and show the dialog, each in a tab that waits like the others.
func testMissingAPIs(t *testing.T, b *webdriver.Browser) {
	apps, tokens, tabs := make([]*app, len(optional)), make([]string, len(optional)), []string{b.Window()}
	for i, o := range optional {
		a := newApp(t, shortIdle, time.Hour, func(c *keepalive.Config) { c.Presence, c.LoginURL = keepalive.PresencePath, "/login" })
		a.lasts, a.prelude = true, o.remove
		if i > 0 {
			tabs = append(tabs, b.NewWindow("tab"))
			b.SwitchTo(tabs[i])
		}
		tokens[i] = a.login(t, b)
		apps[i] = a
		for _, missing := range o.missing {
			require.True(t, webdriver.Script[bool](b, "return "+missing), missing)
		}
	}
	for i, a := range apps {
		a.waitForPosts(t, tokens[i], time.Time{}, 1)
		if !optional[i].noReports {
			eventually(t, "presence without "+optional[i].name, func() bool { return len(a.requests("/keepalive/here", time.Time{})) > 0 })
		}
		b.SwitchTo(tabs[i])
		a.end(t, b, tokens[i])
	}
	for i, o := range optional {
		b.SwitchTo(tabs[i])
		waitForEvent(t, b, "keepalive:expired", 1)
		if !o.noDialogs {
			require.Equal(t, "You have been signed out", waitForOurDialog(t, b).Title, o.name)
		}
	}
}
