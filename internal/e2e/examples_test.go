package e2e_test

import (
	"bufio"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/npm"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/seed4a306b22/keepalive/internal/watchdog"
	"github.com/stretchr/testify/require"
)

const (
	examples    = "../../examples"
	exampleIdle = idle
)

func TestExamples(t *testing.T) {
	runInBrowsers(t, []browserTest{
		{name: "demo", run: testDemo},
		{name: "demo hidden until the end", run: testDemoHidden},
		{name: "demo on a phone", run: testDemoOnPhone},
		{name: "warm-up", run: testWarmup},
		{name: "turbo", run: func(t *testing.T, b *webdriver.Browser) { testSoftNavigation(t, b, "turbo") }},
		{name: "htmx", run: func(t *testing.T, b *webdriver.Browser) { testSoftNavigation(t, b, "htmx") }},
		{name: "spa", run: func(t *testing.T, b *webdriver.Browser) { testSoftNavigation(t, b, "spa") }},
		{name: "csrf", run: testCSRF},
		{name: "presence", run: testPresence},
	})
}

// libraries are what the examples load from a CDN.
var libraries = []struct{ example, pkg, version, path, integrity string }{
	{"turbo", npm.Turbo, npm.TurboVersion, npm.TurboPath, npm.TurboIntegrity},
	{"htmx", npm.HTMX, npm.HTMXVersion, npm.HTMXPath, npm.HTMXIntegrity},
}

// The versions that are tested here are those that the examples name.
func TestLibraries(t *testing.T) {
	for _, l := range libraries {
		t.Run(l.example, func(t *testing.T) {
			source, err := os.ReadFile(filepath.Join(examples, l.example, "main.go"))
			require.NoError(t, err)
			require.Contains(t, string(source), `"https://cdn.jsdelivr.net/npm/`+l.pkg+"@"+l.version+"/"+l.path+`"`)
			sum := sha512.Sum384(npm.File(t, l.pkg, l.version, l.path, l.integrity))
			require.Contains(t, string(source), `"sha384-`+base64.StdEncoding.EncodeToString(sum[:])+`"`)
		})
	}
}

// startExample builds and runs an example, with more flags than the usual ones, and returns its address.
func startExample(t *testing.T, example string, flags ...string) string {
	t.Helper()
	folder := watchdog.New(t)
	program := filepath.Join(folder.Path, example)
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join(examples, example) // which may be a module of its own
	build.Stdout, build.Stderr = t.Output(), t.Output()
	require.NoError(t, folder.Run(build))

	args := append([]string{"-addr", "localhost:0"}, flags...)
	if len(flags) == 0 {
		args = append(args, "-idle", exampleIdle.String())
	}
	for _, l := range libraries {
		if l.example == example {
			library := npm.File(t, l.pkg, l.version, l.path, l.integrity)
			cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/javascript")
				_, _ = w.Write(library)
			}))
			t.Cleanup(cdn.Close)
			args = append(args, "-"+example, cdn.URL)
		}
	}
	run := exec.Command(program, args...)
	stdout, err := run.StdoutPipe()
	require.NoError(t, err)
	run.Stderr = t.Output()
	require.NoError(t, folder.Start(run))
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSuffix(strings.Fields(line)[1], ":") // Open http://…
}

// waitForPage waits for a page of an example, and for its library to have finished with it.
func waitForPage(t *testing.T, b *webdriver.Browser, title string) {
	t.Helper()
	eventually(t, "the page "+title, func() bool {
		return webdriver.Script[bool](b, `
			const busy = '[data-turbo-preview], [aria-busy=true], .htmx-request, .htmx-swapping, .htmx-settling';
			return !document.querySelector(busy) &&
				[...document.querySelectorAll('h1')].some(h => h.textContent === arguments[0] && h.checkVisibility())`, title)
	})
}

// waitForUser waits until a page shows who is signed in, "" for nobody.
func waitForUser(t *testing.T, b *webdriver.Browser, name string) {
	t.Helper()
	eventually(t, "the user is "+name, func() bool {
		return webdriver.Script[bool](b, "return (document.querySelector('#user')?.textContent ?? '') === arguments[0]", name)
	})
}

func signIn(t *testing.T, b *webdriver.Browser) {
	t.Helper()
	b.Click(`header a[href$="sign-in"]`)
	waitForPage(t, b, "Sign in")
	webdriver.Script[any](b, "document.querySelector('#name').value = ''") // a single-page app keeps the name
	b.SendKeys("#name", "Ann")
	b.Press(webdriver.Enter)
	waitForUser(t, b, "Ann")
}

// The window is loaded once: what was recorded would be gone after a second time.
func testSoftNavigation(t *testing.T, b *webdriver.Browser, example string) {
	b.Navigate(startExample(t, example))
	waitForPage(t, b, "Home")
	requireAccessible(t, b)
	requests := webdriver.Script[int](b, "return performance.getEntriesByType('resource').filter(e => e.name.endsWith('/keepalive/ping')).length")
	require.Zero(t, requests, "nobody is signed in")
	webdriver.Script[any](b, recorder+"window.first = keepalive")
	visit := func(title string) {
		t.Helper()
		b.Click(`nav a[href$="` + strings.ToLower(title) + `"]`)
		waitForPage(t, b, title)
	}
	pinged := func() {
		t.Helper()
		waitForEvent(t, b, "keepalive:ping", len(events(b, "keepalive:ping"))+1)
	}
	oneScript := func() {
		t.Helper()
		require.True(t, webdriver.Script[bool](b, "return first === keepalive"), "the script has begun anew")
		require.Empty(t, events(b, "keepalive:expired"))
	}

	signIn(t, b)
	pinged()
	for _, title := range []string{"About", "Note", "About", "Note", "About", "Note"} {
		visit(title)
	}
	b.SendKeys("textarea", "It was")
	pinged()
	pinged()
	// The script uses the fetch that it found, so the recorder can't see what is sent. A ping is answered with the whole time.
	var pings []event
	for _, answer := range events(b, "keepalive:ping") {
		if answer.Detail.IdleMs > float64((exampleIdle - time.Second).Milliseconds()) {
			pings = append(pings, answer)
		}
	}
	require.NotEmpty(t, pings)
	span := pings[len(pings)-1].time().Sub(pings[0].time())
	require.LessOrEqual(t, len(pings), 2+int(span/(exampleIdle*45/100)), "more than one page sends, or the first answer was late")
	oneScript()

	// The session is still alive.
	webdriver.Script[any](b, "document.querySelector('textarea').old = true")
	b.Click("main form:has(textarea) button")
	eventually(t, "saved", func() bool {
		return webdriver.Script[bool](b, `
			return document.querySelector('#message')?.textContent === 'Saved.' || !document.querySelector('textarea')?.old`)
	})
	waitForPage(t, b, "Note")
	visit("About")
	webdriver.Script[any](b, "history.back()")
	waitForPage(t, b, "Note")
	eventually(t, "what was saved", func() bool {
		return webdriver.Script[string](b, "return document.querySelector('textarea').value") == "It was"
	})
	webdriver.Script[any](b, "history.forward()")
	waitForPage(t, b, "About")
	pinged()
	oneScript()

	// Signing out is no surprise, so there is no dialog.
	silent := func(d time.Duration) {
		t.Helper()
		never(t, d, "a dialog", func() bool { return readDialog(b).Open })
	}
	b.Click(".who button")
	waitForUser(t, b, "")
	silent(onItsWay)
	before := len(events(b, "sent"))
	webdriver.Script[any](b, "history.back()")
	silent(exampleIdle/2 + time.Second) // longer than between two pings
	waitForUser(t, b, "")
	require.Len(t, events(b, "sent"), before, "nobody is signed in")

	signIn(t, b)
	pinged()
	pinged()
	require.False(t, readDialog(b).Open)
	require.True(t, webdriver.Script[bool](b, "return first === keepalive"), "the script has begun anew")
}

// A form that was open while its token changed is accepted.
func testCSRF(t *testing.T, b *webdriver.Browser) {
	address := startExample(t, "csrf")
	b.Navigate(address)
	signIn(t, b)
	b.Click(`nav a[href="/note"]`)
	waitForPage(t, b, "Note")
	requireAccessible(t, b)
	b.SendKeys("textarea", "It was")
	token := func() string {
		return webdriver.Script[string](b, "return document.querySelector('main input[type=hidden]').value")
	}
	first := b.Window()
	second := b.NewWindow("tab")
	b.SwitchTo(second)
	b.Navigate(address + "/sign-in")
	b.SendKeys("#name", "Ann")
	b.Press(webdriver.Enter)
	waitForPage(t, b, "Home")

	b.SwitchTo(first)
	old := token() // each ping brings another, as they are masked
	eventually(t, "a new token", func() bool { return token() != old })
	b.Click("main button")
	eventually(t, "what was saved", func() bool {
		return webdriver.Script[bool](b, "return document.querySelector('textarea')?.defaultValue === 'It was'")
	})
	waitForUser(t, b, "Ann")
}

// requireAccessible checks the current page by axe, light and dark.
func requireAccessible(t *testing.T, b *webdriver.Browser) {
	t.Helper()
	webdriver.Script[any](b, string(npm.File(t, npm.Axe, npm.AxeVersion, npm.AxePath, npm.AxeIntegrity)))
	for _, scheme := range []string{"light", "dark"} {
		webdriver.Script[any](b, `
			window.darkRules ??= [...document.styleSheets].flatMap(sheet => [...sheet.cssRules])
				.filter(rule => rule.media?.mediaText === '(prefers-color-scheme: dark)');
			for (const rule of darkRules) rule.media.mediaText = arguments[0] === 'dark' ? 'all' : 'not all';
			document.documentElement.style.colorScheme = arguments[0]`, scheme)
		require.Empty(t, webdriver.AsyncScript[[]string](b, runAxe), scheme)
	}
}

// The demo shows a form with keepalive beside one without it. A browser that stands still for some seconds can lose both
// sessions, and then signs in again.
func testDemo(t *testing.T, b *webdriver.Browser) {
	address := startExample(t, "demo")
	shows := func(text string) bool {
		return webdriver.Script[bool](b, "return document.querySelector('main')?.innerText.includes(arguments[0]) ?? false", text)
	}
	eventually(t, "the session with keepalive outlives the other", func() bool {
		enterDemo(t, b, address)
		b.SendKeys("#story", "It was")
		requireAccessible(t, b)
		eventually(t, "the end of the session without keepalive", func() bool { return shows("Signed out after") })
		time.Sleep(exampleIdle / 2)
		if title := readDialog(b).Title; title != "" {
			t.Log("a dialog of the session with keepalive:", title)
			return false
		}
		require.Empty(t, webdriver.Script[string](b, "return document.getElementById('silent').textContent"))
		webdriver.Script[any](b, "setTimeout(() => document.querySelector('#claim button').click(), 100)")
		eventually(t, "the answer to the claim", func() bool {
			return shows("Your claim of 2 words has arrived") || shows("Your claim of 2 words has not been saved")
		})
		return shows("Your claim of 2 words has arrived")
	})
}

func enterDemo(t *testing.T, b *webdriver.Browser, address string) {
	t.Helper()
	b.Navigate(address)
	requireAccessible(t, b)
	b.SendKeys("input[name=name]", "Ann")
	b.Press(webdriver.Enter)
	eventually(t, "the charts", func() bool {
		return webdriver.Script[bool](b, "return document.querySelectorAll('.lane svg .left').length === 2")
	})
}

// What happened while the page was hidden is drawn from the server's record, and nothing else is drawn before.
func testDemoHidden(t *testing.T, b *webdriver.Browser) {
	address := startExample(t, "demo", "-idle", "16s", "-lifetime", "40s")
	enterDemo(t, b, address)
	webdriver.Script[any](b, `
		window.reasons = new Set();
		const reason = document.querySelector('.lane.with [data-fact=why]');
		new MutationObserver(() => reasons.add(reason.textContent)).observe(reason, { childList: true })`)
	page, other := b.Window(), b.NewWindow("tab")
	hide(b, other)
	b.Navigate(address + "/none") // extends no session
	eventually(t, "the end of both sessions", func() bool {
		return webdriver.AsyncScript[bool](b, `
			Promise.all(['/with', '/without'].map(side => fetch(side + '/keepalive/ping')))
				.then(responses => arguments[0](responses.every(response => response.status === 401)))`)
	})
	record := webdriver.AsyncScript[struct {
		With struct {
			Deadline int64
			Marks    []struct {
				Kind   string
				Expiry int64
			}
		}
	}](b, "fetch('/timeline').then(response => response.json()).then(arguments[0])").With
	pings := 0
	for _, m := range record.Marks {
		if m.Kind == "ping" {
			pings++
		}
	}
	reason := ": nobody stays signed in for longer."
	if record.Marks[len(record.Marks)-1].Expiry < record.Deadline-10 { // the browser was too slow
		reason = ": the server had heard nothing for too long."
	}

	show(t, b, page)
	eventually(t, "the end is drawn", func() bool {
		return webdriver.Script[int](b, "return document.querySelectorAll('.lane svg .end').length") == 2
	})
	require.Equal(t, pings, webdriver.Script[int](b, "return document.querySelectorAll('.lane.with .ping').length"))
	require.Equal(t, []string{reason}, webdriver.Script[[]string](b, "return [...reasons]"))
}

// The charts stay in sight while the form scrolls below them.
func testDemoOnPhone(t *testing.T, b *webdriver.Browser) {
	address := startExample(t, "demo", "-idle", "1m") // no dialog may come
	onPhone(t, b)
	enterDemo(t, b, address)
	requireAccessible(t, b)
	b.SendKeys("#story", "It was")
	webdriver.Script[any](b, "document.querySelector('#claim button').focus()")
	eventually(t, "the charts are above the form", func() bool {
		return webdriver.Script[bool](b, `
			const charts = document.querySelector('.lanes').getBoundingClientRect();
			const button = document.activeElement.getBoundingClientRect();
			return scrollY > charts.height && charts.top === 0 && charts.bottom <= button.top && button.bottom <= innerHeight`)
	})
	require.Equal(t, 2, webdriver.Script[int](b, `
		return [...document.querySelectorAll('.lane svg')].filter(svg => {
			const { left, top, width, height } = svg.getBoundingClientRect();
			return svg.contains(document.elementFromPoint(left + width / 2, top + height / 2));
		}).length`), "nothing covers the charts")
}

// onPhone goes on in a window as wide as a phone's.
func onPhone(t *testing.T, b *webdriver.Browser) {
	t.Helper()
	openPopup(t, b)
	eventually(t, "the window has its size", func() bool {
		return webdriver.Script[bool](b, `
			if (innerWidth === 390 && innerHeight === 500) return true;
			resizeBy(390 - innerWidth, 500 - innerHeight);
			return false`)
	})
}

// The plots change in place, and their texts can be read on a phone.
func testWarmup(t *testing.T, b *webdriver.Browser) {
	address := startExample(t, "warmup", "-visit", "1s", "-drop", "5s")
	onPhone(t, b)
	b.Navigate(address)
	requireAccessible(t, b)
	webdriver.Script[any](b, "window.first = document.querySelector('main')")
	eventually(t, "a visitor who waited", func() bool {
		return webdriver.Script[bool](b, "return document.querySelectorAll('.without .plot .slow').length > 1")
	})
	require.True(t, webdriver.Script[bool](b, "return window.first === document.querySelector('main')"), "it was reloaded")
	requireAccessible(t, b)
	require.Empty(t, webdriver.Script[[]string](b, `
		const texts = [...document.querySelectorAll('.plot text, .plot li')];
		const boxes = texts.map(e => e.getBoundingClientRect());
		return texts.filter((e, i) => boxes[i].height < 12 || boxes[i].left < 0 || boxes[i].right > innerWidth ||
			boxes.some((box, j) => j !== i && box.left < boxes[i].right && boxes[i].left < box.right &&
				box.top < boxes[i].bottom && boxes[i].top < box.bottom)).map(e => e.textContent)`), "too small, outside or covered")
}
