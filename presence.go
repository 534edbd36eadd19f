package keepalive

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Presence is what pages report about where their user is.
type Presence int

const (
	// PresenceOff reports nothing.
	PresenceOff Presence = iota
	// PresencePath reports the path of the page's URL.
	PresencePath
	// PresenceQuery reports the path with its query, which often holds what
	// others should not see.
	PresenceQuery
)

// What a page reports is cut to these lengths. The longest paths that browsers
// show are a little longer.
const (
	maxTab  = 32
	maxPage = 2000
)

// parsePresence reads the tab, its page and the time of a POST here or leave into
// an event. ok is false without a usable tab.
func parsePresence(form url.Values) (e Event, ok bool) {
	e.Tab = form.Get("tab")
	if e.Tab == "" || len(e.Tab) > maxTab || !utf8.ValidString(e.Tab) {
		return e, false
	}
	page := form.Get("page")
	e.Page = strings.ToValidUTF8(page[:min(len(page), maxPage)], "")
	e.Sent, _ = strconv.ParseInt(form.Get("sent"), 10, 64) // 0 for what is no number
	return e, true
}
