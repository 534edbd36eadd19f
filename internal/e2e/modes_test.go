package e2e_test

import (
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// activeIdle leaves about four seconds between pings.
const activeIdle = 8 * time.Second

// pace is the time between two inputs of somebody who is there.
const pace = 2 * time.Second

// TestModes runs beside TestBrowsers, in browsers of its own, as both mostly wait. Browsers start
// before their test becomes parallel, so one after another.
func TestModes(t *testing.T) {
	for _, engine := range webdriver.Engines {
		t.Run(string(engine), func(t *testing.T) {
			b := webdriver.Start(t, engine)
			t.Parallel()
			for _, test := range []struct {
				name string
				run  func(t *testing.T, b *webdriver.Browser)
			}{
				{"nobody active", testNobodyActive},
				{"user active", testUserActive},
				{"input elsewhere", testInputElsewhere},
				{"page visible", testPageVisible},
				{"unattended", testUnattended},
				{"no script", testNoScript},
				{"ten tabs", testTenTabs},
				{"killed tabs", testKilledTabs},
			} {
				t.Run(test.name, func(t *testing.T) { test.run(t, fresh(t, b)) })
			}
		})
	}
	t.Parallel()
}

func userActive(c *keepalive.Config) { c.Mode = keepalive.UserActive }

// ends waits until a session ends and returns when that was.
func (a *app) ends(t *testing.T, token string, d time.Duration) time.Time {
	t.Helper()
	within(t, d, "the session ends", func() bool { return !a.alive(t, token) })
	return time.Now()
}

// posts are the pings since a time that extended the session, or tried to.
func (a *app) posts(since time.Time) (posts []ping) {
	for _, p := range a.pings(since) {
		if p.method == "POST" {
			posts = append(posts, p)
		}
	}
	return posts
}

// span is a time that is known to lie between two others.
type span struct{ from, to time.Time }

// around notes when something was done.
func around(do func()) span {
	from := time.Now()
	do()
	return span{from, time.Now()}
}

// attend does something at a pace, and fails if the session ends meanwhile.
func (a *app) attend(t *testing.T, token string, d time.Duration, do func(i int)) (inputs []span) {
	t.Helper()
	start := time.Now()
	for i := 0; time.Since(start) < d; i++ {
		inputs = append(inputs, around(func() { do(i) }))
		a.staysAlive(t, token, time.Until(start.Add(time.Duration(i+1)*pace)))
	}
	return inputs
}

// move moves the mouse somewhere else each time.
func move(b *webdriver.Browser, i int) { b.Point(100+20*(i%5), 100+15*(i%3), false) }

// What scripts do is no input, and nor is a mouse that rests, also not while the page moves under it.
const pretend = `
	document.body.style.height = '9000px';
	scrollBy(0, 50);
	const story = document.getElementById('story');
	story.focus();
	story.value += 'x';
	for (const target of [document, window, story]) {
		target.dispatchEvent(new KeyboardEvent('keydown', {key: 'x', bubbles: true}));
		target.dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}));
		target.dispatchEvent(new PointerEvent('pointermove', {movementX: 5, movementY: 5, bubbles: true}));
		target.dispatchEvent(new WheelEvent('wheel', {deltaY: 5, bubbles: true}));
	}
	story.click()`

func testNobodyActive(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, activeIdle, time.Hour, userActive)
	b.Navigate(a.URL + "/favicon.ico")
	b.Point(100, 100, false)
	var token string
	opened := around(func() { token = a.login(t, b) })
	for a.alive(t, token) {
		require.Less(t, time.Since(opened.to), activeIdle+slack, "the session goes on")
		webdriver.Script[any](b, pretend)
		b.Point(100, 100, false)
		time.Sleep(500 * time.Millisecond)
	}
	require.GreaterOrEqual(t, time.Since(opened.from), activeIdle)
	for _, p := range a.posts(time.Time{}) { // one, where the engine does not tell in time that the page was loaded
		require.True(t, countsFrom(t, p).Before(opened.from), p.body)
	}
	require.Equal(t, "idle", told(t, b, 2*slack).Detail.Reason)
}

func testUserActive(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, activeIdle, time.Hour, userActive)
	token := a.login(t, b)
	page, other := b.Window(), b.NewWindow("tab")
	b.SwitchTo(other)
	b.Navigate(a.URL + "/page")
	b.SwitchTo(page)

	start := time.Now()
	inputs := []span{around(func() { b.SendKeys("#story", "It ") })}
	inputs = append(inputs, a.attend(t, token, 2*activeIdle+time.Second, func(int) { b.Press("w") })...)
	inputs = append(inputs, a.attend(t, token, activeIdle+pace, func(i int) { move(b, i) })...)
	posts := a.posts(start)
	require.Greater(t, len(posts), 4)
	for _, p := range posts {
		from := countsFrom(t, p)
		require.True(t, slices.ContainsFunc(inputs, func(input span) bool {
			return from.After(input.from.Add(-5*time.Millisecond)) && from.Before(input.to.Add(time.Second))
		}), "%s at %v", p.body, p.at)
	}

	// One last input after a ping, and so much later that the next one gains by it.
	since := time.Now()
	for i := 0; len(a.posts(since)) == 0; i++ {
		require.Less(t, time.Since(since), activeIdle)
		move(b, i)
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(3 * time.Second / 2)
	last := around(func() { b.Press("s") })
	end := a.ends(t, token, 2*activeIdle)
	t.Logf("the session ended %v after the last input, %v after the last ping", end.Sub(last.to),
		end.Sub(a.posts(since)[len(a.posts(since))-1].at))
	require.Greater(t, end.Sub(last.from), activeIdle-time.Second)
	require.Less(t, end.Sub(last.to), activeIdle+3*time.Second/2)
	require.Equal(t, "idle", told(t, b, 2*slack).Detail.Reason)
	b.SwitchTo(other)
	require.Equal(t, "idle", told(t, b, slack).Detail.Reason)
}

var inactive = regexp.MustCompile(`^inactive=(\d+)$`)

// countsFrom is the input of which a ping speaks, or a little later: it was on its way for a moment.
func countsFrom(t *testing.T, p ping) time.Time {
	t.Helper()
	match := inactive.FindStringSubmatch(p.body)
	require.NotNil(t, match, "%q", p.body)
	ms, err := strconv.ParseInt(match[1], 10, 64)
	require.NoError(t, err)
	return p.at.Add(-time.Duration(ms) * time.Millisecond)
}

// The tabs that are left know of the input in one that has gone.
func testInputElsewhere(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, activeIdle, time.Hour, userActive)
	token := a.login(t, b)
	first, second := b.Window(), b.NewWindow("tab")
	b.SwitchTo(second)
	b.Navigate(a.URL + "/page")
	b.SwitchTo(first)
	time.Sleep(activeIdle * 2 / 5)
	input := around(func() { b.SendKeys("#story", "It was") })
	b.CloseWindow()
	b.SwitchTo(second)
	end := a.ends(t, token, 2*activeIdle)
	t.Logf("the session ended %v after the input", end.Sub(input.to))
	require.Greater(t, end.Sub(input.from), activeIdle-3*time.Second/2)
	require.Less(t, end.Sub(input.to), activeIdle+2*time.Second)
	require.Equal(t, "idle", told(t, b, 2*slack).Detail.Reason)
}

func testPageVisible(t *testing.T, b *webdriver.Browser) {
	const idle = 6 * time.Second
	a := newApp(t, idle, time.Hour, func(c *keepalive.Config) { c.Mode = keepalive.PageVisible })
	token := a.login(t, b)
	page, other := b.Window(), b.NewWindow("tab")
	b.SwitchTo(page)
	start := time.Now()
	a.staysAlive(t, token, 2*idle+time.Second)
	for _, p := range a.posts(start) {
		require.Empty(t, p.body)
	}

	hide(b, other)
	a.staysAlive(t, token, idle/3)
	show(t, b, page)
	start = time.Now()
	a.staysAlive(t, token, idle+time.Second)
	require.NotEmpty(t, a.posts(start))

	hide(b, other)
	hidden := time.Now()
	end := a.ends(t, token, idle+slack)
	t.Logf("the session ended %v after the page was hidden", end.Sub(hidden))
	for _, p := range a.posts(hidden) {
		t.Logf("ping %v", p.at.Sub(hidden))
	}
	require.Empty(t, a.posts(hidden.Add(3*time.Second/2)), "but for what was on its way")
	show(t, b, page)
	require.Equal(t, "idle", told(t, b, 2*slack).Detail.Reason)
}

func testUnattended(t *testing.T, b *webdriver.Browser) {
	const idle, unattended = 6 * time.Second, 5 * time.Second
	a := newApp(t, idle, time.Hour, func(c *keepalive.Config) { c.MaxUnattended = unattended })
	token := a.login(t, b)
	b.SendKeys("#story", "It ")
	inputs := a.attend(t, token, 2*idle+pace, func(i int) {
		if i%2 == 0 {
			b.Press("w")
		} else {
			move(b, i)
		}
	})
	last := inputs[len(inputs)-1]
	end := a.ends(t, token, unattended+idle+slack)
	t.Logf("the session ended %v after the last input", end.Sub(last.to))
	require.Greater(t, end.Sub(last.from), idle+time.Second, "nobody was there for a moment only")
	for _, p := range a.posts(time.Time{}) {
		require.Empty(t, p.body, "the idle timeout counts from the ping")
		require.Less(t, p.at.Sub(last.to), unattended+time.Second)
	}
	require.Equal(t, "idle", told(t, b, 2*slack).Detail.Reason)
}
