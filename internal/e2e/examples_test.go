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

// startExample builds and runs an example, and returns its address.
func startExample(t *testing.T, example string) string {
	t.Helper()
	folder := watchdog.New(t)
	program := filepath.Join(folder.Path, example)
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join(examples, example) // which may be a module of its own
	build.Stdout, build.Stderr = t.Output(), t.Output()
	require.NoError(t, folder.Run(build))

	args := []string{"-addr", "localhost:0", "-idle", exampleIdle.String()}
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
	posts := sentPosts(b)
	for i, p := range posts[1:] {
		require.Greater(t, p.time().Sub(posts[i].time()), exampleIdle*45/100-near, "more than one page sends")
	}
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

// The demo shows a form with keepalive beside one without it.
func testDemo(t *testing.T, b *webdriver.Browser) {
	b.Navigate(startExample(t, "demo"))
	b.SendKeys("input[name=name]", "Ann")
	b.Press(webdriver.Enter)
	eventually(t, "the form", func() bool { return strings.HasSuffix(b.URL(), "/with/") })
	b.SendKeys("#story", "It was")
	shows := func(text string) bool {
		return webdriver.Script[bool](b, "return document.querySelector('main')?.innerText.includes(arguments[0]) ?? false", text)
	}
	eventually(t, "the end of the session without keepalive", func() bool { return shows("Ended after") })
	time.Sleep(exampleIdle / 2)
	require.Empty(t, webdriver.Script[string](b, "return document.getElementById('silent').textContent"))
	require.False(t, readDialog(b).Open)
	webdriver.Script[any](b, "setTimeout(() => document.querySelector('#claim button').click(), 100)")
	eventually(t, "the claim has arrived", func() bool { return shows("Your claim of 2 words has arrived") })
}
