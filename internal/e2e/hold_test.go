package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// Each row is a form that is sent after the end, and whether it is held back.
var forms = []struct {
	name, form string
	held       bool
}{
	{name: "post", form: `<form method=post action=/save><button>Send</button></form>`, held: true},
	{name: "post to the page itself", form: `<form method=post><button>Send</button></form>`, held: true},
	{name: "get", form: `<form action=/save><button>Send</button></form>`},
	{name: "dialog", form: `<form method=dialog><button>Send</button></form>`},
	{name: "another origin", form: `<form method=post action="http://localhost:1/save"><button>Send</button></form>`},
	{name: "button to another origin", form: `<form method=post action=/save><button formaction="http://localhost:1/">Send</button></form>`},
	{name: "button to here", form: `<form method=post action="http://localhost:1/"><button formaction=/save>Send</button></form>`, held: true},
	{name: "button that gets", form: `<form method=post action=/save><button formmethod=get>Send</button></form>`},
	{name: "button that posts", form: `<form action=/save><button formmethod=post>Send</button></form>`, held: true},
	{name: "new tab", form: `<form method=post action=/save target=_blank><button>Send</button></form>`},
	{name: "button for a new tab", form: `<form method=post action=/save><button formtarget=_blank>Send</button></form>`},
	{name: "a frame", form: `<form method=post action=/save target=upload><button>Send</button></form>`},
	{name: "this window", form: `<form method=post action=/save target=_self><button formtarget=_top>Send</button></form>`, held: true},
	{name: "a password", form: `<form method=post action=/save><input type=password value=secret><button>Send</button></form>`},
	{name: "an empty password", form: `<form method=post action=/save><input type=password><button>Send</button></form>`, held: true},
	{name: "signing in", form: `<form method=post action=/login?next=/><button>Send</button></form>`},
	{name: "signing out", form: `<form method=post action=/logout><button>Send</button></form>`},
	{name: "the app says no", form: `<form method=post action=/save data-mine><button>Send</button></form>`},
	{
		name: "fields that hide the form's properties", held: true,
		form: `<form method=post action=/save><input name=action><input name=method value=get><input name=target value=_blank><input name=elements>
			<input name=hasAttribute><input name=getAttribute><input name=submitter><button>Send</button></form>`,
	},
}

// testHeldForms sends forms after the end. A listener of the page sees those that go, and lets none leave the page.
func testHeldForms(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) {
		c.WarnBefore, c.LoginURL, c.LogoutURL = warn, "/login", "/logout"
	})
	a.login(t, b)
	b.Navigate(a.URL + "/page")
	showView(t, b, view{Notice: "gone"})
	webdriver.Script[any](b, `
		window.sent = 0;
		document.addEventListener('submit', event => { window.sent++; event.preventDefault(); });
		document.querySelector('main').innerHTML = '<div id=box></div>'`)
	const send = `
		const before = window.sent;
		document.querySelector('#box button').click();
		return window.sent > before`
	for _, test := range forms {
		t.Run(test.name, func(t *testing.T) {
			b := b.For(t)
			webdriver.Script[any](b, showDialog, view{}) // that of the form before goes
			showView(t, b, view{Notice: "gone"})
			b.Press(webdriver.Escape)
			waitForDialogToClose(t, b)
			webdriver.Script[any](b, `document.querySelector('#box').innerHTML = arguments[0]; acted.length = 0`, test.form)
			if test.name == "the app says no" {
				webdriver.Script[any](b, showDialog+`; actions.dispatch = (name, {form}) => name !== 'keepalive:hold' || !('mine' in form.dataset); draw()`, view{Notice: "gone"})
			}
			require.Equal(t, !test.held, webdriver.Script[bool](b, send))
			if test.held {
				require.True(t, readDialog(b).Open, "it says why")
				require.Equal(t, []string{"keepalive:hold"}, webdriver.Script[[]string](b, "return acted"))
			}
			b.Press(webdriver.Escape)
			require.True(t, webdriver.Script[bool](b, send), "once is enough")
		})
	}
	// With a session, and with a warning, all go.
	for _, notice := range []string{"", "idle"} {
		webdriver.Script[any](b, showDialog, view{Notice: notice, Left: 60})
		webdriver.Script[any](b, `document.querySelector('#box').innerHTML = arguments[0]`, forms[0].form)
		require.True(t, webdriver.Script[bool](b, send))
	}
}

// After the end a bar stays, until there is a session again.
func testBar(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.LoginURL = "/login" })
	a.login(t, b)
	webdriver.Script[any](b, `document.querySelector('form').outerHTML =
		'<form method=post action=/save><textarea id=story></textarea><button id=send>Send</button></form>'`)
	b.SendKeys("#story", "It was")
	a.endSession(t, b)
	waitForDialog(t, b)
	b.Press(webdriver.Escape)
	waitForBar(t, b, true)
	require.Equal(t, "You are signed out. What you type here can’t be saved.", webdriver.Script[string](b, `
		const bar = document.querySelector('keepalive-dialog').shadowRoot.firstChild;
		return bar.firstChild.innerText`))
	require.Equal(t, "story", focused(b))

	b.Click("#send")
	waitForDialog(t, b)
	require.Empty(t, a.requests("/save", time.Time{}))
	b.Press(webdriver.Escape)
	waitForBar(t, b, true)

	// Somebody signs in, in another tab.
	page := b.Window()
	b.SwitchTo(b.NewWindow("tab"))
	b.Navigate(a.URL + "/login")
	b.SwitchTo(page)
	waitForBar(t, b, false)
	require.Equal(t, "It was", storyText(b))
	b.Click("#send")
	eventually(t, "the form is sent", func() bool { return len(a.requests("/save", time.Time{})) == 1 })
}

func waitForBar(t *testing.T, b *webdriver.Browser, there bool) {
	t.Helper()
	eventually(t, "the bar", func() bool { return there == readBar(b) })
}

// readBar reports whether the current page shows the bar.
func readBar(b *webdriver.Browser) bool {
	return webdriver.Script[bool](b, "return !!document.querySelector('keepalive-dialog')?.shadowRoot.querySelector('[part=bar]')")
}

// Where the app wants neither, nothing reminds of the end.
func testNoBar(t *testing.T, b *webdriver.Browser) {
	for _, after := range []keepalive.AfterEnd{keepalive.KeepPageWithoutBar} {
		a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.WarnBefore, c.AfterEnd = warn, after })
		a.login(t, b)
		showView(t, b, view{Notice: "goneidle"})
		b.Press(webdriver.Escape)
		waitForDialogToClose(t, b)
		never(t, time.Second, "a bar", func() bool { return webdriver.Script[bool](b, "return !!document.querySelector('keepalive-dialog')") })
		webdriver.Script[any](b, `document.querySelector('main').innerHTML = '<form method=post action=/save><button id=send>Send</button></form>'`)
		b.Click("#send")
		eventually(t, "the form is sent", func() bool { return len(a.requests("/save", time.Time{})) == 1 })
	}
}

// Another user has signed in, in another tab.
func testOtherUser(t *testing.T, b *webdriver.Browser) {
	var a *app
	a = newApp(t, longIdle, time.Hour, func(c *keepalive.Config) {
		c.Salt = "salt"
		c.Identify = func(ctx context.Context) string { return a.sm.GetString(ctx, "user") }
	})
	a.login(t, b)
	webdriver.Script[any](b, `document.querySelector('main').innerHTML = '<form method=post action=/save><button id=send>Send</button></form>'`)
	page := b.Window()
	b.SwitchTo(b.NewWindow("tab"))
	b.Navigate(a.URL + "/login?user=bob")
	b.SwitchTo(page)
	d := waitForDialog(t, b)
	require.Equal(t, "You are now signed in as somebody else", d.Title)
	require.Equal(t, []string{"reload", "close"}, d.Parts)
	b.Press(webdriver.Escape)
	waitForDialogToClose(t, b)
	b.Click("#send")
	waitForDialog(t, b)
	require.Empty(t, a.requests("/save", time.Time{}))
	reloaded := time.Now()
	b.Press(webdriver.Tab + webdriver.Enter)
	eventually(t, "the page is loaded again", func() bool { return len(a.requests("/login", reloaded)) > 0 })
}

// With OpenLogin a visible page goes to sign in by itself, unless something that was typed would be lost.
func testOpenLogin(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) {
		c.LoginURL, c.AfterEnd = "/page?a=1", keepalive.OpenLogin
	})
	tests := []struct {
		name, fields string
		stays        bool
	}{
		{name: "nothing typed", fields: `<input><input value=x><input type=range><input type=color><input type=checkbox checked><input type=hidden value=x>
			<select><option>1<option>2</select><textarea>x</textarea><p contenteditable></p><iframe srcdoc="<input>"></iframe>`},
		{name: "text", fields: `<input>`, stays: true},
		{name: "text area", fields: `<textarea>x</textarea>`, stays: true},
		{name: "box", fields: `<input type=checkbox>`, stays: true},
		{name: "select", fields: `<select><option>1<option>2</select>`, stays: true},
		{name: "editor", fields: `<p contenteditable></p>`, stays: true},
		{name: "frame", fields: `<iframe srcdoc="<input>"></iframe>`, stays: true},
		{name: "shadow tree", fields: `<div id=shadow></div>`, stays: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := b.For(t)
			b.Navigate(a.URL + "/login?q=1#part")
			webdriver.Script[any](b, "document.querySelector('main').innerHTML = arguments[0]", test.fields)
			if test.stays {
				eventually(t, "the field is there", func() bool { return webdriver.Script[bool](b, changeField) })
			}
			a.endSession(t, b)
			if test.stays {
				waitForDialog(t, b)
				never(t, 2*time.Second, "the page goes", func() bool { return b.URL() != a.URL+"/login?q=1#part" })
				return
			}
			eventually(t, "the page goes", func() bool { return b.URL() != a.URL+"/login?q=1#part" })
			require.Equal(t, a.URL+"/page?a=1&next=%2Flogin%3Fq%3D1%23part", b.URL())
		})
	}
}

// changeField changes the only field, as a user does, and reports whether it was there.
const changeField = `
	const shadow = document.querySelector('#shadow');
	if (shadow) shadow.attachShadow({mode: 'open'}).append(document.createElement('input'));
	const root = document.querySelector('iframe')?.contentDocument ?? shadow?.shadowRoot ?? document.querySelector('main');
	const field = root.querySelector('input, textarea, select, p');
	if (!field) return false;
	if (field.type === 'checkbox') field.checked = true;
	else if (field.type === 'select-one') field.selectedIndex = 1;
	else if (field.localName === 'p') field.textContent = 'typed';
	else field.value = 'typed';
	return true`
