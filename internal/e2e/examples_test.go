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
	"github.com/stretchr/testify/require"
)

const (
	examples    = "../../examples"
	exampleIdle = 6 * time.Second
)

// libraries are what the examples load from a CDN.
var libraries = []struct{ example, pkg, version, path, integrity string }{
	{"turbo", npm.Turbo, npm.TurboVersion, npm.TurboPath, npm.TurboIntegrity},
	{"htmx", npm.HTMX, npm.HTMXVersion, npm.HTMXPath, npm.HTMXIntegrity},
}

// What is tested here is what the examples name.
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

// start builds and runs an example, and returns its address.
func start(t *testing.T, example string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), example)
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join(examples, example) // which may be a module of its own
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

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
	require.NoError(t, run.Start())
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait() // it was killed
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSuffix(strings.Fields(line)[1], ":") // Open http://…
}

// page waits for a page of an example, and for its library to have finished with it.
func page(t *testing.T, b *webdriver.Browser, title string) {
	t.Helper()
	within(t, 3*slack, "the page "+title, func() bool {
		return webdriver.Script[bool](b, `
			const busy = '[data-turbo-preview], [aria-busy=true], .htmx-request, .htmx-swapping, .htmx-settling';
			return !document.querySelector(busy) &&
				[...document.querySelectorAll('h1')].some(h => h.textContent === arguments[0] && h.checkVisibility())`, title)
	})
}

// user waits until a page says that somebody is signed in, or nobody.
func user(t *testing.T, b *webdriver.Browser, name string) {
	t.Helper()
	within(t, 3*slack, "the user is "+name, func() bool {
		return webdriver.Script[bool](b, "return (document.querySelector('#user')?.textContent ?? '') === arguments[0]", name)
	})
}

func signIn(t *testing.T, b *webdriver.Browser) {
	t.Helper()
	b.Click(`header a[href$="sign-in"]`)
	page(t, b, "Sign in")
	webdriver.Script[any](b, "document.querySelector('#name').value = ''") // a single-page app keeps the name
	b.SendKeys("#name", "Ann")
	b.Press(webdriver.Enter)
	user(t, b, "Ann")
}

func testTurbo(t *testing.T, b *webdriver.Browser) { testSoftNavigation(t, b, "turbo") }
func testHTMX(t *testing.T, b *webdriver.Browser)  { testSoftNavigation(t, b, "htmx") }
func testSPA(t *testing.T, b *webdriver.Browser)   { testSoftNavigation(t, b, "spa") }

// The window is loaded once: what was recorded would be gone after a second time.
func testSoftNavigation(t *testing.T, b *webdriver.Browser, example string) {
	b.Navigate(start(t, example))
	page(t, b, "Home")
	webdriver.Script[any](b, recorder+"window.first = keepalive")
	visit := func(title string) {
		t.Helper()
		b.Click(`nav a[href$="` + strings.ToLower(title) + `"]`)
		page(t, b, title)
	}
	pinged := func() {
		t.Helper()
		before := len(events(b, "keepalive:ping"))
		within(t, exampleIdle+slack, "keepalive:ping", func() bool { return len(events(b, "keepalive:ping")) > before })
	}
	requests := func() int {
		return webdriver.Script[int](b, "return performance.getEntriesByType('resource').filter(e => e.name.endsWith('/keepalive/ping')).length")
	}
	oneScript := func() {
		t.Helper()
		require.True(t, webdriver.Script[bool](b, "return first === keepalive"), "the script has begun anew")
		require.Empty(t, events(b, "keepalive:expired"))
	}

	require.Zero(t, requests(), "nobody is signed in")
	signIn(t, b)
	pinged()
	for _, title := range []string{"About", "Note", "About", "Note", "About", "Note"} {
		visit(title)
	}
	before := requests()
	b.SendKeys("textarea", "It was")
	time.Sleep(2*exampleIdle + slack)
	count := requests() - before
	t.Logf("%d pings in %v", count, 2*exampleIdle+slack)
	require.GreaterOrEqual(t, count, 2)
	require.LessOrEqual(t, count, 7, "more than one page makes")
	oneScript()

	// The server knows the session still.
	webdriver.Script[any](b, "document.querySelector('textarea').old = true")
	b.Click("main form:has(textarea) button")
	within(t, 3*slack, "saved", func() bool {
		return webdriver.Script[bool](b, `
			return document.querySelector('#message')?.textContent === 'Saved.' || !document.querySelector('textarea')?.old`)
	})
	page(t, b, "Note")
	visit("About")
	webdriver.Script[any](b, "history.back()")
	page(t, b, "Note")
	within(t, 3*slack, "what was saved", func() bool {
		return webdriver.Script[string](b, "return document.querySelector('textarea').value") == "It was"
	})
	webdriver.Script[any](b, "history.forward()")
	page(t, b, "About")
	pinged()
	oneScript()

	// Whoever signs out here knows that.
	silent := func(d time.Duration) {
		t.Helper()
		for began := time.Now(); time.Since(began) < d; time.Sleep(100 * time.Millisecond) {
			require.False(t, shown(b).Open, "%+v", shown(b))
		}
	}
	b.Click(".who button")
	user(t, b, "")
	silent(slack)
	before = requests()
	webdriver.Script[any](b, "history.back()")
	silent(exampleIdle)
	user(t, b, "")
	require.Equal(t, before, requests(), "nobody is signed in")

	signIn(t, b)
	pinged()
	pinged()
	require.False(t, shown(b).Open)
	require.True(t, webdriver.Script[bool](b, "return first === keepalive"), "the script has begun anew")
}

// A form that was open while its token changed is accepted.
func testCSRF(t *testing.T, b *webdriver.Browser) {
	address := start(t, "csrf")
	b.Navigate(address)
	signIn(t, b)
	b.Click(`nav a[href="/note"]`)
	page(t, b, "Note")
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
	page(t, b, "Home")

	b.SwitchTo(first)
	old := token()
	within(t, exampleIdle+slack, "a new token", func() bool { return token() != old })
	b.Click("main button")
	within(t, 3*slack, "what was saved", func() bool {
		return webdriver.Script[bool](b, "return document.querySelector('textarea')?.defaultValue === 'It was'")
	})
	user(t, b, "Ann")
}

// The first thing that one sees of this project.
func testDemo(t *testing.T, b *webdriver.Browser) {
	b.Navigate(start(t, "demo"))
	b.SendKeys("input[name=name]", "Ann")
	b.Press(webdriver.Enter)
	within(t, slack, "the form", func() bool { return strings.HasSuffix(b.URL(), "/with/") })
	b.SendKeys("#story", "It was")
	shows := func(text string) bool {
		return webdriver.Script[bool](b, "return document.querySelector('main').innerText.includes(arguments[0])", text)
	}
	within(t, exampleIdle+2*slack, "the end of the session without keepalive", func() bool { return shows("Ended after") })
	time.Sleep(exampleIdle)
	require.Empty(t, webdriver.Script[string](b, "return document.getElementById('silent').textContent"))
	require.False(t, shown(b).Open)
	webdriver.Script[any](b, "setTimeout(() => document.querySelector('#claim button').click(), 100)")
	within(t, 2*slack, "the claim has arrived", func() bool { return shows("Your claim of 2 words has arrived") })
}
