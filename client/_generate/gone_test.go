package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGone(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.server = func(string, time.Time) reply { return reply{status: 401} }
		for i := range 5 {
			b.open(page{hidden: i > 0})
		}
		b.sleep(3 * time.Hour)
		require.Equal(t, []string{"POST", "POST"}, b.methods())
		require.Equal(t, time.Second, b.asked[1].at.Sub(b.asked[0].at).Truncate(100*time.Millisecond))
		for _, tb := range b.tabs {
			require.Equal(t, []string{`keepalive:expired {"reason":"","ms":0,"path":"/keepalive/"}`}, tb.events)
			tb.show(false)
			tb.show(true)
		}
		b.sleep(time.Minute)
		require.Equal(t, []string{"POST", "POST", "GET", "GET"}, b.methods(), "somebody is back: one tab looks again for all")
		for _, tb := range b.tabs {
			require.Equal(t, []string{`keepalive:expired {"reason":"","ms":0,"path":"/keepalive/"}`}, tb.events)
			require.Empty(t, tb.warned)
		}
	})
}

func TestGoneOnlyOnce(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.server = func(string, time.Time) reply {
			b.server = s.serve
			return reply{status: 401}
		}
		tb := b.open(page{cached: true})
		b.sleep(time.Minute)
		require.Equal(t, []string{"POST", "POST"}, b.methods())
		require.Zero(t, tb.count("expired"))
		require.Equal(t, 1, tb.count("ping"))
	})
}

// With a short idle timeout a claim ends soon; tabs must not take it from each
// other between the two questions that make a session gone.
func TestGoneWithSlowAnswers(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		for range 3 {
			b.open(page{})
		}
		for _, tb := range b.tabs {
			tb.run(`localStorage.setItem('` + recordKey + `', '{}')`)
		}
		b.server = func(string, time.Time) reply { return reply{status: 401, delay: 8 * time.Second} }
		b.sleep(time.Hour)
		require.LessOrEqual(t, len(b.asked), 3)
		for _, tb := range b.tabs {
			require.Equal(t, 1, tb.count("expired"))
		}
	})
}

func TestSignOutReachesTheOthers(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		front := b.open(page{})
		back := b.open(page{hidden: true})
		other := b.open(page{hidden: true})
		b.sleep(time.Minute)
		s.out = true
		front.dead = true // its page is now one without a session, and so without the script
		back.show(true)
		b.sleep(2 * time.Second)
		require.Equal(t, []string{"GET", "GET"}, b.methods())
		require.Equal(t, []string{`keepalive:expired {"reason":"","ms":0,"path":"/keepalive/"}`}, back.events)
		require.Equal(t, []string{`keepalive:expired {"reason":"","ms":0,"path":"/keepalive/"}`}, other.events)
	})
}

func TestSignInBringsThemBack(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		old := b.open(page{})
		b.sleep(time.Second)
		s.out = true
		b.sleep(15 * time.Minute)
		require.Equal(t, 1, old.count("expired"))

		s.out, s.expiry = false, b.now.Add(s.idle)
		b.open(page{}).dead = true
		b.sleep(30 * time.Minute)
		require.True(t, b.now.Before(s.expiry), "the old page keeps the new session")
		s.out = true
		b.sleep(30 * time.Minute)
		require.Equal(t, 2, old.count("expired"))
	})
}

func TestSignOutAndInAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		old := b.open(page{cached: true})
		b.sleep(6 * time.Second)
		s.out = true
		old.show(true)
		b.sleep(2 * time.Second)
		require.Equal(t, 1, old.count("expired"))
		s.out = false
		fresh := b.open(page{})
		b.sleep(time.Minute)
		require.Zero(t, fresh.count("expired"))
	})
}

func TestForbidden(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.server = func(string, time.Time) reply { return reply{status: 403} }
		tb := b.open(page{})
		b.sleep(3 * time.Hour)
		tb.show(true)
		b.sleep(time.Hour)
		require.Len(t, b.asked, 1)
		require.Len(t, tb.errors, 1)
		require.Equal(t, "keepalive stopped: 403", tb.errors[0])
		require.Empty(t, tb.events)
	})
}

// Somebody may have signed in again meanwhile, by an app that this page can't see.
func TestGonePageLooksAgain(t *testing.T) {
	for name, comeBack := range map[string]string{
		"focus":    `dispatchEvent({type: 'focus'})`,
		"pageshow": `dispatchEvent({type: 'pagehide'}); dispatchEvent({type: 'pageshow', persisted: true})`,
		"visible":  `document.dispatchEvent({type: 'visibilitychange'})`,
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				tb := b.open(page{})
				b.sleep(time.Second)
				s.out = true
				b.sleep(15 * time.Minute)
				require.Equal(t, 1, tb.count("expired"))
				asked := len(b.asked)
				b.sleep(time.Hour)
				require.Len(t, b.asked, asked, "not by itself")
				tb.run(comeBack)
				b.sleep(5 * time.Second)
				require.Equal(t, 1, tb.count("expired"), "nothing new")
				s.out, s.expiry = false, b.now.Add(s.idle)
				b.sleep(time.Minute)
				tb.run(comeBack)
				b.sleep(5 * time.Second)
				require.Equal(t, 1, tb.count("resumed"))
				b.sleep(time.Hour)
				require.True(t, b.now.Before(s.expiry), "and the pings go on")
			})
		})
	}
}

// A worker answers from its cache first, and the tabs believe in an end.
func TestCachedPageAfterASignIn(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		old := b.open(page{})
		b.sleep(time.Second)
		s.out = true
		old.run(`keepalive.look()`)
		b.sleep(5 * time.Second)
		require.Equal(t, 1, old.count("expired"))
		s.out = false // by a fetch
		tb := b.open(page{cached: true})
		b.sleep(5 * time.Second)
		require.Zero(t, tb.count("expired"))
		require.Equal(t, 1, tb.count("ping"))
		require.Equal(t, 1, old.count("resumed"))
	})
}
