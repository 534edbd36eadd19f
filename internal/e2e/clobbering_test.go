package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

func TestPages(t *testing.T) {
	runInBrowsers(t, []browserTest{
		{name: "clobbering", run: testClobbering},
		{name: "unusual pages", run: testUnusualPages},
		{name: "sandbox", run: testSandbox},
		{name: "srcdoc", run: testSrcdoc},
		{name: "missing APIs", run: testMissingAPIs},
		{name: "hooks", run: testHooks},
		{name: "written anew", run: testWrittenAnew},
		{name: "prerendered page", run: testPrerender, engines: []webdriver.Engine{webdriver.Chromium}},
	})
}

// shortIdle is the idle timeout of pages whose sessions last longer (see app.lasts), so that pings come often.
const shortIdle = 6 * time.Second

var (
	comment  = regexp.MustCompile(`(?m)^\s*(//|/?\*).*$`)
	word     = regexp.MustCompile(`\b[A-Za-z]\w+\b`)
	property = regexp.MustCompile(`\.([A-Za-z]\w+)`)
	root     = regexp.MustCompile(`\b(?:page|functions|document|window)\??\.([A-Za-z]\w+)`)
)

// sourceWords returns what a pattern finds in the modules of the script, each once. So what a module reads from now on is
// tested too.
func sourceWords(t *testing.T, pattern *regexp.Regexp) (words []string) {
	t.Helper()
	files, err := filepath.Glob("../../client/src/*.js")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range pattern.FindAllStringSubmatch(comment.ReplaceAllString(string(source), ""), -1) {
			words = append(words, match[len(match)-1])
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// each writes some HTML for each name, in which NAME stands for that.
func each(names []string, html string) string {
	var text strings.Builder
	for _, name := range names {
		text.WriteString(strings.ReplaceAll(html, "NAME", name))
	}
	return text.String()
}

// A site that shows its users' HTML without scripts shows what they give a name to. Elements hide properties of the
// document, and those of the window that an engine lacks (HTML standard, sections 3.1.7 and 7.2.2.3).
func testClobbering(t *testing.T, b *webdriver.Browser) {
	elsewhere := startElsewhere(t)
	words := sourceWords(t, word)
	require.Contains(t, words, "currentScript")
	a := newApp(t, time.Hour, time.Hour)
	b.Navigate(a.URL + "/page")
	// Frames are slow, and hide nothing else.
	ofDocument := webdriver.Script[[]string](b, "return arguments[0].filter((word) => word in document || !(word in window))", sourceWords(t, root))
	require.Contains(t, ofDocument, "hidden")
	first, second := b.Window(), b.NewWindow("window")

	isOfDocument := func(word string) bool { return slices.Contains(ofDocument, word) }
	fields := each(sourceWords(t, property), `<input name="NAME">`)
	for _, test := range []struct{ name, html string }{
		{"images and base", `<base href="` + elsewhere.URL + `/keepalive/" target="_blank">` +
			each(words, `<img name="NAME" alt="">`) + `<img name="currentScript" src="` + elsewhere.URL + `/picture" alt="">`},
		{"forms", `<form tabindex="0" autofocus>` + fields + `</form>` + each(ofDocument, `<form name="NAME">`+fields+`</form>`) +
			each(slices.DeleteFunc(slices.Clone(words), isOfDocument), `<form name="NAME"></form>`)},
		{"frames and anchors", each(ofDocument, `<iframe name="NAME"></iframe>`) +
			each(slices.DeleteFunc(slices.Clone(words), isOfDocument), `<a id="NAME" name="NAME" href="`+elsewhere.URL+`/NAME"></a>`)},
		{"two of a name", each(words, `<a id="NAME"></a><img name="NAME" alt=""><img name="NAME" alt="">`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := b.For(t)
			b.SwitchTo(second) // which loses its content meanwhile
			blank, token := openClobbered(t, b, test.html, keepalive.BlankPage)
			blank.end(t, b, token)

			b.SwitchTo(first)
			since := time.Now()
			kept, token := openClobbered(t, b, test.html, keepalive.KeepPage)
			kept.waitForPosts(t, token, since, 1)
			eventually(t, "presence", func() bool { return len(kept.requests("/keepalive/here", since)) > 0 })
			kept.end(t, b, token)
			require.Equal(t, ourDialog{"You have been signed out", []string{kept.URL + "/login"}, false}, waitForOurDialog(t, b))

			b.SwitchTo(second)
			require.Equal(t, ourDialog{"You have been signed out", []string{blank.URL + "/login"}, true}, waitForOurDialog(t, b))
			require.Empty(t, elsewhere.requests())
		})
	}
}

// openClobbered opens a page whose session lasts.
func openClobbered(t *testing.T, b *webdriver.Browser, html string, after keepalive.AfterEnd) (a *app, token string) {
	a = newApp(t, shortIdle, time.Hour, func(c *keepalive.Config) {
		c.Mode, c.AfterEnd, c.LoginURL, c.Presence = keepalive.PageVisible, after, "/login", keepalive.PresencePath
		c.MaxUnattended = time.Hour // so that it listens to input
	})
	a.lasts = true
	a.html = map[string]string{"clobbered": `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Users</title></head><body>` + html}
	token = a.login(t, b) // in a page in which the drivers read what they need
	b.Navigate(a.URL + "/page?clobbered")
	return a, token
}

// end ends the current page's session, and lets the page know.
func (a *app) end(t *testing.T, b *webdriver.Browser, token string) {
	t.Helper()
	require.NoError(t, a.sm.Store.Delete(token))
	webdriver.Script[any](b, "keepalive.look()")
}

// ourDialog is an open dialog, as read in a page whose elements hide properties of the document.
type ourDialog struct {
	Title     string
	Addresses []string // where its links and forms lead
	Blank     bool     // the page has no body
}

// readOurDialog returns a title when a dialog is open.
func readOurDialog(b *webdriver.Browser) ourDialog {
	return webdriver.Script[ourDialog](b, `
		const find = (selector) => Document.prototype.querySelector.call(document, selector);
		const dialog = find('keepalive-dialog')?.shadowRoot.querySelector('dialog[open]');
		return {
			title: dialog?.querySelector('[part=title]').textContent ?? '',
			addresses: [...dialog?.querySelectorAll('a, form') ?? []].map((element) => element.href ?? element.action),
			blank: !find('body'),
		}`)
}

func waitForOurDialog(t *testing.T, b *webdriver.Browser) (d ourDialog) {
	t.Helper()
	eventually(t, "a dialog", func() bool {
		d = readOurDialog(b)
		return d.Title != ""
	})
	return d
}

// elsewhere is another origin, which no request of the script may reach.
type elsewhere struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func startElsewhere(t *testing.T) *elsewhere {
	e := &elsewhere{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/picture" || r.URL.Path == "/favicon.ico" { // which belong to the page
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.seen = append(e.seen, r.Method+" "+r.URL.Path)
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *elsewhere) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.seen)
}
