package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPingEventHasTheWholeAnswer(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{cached: true})
		b.sleep(time.Second)
		require.Len(t, tb.events, 1)
		require.Regexp(t, `^keepalive:ping {"idleMs":1200000,"lifetimeMs":43199\d\d\d,"data":"x"}$`, tb.events[0])
	})
}

func TestState(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{cached: true})
		b.sleep(time.Second)
		tb.run(`if (keepalive.state.gone || keepalive.state.reason || Math.abs(keepalive.state.end - Date.now() - 1199000) > 1000) throw new Error(JSON.stringify(keepalive.state))`)
	})
}

func TestStop(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		tb.run(`keepalive.stop()`)
		b.sleep(time.Hour)
		require.Empty(t, b.asked)
		tb.run(`keepalive.look()`)
		b.sleep(3 * time.Second)
		require.Len(t, b.asked, 2, "it starts again, and hears that the session has ended")
		require.Equal(t, 1, tb.count("expired"))
	})
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

func TestCheckInALoop(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{cached: true})
		tb.run(`document.addEventListener('keepalive:ping', () => document.dispatchEvent({type: 'keepalive:check'}))`)
		b.sleep(time.Minute)
		require.InDelta(t, 55, len(b.asked), 6)
	})
}
