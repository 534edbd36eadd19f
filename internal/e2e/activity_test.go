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

func userActive(c *keepalive.Config) { c.Mode = keepalive.UserActive }

// move moves the mouse somewhere else each time.
func move(b *webdriver.Browser, i int) { b.Point(100+20*(i%5), 100+15*(i%3), false) }

// keepActive does something each second until the session was extended n times.
func (a *app) keepActive(t *testing.T, token string, n int, do func(i int)) {
	t.Helper()
	since := time.Now()
	for i := 0; len(a.posts(since)) < n; i++ {
		do(i)
		a.staysAlive(t, token, time.Second)
	}
}

// scriptedInput imitates input by script, which must not count. Nor does a mouse that rests while the page moves under it.
const scriptedInput = `
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
	document.body.insertAdjacentHTML('beforeend', '<input type=checkbox><iframe></iframe>');
	for (const target of [story, document.querySelector('input')]) target.click();
	frames[0].document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'x', bubbles: true}));
	for (const element of document.querySelectorAll('input, iframe')) element.remove()`

func testNobodyActive(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, shortIdle, time.Hour, userActive)
	b.Navigate(a.URL + "/page") // without a session
	b.Point(100, 100, false)
	waitForEvent(t, b, "input", 1) // or it may come to the next page
	opening := time.Now()
	token := a.login(t, b)
	eventually(t, "the session ends", func() bool {
		webdriver.Script[any](b, scriptedInput)
		b.Point(100, 100, false)
		time.Sleep(500 * time.Millisecond)
		return !a.alive(t, token)
	})
	for _, p := range sentPosts(b) { // one, where the engine reports too late that the page came from the network
		require.True(t, lastInput(t, p).Before(opening), p.Body)
	}
	require.Equal(t, "idle", waitForExpired(t, b).Detail.Reason)
}

var inactive = regexp.MustCompile(`^inactive=(\d+)$`)

// inactivity returns the time since the last input that a ping reports.
func inactivity(t *testing.T, body string) time.Duration {
	t.Helper()
	match := inactive.FindStringSubmatch(body)
	require.NotNil(t, match, "%q", body)
	ms, err := strconv.ParseInt(match[1], 10, 64)
	require.NoError(t, err)
	return time.Duration(ms) * time.Millisecond
}

// lastInput returns when the last input was that a ping reports.
func lastInput(t *testing.T, sent event) time.Time {
	t.Helper()
	return sent.time().Add(-inactivity(t, sent.Body))
}

func testUserActive(t *testing.T, b *webdriver.Browser) {
	a := newApp(t, idle, time.Hour, userActive)
	token := a.login(t, b)
	page, other := b.Window(), b.NewWindow("tab")
	b.SwitchTo(other)
	b.Navigate(a.URL + "/page")
	b.SwitchTo(page)

	b.SendKeys("#story", "It ")
	a.keepActive(t, token, 2, func(int) { b.Press("w") })
	a.keepActive(t, token, 1, func(i int) { move(b, i) })
	inputs, sent := events(b, "input"), sentPosts(b)
	b.SwitchTo(other) // hidden pages ask earlier where the idle timeout is short
	sent = append(sent, sentPosts(b)...)
	b.SwitchTo(page)
	require.NotEmpty(t, sent)
	for _, p := range sent {
		require.True(t, slices.ContainsFunc(inputs, func(input event) bool {
			return lastInput(t, p).Sub(input.time()).Abs() < near
		}), "%s at %v", p.Body, p.time())
	}

	// The session ends the idle timeout after one last input, which comes so late after a ping that the next one gains by it.
	a.keepActive(t, token, 1, func(i int) { move(b, i) })
	time.Sleep(3 * time.Second / 2)
	pressing := time.Now()
	b.Press("s")
	var ping request
	eventually(t, "a ping that reports it", func() bool {
		posts := a.posts(pressing)
		if len(posts) == 0 {
			return false
		}
		ping = posts[len(posts)-1]
		return !ping.end.Add(-inactivity(t, ping.body)).Before(pressing)
	})
	requireCountedFromInput(t, ping, idle)
	a.waitForEnd(t, token)
	require.Empty(t, a.posts(ping.start), "nothing to gain")
	require.Equal(t, "idle", waitForExpired(t, b).Detail.Reason)
	b.SwitchTo(other)
	require.Equal(t, "idle", waitForExpired(t, b).Detail.Reason)
}

// requireCountedFromInput fails unless the session's expiry after a ping is the idle timeout after the reported input.
func requireCountedFromInput(t *testing.T, ping request, idle time.Duration) {
	t.Helper()
	left := idle - inactivity(t, ping.body)
	require.False(t, ping.expiry.Before(ping.start.Add(left-near)))
	require.False(t, ping.expiry.After(ping.end.Add(left+near)))
}

// The tabs that are left know of the input in one that has gone.
func testInputInAnotherTab(t *testing.T, b *webdriver.Browser) {
	const idle = 30 * time.Second // so that no ping comes before the tab has gone
	a := newApp(t, idle, time.Hour, userActive)
	token := a.login(t, b)
	first, second := b.Window(), b.NewWindow("tab")
	b.SwitchTo(second)
	b.Navigate(a.URL + "/page")
	b.SwitchTo(first)
	time.Sleep(3 * time.Second / 2) // or a ping gains nothing
	before := time.Now()
	b.SendKeys("#story", "It was")
	after := time.Now()
	b.CloseWindow()
	b.SwitchTo(second)
	requireCountedFromInput(t, a.waitForPosts(t, token, after, 1)[0], idle)
	sent := sentPosts(b)
	require.NotEmpty(t, sent)
	input := lastInput(t, sent[len(sent)-1])
	require.False(t, input.Before(before.Add(-near)))
	require.False(t, input.After(after.Add(near)))
}

func testUnattended(t *testing.T, b *webdriver.Browser) {
	const unattended = idle / 2
	a := newApp(t, idle, time.Hour, func(c *keepalive.Config) { c.MaxUnattended = unattended })
	token := a.login(t, b)
	b.SendKeys("#story", "It ")
	a.keepActive(t, token, 2, func(i int) {
		if i%2 == 0 {
			b.Press("w")
		} else {
			move(b, i)
		}
	})
	a.waitForEnd(t, token)
	inputs := events(b, "input")
	last := inputs[len(inputs)-1].time()
	late := 0
	for _, p := range sentPosts(b) {
		require.Empty(t, p.Body, "the idle timeout counts from the ping")
		if p.time().Sub(last) > unattended {
			late++
		}
	}
	require.LessOrEqual(t, late, 1, "a ping may have been on its way")
	require.Equal(t, "idle", waitForExpired(t, b).Detail.Reason)
}
