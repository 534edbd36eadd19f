package keepalive

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Presence is what pages report about their user, as flags:
//
//	Presence: keepalive.PresencePath | keepalive.PresenceIdle
type Presence int

const (
	// PresencePath reports the path of the page's URL.
	PresencePath Presence = 1 << iota
	// PresenceQuery reports the path with its query, which often holds what
	// others should not see.
	PresenceQuery
	// PresenceHash reports the path with its fragment, for apps that route by it. In
	// other apps it may hold secrets, such as the token of a sign-in (RFC 6749,
	// section 4.2.2). PresenceQuery adds the query.
	PresenceHash
	// PresenceIdle reports with each beat how long ago the last input was. That is
	// personal data about behaviour, at work too. Alone it reports no path. Loading a
	// page is input only where the browser knows of none before. Pages then listen to
	// input in every Mode, and report the first input after two minutes at once.
	PresenceIdle

	// PresenceOff reports nothing.
	PresenceOff Presence = 0
)

// valid reports whether p is made of the flags above.
func (p Presence) valid() bool {
	return p&^(PresencePath|PresenceQuery|PresenceHash|PresenceIdle) == 0
}

// attribute returns the words for the script element.
func (p Presence) attribute() string {
	var words []string
	switch {
	case p&PresenceQuery != 0:
		words = append(words, "query")
	case p&(PresencePath|PresenceHash) != 0:
		words = append(words, "path")
	}
	if p&PresenceHash != 0 {
		words = append(words, "hash")
	}
	if p&PresenceIdle != 0 {
		words = append(words, "idle")
	}
	return strings.Join(words, " ")
}

// What a page reports is cut to these lengths. The longest paths that browsers
// show are a little longer.
const (
	maxTab  = 32
	maxPage = 2000
)

// parse reads what a POST here or leave reports into an event. ok is false
// without a usable tab.
func (p Presence) parse(form url.Values) (e Event, ok bool) {
	e.Tab = form.Get("tab")
	if e.Tab == "" || len(e.Tab) > maxTab || !utf8.ValidString(e.Tab) {
		return e, false
	}
	page := form.Get("page")
	e.Page = strings.ToValidUTF8(page[:min(len(page), maxPage)], "")
	e.Sent, _ = strconv.ParseInt(form.Get("sent"), 10, 64) // 0 for what is no number
	if ms, err := strconv.ParseInt(form.Get("idle"), 10, 64); err == nil && p&PresenceIdle != 0 {
		e.Idle = time.Duration(min(max(ms, 1), maxInactive.Milliseconds())) * time.Millisecond
	}
	return e, true
}
