package e2e_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// The shortest that a warning can be, and an idle timeout that leaves some seconds before it.
const (
	warn     = 20 * time.Second
	longIdle = warn + 6*time.Second
)

// dialog is what the current page's open dialog shows.
type dialog struct {
	Open                             bool
	Title, Text, Offline, Status     string
	Role, Lang, Label, Describes     string
	Focus                            string // the part that has it
	Parts                            []string
	Direction, Background, FontStyle string
}

const readDialog = `
	const host = document.documentElement.lastElementChild;
	const dialog = host && host.shadowRoot && host.shadowRoot.querySelector('dialog[open]');
	if (!dialog) return {open: false};
	const text = (selector) => { const e = dialog.querySelector(selector); return e && !e.hidden ? e.textContent : ''; };
	const named = (attribute) => dialog.querySelector('#' + dialog.getAttribute(attribute)).textContent;
	const focus = host.shadowRoot.activeElement;
	return {
		open: dialog.matches(':modal'),
		title: text('[part=title]'), text: text('[part=text]'), offline: text('[part=offline]'), status: text('[role=status]'),
		role: dialog.getAttribute('role'), lang: dialog.lang, label: named('aria-labelledby'), describes: named('aria-describedby'),
		focus: focus ? focus.getAttribute('part') : '',
		parts: [...dialog.querySelectorAll('button,a')].map(e => e.getAttribute('part')),
		direction: getComputedStyle(dialog).direction, background: getComputedStyle(dialog).backgroundColor,
	}`

func shown(b *webdriver.Browser) dialog { return webdriver.Script[dialog](b, readDialog) }

// asked waits for a dialog.
func asked(t *testing.T, b *webdriver.Browser, d time.Duration) dialog {
	t.Helper()
	within(t, d, "a dialog", func() bool { return shown(b).Open })
	return shown(b)
}

func closed(t *testing.T, b *webdriver.Browser, d time.Duration) {
	t.Helper()
	within(t, d, "the dialog is closed", func() bool { return !shown(b).Open })
}

// focused is the id of the page's element that has the focus.
func focused(b *webdriver.Browser) string {
	return webdriver.Script[string](b, "return document.activeElement.id")
}

func story(b *webdriver.Browser) string {
	return webdriver.Script[string](b, "return document.getElementById('story').value")
}

func testWarning(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) {
		c.Mode, c.WarnBefore, c.LogoutURL = keepalive.UserActive, warn, "/logout"
	})
	token := a.login(t, b)
	b.SendKeys("#story", "It was")
	d := asked(t, b, longIdle-warn+2*slack)
	require.Equal(t, "Your session is about to end", d.Title)
	require.Regexp(t, `^You will be signed out in (19|20) seconds\.$`, d.Text)
	require.Equal(t, "You will be signed out in 20 seconds.", d.Status)
	require.Empty(t, d.Offline)
	require.Equal(t, []string{"stay", "signout"}, d.Parts)
	require.Equal(t, "stay", d.Focus)
	require.Equal(t, "alertdialog", d.Role)
	require.Equal(t, d.Title, d.Label)
	require.Equal(t, d.Text, d.Describes)
	require.Equal(t, "en", d.Lang)
	require.Equal(t, "idle", events(b, "keepalive:warning")[0].Detail.Reason)

	// The countdown goes on, and is not read out each second.
	time.Sleep(3 * time.Second)
	later := shown(b)
	require.NotEqual(t, d.Text, later.Text)
	require.Equal(t, d.Status, later.Status)

	// The mouse alone does not pull the dialog from under a click.
	before := time.Now()
	b.Point(5, 5, false)
	b.Point(25, 15, false)
	time.Sleep(time.Second)
	require.True(t, shown(b).Open)
	for _, p := range a.pings(before) {
		require.Equal(t, "GET", p.method)
	}

	// Escape means stay.
	b.Press(webdriver.Escape)
	closed(t, b, 2*slack)
	stayed := a.pings(before)
	last := stayed[len(stayed)-1]
	require.Equal(t, "POST", last.method)
	require.Empty(t, last.body, "the user is here now")
	require.Equal(t, "story", focused(b))
	require.Len(t, events(b, "keepalive:resumed"), 1)

	// So does the button.
	asked(t, b, longIdle-warn+slack)
	b.Press(webdriver.Enter)
	closed(t, b, 2*slack)
	require.Equal(t, "story", focused(b))
	require.Equal(t, "It was", story(b))

	// And from another tab.
	asked(t, b, longIdle-warn+slack)
	first, second := b.Window(), b.NewWindow("tab")
	b.SwitchTo(second)
	b.Navigate(a.URL + "/page")
	b.SwitchTo(first)
	closed(t, b, warn+slack) // Firefox does not always count the load, and then the next look tells
	require.True(t, a.alive(t, token))

	// The page's own request counts from the last input, which is long past.
	asked(t, b, longIdle-warn+slack)
	b.Press(webdriver.Tab + webdriver.Enter)
	within(t, slack, "signed out", func() bool { return b.URL() == a.URL+"/logout" })
	require.False(t, a.alive(t, token))
}

// Without an answer the user is told that nobody can be reached; that what was typed is kept, after the end.
func testWarningOffline(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.WarnBefore, c.LoginURL = warn, "/login" })
	token := a.login(t, b)
	b.SendKeys("#story", "It was")
	a.down.Store(true)
	d := asked(t, b, longIdle+slack)
	require.Equal(t, "The server can’t be reached.", d.Offline)
	b.Press(webdriver.Enter)
	time.Sleep(time.Second)
	require.True(t, shown(b).Open, "the answer closes it, not the click")
	a.down.Store(false)
	b.Press(webdriver.Enter)
	closed(t, b, 2*slack)
	require.True(t, a.alive(t, token))
	require.Equal(t, "It was", story(b))
}

// A dialog that can't be had does not keep the user from using the page, and comes when it can.
func testLateDialog(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.Mode, c.WarnBefore = keepalive.UserActive, warn })
	a.noDialogs.Store(true)
	token := a.login(t, b)
	within(t, longIdle-warn+2*slack, "keepalive:warning", func() bool { return len(events(b, "keepalive:warning")) == 1 })
	require.False(t, shown(b).Open)
	b.SendKeys("#story", "It was")
	within(t, slack, "keepalive:resumed", func() bool { return len(events(b, "keepalive:resumed")) == 1 })
	require.True(t, a.alive(t, token))
	a.noDialogs.Store(false)
	require.Equal(t, "stay", asked(t, b, longIdle-warn+2*slack).Focus)
}

func testLifetimeWarning(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, longIdle+4*time.Second, func(c *keepalive.Config) { c.WarnBefore, c.LoginURL = warn, "/login" })
	a.login(t, b)
	b.SendKeys("#story", "It was")
	d := asked(t, b, longIdle+slack)
	require.Regexp(t, `^You will be signed out in \d+ seconds, whatever you do\.`, d.Text)
	require.Equal(t, []string{"close"}, d.Parts)
	b.Press(webdriver.Enter)
	closed(t, b, 2*slack)
	b.SendKeys("#story", " a dark")
	time.Sleep(2 * time.Second)
	require.False(t, shown(b).Open, "once is enough")
	d = asked(t, b, longIdle+2*slack)
	require.Equal(t, "You have been signed out", d.Title)
	require.Equal(t, "Your session has reached its time limit. What you have typed is still here.", d.Text)
	require.Equal(t, []string{"signin", "close"}, d.Parts)
	require.Equal(t, "lifetime", told(t, b, 0).Detail.Reason)
	require.Equal(t, "It was a dark", story(b))
}

// The old page goes on when somebody signs in again in another tab.
func testSignInAgain(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, time.Minute, time.Hour, func(c *keepalive.Config) { c.LoginURL = "/login" })
	token := a.login(t, b)
	b.SendKeys("#story", "It was")
	require.NoError(t, a.sm.Store.Delete(token))
	webdriver.Script[any](b, "keepalive.look()")
	d := asked(t, b, 2*slack)
	require.Equal(t, "Your session was ended elsewhere. What you have typed is still here.", d.Text)
	require.Equal(t, "signin", d.Focus)
	require.Equal(t, "alertdialog", d.Role)
	require.Empty(t, told(t, b, 0).Detail.Reason)

	page, old := b.Window(), b.Windows()
	b.Press(webdriver.Enter) // on the link
	within(t, slack, "a new tab", func() bool { return len(b.Windows()) > len(old) })
	for _, window := range b.Windows() {
		if window != page && window != old[0] {
			b.SwitchTo(window)
		}
	}
	within(t, slack, "signed in", func() bool { return b.URL() == a.URL+"/login" })
	b.SwitchTo(page)
	closed(t, b, 2*slack)
	require.Equal(t, "It was", story(b))
	require.Len(t, events(b, "keepalive:resumed"), 1)
	within(t, 2*slack, "an answer of the new session", func() bool { return len(events(b, "keepalive:ping")) > 0 })
	require.Equal(t, "story", focused(b))
}

func testBlank(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, time.Minute, time.Hour, func(c *keepalive.Config) { c.LoginURL, c.BlankExpired = "/login", true })
	token := a.login(t, b)
	b.SendKeys("#story", "a secret")
	require.NoError(t, a.sm.Store.Delete(token))
	webdriver.Script[any](b, "keepalive.look()")
	d := asked(t, b, 2*slack)
	require.Equal(t, "Your session was ended elsewhere.", d.Text)
	require.Equal(t, []string{"signin"}, d.Parts)
	require.Equal(t, "127.0.0.1", strings.Split(webdriver.Script[string](b, "return document.title"), ":")[0])
	require.True(t, webdriver.Script[bool](b, "return !document.body && !document.querySelector('textarea')"))
	b.Press(webdriver.Escape)
	time.Sleep(500 * time.Millisecond)
	const visible = "return document.documentElement.lastElementChild.shadowRoot.firstChild.checkVisibility()"
	require.True(t, webdriver.Script[bool](b, visible))

	// Whoever signs in elsewhere does not get it back.
	page := b.Window()
	b.SwitchTo(b.NewWindow("tab"))
	b.Navigate(a.URL + "/login")
	b.SwitchTo(page)
	time.Sleep(time.Second)
	require.True(t, webdriver.Script[bool](b, visible))
	require.True(t, webdriver.Script[bool](b, "return !document.querySelector('textarea')"))
}

// An app that draws its own cancels the events.
func testOwnDialogs(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) {
		c.Mode, c.WarnBefore, c.LogoutURL = keepalive.UserActive, warn, "/logout"
	})
	token := a.login(t, b)
	webdriver.Script[any](b, `for (const name of ['warning', 'expired', 'logout'])
		document.addEventListener('keepalive:' + name, event => event.preventDefault())`)
	within(t, longIdle, "keepalive:warning", func() bool { return len(events(b, "keepalive:warning")) == 1 })
	require.False(t, shown(b).Open)
	require.Equal(t, "idle", webdriver.Script[string](b, "return keepalive.state.reason"))
	webdriver.Script[any](b, "keepalive.stay()")
	within(t, slack, "keepalive:resumed", func() bool { return len(events(b, "keepalive:resumed")) == 1 })
	require.NoError(t, a.sm.Store.Delete(token))
	webdriver.Script[any](b, "keepalive.look()")
	told(t, b, 2*slack)
	time.Sleep(time.Second)
	require.False(t, shown(b).Open)
	require.True(t, webdriver.Script[bool](b, "return keepalive.state.gone"))
}

func testDialogPolicies(t *testing.T, b *webdriver.Browser) {
	for _, test := range policies {
		t.Run(test.name, func(t *testing.T) {
			b := b.For(t)
			a := newApp(t, time.Minute, time.Hour, func(c *keepalive.Config) { c.LoginURL = "/login" })
			b.Navigate(a.URL + "/login?policy=" + url.QueryEscape(test.policy))
			require.NoError(t, a.sm.Store.Delete(a.token(t, b)))
			webdriver.Script[any](b, "keepalive.look()")
			d := asked(t, b, 2*slack)
			require.Equal(t, "signin", d.Focus)
			require.Equal(t, "rgb(255, 255, 255)", d.Background, "the style is missing")
			for _, line := range b.Console() {
				require.Contains(t, line, "401", "only the answer that the session is gone")
			}
		})
	}
}
