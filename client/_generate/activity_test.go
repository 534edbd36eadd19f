package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	key    = `dispatchEvent({type: 'keydown', isTrusted: true})`
	forged = `dispatchEvent({type: 'keydown', isTrusted: false})`
	moved  = `dispatchEvent({type: 'pointermove', isTrusted: true, movementX: 1, movementY: 0})`
	rests  = `dispatchEvent({type: 'pointermove', isTrusted: true, movementX: 0, movementY: 0})`
)

// trusted is an event that the browser sends.
func trusted(name string) string { return `dispatchEvent({type: '` + name + `', isTrusted: true})` }

// The idle timeout counts from the last input, wherever it was.
func TestUserActive(t *testing.T) {
	tests := []struct {
		name  string
		input string
		lives bool
	}{
		{name: "keys", input: key, lives: true},
		{name: "a pointer that moves", input: moved, lives: true},
		{name: "a touch", input: trusted("pointerdown"), lives: true},
		{name: "scrolling by touch", input: trusted("touchmove"), lives: true},
		{name: "the wheel", input: trusted("wheel"), lives: true},
		{name: "an assistive click", input: trusted("click"), lives: true},
		{name: "dictation", input: trusted("beforeinput"), lives: true},
		{name: "a date picker", input: trusted("input"), lives: true},
		{name: "an input method", input: trusted("compositionupdate"), lives: true},
		{name: "an app that knows", input: `keepalive.active()`, lives: true},
		{name: "a page that moves under the pointer", input: rests},
		{name: "scrolling", input: trusted("scroll")},
		{name: "events of the page's own", input: forged},
		{name: "a checkbox that a script clicks", input: `dispatchEvent({type: 'input', isTrusted: true, target: {type: 'checkbox'}})`},
		{name: "a radio button that a script clicks", input: `dispatchEvent({type: 'input', isTrusted: true, target: {type: 'radio'}})`},
		{name: "nobody"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				front := b.open(page{mode: "active"})
				back := b.open(page{mode: "active", hidden: true})
				var last time.Time
				for range 90 {
					b.sleep(time.Minute)
					front.run(test.input)
					last = b.now
				}
				require.Equal(t, test.lives, b.now.Before(s.expiry))
				if !test.lives {
					require.Equal(t, `keepalive:expired {"reason":"idle","ms":0,"path":"/keepalive/"}`, front.events[len(front.events)-1])
					for _, method := range b.methods() {
						require.Equal(t, "GET", method)
					}
					return
				}
				posts := 0
				for _, method := range b.methods() {
					if method == "POST" {
						posts++
					}
				}
				require.InDelta(t, 9, posts, 2, "half of the time left, as ever")
				b.sleep(time.Hour)
				require.WithinDuration(t, last.Add(idleTimeout), s.expiry, 2*time.Second)
				require.Equal(t, 1, front.count("expired"))
				require.Equal(t, 1, back.count("expired"))
			})
		})
	}
}

// Input in a frame counts that has no script of its own.
func TestInputInFrames(t *testing.T) {
	const inFrame = `frame.` + key
	tests := []struct {
		name  string
		frame string // how it comes; the script notices by itself within a minute
		input string
		lives bool
	}{
		{name: "a frame", frame: `window[0] = frame`, input: inFrame, lives: true},
		{name: "a frame in a frame", frame: `window[0] = newFrame(); window[0][0] = frame`, input: inFrame, lives: true},
		{name: "after a frame of another origin", frame: `window[0] = foreignFrame(); window[1] = frame`, input: inFrame, lives: true},
		{name: "a page with a variable", frame: `globalThis.length = 0; window[0] = frame`, input: inFrame, lives: true},
		{name: "a frame in a shadow tree",
			frame: `document.activeElement = {shadowRoot: {activeElement: {contentWindow: frame}}}`, input: inFrame, lives: true},
		{name: "a frame that is written anew each time",
			frame: `window[0] = frame`, input: `openAnew(frame); document.loaded(frame); ` + inFrame, lives: true},
		{name: "a frame that another replaces each time",
			frame: ``, input: `window[0] = frame = newFrame(); document.loaded(frame); ` + inFrame, lives: true},
		{name: "a frame in a frame, replaced each time",
			frame: `window[0] = newFrame()`, input: `window[0][0] = frame = newFrame(); window[0].document.loaded(frame); ` + inFrame, lives: true},
		{name: "forged input", frame: `window[0] = frame`, input: `frame.` + forged},
		{name: "a frame that is not in the page", frame: ``, input: inFrame},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				tb := b.open(page{mode: "active"})
				tb.run(`var frame = newFrame(); ` + test.frame)
				for range 45 {
					b.sleep(2 * time.Minute)
					tb.run(test.input)
				}
				require.Equal(t, test.lives, b.now.Before(s.expiry))
			})
		})
	}
}

// Input does not answer a warning, whoever reports it.
func TestInputDuringAWarning(t *testing.T) {
	for _, input := range []string{key, `keepalive.active()`} {
		t.Run(input, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				tb := b.open(page{mode: "active", warn: 2 * time.Minute})
				b.sleep(18*time.Minute + 30*time.Second)
				require.Equal(t, 1, tb.count("warning"))
				tb.run(input)
				b.sleep(2 * time.Minute)
				require.Equal(t, 1, tb.count("expired"))
			})
		})
	}
}

// Busy typing must not write to the disk at each key.
func TestInputIsSharedNowAndThen(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{mode: "active"})
		writes := b.writes
		for range 600 {
			b.sleep(100 * time.Millisecond)
			tb.run(key)
		}
		require.LessOrEqual(t, b.writes-writes, 13)
	})
}

// Input is not listened to where it means nothing.
func TestInputIsIgnoredWhereItMeansNothing(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		writes := b.writes
		tb.run(key)
		tb.run(`keepalive.active()`)
		tb.run(`var frame = window[0] = newFrame(); document.loaded(frame); frame.` + key)
		require.Equal(t, writes, b.writes)
		require.Equal(t, 0.0, b.record()["input"])
	})
}

func TestMaxUnattended(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{max: time.Hour})
		b.sleep(50 * time.Minute)
		tb.run(key)
		b.sleep(55 * time.Minute)
		require.True(t, b.now.Before(s.expiry))
		b.sleep(30 * time.Minute)
		require.False(t, b.now.Before(s.expiry), "an hour and an idle timeout after the last input")
		require.Equal(t, 1, tb.count("expired"))
	})
}
