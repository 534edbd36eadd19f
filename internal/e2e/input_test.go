package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/npm"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

func TestInput(t *testing.T) {
	runInBrowsers(t, []browserTest{
		{name: "kinds", run: testKindsOfInput},
		{name: "frames", run: testInputInFrames},
	})
}

// inputTest is a page whose session one kind of input must keep.
type inputTest struct {
	name    string
	engines string // that have it; "" for all
	setUp   func(b *webdriver.Browser)
	input   func(b *webdriver.Browser, i int) // happens again and again
}

// runInputTests lets each page extend its session by input, and the session then end, while the page stays open. Each has a
// window of its own: WebKit's driver gets stuck when the mouse presses on a frame in a second tab.
func runInputTests(t *testing.T, b *webdriver.Browser, tests []inputTest) {
	type session struct{ name, window, token string }
	apps := map[session]*app{}
	for _, test := range tests {
		if !strings.Contains(test.engines, string(b.Engine)) && test.engines != "" {
			continue
		}
		t.Log(test.name)
		a := newApp(t, shortIdle, time.Hour, userActive, func(c *keepalive.Config) {
			c.Skip = func(r *http.Request) bool { return r.URL.RawQuery == "plain" }
		})
		a.lasts = true
		window := b.NewWindow("window")
		b.SwitchTo(window)
		token := a.login(t, b)
		test.setUp(b)
		ready, i := time.Now(), 0
		eventually(t, "two pings that report "+test.name, func() bool {
			test.input(b, i)
			i++
			time.Sleep(time.Second / 2)
			reports := 0
			for _, p := range a.posts(ready) {
				if p.end.Add(-inactivity(t, p.body)).After(ready) {
					reports++
				}
			}
			return reports >= 2
		})
		apps[session{test.name, window, token}] = a
	}
	for s, a := range apps {
		a.expire(t, s.token, time.Now().Add(shortIdle))
	}
	for s, a := range apps {
		t.Log(s.name)
		a.waitForEnd(t, s.token)
		b.SwitchTo(s.window)
		require.Equal(t, "idle", waitForExpired(t, b).Detail.Reason, s.name)
	}
}

// only gives the story the focus, and lets the script hear of no other kind of input; "" stands for all.
func only(name string) func(b *webdriver.Browser) {
	return func(b *webdriver.Browser) {
		webdriver.Script[any](b, "document.getElementById('story').focus(); window.onlyInput = arguments[0]", name)
	}
}

func testKindsOfInput(t *testing.T, b *webdriver.Browser) {
	press := func(b *webdriver.Browser, _ int) { b.Press("w") }
	runInputTests(t, b, []inputTest{
		{name: "clicks", setUp: only("click"), input: func(b *webdriver.Browser, _ int) { b.Click("#story") }},
		{
			name: "touches", setUp: only("touchmove"), engines: "chromium firefox",
			input: func(b *webdriver.Browser, _ int) { b.Swipe(200, 200) },
		},
		{
			name: "wheel", setUp: only("wheel"), engines: "chromium firefox",
			input: func(b *webdriver.Browser, _ int) { b.Wheel(200, 200) },
		},
		{name: "text before it is written", setUp: only("beforeinput"), input: press},
		{name: "text", setUp: only("input"), input: press},
		{name: "dictation", setUp: only(""), input: func(b *webdriver.Browser, _ int) { b.InsertText("It was ") }, engines: "chromium"},
		{
			name: "input method", setUp: only("compositionupdate"), engines: "chromium",
			input: func(b *webdriver.Browser, i int) { b.Compose(strings.Repeat("に", i+1)) },
		},
		{
			name: "the app knows", setUp: only(""),
			input: func(b *webdriver.Browser, _ int) { webdriver.Script[any](b, "keepalive.active()") },
		},
	})
}

// frameHelpers make frames with a text to edit.
const frameHelpers = `
	const text = '<!doctype html><body contenteditable>It was';
	const addFrame = (parent) => {
		const frame = document.createElement('iframe');
		frame.style = 'position: fixed; inset: 0; border: 0; width: 300px; height: 100px; background: white';
		parent.append(frame);
		return frame;
	};
	const write = (frame) => {
		frame.contentDocument.open();
		frame.contentDocument.write(text);
		frame.contentDocument.close();
	};`

func testInputInFrames(t *testing.T, b *webdriver.Browser) {
	frame := func(script string) func(b *webdriver.Browser) {
		return func(b *webdriver.Browser) {
			webdriver.AsyncScript[any](b, frameHelpers+script+"; setTimeout(arguments[0], 500)")
		}
	}
	// The frame has the focus from now on, and the page around it gets nothing.
	edit := func(b *webdriver.Browser, i int) {
		if i == 0 {
			b.Point(40, 17, true)
		}
		b.Press("w")
	}
	runInputTests(t, b, []inputTest{
		{name: "srcdoc", setUp: frame("addFrame(document.body).srcdoc = text"), input: edit},
		{name: "written by script", setUp: frame("write(addFrame(document.body))"), input: edit},
		{
			name: "written anew", input: edit,
			setUp: frame("const frame = addFrame(document.body); write(frame); setTimeout(() => write(frame), 200)"),
		},
		{
			name: "gone to another page", input: edit, // whose text area is the only thing to edit
			setUp: func(b *webdriver.Browser) {
				frame("const frame = addFrame(document.body); write(frame); setTimeout(() => { frame.src = '/page?plain' }, 200)")(b)
				eventually(t, "the page in the frame", func() bool {
					return webdriver.Script[bool](b, "return frames[0].document.readyState === 'complete' && !!frames[0].document.getElementById('story')")
				})
			},
		},
		{
			name: "in a frame", input: edit,
			setUp: frame("const outer = addFrame(document.body); write(outer); const inner = addFrame(outer.contentDocument.body); write(inner)"),
		},
		{
			name: "in a shadow tree", input: edit,
			setUp: frame("write(addFrame(document.body.appendChild(document.createElement('p')).attachShadow({mode: 'open'})))"),
		},
		{
			name: "sandboxed", input: edit, engines: "chromium firefox", // WebKit wants allow-scripts as well
			setUp: frame("const frame = addFrame(document.body); frame.sandbox = 'allow-same-origin'; frame.srcdoc = text"),
		},
		{
			name: "sandboxed with scripts", input: edit,
			setUp: frame("const frame = addFrame(document.body); frame.sandbox = 'allow-same-origin allow-scripts'; frame.srcdoc = text"),
		},
		{name: "among names that hide functions", input: edit, setUp: frame(`
			for (const name of ['addEventListener', 'activeElement', 'frames', 'length', 'document', '0', '1'])
				document.body.appendChild(document.createElement('img')).name = name;
			write(addFrame(document.body))`)},
		{name: "TinyMCE", setUp: startTinyMCE(t), input: func(b *webdriver.Browser, i int) {
			if i == 0 {
				place := webdriver.Script[[]int](b, `
					const {x, y} = document.querySelector('iframe').getBoundingClientRect();
					return [Math.round(x) + 40, Math.round(y) + 25]`)
				b.Point(place[0], place[1], true)
			}
			b.Press("w")
		}},
	})
}

// startTinyMCE makes a TinyMCE editor of the story.
func startTinyMCE(t *testing.T) func(b *webdriver.Browser) {
	var source strings.Builder
	for _, name := range []string{"tinymce.min.js", "models/dom/model.min.js", "themes/silver/theme.min.js", "icons/default/icons.min.js"} {
		source.Write(npm.File(t, npm.TinyMCE, npm.TinyMCEVersion, name, npm.TinyMCEIntegrity))
		source.WriteString(";\n")
	}
	return func(b *webdriver.Browser) {
		webdriver.AsyncScript[any](b, source.String()+`
			const done = arguments[0];
			tinymce.init({selector: '#story', license_key: 'gpl', skin: false, content_css: false, init_instance_callback: () => done()})`)
	}
}
