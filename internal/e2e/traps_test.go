package e2e_test

import (
	"image"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/npm"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// library is a file of an npm package, and what `npm view NAME@VERSION dist.integrity` says.
type library struct{ pkg, version, path, integrity string }

var (
	focusTrap = []library{
		{"tabbable", "6.5.2", "dist/index.umd.js", "sha512-XgdnB1nGU6KU4VgMnZPaZCx7M1hBrLyEiZYau2G2gq9UT0d7d4FUBlNX7vvPlm/B1vk1PjrzJBx9Lbv4fsqS9g=="},
		{"focus-trap", "8.2.4", "dist/focus-trap.umd.js", "sha512-oy6dj7WZYgMbbpoOA29K5W++473F1zEzdI1oJgPb6x7yWT36YaWedUe6i6YPWEt5quSh0pRMohVyHLWXUxtdxg=="},
	}
	bootstrap = []library{
		{"bootstrap", "5.3.9", "dist/js/bootstrap.bundle.min.js", "sha512-20cU0rcfw8WdxtVbmfU+xT2EjvVTw9Ror/h1Qvd7DXCujRg8OO9mdBCsmTHdJFf3BuadmBNJtgIuUXsBqSkk/w=="},
	}
	headlessUI = []library{
		{"react", "18.3.1", "umd/react.production.min.js", "sha512-wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ=="},
		{"react-dom", "18.3.1", "umd/react-dom.production.min.js", "sha512-5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw=="},
		{"@headlessui/react", "1.7.19", "dist/headlessui.prod.cjs", "sha512-Ll+8q3OlMJfJbAKM/+/Y2q6PPYbryqNTXDbryx7SXLIDamkF6iQFbriYHga0dY44PvDhvvBWCx1Xj4U5+G4hOw=="},
	}
)

// load runs the libraries in the current page. A CommonJS module leaves window.exports there.
func load(t *testing.T, b *webdriver.Browser, libraries []library) {
	t.Helper()
	for _, l := range libraries {
		source := string(npm.File(t, l.pkg, l.version, l.path, l.integrity))
		if strings.HasSuffix(l.path, ".cjs") {
			source = `{
				const require = (name) => ({react: React, 'react-dom': ReactDOM})[name], module = {};
				(() => {` + source + `})();
				window.exports = module.exports;
			}`
		}
		webdriver.Script[any](b, `
			const script = document.createElement('script');
			script.textContent = arguments[0];
			document.head.append(script)`, source)
	}
}

// showDialog lets the module that draws show a dialog, as the script does each second. window.acted keeps what the user
// has chosen.
const showDialog = `
	const [view] = arguments;
	const end = Date.now() + (view.left ?? 90) * 1000;
	if (!window.acted) keepalive.stop();
	window.acted = [];
	const actions = {
		stay: () => acted.push('stay'), look: () => acted.push('look'), tick: () => {},
		dispatch: (name) => Boolean(acted.push(name)), guard: Symbol(),
	};
	const dialogs = window[Symbol.for(origin + '/keepalive/dialog')];
	const draw = () => dialogs?.update({end, failing: false, pending: false, ...view}, actions);
	clearInterval(window.drawing);
	window.drawing = setInterval(draw, 500);
	draw()`

// view is what a dialog shows.
type view struct {
	Notice  string  `json:"notice"`
	Left    float64 `json:"left"` // seconds until the end
	Failing bool    `json:"failing"`
	Pending bool    `json:"pending"`
}

// show waits for the dialog that the view asks for.
func showView(t *testing.T, b *webdriver.Browser, v view) dialog {
	t.Helper()
	eventually(t, "the dialogs are loaded", func() bool {
		return webdriver.Script[bool](b, "return !!window[Symbol.for(origin + '/keepalive/dialog')]")
	})
	webdriver.Script[any](b, showDialog, v)
	return waitForDialog(t, b)
}

// drawView shows a view in a page whose dialogs are loaded, and reads the dialog before the time changes it.
func drawView(b *webdriver.Browser, v view) dialog {
	return webdriver.Script[dialog](b, "{"+showDialog+"}"+dialogScript, v)
}

// middleOf is the middle of what has a part's name.
func middleOf(b *webdriver.Browser, part string) image.Point {
	return webdriver.Script[image.Point](b, `
		const box = document.querySelector('keepalive-dialog').shadowRoot.querySelector('[part=' + arguments[0] + ']').getBoundingClientRect();
		return {x: Math.round(box.left + box.width / 2), y: Math.round(box.top + box.height / 2)}`, part)
}

func clickPart(b *webdriver.Browser, part string) {
	at := middleOf(b, part)
	b.Point(at.X, at.Y, true)
}

// acted waits until the user's answer has come n times.
func acted(t *testing.T, b *webdriver.Browser, what string, n int) {
	t.Helper()
	eventually(t, what, func() bool {
		return webdriver.Script[int](b, "return acted.filter(name => name === arguments[0]).length", what) >= n
	})
	require.Equal(t, n, webdriver.Script[int](b, "return acted.length"))
}

const makeForm = `
	document.querySelector('main').innerHTML = '<div id=box role=dialog tabindex=-1><button id=first>First</button> <input id=second></div>';
	window.left = 0;
	const box = document.getElementById('box');
`

// Each row is what a page does, and what must still be true when the user has answered three times.
var otherScripts = []struct {
	name          string
	libraries     []library
	before, after string // scripts, before the dialog is shown and while it is
	click         string // before it is shown, by the user
	holds         string // an expression
	fullscreen    bool   // so that Escape may be the browser's
	engines       []webdriver.Engine
}{
	{name: "nothing", holds: "true"},
	{
		name: "focus-trap", libraries: focusTrap, holds: "!left && trap.active",
		before: makeForm + `window.trap = focusTrap.createFocusTrap(box, {onDeactivate: () => window.left++}); trap.activate()`,
	},
	{
		name: "focus-trap afterwards", libraries: focusTrap, holds: "!left && trap.active",
		after: makeForm + `window.trap = focusTrap.createFocusTrap(box, {onDeactivate: () => window.left++}); trap.activate()`,
	},
	{
		name: "Bootstrap's modal", libraries: bootstrap, holds: "!left && document.querySelector('.modal.show')",
		before: makeForm + `
			box.outerHTML = '<div class=modal id=box tabindex=-1><div class=modal-dialog><div class=modal-content><input id=second></div></div></div>';
			document.getElementById('box').addEventListener('hide.bs.modal', () => window.left++);
			new bootstrap.Modal('#box').show()`,
	},
	{
		name: "Headless UI's dialog", libraries: headlessUI, holds: "!left && document.querySelector('[data-headlessui-portal] input')",
		before: makeForm + `
			const {Dialog} = exports, e = React.createElement;
			ReactDOM.createRoot(box).render(e(Dialog, {open: true, onClose: () => window.left++}, e(Dialog.Panel, null, e('input', {id: 'second'}))))`,
	},
	{
		name: "inert", holds: "true",
		before: `document.documentElement.inert = document.body.inert = true`,
		after: `for (const e of [document.documentElement, ...document.documentElement.children]) {
			e.inert = true;
			e.setAttribute('aria-hidden', 'true');
		}`,
	},
	{
		name: "an open popover", holds: "box.matches(':popover-open')",
		before: makeForm + `box.popover = 'auto'; box.showPopover()`,
	},
	{
		name: "a popover that goes", holds: "!box.matches(':popover-open')",
		before: makeForm + `box.popover = 'auto'; box.showPopover()`, after: `box.hidePopover()`,
	},
	{name: "a modal dialog", before: `document.body.append(Object.assign(document.createElement('dialog'), {id: 'box', textContent: 'Modal'})); box.showModal()`, holds: "box.open"},
	{name: "a modal dialog afterwards", after: `document.body.append(Object.assign(document.createElement('dialog'), {id: 'box', textContent: 'Modal'})); box.showModal()`, holds: "box.open"},
	{
		// WebKit has no window manager here that could make a window as large as the screen.
		name: "fullscreen", engines: []webdriver.Engine{webdriver.Chromium, webdriver.Firefox},
		before: `document.querySelector('h1').onclick = () => document.querySelector('main').requestFullscreen()`, click: "h1",
		holds: "document.fullscreenElement", fullscreen: true,
	},
	{name: "undefined elements hidden", holds: "true", before: `
		const sheet = new CSSStyleSheet();
		sheet.replaceSync(':not(:defined) { display: none !important; visibility: hidden !important; opacity: 0; filter: blur(9px) }');
		document.adoptedStyleSheets = [sheet]`},
	{name: "a morph", after: `document.querySelector('keepalive-dialog').remove()`, holds: "true"},
	{name: "another root", holds: "true", after: `
		const root = document.createElement('html');
		root.append(document.createElement('head'), document.createElement('body'));
		document.documentElement.replaceWith(root)`},
	{name: "a page written anew", holds: "document.querySelector('h1').textContent === 'Anew'", after: `
		document.open();
		document.write('<!doctype html><title>Anew</title><h1>Anew</h1>');
		document.close()`},
	{name: "names of the DOM", holds: "true", before: `
		document.querySelector('main').innerHTML = ['body', 'createElement', 'documentElement', 'elementFromPoint', 'importNode', 'querySelectorAll',
			'implementation', 'hidden', 'addEventListener', 'parent', 'top', 'name', 'origin', 'location', 'keepalive', 'setTimeout']
			.map(name => '<img name=' + name + '><form name=' + name + ' id=' + name + '><input name=' + name + '></form>').join('')`},
}

// A dialog works beside what other scripts do to the page.
func testOtherScripts(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.WarnBefore, c.LogoutURL = warn, "/logout" })
	for _, test := range otherScripts {
		if test.engines != nil && !slices.Contains(test.engines, b.Engine) {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			b := b.For(t)
			a.login(t, b)
			load(t, b, test.libraries)
			webdriver.Script[any](b, test.before)
			if test.click != "" {
				b.Click(test.click)
				eventually(t, test.holds, func() bool { return webdriver.Script[bool](b, "return !!("+test.holds+")") })
			}
			require.Equal(t, "dialog", showView(t, b, view{Notice: "idle", Left: 90}).Focus)
			webdriver.Script[any](b, test.after)
			eventually(t, "the dialog is on top", func() bool {
				return webdriver.Script[bool](b, `
					const host = document.querySelector('keepalive-dialog');
					return host && Document.prototype.elementFromPoint.call(document, innerWidth / 2, innerHeight / 2) === host && host.shadowRoot.activeElement && !host.inert`)
			})
			n := 0
			if !test.fullscreen {
				b.Press(webdriver.Escape + webdriver.Escape) // when nobody has used the page yet, too
				n += 2
				acted(t, b, "stay", n)
			}
			clickPart(b, "stay")
			n++
			acted(t, b, "stay", n)
			if b.Engine != webdriver.WebKit {
				at := middleOf(b, "stay")
				b.Tap(at.X, at.Y)
				n++
				acted(t, b, "stay", n)
			}
			eventually(t, "the keyboard reaches it", func() bool { // unless the dialog comes to the top again in between
				webdriver.Script[any](b, "document.querySelector('keepalive-dialog').shadowRoot.firstChild.focus()")
				b.Press(webdriver.Tab + " ")
				return webdriver.Script[int](b, "return acted.length") > n
			})
			acted(t, b, "stay", n+1)
			require.True(t, webdriver.Script[bool](b, "return !!("+test.holds+")"), test.holds)
			require.True(t, readDialog(b).Open)
		})
	}
}

// The bar's link works while the page's trap holds the focus.
func testBarBesideTrap(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour, func(c *keepalive.Config) { c.WarnBefore, c.LoginURL = warn, "/login" })
	a.login(t, b)
	load(t, b, focusTrap)
	webdriver.Script[any](b, makeForm+`focusTrap.createFocusTrap(box).activate()`)
	showView(t, b, view{Notice: "gone"})
	b.Press(webdriver.Escape)
	eventually(t, "the bar", func() bool {
		return webdriver.Script[bool](b, "return !!document.querySelector('keepalive-dialog')?.shadowRoot.querySelector('[part=bar]')")
	})
	old := b.Windows()
	clickPart(b, "signin")
	eventually(t, "a new tab", func() bool { return len(b.Windows()) > len(old) })
}
