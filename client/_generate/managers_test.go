package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const adminPing = "https://example.org/admin/keepalive/ping"

// addAdmin runs the script of another Manager in the page, with a session of its own.
func addAdmin(b *browser, tb *tab) *session {
	admin := newSession(idleTimeout, 12*time.Hour)
	admin.b = b
	b.others = map[string]func(string, time.Time) reply{adminPing: admin.serve}
	tb.run(`document.currentScript = {getAttribute: () => '/admin/keepalive/keepalive.js', dataset: page.dataset, remove() {}};`)
	tb.run(b.script)
	return admin
}

// Two Managers on two paths each put a script into the page, and these do not disturb each other.
func TestTwoManagers(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{cached: true})
		admin := addAdmin(b, tb)
		b.sleep(time.Hour)
		require.True(t, b.now.Before(s.expiry))
		require.True(t, b.now.Before(admin.expiry))
		require.Equal(t, []string{"keepalive: window.keepalive is taken"}, tb.warned)

		first, second := 0, 0
		for _, event := range tb.events {
			if strings.HasSuffix(event, `"path":"/keepalive/"}`) {
				first++
			}
			if strings.HasSuffix(event, `"path":"/admin/keepalive/"}`) {
				second++
			}
		}
		require.Equal(t, len(tb.events), first+second)
		require.InDelta(t, 7, first, 2)
		require.InDelta(t, 7, second, 2)

		tb.events = nil
		admin.out = true
		b.sleep(15 * time.Minute)
		require.Contains(t, tb.events, `keepalive:expired {"reason":"","ms":0,"path":"/admin/keepalive/"}`)
		require.Equal(t, 1, tb.count("expired"))
		tb.run(`if (keepalive.state.gone) throw new Error('the global is the second one')`)

		admin.out, admin.expiry = false, b.now.Add(admin.idle)
		tb.run(`document.dispatchEvent({type: 'keepalive:check'})`)
		b.sleep(time.Second)
		require.Contains(t, tb.events, `keepalive:resumed {"path":"/admin/keepalive/"}`)
	})
}

func TestGlobalOfTheApp(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		script := b.script
		b.script = `globalThis.keepalive = 'the app'`
		tb := b.open(page{})
		tb.run(script)
		tb.run(`if (keepalive !== 'the app') throw new Error('overwritten')`)
		b.sleep(time.Second)
		require.Equal(t, []string{"keepalive: window.keepalive is taken"}, tb.warned)
		b.sleep(time.Hour)
		require.True(t, b.now.Before(s.expiry))
		tb.run(script) // soft navigation
		require.Len(t, tb.warned, 1)
	})
}

// An element with the id keepalive is a property too, of an object behind the window.
func TestElementOfThatName(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		script := b.script
		b.script = `Object.setPrototypeOf(globalThis, {__proto__: Object.prototype, keepalive: 'an element'})`
		tb := b.open(page{})
		tb.run(script)
		tb.run(`keepalive.stop()`)
		require.Empty(t, tb.warned)
	})
}
