package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// as returns a page that the server sent to a user.
func as(stamp string) page { return page{data: map[string]string{"user": stamp}, dialogs: true} }

func TestAnotherUserSignsIn(t *testing.T) {
	tests := []struct {
		name        string
		first, next page
		event       bool
		dialogs     []string
	}{
		{name: "another user", first: as("ann"), next: as("bob"), event: true, dialogs: []string{"user"}},
		{name: "the same user, with a new token", first: as("ann"), next: as("ann")},
		{name: "a user after a guest", first: as(""), next: as("bob")},
		{name: "a guest after a user", first: as("ann"), next: as("")},
		{name: "without Config.Identify", first: page{dialogs: true}, next: as("bob")},
		{name: "a page of an instance without it", first: as("ann"), next: page{dialogs: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				old := b.open(test.first)
				b.sleep(time.Minute)
				fresh := b.open(test.next)
				b.sleep(time.Hour)
				require.Equal(t, test.event, old.count("user") == 1)
				require.Equal(t, test.dialogs, old.dialogs)
				require.Equal(t, test.event, old.vm.Get("keepalive").ToObject(old.vm).Get("state").ToObject(old.vm).Get("otherUser").ToBoolean())
				require.Zero(t, fresh.count("user"))
				require.True(t, b.now.Before(s.expiry), "the session goes on")
			})
		})
	}
}

func TestUserComesBack(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		old := b.open(as("ann"))
		b.sleep(time.Second)
		b.open(as("bob"))
		b.sleep(time.Second)
		require.Equal(t, 1, old.count("user"))
		b.open(as("ann"))
		b.sleep(time.Second)
		require.Equal(t, 1, old.count("resumed"))
	})
}

// Another user signs in after the end: the old page is told of the end, and then of the user.
func TestAnotherUserAfterTheEnd(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		old := b.open(as("ann"))
		b.sleep(time.Second)
		s.out = true
		old.run(`keepalive.stay()`)
		b.sleep(3 * time.Second)
		require.Equal(t, []string{"gone"}, old.dialogs)
		require.NotContains(t, b.record(), "user")
		s.out = false
		b.open(as("bob"))
		b.sleep(3 * time.Second)
		require.Equal(t, []string{"gone", "user"}, old.dialogs)
	})
}

// A page that was on its way says nothing new.
func TestOlderPageOfAnotherUser(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		b.open(as("ann"))
		b.sleep(time.Second)
		late := as("bob")
		late.before = `performance.now = () => 9000`
		tb := b.open(late)
		b.sleep(time.Minute)
		require.Equal(t, 1, tb.count("user"), "it is the one that is out of date")
		require.Zero(t, b.tabs[0].count("user"))
	})
}

// An app that signs in without loading a page knows better than the page's stamp.
func TestUserAfterCheck(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(as("ann"))
		b.sleep(time.Second)
		require.Equal(t, "ann", tb.vm.Get("keepalive").ToObject(tb.vm).Get("user").String())
		tb.run(`document.dispatchEvent({type: 'keepalive:check'})`)
		require.Equal(t, "undefined", tb.vm.Get("keepalive").ToObject(tb.vm).Get("user").String())
		b.open(as("bob"))
		b.sleep(time.Minute)
		require.Zero(t, tb.count("user"))
	})
}

func TestGuestsSeeNoDialogs(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		guest := as("")
		guest.warn, guest.mode = 2*time.Minute, "active"
		tb := b.open(guest)
		b.sleep(18*time.Minute + 30*time.Second)
		require.Equal(t, 1, tb.count("warning"), "the app may want to know")
		tb.run(key)
		b.sleep(40 * time.Second)
		require.Equal(t, "POST", b.methods()[len(b.asked)-1], "nobody has been asked, so input counts")
		b.sleep(time.Hour)
		require.Equal(t, 1, tb.count("expired"))
		require.Empty(t, tb.dialogs)
	})
}

// A dashboard that reloads itself is Passive: its loads do not extend the session, its user's input does.
func TestPassivePage(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		passive := page{mode: "active", data: map[string]string{"passive": ""}}
		for range 15 {
			tb := b.open(passive)
			b.sleep(time.Minute)
			tb.dead = true
		}
		require.LessOrEqual(t, len(b.asked), 3, "not one question for each load")
		require.NotContains(t, b.methods(), "POST")
		tb := b.open(passive)
		tb.run(key)
		b.sleep(4 * time.Minute)
		require.Contains(t, b.methods(), "POST")
		require.Greater(t, s.expiry.Sub(b.now), 12*time.Minute)
	})
}
