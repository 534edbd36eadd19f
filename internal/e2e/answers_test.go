package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

func TestAnswers(t *testing.T) {
	runInBrowsers(t, []browserTest{
		{name: "strangers", run: testStrangers},
		{name: "focus after failures", run: testFocusAfterFailures},
		{name: "slow server", run: testSlowServer},
		{name: "comeback", run: testComeback},
		{name: "worker's cache", run: testWorkersCache},
		{name: "another user", run: testAnotherUser},
		{name: "guest", run: testGuest},
		{name: "server restart", run: testRestart},
		{name: "clock jumps", run: testClockJumps},
	})
}

// strangers are what may answer pings in front of the app. None of them knows anything of the session.
var strangers = []struct {
	name    string
	status  int
	header  http.Header
	body    string
	console string // what the page says of it, once
}{
	{name: "redirect to sign in", status: http.StatusFound, header: http.Header{"Location": {"/recorder.js"}}, console: "a redirect"},
	{name: "captive portal", status: http.StatusOK, body: "<!doctype html><title>Welcome to our Wi-Fi</title>", console: "200"},
	{name: "another app's JSON", status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: `{"gone":true}`, console: "200"},
	{name: "401", status: http.StatusUnauthorized, header: http.Header{"Content-Type": {"application/json"}}, body: `{"gone":true}`, console: "401"},
	{name: "403", status: http.StatusForbidden, console: "403"},
	{name: "404", status: http.StatusNotFound, console: "404"},
	{name: "400", status: http.StatusBadRequest, console: "400"},
	{name: "maintenance", status: http.StatusServiceUnavailable, header: http.Header{"Retry-After": {"1"}}, body: "<!doctype html><title>Back soon</title>"},
}

// answerPings answers pings in front of the app.
func (a *app) answerPings(status int, header http.Header, body string) {
	a.setFront(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func (a *app) setFront(f front) { a.front.Store(&f) }

// linesOfOurs returns what the script has written to the current page's console.
func linesOfOurs(b *webdriver.Browser) []string {
	return webdriver.Script[[]string](b, "return recordedConsole.filter((line) => line.includes('keepalive'))")
}

// Each answer meets an app of its own, in tabs that wait at the same time.
func testStrangers(t *testing.T, b *webdriver.Browser) {
	apps, tokens, tabs := make([]*app, len(strangers)), make([]string, len(strangers)), []string{b.Window()}
	for i, s := range strangers {
		apps[i] = newApp(t, shortIdle, time.Hour)
		apps[i].lasts = true
		if i > 0 {
			tabs = append(tabs, b.NewWindow("tab"))
			b.SwitchTo(tabs[i])
		}
		tokens[i] = apps[i].login(t, b)
		apps[i].answerPings(s.status, s.header, s.body)
	}
	began := time.Now()
	for i, a := range apps {
		eventually(t, "pings go on beside "+strangers[i].name, func() bool { return len(a.pings(began)) >= 3 })
	}
	gone := time.Now()
	for i, a := range apps {
		a.front.Store(nil)
		eventually(t, "the app hears pings after "+strangers[i].name, func() bool {
			pings := a.pings(gone)
			return len(pings) > 0 && pings[len(pings)-1].status == http.StatusOK
		})
		require.True(t, a.alive(t, tokens[i]))
	}
	for i, s := range strangers {
		b.SwitchTo(tabs[i])
		waitForEvent(t, b, "keepalive:ping", 1)
		require.Empty(t, events(b, "keepalive:expired"), s.name)
		require.Empty(t, readOurDialog(b).Title, s.name)
		lines := linesOfOurs(b)
		if s.console == "" {
			require.Empty(t, lines, s.name)
			continue
		}
		require.Len(t, lines, 1, s.name)
		require.Contains(t, lines[0], s.console)
		require.Contains(t, lines[0], "proxy")
	}

	// The app itself is believed.
	b.SwitchTo(tabs[0])
	require.NoError(t, apps[0].sm.Store.Delete(tokens[0]))
	waitForExpired(t, b)
}

// A page that waits after failures asks at once when somebody comes back.
func testFocusAfterFailures(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, longIdle, time.Hour)
	a.prelude = "Math.random = () => 0.99" // so that pauses between attempts are long
	a.login(t, b)
	a.answerPings(http.StatusForbidden, nil, "")
	webdriver.Script[any](b, "keepalive.stay()")
	eventually(t, "two attempts", func() bool { return len(sentPosts(b)) >= 2 })
	require.True(t, webdriver.AsyncScript[bool](b, `
		const done = arguments[0];
		const wait = () => {
			const { failing, ask, until } = keepalive.state;
			const record = Object.entries(localStorage).find(([key]) => key.startsWith('keepalive:'))[1];
			if (failing && !ask && until > Date.now() + 2000 && !JSON.parse(record).claim) { // no attempt is on its way
				dispatchEvent(new Event('focus'));
				done(keepalive.state.ask === 'POST' || keepalive.state.until < until);
			} else {
				setTimeout(wait, 10);
			}
		};
		wait();`), "it waits as long as before")
	a.front.Store(nil)
	waitForEvent(t, b, "keepalive:ping", 1)
}

// slowness is longer than the shortest time that pages wait for an answer.
const slowness = 12 * time.Second

func testSlowServer(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, 2*time.Minute, time.Hour)
	a.login(t, b)
	stay(t, b)
	answers := len(events(b, "keepalive:ping"))
	a.setFront(func(w http.ResponseWriter, r *http.Request, app http.Handler) {
		time.Sleep(slowness)
		app.ServeHTTP(w, r)
	})
	sent := time.Now()
	webdriver.Script[any](b, "keepalive.stay()")
	waitForEvent(t, b, "keepalive:ping", answers+1)
	require.Greater(t, time.Since(sent), slowness)
	require.Len(t, a.pings(sent), 1)
}

// Pages do unusual things to what the script uses.
func testUnusualPages(t *testing.T, b *webdriver.Browser) {
	const taken = "window.keepalive is taken"
	for _, test := range []struct {
		name, head, afterLoad string
		console               string
	}{
		{
			name:      "fetch that goes to sign in",
			afterLoad: "window.fetch = () => { location.href = '/recorder.js'; return new Promise(() => {}); }",
		},
		{name: "keepalive that is a constant of the app", head: "<script>Object.defineProperty(window, 'keepalive', { value: 1 })</script>", console: taken},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := b.For(t)
			a := newApp(t, longIdle, time.Hour)
			a.html = map[string]string{"": strings.Replace(pageHTML, "</head>", test.head+"</head>", 1)}
			token := a.login(t, b)
			webdriver.Script[any](b, test.afterLoad)
			webdriver.Script[any](b, "document.dispatchEvent(new Event('keepalive:check'))")
			waitForEvent(t, b, "keepalive:ping", 1)
			require.NoError(t, a.sm.Store.Delete(token))
			webdriver.Script[any](b, "document.dispatchEvent(new Event('keepalive:check'))")
			waitForExpired(t, b)
			if lines := linesOfOurs(b); test.console != "" {
				require.Len(t, lines, 1)
				require.Contains(t, lines[0], test.console)
			} else {
				require.Empty(t, lines)
			}
		})
	}
}

// framesHTML keeps the messages of its frames.
const framesHTML = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Frames</title></head><body>
<script>window.lines = []; onmessage = ({ data }) => lines.push(data);</script>
%s</body></html>`

// A frame in a sandbox has another origin than its own scripts, which browsers do not run then (Fetch standard, section 3.8).
func testSandbox(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, shortIdle, time.Hour, func(c *keepalive.Config) {
		c.Skip = func(r *http.Request) bool { return r.URL.Query().Has("outer") }
	})
	a.login(t, b)
	frame := strings.Replace(pageHTML, "</head>", `<script>
		for (const level of ['log', 'warn', 'error']) console[level] = (...args) => parent.postMessage(args.join(' '), '*');
		addEventListener('error', ({ message }) => parent.postMessage(message, '*'));
		addEventListener('unhandledrejection', ({ reason }) => parent.postMessage(String(reason), '*'));
		parent.postMessage('tags: ' + document.querySelectorAll('script[src^="/keepalive/"]').length, '*');
		addEventListener('load', () => setTimeout(() => parent.postMessage(typeof keepalive, '*'), 1000));
	</script></head>`, 1)
	a.html = map[string]string{
		"outer": fmt.Sprintf(framesHTML, `<iframe sandbox="allow-scripts" src="/page?inner"></iframe>`),
		"inner": strings.Replace(frame, `<script src="/recorder.js" nonce="`+nonce+`"></script>`, "", 1),
	}
	since := time.Now()
	b.Console()
	b.Navigate(a.URL + "/page?outer")
	var lines []string
	eventually(t, "the frame", func() bool {
		lines = webdriver.Script[[]string](b, "return lines")
		return len(lines) > 1
	})
	require.Equal(t, []string{"tags: 1", "undefined"}, lines)
	for _, p := range a.pings(since) { // one of the page before may have been on its way
		require.NotEqual(t, "null", p.header.Get("Origin"), "the frame pings")
	}
	if b.Engine == webdriver.Chromium {
		require.Empty(t, b.Console())
	}
}

// A document that is written in an attribute has the origin and the cookies of the page around it.
func testSrcdoc(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, shortIdle, time.Hour)
	a.lasts = true
	token := a.login(t, b)
	b.Navigate(a.URL + "/page")
	webdriver.Script[any](b, `
		const frame = document.createElement('iframe');
		frame.srcdoc = '<!doctype html><script src="/keepalive/keepalive.js" defer data-idle="6000"><\/script>';
		document.body.append(frame);`)
	since := time.Now()
	a.waitForPosts(t, token, since, 2)
	require.Equal(t, "object", webdriver.Script[string](b, "return typeof frames[0].keepalive"))
	require.True(t, webdriver.Script[bool](b, "return keepalive.state.end === frames[0].keepalive.state.end"), "each asks for itself")
	require.Empty(t, linesOfOurs(b))
}
