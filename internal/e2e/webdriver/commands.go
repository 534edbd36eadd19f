package webdriver

import (
	"encoding/base64"
	"strings"
)

// elementKey marks a reference to an element (WebDriver §12.1).
const elementKey = "element-6066-11e4-a52e-4f735466cecf"

// Navigate loads a page and waits for its load event.
func (b *Browser) Navigate(url string) {
	b.t.Helper()
	b.call(nil, "Navigate", map[string]any{"url": url})
}

// URL returns the address of the current page.
func (b *Browser) URL() (url string) {
	b.t.Helper()
	b.call(&url, "GetCurrentURL", nil)
	return url
}

// Title returns the title of the current page.
func (b *Browser) Title() (title string) {
	b.t.Helper()
	b.call(&title, "GetTitle", nil)
	return title
}

// Script runs the body of a function in the page and returns its result.
func Script[T any](b *Browser, body string, args ...any) (result T) {
	b.t.Helper()
	b.call(&result, "ExecuteScript", map[string]any{"script": body, "args": append([]any{}, args...)})
	return result
}

// AsyncScript is Script for a body that hands its result to a callback, its last argument.
func AsyncScript[T any](b *Browser, body string, args ...any) (result T) {
	b.t.Helper()
	b.call(&result, "ExecuteAsyncScript", map[string]any{"script": body, "args": append([]any{}, args...)})
	return result
}

func (b *Browser) find(css string) string {
	b.t.Helper()
	var element map[string]string
	b.call(&element, "FindElement", map[string]any{"using": "css selector", "value": css})
	return element[elementKey]
}

// Click clicks the first element that a selector matches.
func (b *Browser) Click(css string) {
	b.t.Helper()
	b.call(nil, "ElementClick", map[string]any{"id": b.find(css)})
}

// SendKeys types into the first element that a selector matches.
func (b *Browser) SendKeys(css, text string) {
	b.t.Helper()
	b.call(nil, "ElementSendKeys", map[string]any{"id": b.find(css), "text": text})
}

// Keys that have no character (WebDriver §17.4.2).
const (
	Enter  = "\uE007"
	Escape = "\uE00C"
	Tab    = "\uE004"
)

// Press types into whatever has the focus, as a keyboard does.
func (b *Browser) Press(keys string) {
	b.t.Helper()
	var strokes []map[string]any
	for _, key := range keys {
		for _, kind := range []string{"keyDown", "keyUp"} {
			strokes = append(strokes, map[string]any{"type": kind, "value": string(key)})
		}
	}
	b.perform(map[string]any{"type": "key", "id": "keyboard", "actions": strokes})
}

// Point moves the mouse at once, and clicks if click is true. With a duration Firefox would go there in steps, beginning at
// the corner of a new page.
func (b *Browser) Point(x, y int, click bool) {
	b.t.Helper()
	moves := []map[string]any{{"type": "pointerMove", "duration": 0, "x": x, "y": y}}
	if click {
		moves = append(moves, map[string]any{"type": "pointerDown", "button": 0}, map[string]any{"type": "pointerUp", "button": 0})
	}
	b.perform(map[string]any{"type": "pointer", "id": "mouse", "actions": moves})
}

// Swipe puts a finger on the page and moves it up. WebKit's driver makes a mouse of the finger.
func (b *Browser) Swipe(x, y int) {
	b.t.Helper()
	b.touch(x, y, map[string]any{"type": "pointerMove", "duration": 50, "x": x, "y": y - 30}, map[string]any{"type": "pointerMove", "duration": 50, "x": x, "y": y - 60})
}

// Tap touches the screen for a moment. WebKit's driver has no touch screen.
func (b *Browser) Tap(x, y int) {
	b.t.Helper()
	b.touch(x, y)
}

// touch puts a finger on the page, lets it move, and lifts it.
func (b *Browser) touch(x, y int, moves ...map[string]any) {
	b.t.Helper()
	actions := []map[string]any{{"type": "pointerMove", "duration": 0, "x": x, "y": y}, {"type": "pointerDown", "button": 0}}
	actions = append(append(actions, moves...), map[string]any{"type": "pointerUp", "button": 0})
	b.perform(map[string]any{
		"type": "pointer", "id": "finger", "parameters": map[string]any{"pointerType": "touch"}, "actions": actions,
	})
}

// Wheel turns the mouse wheel over a place of the page. WebKit's driver does nothing.
func (b *Browser) Wheel(x, y int) {
	b.t.Helper()
	b.perform(map[string]any{"type": "wheel", "id": "wheel", "actions": []map[string]any{
		{"type": "scroll", "duration": 0, "x": x, "y": y, "deltaX": 0, "deltaY": 20, "origin": "viewport"},
	}})
}

func (b *Browser) perform(source map[string]any) {
	b.t.Helper()
	b.call(nil, "PerformActions", map[string]any{"actions": []any{source}})
}

// NewWindow opens a "tab" or a "window" and returns its handle. The current window stays the one that commands go to.
func (b *Browser) NewWindow(kind string) string {
	b.t.Helper()
	var window struct{ Handle string }
	b.call(&window, "NewWindow", map[string]any{"type": kind})
	return window.Handle
}

// Window returns the handle of the current window.
func (b *Browser) Window() (handle string) {
	b.t.Helper()
	b.call(&handle, "GetWindowHandle", nil)
	return handle
}

// Windows returns the handles of all tabs and windows.
func (b *Browser) Windows() (handles []string) {
	b.t.Helper()
	b.call(&handles, "GetWindowHandles", nil)
	return handles
}

// SwitchTo sends the commands that follow to another window.
func (b *Browser) SwitchTo(handle string) {
	b.t.Helper()
	b.call(nil, "SwitchToWindow", map[string]any{"handle": handle})
}

// CloseWindow closes the current window. SwitchTo must follow.
func (b *Browser) CloseWindow() {
	b.t.Helper()
	b.call(nil, "CloseWindow", nil)
}

// SetWindowRect moves and resizes the current window.
func (b *Browser) SetWindowRect(x, y, width, height int) {
	b.t.Helper()
	b.call(nil, "SetWindowRect", map[string]any{"x": x, "y": y, "width": width, "height": height})
}

// Minimise makes the current window an icon.
func (b *Browser) Minimise() {
	b.t.Helper()
	b.call(nil, "MinimizeWindow", nil)
}

// Maximise shows the current window again when it was an icon. Without a window manager, as under Xvfb, it keeps its size.
func (b *Browser) Maximise() {
	b.t.Helper()
	b.call(nil, "MaximizeWindow", nil)
}

// Screenshot returns what the page shows, as a PNG.
func (b *Browser) Screenshot() []byte {
	b.t.Helper()
	var text string
	b.call(&text, "TakeScreenshot", map[string]any{"full": false})
	png, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.t.Fatalf("%s: screenshot: %v", b.Engine, err)
	}
	return png
}

// A Cookie is a cookie of the browser; Expiry is in seconds since 1970, 0 for the browser's lifetime.
type Cookie struct {
	Name, Value, Path, Domain, SameSite string
	Secure, HTTPOnly                    bool
	Expiry                              int64
}

// Cookies returns the cookies that the current page's address would be sent.
func (b *Browser) Cookies() (cookies []Cookie) {
	b.t.Helper()
	b.call(&cookies, "GetCookies", nil)
	return cookies
}

// DeleteCookies forgets the cookies that the current page's address would be sent.
func (b *Browser) DeleteCookies() {
	b.t.Helper()
	b.call(nil, "DeleteAllCookies", nil)
}

// Recorder is a script for pages to load first, so that Console also works in the engines whose drivers do not give
// the console away. There, an event reports what a policy blocked, as the engine's own messages cannot be seen.
const Recorder = `
window.recordedConsole = [];
for (const level of ['debug', 'log', 'info', 'warn', 'error']) {
	const original = console[level];
	console[level] = function (...args) {
		recordedConsole.push(level + ': ' + args.join(' '));
		original.apply(console, args);
	};
}
addEventListener('error', event => recordedConsole.push('error: ' + event.message));
addEventListener('unhandledrejection', event => recordedConsole.push('error: ' + event.reason));
addEventListener('securitypolicyviolation', event =>
	recordedConsole.push('error: ' + event.effectiveDirective + ' blocked ' + event.blockedURI));
`

// Console returns the messages since the call before: all of the browser in Chromium; those of the current page, when
// it loaded Recorder, elsewhere.
func (b *Browser) Console() (lines []string) {
	b.t.Helper()
	if b.Engine != Chromium {
		return Script[[]string](b, "return window.recordedConsole ? recordedConsole.splice(0) : []")
	}
	var entries []struct{ Level, Message string }
	b.call(&entries, "Log", map[string]any{"type": "browser"})
	for _, e := range entries {
		lines = append(lines, strings.ToLower(e.Level)+": "+e.Message)
	}
	return lines
}

// devTools runs a command of the Chrome DevTools protocol in the current tab.
func (b *Browser) devTools(command string, params map[string]any) {
	b.t.Helper()
	if b.Engine != Chromium {
		b.t.Fatalf("%s: %s works in Chromium only", b.Engine, command)
	}
	b.call(nil, "DevTools", map[string]any{"cmd": command, "params": params})
}

// Freeze stops the current page as the browser stops a tab long unseen; Chromium only. Until Thaw the page runs nothing,
// so scripts sent to it hang.
func (b *Browser) Freeze() {
	b.t.Helper()
	b.devTools("Page.setWebLifecycleState", map[string]any{"state": "frozen"})
}

// Thaw undoes Freeze.
func (b *Browser) Thaw() {
	b.t.Helper()
	b.devTools("Page.setWebLifecycleState", map[string]any{"state": "active"})
}

// Crash kills the process of the current page; Chromium only. SwitchTo must follow.
func (b *Browser) Crash() {
	b.t.Helper()
	_, _ = b.conn.call("DevTools", map[string]any{"cmd": "Page.crash", "params": map[string]any{}}) // nobody is left to answer
}

// InsertText writes into whatever has the focus without a key, as dictation and emoji panels do; Chromium only.
func (b *Browser) InsertText(text string) {
	b.t.Helper()
	b.devTools("Input.insertText", map[string]any{"text": text})
}

// Compose is what an input method does before its text is final; Chromium only.
func (b *Browser) Compose(text string) {
	b.t.Helper()
	b.devTools("Input.imeSetComposition", map[string]any{"text": text, "selectionStart": len(text), "selectionEnd": len(text)})
}

// Offline cuts the current page off the network, or connects it again; Chromium only.
func (b *Browser) Offline(offline bool) {
	b.t.Helper()
	b.devTools("Network.enable", map[string]any{}) // else the next command changes navigator.onLine and nothing more
	b.devTools("Network.emulateNetworkConditions",
		map[string]any{"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
}

// EmulateMedia shows the current page as for a medium, such as "print", and with media features; Chromium only. "" and nil
// undo that.
func (b *Browser) EmulateMedia(medium string, features map[string]string) {
	b.t.Helper()
	list := []map[string]string{}
	for name, value := range features {
		list = append(list, map[string]string{"name": name, "value": value})
	}
	b.devTools("Emulation.setEmulatedMedia", map[string]any{"media": medium, "features": list})
}
