package presence

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seed4a306b22/keepalive"
)

// Observe takes an event of keepalive. It is meant for keepalive's Config.Observer;
// an app that has another observer calls Observe from that one.
//
// EventHere is a beat of a tab, and EventLeave says that its page was left. After
// EventDestroy, EventGone and EventRenew all tabs of the session leave as if their
// pages had been left. Other events are ignored.
//
// An app that has ended a session by itself, such as by a delete in the store, need
// not wait for EventGone: it may pass an Event of that kind with the Session's name.
//
// Observe waits for Config.Identify and for nothing else. It may be called from
// many goroutines at once.
func (t *Tracker) Observe(e keepalive.Event) {
	switch e.Kind {
	case keepalive.EventHere:
		t.beat(e, t.newRecord(e))
	case keepalive.EventLeave:
		r := t.newRecord(e)
		r.leave = true
		if validTab(r.tab) {
			t.apply(r)
		}
	case keepalive.EventDestroy, keepalive.EventGone, keepalive.EventRenew:
		t.endSession(e.Session)
	}
}

func (t *Tracker) newRecord(e keepalive.Event) record {
	return record{session: e.Session, tab: e.Tab, path: t.cleanPath(e.Page), sent: e.Sent, idle: e.Idle}
}

// beat applies the beat of an event. Most beats change nothing that is shown, and
// need no Identify.
func (t *Tracker) beat(e keepalive.Event, r record) {
	if r.session == "" || !validTab(r.tab) || t.apply(r) != needsUser {
		return
	}
	name, meta := e.User, any(nil)
	if t.cfg.Identify != nil {
		name, meta = t.cfg.Identify(e.Request)
	}
	if len(name) > maxUser {
		t.warnOfUser(fmt.Errorf("the user has %d bytes, more than %d", len(name), maxUser))
		name = ""
	}
	if name == "" {
		t.endSession(r.session) // which may have had a user before
		return
	}
	r.user, r.meta = name, t.encodeMeta(meta)
	t.apply(r)
}

func (t *Tracker) endSession(name string) {
	t.apply(record{session: name, leave: true})
}

// maxUser and maxMeta bound what Identify returns, the second its JSON.
const (
	maxUser = 1 << 10
	maxMeta = 1 << 10
)

// warnOfUser logs once: users may choose their names, and beat as often as they like.
func (t *Tracker) warnOfUser(err error) {
	t.shownOnce.Do(func() {
		t.log().Error("presence: what Config.Identify returned can't be shown", "error", err)
	})
}

func (t *Tracker) encodeMeta(meta any) string {
	if meta == nil {
		return ""
	}
	b, err := json.Marshal(meta)
	if err == nil && len(b) > maxMeta {
		err = fmt.Errorf("the JSON of meta has %d bytes, more than %d", len(b), maxMeta)
	}
	if err != nil {
		t.warnOfUser(err)
		return ""
	}
	return string(b)
}

// rawMeta returns nil for an empty meta, so that JSON omits it.
func rawMeta(meta string) json.RawMessage {
	if meta == "" {
		return nil
	}
	return json.RawMessage(meta)
}

// cleanPath returns path without what is not to be shown, or "" if it is not a path
// as browsers write them, in printable ASCII.
func (t *Tracker) cleanPath(path string) string {
	path, fragment, _ := strings.Cut(path, "#")
	if !t.cfg.Query {
		path, _, _ = strings.Cut(path, "?")
		fragment, _, _ = strings.Cut(fragment, "?") // of a route
	}
	if t.cfg.Hash && fragment != "" {
		path += "#" + fragment
	}
	if len(path) > t.cfg.MaxPath || !strings.HasPrefix(path, "/") {
		return ""
	}
	for _, c := range []byte(path) {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return path
}

// validTab reports whether id is 1 to 32 letters and digits.
func validTab(id string) bool {
	for _, c := range []byte(id) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return id != "" && len(id) <= 32
}
