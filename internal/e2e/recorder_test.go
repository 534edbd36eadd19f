package e2e_test

import (
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

const (
	// near allows for the moment between two readings of a clock.
	near = 300 * time.Millisecond
	// onItsWay is how long a ping may take from the decision to ask until it is sent.
	onItsWay = 3 * time.Second
)

// recorder keeps what happens to the page, for the test to ask: events, input by the user ("input") and what the page
// sends to the ping endpoint ("sent"). With window.onlyInput, nothing else in the page gets other events of input. The page's own clock says when, so that no delay on the way to the server or to the
// test counts. The end of the session is also recorded in localStorage, where other tabs can read it.
const recorder = webdriver.Recorder + `
window.recorded = [];
const record = (name, more) => recorded.push({ name, at: Date.now(), hidden: document.hidden, ...more });
for (const name of ['keepalive:ping', 'keepalive:warning', 'keepalive:expired', 'keepalive:resumed', 'keepalive:logout',
	'keepalive:user', 'pageshow', 'visibilitychange'])
	addEventListener(name, event => record(name, { persisted: !!event.persisted, detail: event.detail }));
for (const name of ['pointerdown', 'pointermove', 'touchmove', 'click', 'keydown', 'wheel', 'beforeinput', 'input', 'compositionupdate'])
	addEventListener(name, event => {
		if (window.onlyInput && onlyInput !== name) event.stopImmediatePropagation();
		else if (event.isTrusted) record('input');
	}, true);
addEventListener('keepalive:expired', () => {
	try {
		localStorage['expired ' + location.pathname] = document.visibilityState;
	} catch {} // refused
});
let beat = Date.now();
setInterval(() => {
	const late = Date.now() - beat - 1000;
	if (late > 100) record('stall', { late });
	beat = Date.now();
}, 1000);
const send = window.fetch;
window.fetch = (url, options) => {
	if (String(url).endsWith('/keepalive/ping')) record('sent', { method: options.method, body: options.body || '' });
	return send(url, options);
};
`

// event is what recorder keeps.
type event struct {
	Name      string
	At        int64 // ms since 1970
	Hidden    bool
	Persisted bool
	Detail    struct {
		Reason string
		IdleMs float64
		Data   any
	}
	Method, Body string // of what was sent
	Late         int64  // ms that a timer came late ("stall")
}

func (e event) time() time.Time { return time.UnixMilli(e.At) }

// events returns the current page's events of a name.
func events(b *webdriver.Browser, name string) []event {
	return webdriver.Script[[]event](b, "return (window.recorded ?? []).filter(event => event.name === arguments[0])", name)
}

// waitForEvent waits for the current page's nth event of a name and returns it.
func waitForEvent(t *testing.T, b *webdriver.Browser, name string, n int) event {
	t.Helper()
	eventually(t, name, func() bool { return len(events(b, name)) >= n })
	return events(b, name)[n-1]
}

// stay calls keepalive.stay() in the current page and waits for its answer, not for that of a question before it. Then no
// question is on its way, and none is wanted.
func stay(t *testing.T, b *webdriver.Browser) {
	t.Helper()
	before := webdriver.Script[int](b, "keepalive.stay(); return recorded.filter(({ method }) => method === 'POST').length")
	eventually(t, "the answer to stay()", func() bool {
		return webdriver.Script[bool](b, `
			const questions = recorded.filter(({ name }) => name === 'sent' || name === 'keepalive:ping');
			return questions.at(-1)?.name === 'keepalive:ping' && questions.filter(({ method }) => method === 'POST').length > arguments[0]`, before)
	})
}

// waitForExpired waits for keepalive:expired in the current page and returns it. It must come once only.
func waitForExpired(t *testing.T, b *webdriver.Browser) event {
	t.Helper()
	e := waitForEvent(t, b, "keepalive:expired", 1)
	require.Len(t, events(b, "keepalive:expired"), 1)
	return e
}

// waitForExpiredBehind waits for keepalive:expired in a page of the same app in a tab behind the current one. The page must
// have been hidden then. The test can't switch to the tab to see that, as that would make it visible.
func waitForExpiredBehind(t *testing.T, b *webdriver.Browser, path string) {
	t.Helper()
	var visibility string
	eventually(t, "keepalive:expired in the tab behind", func() bool {
		visibility = webdriver.Script[string](b, "return localStorage['expired ' + arguments[0]] ?? ''", path)
		return visibility != ""
	})
	require.Equal(t, "hidden", visibility)
}

// sentPosts are the pings by which the current page tried to extend the session.
func sentPosts(b *webdriver.Browser) (posts []event) {
	for _, e := range events(b, "sent") {
		if e.Method == "POST" {
			posts = append(posts, e)
		}
	}
	return posts
}
