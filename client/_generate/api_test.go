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
		require.Regexp(t, `^keepalive:ping {"idleMs":1200000,"lifetimeMs":43199\d\d\d,"data":"x","path":"/keepalive/"}$`, tb.events[0])
	})
}

func TestState(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{cached: true})
		b.sleep(time.Second)
		tb.run(`if (keepalive.state.gone || keepalive.state.reason || Math.abs(keepalive.state.end - Date.now() - 1199000) > 1000) throw new Error(JSON.stringify(keepalive.state))`)
	})
}

// Methods may be called by the listeners of events. After stop no dialog comes.
func TestStopByAListener(t *testing.T) {
	tests := []struct {
		name     string
		listener string
		stops    bool
	}{
		{name: "a listener that does nothing", listener: `() => {}`},
		{name: "a listener that stops", listener: `() => keepalive.stop()`, stops: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				tb := b.open(page{mode: "active", warn: 2 * time.Minute, dialogs: true})
				tb.run(`document.addEventListener('keepalive:warning', ` + test.listener + `)`)
				b.sleep(18*time.Minute + 30*time.Second)
				require.Equal(t, 1, tb.count("warning"))
				require.Equal(t, test.stops, len(tb.dialogs) == 0)
				b.sleep(time.Hour)
				require.Equal(t, !test.stops, tb.count("expired") == 1)
			})
		})
	}
}

// What a page finds in its window is keepalive, and nothing else.
func TestGlobalScope(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		script := b.script
		b.script = ""
		tb := b.open(page{})
		before := tb.vm.GlobalObject().Keys()
		tb.run(script)
		require.ElementsMatch(t, append(before, "keepalive"), tb.vm.GlobalObject().Keys())
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

// An app that asks for more at each answer.
func TestCheckInALoop(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{cached: true})
		tb.run(`document.addEventListener('keepalive:ping', () => document.dispatchEvent({type: 'keepalive:check'}))`)
		b.sleep(time.Minute)
		require.InDelta(t, 55, len(b.asked), 6)
	})
}

func TestSubscribe(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		states := func() (n int) { return len(tb.vm.Get("states").Export().([]any)) }
		tb.run(`states = []; unsubscribe = keepalive.subscribe((state) => states.push(state.gone)); signal = keepalive.signal;`)
		tb.run(`keepalive.subscribe(({ gone }) => { if (keepalive.signal.aborted !== gone) throw new Error('the signal is late'); })`)
		require.Equal(t, 1, states(), "at once")
		b.sleep(6 * time.Minute)
		require.Equal(t, 1, states(), "nothing has changed")
		b.sleep(6 * time.Minute)
		require.Equal(t, 2, states(), "a ping has moved the end")
		aborted := func(name string) bool {
			return tb.vm.Get(name).ToObject(tb.vm).Get("aborted").ToBoolean()
		}
		require.False(t, aborted("signal"))
		s.out = true
		tb.run(`keepalive.stay()`)
		b.sleep(5 * time.Second)
		require.Equal(t, true, tb.vm.Get("states").Export().([]any)[states()-1])
		require.True(t, aborted("signal"))
		s.out = false
		tb.run(`keepalive.look()`)
		b.sleep(5 * time.Second)
		require.Equal(t, false, tb.vm.Get("states").Export().([]any)[states()-1])
		tb.run(`signal = keepalive.signal; unsubscribe();`)
		require.False(t, aborted("signal"), "a new one")
		n := states()
		b.sleep(time.Hour)
		require.Equal(t, n, states())
		require.Empty(t, tb.errors)
	})
}
