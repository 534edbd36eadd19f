package e2e_test

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// A warning that gives slow browsers time, with the seconds in its text still in one number, and an idle timeout that leaves
// some more before it.
const (
	warn     = 40 * time.Second
	warnIdle = warn + 8*time.Second
)

func TestDialogs(t *testing.T) {
	runInBrowsers(t, []browserTest{
		{name: "warning", run: testWarning},
		{name: "warning offline", run: testWarningOffline},
		{name: "late dialog", run: testLateDialog},
		{name: "lifetime warning", run: testLifetimeWarning},
		{name: "sign in again", run: testSignInAgain},
		{name: "blank", run: testBlank},
		{name: "app's own dialogs", run: testOwnDialogs},
		{name: "progress", run: testProgress},
		{name: "closed by the browser", run: testClosedByBrowser},
		{name: "frames", run: testFrames},
		{name: "print", run: testPrint, engines: []webdriver.Engine{webdriver.Chromium}},
		{name: "without sheets", run: testWithoutSheets},
		{name: "other scripts", run: testOtherScripts},
		{name: "bar beside a trap", run: testBarBesideTrap},
		{name: "held forms", run: testHeldForms},
		{name: "bar", run: testBar},
		{name: "no bar", run: testNoBar},
		{name: "another user", run: testOtherUser},
		{name: "sign in by itself", run: testOpenLogin},
		{name: "policies", run: testDialogPolicies},
		{name: "integrity policy", run: testIntegrityPolicy},
		{name: "appearance", run: testDialogAppearance},
	})
}

// dialog is what the current page's open dialog shows.
type dialog struct {
	Open                             bool
	Title, Text, Offline, Wait       string
	Status                           string
	Busy                             bool // a button waits for the server
	Role, Lang, Label, Describes     string
	Focus                            string // the part that has it
	Parts                            []string
	Direction, Background, FontStyle string
	Left                             float64 // seconds until the end, as the page knows it, when all this was read
	End                              int64   // that end, in ms since 1970
}

const dialogScript = `
	const host = document.querySelector('keepalive-dialog');
	const dialog = host && host.shadowRoot && host.shadowRoot.querySelector('dialog[open]');
	if (!dialog) return {open: false};
	const text = (selector) => { const e = dialog.querySelector(selector); return e && !e.hidden ? e.innerText.trim() : ''; };
	const named = (attribute) => dialog.querySelector('#' + dialog.getAttribute(attribute)).innerText.trim();
	const focus = host.shadowRoot.activeElement;
	const {end} = keepalive.state;
	return {
		open: dialog.matches(':modal'),
		title: text('[part=title]'), text: text('[part=text]'), offline: text('[part=offline]'), wait: text('[part=wait]'),
		status: text('[role=status]'), busy: !!dialog.querySelector('[aria-busy=true]:disabled'),
		role: dialog.getAttribute('role'), lang: dialog.lang, label: named('aria-labelledby'), describes: named('aria-describedby'),
		focus: focus ? focus.getAttribute('part') : '',
		parts: [...dialog.querySelectorAll('button,a')].map(e => e.getAttribute('part')),
		direction: getComputedStyle(dialog).direction, background: getComputedStyle(dialog).backgroundColor,
		left: (end - Date.now()) / 1000, end: Math.round(end),
	}`

func readDialog(b *webdriver.Browser) dialog { return webdriver.Script[dialog](b, dialogScript) }

func waitForDialog(t *testing.T, b *webdriver.Browser) (d dialog) {
	t.Helper()
	eventually(t, "a dialog", func() bool {
		d = readDialog(b)
		return d.Open
	})
	return d
}

// endSession ends the session, and lets the current page learn of it.
func (a *app) endSession(t *testing.T, b *webdriver.Browser) {
	t.Helper()
	require.NoError(t, a.sm.Store.Delete(a.token(t, b)))
	webdriver.Script[any](b, "keepalive.look()")
	eventually(t, "the page knows the end", func() bool {
		// With OpenLogin, the page may have gone.
		return webdriver.Script[bool](b, "return !window.keepalive || keepalive.state.gone")
	})
}

func waitForDialogToClose(t *testing.T, b *webdriver.Browser) {
	t.Helper()
	eventually(t, "the dialog closes", func() bool { return !readDialog(b).Open })
}

// requireStayed fails unless n warnings were taken back and the session goes on.
func (a *app) requireStayed(t *testing.T, b *webdriver.Browser, token string, n int) {
	t.Helper()
	a.requireAlive(t, token)
	require.Len(t, events(b, "keepalive:resumed"), n)
	require.Empty(t, events(b, "keepalive:expired"))
}

var seconds = regexp.MustCompile(`^You will be signed out in (\d+) seconds\.$`)

// secondsIn returns the number of seconds in a warning.
func secondsIn(t *testing.T, text string) int {
	t.Helper()
	match := seconds.FindStringSubmatch(text)
	require.NotNil(t, match, "%q", text)
	n, err := strconv.Atoi(match[1])
	require.NoError(t, err)
	return n
}

// focused is the id of the page's element that has the focus.
func focused(b *webdriver.Browser) string {
	return webdriver.Script[string](b, "return document.activeElement.id")
}

func storyText(b *webdriver.Browser) string {
	return webdriver.Script[string](b, "return document.getElementById('story').value")
}

// storyHTML is a page that is written in, before a slow driver could do that.
var storyHTML = strings.Replace(pageHTML, `<textarea id="story">`, `<textarea id="story" autofocus>It was`, 1)

func testWarning(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, warnIdle, time.Hour, func(c *keepalive.Config) {
		c.Mode, c.WarnBefore, c.LogoutURL = keepalive.UserActive, warn, "/logout"
	})
	a.html = map[string]string{"": storyHTML}
	token := a.login(t, b)
	d := waitForDialog(t, b)
	require.Equal(t, "Your session is about to end", d.Title)
	require.Empty(t, d.Offline)
	require.Equal(t, []string{"stay", "signout"}, d.Parts)
	require.Equal(t, "dialog", d.Focus)
	require.Equal(t, "alertdialog", d.Role)
	require.Equal(t, d.Title, d.Label)
	require.Equal(t, d.Text, d.Describes)
	require.Equal(t, "en", d.Lang)
	require.Equal(t, "idle", events(b, "keepalive:warning")[0].Detail.Reason)

	// The page knows the end from an answer that was on its way for a moment. It may think that the session ends earlier.
	end := time.UnixMilli(d.End)
	expiry := a.expiry(t, token)
	require.False(t, end.After(expiry.Add(near)))
	require.False(t, end.Before(expiry.Add(-warn/2)))

	// The countdown goes on, at the latest a second after the page's clock. It is not read out each second.
	later := d
	eventually(t, "the countdown follows the clock", func() bool {
		later = readDialog(b)
		shown := secondsIn(t, later.Text)
		require.GreaterOrEqual(t, float64(shown), later.Left)
		return later.Text != d.Text && float64(shown) < later.Left+2
	})
	if later.Left > 30 { // when it is read out again
		require.Empty(t, later.Status, "the focus has had the text read out")
	}
	eventually(t, "the countdown goes on and on", func() bool {
		return secondsIn(t, readDialog(b).Text) <= secondsIn(t, later.Text)-3
	})

	// Keys that are on their way when the dialog comes answer nothing.
	pressed := time.Now()
	b.Press(" " + webdriver.Enter + " x" + webdriver.Enter)
	require.True(t, readDialog(b).Open)
	require.Empty(t, a.posts(pressed))

	// The mouse alone does not pull the dialog from under a click.
	before := time.Now()
	b.Point(5, 5, false)
	b.Point(25, 15, false)
	time.Sleep(time.Second)
	require.True(t, readDialog(b).Open)
	require.Empty(t, a.posts(before))

	// Escape means stay.
	b.Press(webdriver.Escape)
	waitForDialogToClose(t, b)
	stayed := a.posts(before)
	require.NotEmpty(t, stayed)
	require.Empty(t, stayed[0].body, "the user is here now")
	require.Equal(t, "story", focused(b))
	a.requireStayed(t, b, token, 1)

	// The button means stay too.
	waitForDialog(t, b)
	b.Press(webdriver.Tab + webdriver.Enter)
	waitForDialogToClose(t, b)
	require.Equal(t, "story", focused(b))
	require.Equal(t, "It was", storyText(b))
	a.requireStayed(t, b, token, 2)

	// An answer in another tab counts here too.
	waitForDialog(t, b)
	first, second := b.Window(), b.NewWindow("tab")
	b.SwitchTo(second)
	b.Navigate(a.URL + "/page")
	b.SwitchTo(first)
	waitForDialogToClose(t, b)
	a.requireStayed(t, b, token, 3)

	// The other button signs out, with a request of the page itself.
	waitForDialog(t, b)
	b.Press(webdriver.Tab + webdriver.Tab + webdriver.Enter)
	eventually(t, "signed out", func() bool { return len(a.requests("/logout", before)) > 0 })
	require.False(t, a.alive(t, token))
	eventually(t, "the page is left", func() bool { return b.URL() == a.URL+"/logout" })
}

// While the server does not answer, the warning says so and stays open.
func testWarningOffline(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, warnIdle, time.Hour, func(c *keepalive.Config) { c.WarnBefore, c.LoginURL = warn, "/login" })
	token := a.login(t, b)
	b.SendKeys("#story", "It was")
	waitForEvent(t, b, "keepalive:ping", 1) // or the page knows of no end
	a.down.Store(true)
	webdriver.Script[any](b, "keepalive.stay()")
	require.Equal(t, "The server can’t be reached. Trying again.", waitForDialog(t, b).Offline)
	before := time.Now()
	b.Press(webdriver.Escape)
	eventually(t, "it is tried again", func() bool { return len(a.posts(before)) > 0 })
	b.Press(webdriver.Escape + webdriver.Tab + webdriver.Enter)
	time.Sleep(time.Second)
	require.True(t, readDialog(b).Open, "the answer closes it, not the user")
	a.down.Store(false)
	waitForDialogToClose(t, b)
	a.requireStayed(t, b, token, 1)
	require.Equal(t, "It was", storyText(b))
}

// A dialog that can't be loaded does not keep the user from using the page, and opens once it was loaded.
func testLateDialog(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, warnIdle, time.Hour, func(c *keepalive.Config) { c.Mode, c.WarnBefore = keepalive.UserActive, warn })
	a.noDialogs.Store(true)
	token := a.login(t, b)
	waitForEvent(t, b, "keepalive:warning", 1)
	require.False(t, readDialog(b).Open)
	b.SendKeys("#story", "It was")
	waitForEvent(t, b, "keepalive:resumed", 1)
	a.requireStayed(t, b, token, 1)
	a.noDialogs.Store(false)
	require.Equal(t, "dialog", waitForDialog(t, b).Focus)
}

func testLifetimeWarning(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, warnIdle, warnIdle+4*time.Second, func(c *keepalive.Config) { c.WarnBefore, c.LoginURL = warn, "/login" })
	a.html = map[string]string{"": storyHTML}
	a.login(t, b)
	d := waitForDialog(t, b)
	require.Regexp(t, `^You will be signed out in \d+ seconds\. This time can’t be extended\.`, d.Text)
	require.Equal(t, []string{"close"}, d.Parts)
	b.Press(webdriver.Tab + webdriver.Enter)
	waitForDialogToClose(t, b)
	b.SendKeys("#story", " a dark")
	time.Sleep(2 * time.Second)
	require.NotEqual(t, "Your session is about to end", readDialog(b).Title, "once is enough")
	d = waitForDialog(t, b)
	require.Equal(t, "You have been signed out", d.Title)
	require.Equal(t, "Your session has reached its time limit. What you have typed is still here.", d.Text)
	require.Equal(t, []string{"signin", "close"}, d.Parts)
	require.Equal(t, "lifetime", waitForExpired(t, b).Detail.Reason)
	require.Contains(t, storyText(b), "It was")
	require.Contains(t, storyText(b), " a dark")
}

// The old page goes on when the user signs in again in another tab.
func testSignInAgain(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.LoginURL = "/login" })
	a.login(t, b)
	b.SendKeys("#story", "It was")
	a.endSession(t, b)
	d := waitForDialog(t, b)
	require.Equal(t, "Your session was ended elsewhere. What you have typed is still here.", d.Text)
	require.Equal(t, "dialog", d.Focus)
	require.Equal(t, "alertdialog", d.Role)
	require.Empty(t, waitForExpired(t, b).Detail.Reason)

	page, old := b.Window(), b.Windows()
	b.Press(webdriver.Tab + webdriver.Enter) // on the link
	eventually(t, "a new tab", func() bool { return len(b.Windows()) > len(old) })
	for _, window := range b.Windows() {
		if window != page && window != old[0] {
			b.SwitchTo(window)
		}
	}
	eventually(t, "signed in", func() bool { return b.URL() == a.URL+"/login" })
	b.SwitchTo(page)
	waitForDialogToClose(t, b)
	require.Equal(t, "It was", storyText(b))
	require.Len(t, events(b, "keepalive:resumed"), 1)
	waitForEvent(t, b, "keepalive:ping", 1)
	require.Equal(t, "story", focused(b))
}

func testBlank(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.LoginURL, c.AfterEnd = "/login", keepalive.BlankPage })
	a.login(t, b)
	b.SendKeys("#story", "a secret")
	a.endSession(t, b)
	d := waitForDialog(t, b)
	require.Equal(t, "Your session was ended elsewhere.", d.Text)
	require.Equal(t, []string{"signin"}, d.Parts)
	eventually(t, "the page says where it is", func() bool { return strings.Split(b.Title(), ":")[0] == "127.0.0.1" })
	require.True(t, webdriver.Script[bool](b, "return !document.body && !document.querySelector('textarea')"))
	b.Press(webdriver.Escape)
	time.Sleep(500 * time.Millisecond)
	const visible = "return document.querySelector('keepalive-dialog').shadowRoot.firstChild.checkVisibility()"
	require.True(t, webdriver.Script[bool](b, visible))

	// What the app's scripts go on to show does not stay.
	for _, script := range []string{
		"document.documentElement.append(document.createElement('main'))",
		"document.documentElement.replaceWith(document.createElement('html')); document.documentElement.append(document.createElement('main'))",
	} {
		webdriver.Script[any](b, script)
		eventually(t, "it is removed", func() bool { return webdriver.Script[bool](b, "return !document.querySelector('main')") })
		waitForDialog(t, b)
	}

	// Whoever signs in elsewhere does not get it back.
	page := b.Window()
	b.SwitchTo(b.NewWindow("tab"))
	b.Navigate(a.URL + "/login")
	b.SwitchTo(page)
	time.Sleep(time.Second)
	require.True(t, webdriver.Script[bool](b, visible))
	require.True(t, webdriver.Script[bool](b, "return !document.querySelector('textarea')"))
}

// An app that draws other dialogs cancels the events.
func testOwnDialogs(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, warnIdle, time.Hour, func(c *keepalive.Config) {
		c.Mode, c.WarnBefore, c.LogoutURL = keepalive.UserActive, warn, "/logout"
	})
	a.login(t, b)
	webdriver.Script[any](b, `for (const name of ['warning', 'expired', 'logout'])
		document.addEventListener('keepalive:' + name, event => event.preventDefault())`)
	waitForEvent(t, b, "keepalive:warning", 1)
	require.False(t, readDialog(b).Open)
	require.Equal(t, "idle", webdriver.Script[string](b, "return keepalive.state.reason"))
	webdriver.Script[any](b, "keepalive.stay()")
	waitForEvent(t, b, "keepalive:resumed", 1)
	a.endSession(t, b)
	waitForExpired(t, b)
	time.Sleep(time.Second)
	require.False(t, readDialog(b).Open)
	require.True(t, webdriver.Script[bool](b, "return keepalive.state.gone"))
}

// Where a page blocks scripts without integrity metadata, the script and its modules still load. The page
// loads its recorder as such a script, and so has none.
func testIntegrityPolicy(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.LoginURL = "/login" })
	b.Navigate(a.URL + "/login?integrity=" + url.QueryEscape("blocked-destinations=(script)"))
	a.endSession(t, b)
	require.Equal(t, "dialog", waitForDialog(t, b).Focus)
	require.True(t, webdriver.Script[bool](b, "return Boolean(window[Symbol.for(origin + '/keepalive/extras')])"))
}

func testDialogPolicies(t *testing.T, b *webdriver.Browser) {
	for _, test := range policies {
		t.Run(test.name, func(t *testing.T) {
			b := b.For(t)
			a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.LoginURL = "/login" })
			b.Navigate(a.URL + "/login?policy=" + url.QueryEscape(test.policy))
			a.endSession(t, b)
			d := waitForDialog(t, b)
			require.Equal(t, "dialog", d.Focus)
			require.Equal(t, "rgb(255, 255, 255)", d.Background, "the style is missing")
			for _, line := range b.Console() {
				require.Contains(t, line, "401", "only the answer that the session is gone")
			}
		})
	}
}

// What becomes of the answer can be seen and heard, and nothing that has become false stays.
func testProgress(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.WarnBefore, c.LogoutURL = warn, "/logout" })
	a.login(t, b)
	d := showView(t, b, view{Notice: "idle", Left: 100})
	require.Empty(t, d.Status, "the focus has had the text read out")
	require.False(t, d.Busy)
	webdriver.Script[any](b, `
		window.spoken = ''; // in full, as a script of Marionette has variables of its own
		const root = document.querySelector('keepalive-dialog').shadowRoot;
		new MutationObserver(() => { window.spoken += root.querySelector('[role=status]').textContent }).observe(root, {childList: true, subtree: true})`)

	b.Press(webdriver.Tab)
	require.Equal(t, "stay", readDialog(b).Focus)
	d = drawView(b, view{Notice: "idle", Left: 100, Pending: true})
	require.True(t, d.Busy)
	require.Empty(t, d.Wait)
	require.Equal(t, "dialog", d.Focus, "the page must not get it")
	eventually(t, "a word", func() bool { return readDialog(b).Wait == "Please wait." })
	require.Contains(t, webdriver.Script[string](b, "return spoken"), "Please wait.")
	b.Press(webdriver.Escape)
	acted(t, b, "stay", 1)
	require.True(t, readDialog(b).Open)

	d = drawView(b, view{Notice: "idle", Left: 100, Pending: true, Failing: true})
	require.False(t, d.Busy, "so that it can be tried again")
	require.Empty(t, d.Wait)
	require.Equal(t, "The server can’t be reached. Trying again.", d.Offline)
	require.Contains(t, d.Status, d.Offline)
	clickPart(b, "stay")
	acted(t, b, "stay", 1)
	eventually(t, "the spoken text goes", func() bool { return readDialog(b).Status == "" })

	d = drawView(b, view{Notice: "idle", Left: -5, Failing: true})
	require.Equal(t, "Your session may have ended.", d.Text)
	require.Equal(t, d.Text+" "+d.Offline, strings.Join(strings.Fields(d.Status), " "))

	// An answer of the server ends it.
	webdriver.Script[any](b, showDialog, view{})
	waitForDialogToClose(t, b)

	for left, want := range map[float64]string{0.5: "1 second", 59: "59 seconds", 60: "1 minute", 61: "1 minute, 1 second", 3600: "1 hour", 7530: "2 hours, 5 minutes"} {
		d := drawView(b, view{Notice: "lifetime", Left: left})
		require.Contains(t, d.Text, "in "+want+". This")
	}
}

// Browsers close a dialog at once where nobody has used the page yet, or on Android's back gesture. Scripts can too.
func testClosedByBrowser(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.WarnBefore, c.LoginURL = warn, "/login" })
	a.login(t, b)
	const closeIt = "document.querySelector('keepalive-dialog').shadowRoot.firstChild.close()"
	showView(t, b, view{Notice: "idle", Left: 60})
	for n := range 2 {
		eventually(t, "stay", func() bool {
			waitForDialog(t, b)
			// If the dialog is drawn before the event comes, nobody knows any more that it was closed.
			webdriver.AsyncScript[any](b, `
				document.querySelector('keepalive-dialog').shadowRoot.firstChild.addEventListener('close', () => setTimeout(arguments[0]), {once: true});
				`+closeIt)
			return webdriver.Script[int](b, "return acted.length") > n
		})
		acted(t, b, "stay", n+1)
		require.Equal(t, "dialog", waitForDialog(t, b).Focus)
	}
	showView(t, b, view{Notice: "gone"})
	eventually(t, "the bar", func() bool {
		if readDialog(b).Open {
			webdriver.Script[any](b, closeIt)
		}
		return readBar(b)
	})
	require.False(t, readDialog(b).Open)

	// The page hears nothing of a key that has closed a dialog, also when it is released.
	webdriver.Script[any](b, `
		window.heard = 0;
		for (const type of ['keydown', 'keyup']) addEventListener(type, () => window.heard++)`)
	webdriver.Script[any](b, showDialog, view{Notice: "lifetime", Left: 60})
	waitForDialog(t, b)
	b.Press(webdriver.Escape)
	waitForDialogToClose(t, b)
	require.Zero(t, webdriver.Script[int](b, "return heard"))
	b.Press(webdriver.Escape)
	require.Equal(t, 2, webdriver.Script[int](b, "return heard"))
}

// Of a page and the frames in it, the outermost shows the dialog, also for a form that a frame has held back.
func testFrames(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.LoginURL = "/login" })
	a.login(t, b)
	webdriver.Script[any](b, "document.querySelector('main').innerHTML = '<iframe src=/page></iframe>'")
	const frame = "const frame = document.querySelector('iframe').contentWindow;"
	eventually(t, "the script runs in the frame", func() bool {
		return webdriver.Script[bool](b, frame+"return !!frame.keepalive && frame.document.readyState === 'complete'")
	})
	a.endSession(t, b)
	waitForDialog(t, b)
	eventually(t, "the frame has the dialogs", func() bool {
		return webdriver.Script[bool](b, frame+"return frame.keepalive.state.gone && !!frame[Symbol.for(origin + '/keepalive/dialog')]")
	})
	never(t, time.Second, "a second dialog", func() bool {
		return webdriver.Script[bool](b, frame+"return !!frame.document.querySelector('keepalive-dialog')")
	})
	b.Press(webdriver.Escape)
	waitForBar(t, b, true)
	webdriver.Script[any](b, frame+`
		frame.document.querySelector('form').method = 'post';
		frame.document.querySelector('form').requestSubmit()`)
	waitForDialog(t, b)
}

// A dialog is not printed.
func testPrint(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.WarnBefore = warn })
	a.login(t, b)
	showView(t, b, view{Notice: "idle", Left: 60})
	const isSeen = "return document.querySelector('keepalive-dialog').shadowRoot.firstChild.getClientRects().length > 0"
	require.True(t, webdriver.Script[bool](b, isSeen))
	b.EmulateMedia("print", nil)
	require.False(t, webdriver.Script[bool](b, isSeen))
	b.EmulateMedia("", nil)
	require.True(t, webdriver.Script[bool](b, isSeen))
}

// An engine without constructable style sheets shows a dialog that works, and no text twice.
func testWithoutSheets(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.WarnBefore, c.LogoutURL = warn, "/logout" })
	a.login(t, b)
	webdriver.Script[any](b, "window.CSSStyleSheet = undefined")
	showView(t, b, view{Notice: "idle", Left: 60})
	showView(t, b, view{Notice: "idle", Left: 15})
	text := webdriver.Script[string](b, "return document.querySelector('keepalive-dialog').shadowRoot.firstChild.innerText")
	require.Equal(t, 1, strings.Count(text, "You will be signed out in"), text)
	require.NotContains(t, text, "moment")
	b.Press(webdriver.Tab + webdriver.Enter)
	acted(t, b, "stay", 1)
}
