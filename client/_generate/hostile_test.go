package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A server may take long. A page waits for a third of what is left, within bounds.
func TestSlowServer(t *testing.T) {
	tests := []struct {
		name  string
		delay time.Duration
		at    time.Duration // of the question, after the page load
		heard bool
	}{
		{name: "half of the time is left", delay: 55 * time.Second, at: 9 * time.Minute, heard: true},
		{name: "a minute at most", delay: 65 * time.Second, at: 9 * time.Minute},
		{name: "two minutes are left", delay: 35 * time.Second, at: 18 * time.Minute, heard: true},
		{name: "and no more than a third of them", delay: 45 * time.Second, at: 18 * time.Minute},
		{name: "ten seconds at least", delay: 9 * time.Second, at: 19*time.Minute + 40*time.Second, heard: true},
		{name: "and no more at the end", delay: 11 * time.Second, at: 19*time.Minute + 40*time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				tb := b.open(page{mode: "active"})
				b.sleep(test.at)
				b.server = func(method string, at time.Time) reply {
					r := s.serve(method, at)
					r.delay = test.delay
					return r
				}
				before := tb.count("ping")
				tb.run(`keepalive.stay()`)
				b.sleep(test.delay + time.Second)
				require.Equal(t, test.heard, tb.count("ping") > before)
			})
		})
	}
}

// Nothing that an engine lacks, or that an app's listener throws, may cost the session its next ping.
func TestEngineThatLacksSomething(t *testing.T) {
	for _, name := range []string{
		"AbortSignal.timeout", "navigator.locks", "navigator.sendBeacon", "Request.prototype.keepalive", "performance.getEntriesByType",
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				if name == "performance.getEntriesByType" {
					b.open(page{presence: "path", before: name + ` = () => []`})
				} else {
					b.open(page{presence: "path", before: `delete ` + name})
				}
				b.sleep(time.Hour)
				require.True(t, b.now.Before(s.expiry))
			})
		})
	}
}

func TestPartThatThrows(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		tb.throws = true
		tb.run(`dispatchEvent = () => { throw new Error('an engine that does what none should') }`)
		b.sleep(time.Hour)
		require.True(t, b.now.Before(s.expiry))
	})
}

// A frame whose sandbox has no allow-same-origin has no cookies either.
func TestFrameWithoutOrigin(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{warn: 2 * time.Minute, before: `origin = 'null'`})
		b.sleep(time.Hour)
		require.Empty(t, b.asked)
		require.Empty(t, tb.events)
		require.Empty(t, tb.warned)
		require.Empty(t, tb.errors)
	})
}

func TestFetchOfTheApp(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		tb.run(`window.fetch = () => { throw new Error('not ours') }`)
		b.sleep(time.Hour)
		require.True(t, b.now.Before(s.expiry))
	})
}

// document.open removes all listeners, and a page that is written anew runs the script again.
func TestPageWrittenAnew(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{mode: "active"})
		b.sleep(time.Second)
		tb.run(`openAnew(window); heard.delete(document)`)
		tb.run(b.script)
		tb.run(key)
		b.sleep(12 * time.Minute)
		require.Contains(t, b.methods(), "POST")
		tb.run(b.script)
		tb.run(`size = listeners(window, 'online').size`)
		require.Equal(t, int64(1), tb.vm.Get("size").ToInteger(), "listening again adds nothing")
	})
}

func TestBlankPage(t *testing.T) {
	blank := page{data: map[string]string{"blank": "1"}, dialogs: true}
	display := func(tb *tab) string {
		return tb.vm.Get("document").ToObject(tb.vm).Get("documentElement").ToObject(tb.vm).Get("style").ToObject(tb.vm).Get("display").String()
	}
	t.Run("loses its content before anybody is told", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			tb := b.open(blank)
			b.sleep(time.Second)
			s.out = true
			tb.run(`keepalive.look()`)
			b.sleep(3 * time.Second)
			require.Equal(t, []string{"blank", `keepalive:expired {"reason":"","ms":0,"path":"/keepalive/"}`}, tb.events)
			require.Equal(t, []string{"gone"}, tb.dialogs)
			s.out = false
			tb.show(true)
			b.sleep(time.Hour)
			require.Len(t, b.asked, 2, "it does not go on")
		})
	})
	t.Run("comes back by the back/forward cache", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			tb := b.open(blank)
			b.sleep(time.Second)
			require.Empty(t, display(tb))
			tb.run(`dispatchEvent({type: 'pagehide'})`)
			require.Equal(t, "none", display(tb))
			tb.run(`dispatchEvent({type: 'pageshow', persisted: true})`)
			require.Equal(t, "none", display(tb), "not before the server has answered")
			b.sleep(time.Second)
			require.Empty(t, display(tb))
			require.Equal(t, []string{"GET"}, b.methods(), "however young the last answer is")
		})
	})
	t.Run("comes back out of a cache after the sign-out", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			s.out = true
			comeback := blank
			comeback.kind = "back_forward"
			tb := b.open(comeback)
			require.Equal(t, "none", display(tb))
			b.sleep(3 * time.Second)
			require.Equal(t, "blank", tb.events[0])
			require.Empty(t, display(tb))
		})
	})
	t.Run("a page that stays is never hidden", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			tb := b.open(page{})
			tb.run(`dispatchEvent({type: 'pagehide'})`)
			require.Empty(t, display(tb))
		})
	})
}
