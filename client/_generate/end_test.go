package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGone(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusGone, http.StatusFound} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.server = func(string, time.Time) reply { return reply{status: status} }
				for i := range 5 {
					b.open(page{hidden: i > 0})
				}
				b.sleep(3 * time.Hour)
				require.Equal(t, []string{"POST", "POST"}, b.methods())
				require.Equal(t, time.Second, b.asked[1].at.Sub(b.asked[0].at).Truncate(100*time.Millisecond))
				for _, tb := range b.tabs {
					require.Equal(t, []string{`keepalive:expired {"reason":"","ms":0}`}, tb.events)
					tb.show(false)
					tb.show(true)
				}
				b.sleep(time.Minute)
				require.Len(t, b.asked, 2)
				for _, tb := range b.tabs {
					require.Equal(t, []string{`keepalive:expired {"reason":"","ms":0}`}, tb.events)
				}
			})
		})
	}
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
		require.Equal(t, []string{`keepalive:expired {"reason":"","ms":0}`}, back.events)
		require.Equal(t, []string{`keepalive:expired {"reason":"","ms":0}`}, other.events)
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

// A page was on its way to the browser when another tab found out that the session is gone.
func TestPageOlderThanTheEnd(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.disk[recordKey] = fmt.Sprintf(`{"gone":%d}`, now-100)
		late := b.open(page{}) // asked for 250 ms ago
		b.sleep(time.Minute)
		require.Equal(t, 1, late.count("expired"))
		b.disk[recordKey] = fmt.Sprintf(`{"gone":%d}`, b.now.UnixMilli()-300)
		require.Zero(t, b.open(page{}).count("expired"))
	})
}

func TestPageFromTheCacheAsksEvenIfAnotherTabKnows(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.open(page{})
		b.sleep(time.Minute)
		s.out = true
		back := b.open(page{kind: "back_forward"})
		b.sleep(2 * time.Second)
		require.Equal(t, 1, back.count("expired"))
	})
}

func TestBackForwardCache(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		b.sleep(time.Minute)
		tb.frozen = true
		s.out = true
		b.sleep(time.Minute)
		tb.frozen = false
		tb.run(`dispatchEvent({type: 'pageshow', persisted: true})`)
		b.sleep(2 * time.Second)
		require.Equal(t, []string{"GET", "GET"}, b.methods())
		require.Equal(t, 1, tb.count("expired"))
	})
}

func TestSleep(t *testing.T) {
	for _, wake := range []string{
		``,
		`dispatchEvent({type: 'focus'})`,
		`document.dispatchEvent({type: 'resume'})`,
		`document.dispatchEvent({type: 'visibilitychange'})`,
		`dispatchEvent({type: 'online'})`,
		`dispatchEvent({type: 'pageshow', persisted: true})`,
	} {
		t.Run("woken by "+wake, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				tb := b.open(page{})
				b.sleep(time.Minute)
				require.Empty(t, b.asked)
				b.suspend(8 * time.Hour)
				tb.run(wake)
				if wake == "" {
					b.sleep(time.Minute) // the end of a slice
				}
				b.sleep(2 * time.Second)
				require.Equal(t, []string{"POST", "POST"}, b.methods())
				require.Equal(t, 1, tb.count("expired"))
			})
		})
	}
}

func TestCheck(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		front := b.open(page{})
		back := b.open(page{hidden: true})
		b.sleep(time.Second)
		s.out = true // by a fetch
		front.run(`document.dispatchEvent({type: 'keepalive:check'})`)
		b.sleep(2 * time.Second)
		require.Equal(t, 1, front.count("expired"))
		require.Equal(t, 1, back.count("expired"))

		s.out = false
		front.run(`document.dispatchEvent({type: 'keepalive:check'})`)
		b.sleep(3 * time.Second)
		for _, tb := range b.tabs {
			require.Equal(t, 1, tb.count("resumed"))
			require.Equal(t, 1, tb.count("ping"), "what each page knows may be of the session before")
		}

	})
}

// An answer that left the server before the sign-out must not hide it.
func TestCheckDuringAPing(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.server = func(method string, at time.Time) reply {
			r := s.serve(method, at)
			r.delay = 2 * time.Second
			return r
		}
		tb := b.open(page{cached: true})
		b.sleep(time.Second)
		s.out = true
		tb.run(`document.dispatchEvent({type: 'keepalive:check'})`)
		b.sleep(10 * time.Second)
		require.Equal(t, 1, tb.count("expired"))
	})
}

func TestWarningBeforeTheLifetimeEnds(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		s.deadline = b.now.Add(time.Hour)
		front := b.open(page{warn: 2 * time.Minute})
		b.open(page{warn: 2 * time.Minute, hidden: true})
		b.sleep(58*time.Minute - time.Second)
		require.Zero(t, front.count("warning"))
		b.sleep(3 * time.Second)
		require.Equal(t, 1, front.count("warning"))
		require.Regexp(t, `keepalive:warning {"reason":"lifetime","ms":1(19|20)\d\d\d}`, strings.Join(front.events, "\n"))
		require.Equal(t, "GET", b.asked[len(b.asked)-1].method)
		b.sleep(2*time.Minute + 5*time.Second)
		for _, tb := range b.tabs {
			require.Equal(t, 1, tb.count("warning"))
			require.Equal(t, 1, tb.count("expired"))
		}
	})
}

func TestWarningWhenPingsFail(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{warn: 2 * time.Minute})
		b.sleep(time.Minute)
		for outage := range 2 {
			b.server = func(string, time.Time) reply { return reply{status: 500} }
			b.sleep(19*time.Minute + 30*time.Second)
			require.Equal(t, outage+1, tb.count("warning"), "once for each outage")
			b.server = s.serve
			s.expiry = b.now.Add(s.idle) // another device extended it
			b.sleep(6 * time.Minute)
		}
		require.Zero(t, tb.count("expired"))
	})
}

func TestNoWarningWithoutTheServersWord(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.disk[recordKey] = fmt.Sprintf(`{"at":%d,"idle":60000,"life":60000}`, now-1000) // of a session before this one
		tb := b.open(page{warn: 2 * time.Minute})
		b.sleep(5 * time.Minute)
		require.Equal(t, "GET", b.asked[0].method)
		require.Zero(t, tb.count("warning"))
	})
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{warn: 2 * time.Minute})
		b.sleep(time.Minute)
		b.suspend(8 * time.Hour)
		b.server = func(string, time.Time) reply { return reply{} }
		b.sleep(time.Hour)
		require.Zero(t, tb.count("warning"), "it would be too late for one")
	})
}

// A page that came without a session asks nothing until the app has signed in.
func TestAnonymousPage(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		s.out = true
		tb := b.open(page{anonymous: true})
		b.sleep(3 * time.Hour)
		tb.show(false)
		tb.show(true)
		b.sleep(time.Minute)
		require.Empty(t, b.asked)
		require.Empty(t, tb.events)
		s.out = false
		s.expiry, s.deadline = b.now.Add(s.idle), b.now.Add(12*time.Hour)
		tb.run(`document.dispatchEvent({type: 'keepalive:check'})`)
		b.sleep(time.Hour)
		require.Greater(t, tb.count("ping"), 4)
		require.Zero(t, tb.count("expired"))
	})
}

// It also says that the session is gone which other tabs believe in.
func TestAnonymousPageMakesOthersAsk(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		other := b.open(page{})
		b.sleep(time.Minute)
		s.out = true
		tb := b.open(page{anonymous: true})
		b.sleep(10 * time.Second)
		require.Equal(t, 1, other.count("expired"))
		require.Empty(t, tb.events)
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
