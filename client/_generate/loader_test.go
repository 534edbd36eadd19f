package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	dialogURL = "https://example.org/keepalive/dialog.abc.js"
	extrasURL = "https://example.org/keepalive/extras.abc.js"
)

// opensDialogs opens a page that shows the dialogs.
func opensDialogs(b *browser) *tab { return b.open(page{warn: 2 * time.Minute, dialogs: true}) }

func TestDialogsAreLoadedBeforeTheyAreNeeded(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		s.deadline = b.now.Add(time.Hour)
		tb := opensDialogs(b)
		b.sleep(time.Second)
		require.Equal(t, []string{dialogURL, extrasURL}, tb.imports)
		require.Empty(t, tb.dialogs)
		b.sleep(58 * time.Minute)
		require.Equal(t, []string{"lifetime"}, tb.dialogs)
		b.sleep(3 * time.Minute)
		require.Equal(t, []string{"lifetime", "gonelifetime"}, tb.dialogs)
		require.Len(t, tb.imports, 2)
	})
}

// Pages that do not warn load the dialogs when the session has ended, and most pages never.
func TestDialogsAreLoadedOnlyWhenNeeded(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{dialogs: true})
		b.sleep(time.Hour)
		require.Equal(t, []string{extrasURL}, tb.imports)
		s.out = true
		tb.run(`keepalive.look()`)
		b.sleep(1500 * time.Millisecond)
		require.Equal(t, []string{"gone"}, tb.dialogs, "as soon as they have come, not at the next tick")
	})
}

// An import fails where the network does, or a policy forbids it.
func TestImportFails(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		s.deadline = b.now.Add(time.Hour)
		b.importsFail = true
		tb := opensDialogs(b)
		b.sleep(58*time.Minute + 30*time.Second)
		require.Equal(t, 1, tb.count("warning"))
		require.Empty(t, tb.dialogs)
		require.Greater(t, len(b.asked), 5)
		require.True(t, b.now.Before(s.expiry))
		require.Equal(t, []string{dialogURL, extrasURL, "https://example.org/keepalive/dialog.1.abc.js"}, tb.imports[:3], "engines remember a failure")
		require.NotContains(t, tb.imports[3:], extrasURL, "or a policy that forbids it would fill the console")

		b.importsFail = false
		b.sleep(time.Minute)
		require.Equal(t, []string{"lifetime"}, tb.dialogs)
	})
}

// Under an Integrity-Policy the page has tags for the modules, which leave themselves in the window.
func TestModulesThatAreInThePage(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		s.deadline = b.now.Add(time.Hour)
		b.importsFail = true
		b.script = `window[Symbol.for('https://example.org/keepalive/dialog')] = dialogModule;` + b.extras + b.script
		tb := b.open(loaded(s, page{warn: 2 * time.Minute, dialogs: true}))
		b.sleep(58*time.Minute + 30*time.Second)
		require.Equal(t, []string{"lifetime"}, tb.dialogs)
		require.NotContains(t, b.methods()[:1], "GET", "the extras have read the deadline")
		require.Empty(t, tb.imports)
	})
}
