package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// visited returns a script after which the navigation entry has these fields besides.
func visited(fields string) string {
	return `{
		const [visit] = performance.getEntriesByType();
		performance.getEntriesByType = () => [{...visit, ` + fields + `}];
	}`
}

// The extras come after what the server said of the page: it is noted only if nothing is known that is younger.
func TestVisit(t *testing.T) {
	tests := []struct {
		name  string
		page  page
		then  string // runs half a second later, before the extras come
		noted bool
	}{
		{name: "from the server", noted: true},
		{name: "of a guest", page: page{data: map[string]string{"user": ""}}, noted: true},
		{name: "hidden", page: page{hidden: true}, noted: true},
		{name: "prerendered", page: page{prerendering: true}, then: `document.prerendering = false; document.dispatchEvent({type: 'prerenderingchange'})`, noted: true},
		{name: "which the engine says late", page: page{before: `const {getEntriesByType} = performance; performance.getEntriesByType = () => []`}, then: `performance.getEntriesByType = getEntriesByType; dispatchEvent({type: 'load'})`, noted: true},
		{name: "304", page: page{before: visited(`transferSize: 180`)}},
		{name: "of an insecure context", page: page{before: visited(`serverTiming: undefined`)}},
		{name: "across a sleep", page: page{before: `performance.now = () => 300`}, then: `const now = Date.now; Date.now = () => now() + 600_000`},
		{name: "of a page without a session", page: page{anonymous: true}},
	}
	told := fmt.Sprintf(`"at":%d,"idle":1200000,"full":1140000,"life":%d`, now-250, now-250+12*time.Hour.Milliseconds())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.disk[recordKey] = fmt.Sprintf(`{"at":%d,"idle":1200000,"full":1200000,"life":%d}`, now-3000, now+36_000_000)
				b.importTime = time.Second
				tb := b.open(loaded(s, test.page))
				b.sleep(500 * time.Millisecond)
				tb.run(test.then)
				b.sleep(3 * time.Second)
				if test.noted {
					require.Contains(t, b.disk[recordKey], told)
					require.Empty(t, b.asked)
				} else {
					require.NotContains(t, b.disk[recordKey], told)
				}
			})
		})
	}
	t.Run("older than an answer", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			b.importTime = 5 * time.Second
			tb := b.open(loaded(s, page{}))
			b.sleep(3 * time.Second)
			tb.run(`keepalive.look()`)
			b.sleep(time.Second)
			known := b.disk[recordKey]
			b.sleep(2 * time.Second)
			require.NotEmpty(t, tb.imports)
			require.Equal(t, known, b.disk[recordKey])
		})
	})
	t.Run("by back or forward", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			comeback := loaded(s, page{kind: "back_forward"}) // the header may be of the first visit
			s.expiry = b.now.Add(2 * time.Minute)
			b.open(comeback)
			b.sleep(time.Hour)
			require.True(t, b.now.Before(s.expiry))
		})
	})
	t.Run("once", func(t *testing.T) {
		each(t, func(t *testing.T, b *browser, s *session) {
			tb := b.open(loaded(s, page{}))
			b.sleep(500 * time.Millisecond)
			known := b.disk[recordKey]
			tb.show(true)
			tb.run(b.script)
			b.sleep(100 * time.Millisecond)
			require.Equal(t, known, b.disk[recordKey])
		})
	})
}

// Where they do not come in five seconds, a page that warns asks for the deadline.
func TestSlowExtras(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.importTime = 10 * time.Second
		b.open(loaded(s, page{warn: 2 * time.Minute}))
		b.sleep(4 * time.Second)
		require.Empty(t, b.asked)
		b.sleep(2 * time.Second)
		require.Equal(t, []string{"GET"}, b.methods())
		b.sleep(time.Hour)
		require.True(t, b.now.Before(s.expiry))
	})
}

// A fault that came before them is reported when they come.
func TestFaultBeforeTheExtras(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.importTime = 2 * time.Second
		b.server = func(string, time.Time) reply { return reply{status: 404, foreign: true} }
		tb := b.open(page{cached: true})
		b.sleep(time.Second)
		require.NotEmpty(t, b.asked)
		require.Empty(t, tb.warned)
		b.sleep(2 * time.Second)
		require.Equal(t, []string{"keepalive: 404" + inFront}, tb.warned)
	})
}

// Pages that ask nothing load nothing, until they do.
func TestExtrasAreLoadedByPagesThatAsk(t *testing.T) {
	tests := []struct {
		name string
		page page
		then string
	}{
		{name: "anonymous", page: page{anonymous: true}, then: `document.dispatchEvent({type: 'keepalive:check'})`},
		{name: "prerendered", page: page{prerendering: true}, then: `document.prerendering = false; document.dispatchEvent({type: 'prerenderingchange'})`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				tb := b.open(test.page)
				b.sleep(time.Minute)
				require.Empty(t, tb.imports)
				tb.run(test.then)
				b.sleep(time.Minute)
				require.Equal(t, []string{extrasURL}, tb.imports)
			})
		})
	}
}

// document.open removes their listener, and the script that runs again brings it back. It does not load them again.
func TestExtrasInAPageWrittenAnew(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		b.sleep(time.Second)
		tb.run(`openAnew(window); heard.delete(document)`)
		tb.run(b.script)
		b.sleep(time.Second)
		tb.run(fmt.Sprintf(`document.dispatchEvent({type: 'securitypolicyviolation', blockedURI: %q, disposition: 'enforce'})`, "https://example.org/keepalive/ping"))
		require.Equal(t, []string{"keepalive stopped: connect-src"}, tb.errors)
		require.Equal(t, []string{extrasURL}, tb.imports)
	})
}

// An older script gets the extras of a newer version, or a newer one those of an older version. What does not fit is left out.
func TestExtrasThatDoNotFit(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.extras = `var extrasModule = {update() { throw new TypeError('another version'); }}`
		b.open(page{})
		b.sleep(time.Hour)
		require.True(t, b.now.Before(s.expiry))
	})
}
