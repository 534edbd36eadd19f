package presence

import (
	"slices"
	"strings"
	"time"
)

// tab is an open page, or one that was left less than the grace ago.
type tab struct {
	id      string
	session *session
	page    *page
	sent    int64     // the page's clock in its last message; 0: unknown
	since   time.Time // when it came to the page
	seen    time.Time // its latest beat
	input   time.Time // when it was used last; zero: unknown
	leaving bool      // its page was left
	copied  uint32    // the last of Tracker.copies that has it, or began before it came
	check   time.Time // when the Tracker looks whether it must leave
	index   int32     // in Tracker.tabs
	place   int32     // in page.tabs
}

type session struct {
	name  string
	user  *user
	tabs  []*tab // few, and never empty
	index int    // in user.sessions
}

type user struct {
	name     string
	meta     string // JSON
	since    time.Time
	sessions []*session // never empty
	tabs     int        // of all sessions
	input    time.Time  // when they used a page last, also one that is left; zero: unknown
	away     bool       // Away was emitted, and Back not yet
}

// page is a path that tabs share, so that it is held in memory once.
type page struct {
	path string
	tabs []*tab // never empty
}

func (s *session) find(id string) *tab {
	if s == nil {
		return nil
	}
	for _, tab := range s.tabs {
		if tab.id == id {
			return tab
		}
	}
	return nil
}

// outcome is what became of a record.
type outcome int

const (
	ignored   outcome = iota // it changes nothing, here or elsewhere
	applied                  // other instances need it too
	needsUser                // it can be applied only with the user
)

// apply applies a record that arrived here, and sends it to the other instances.
func (t *Tracker) apply(r record) outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed() {
		return ignored
	}
	o := t.update(&r, time.Now())
	if o == applied && t.outbox != nil {
		t.outbox.send(&r)
	}
	return o
}

// update applies a record, and completes it with what is known here and may be
// unknown to other instances.
func (t *Tracker) update(r *record, now time.Time) outcome {
	s := t.sessions[r.session]
	switch tab := s.find(r.tab); {
	case r.leave && r.tab == "":
		return t.leaveSession(s, now)
	case r.leave:
		return t.leaveTab(tab, r, now)
	default:
		return t.updateTab(s, tab, r, now)
	}
}

func (t *Tracker) leaveSession(s *session, now time.Time) outcome {
	if s == nil {
		return ignored
	}
	o := ignored
	for _, tab := range s.tabs {
		if t.beginGrace(tab, now) == applied {
			o = applied
		}
	}
	return o
}

func (t *Tracker) leaveTab(tab *tab, r *record, now time.Time) outcome {
	if tab == nil || late(r.sent, tab.sent) {
		return ignored
	}
	if r.sent == 0 && r.path != "" && r.path != tab.page.path {
		return ignored // the tab is on the next page already
	}
	tab.sent, r.path = r.sent, tab.page.path
	return t.beginGrace(tab, now)
}

// beginGrace changes nothing if the tab is leaving already.
func (t *Tracker) beginGrace(tab *tab, now time.Time) outcome {
	if tab.leaving {
		return ignored
	}
	tab.leaving = true
	t.checkAt(tab, now.Add(t.cfg.Grace))
	return applied
}

// updateTab applies the beat of a tab. tab is nil if it is new, and s if the
// session is.
func (t *Tracker) updateTab(s *session, tab *tab, r *record, now time.Time) outcome {
	unchanged := tab != nil && !tab.leaving && tab.page.path == r.path
	switch {
	case tab != nil && late(r.sent, tab.sent):
		return ignored
	case tab == nil && !t.hasRoom(s):
		return ignored // and not needsUser, or Identify would be called for each beat
	case r.user == "" && !unchanged:
		return needsUser // a tab that comes back may be another user's now
	case r.user != "" && !t.userHasRoom(s, tab, r.user):
		*r = record{session: r.session, leave: true}
		return t.leaveSession(s, now) // none but a session that had another user
	case r.user == "":
		r.user, r.meta = s.user.name, s.user.meta
	}
	sameUser := s != nil && s.user.name == r.user && s.user.meta == r.meta
	comesBack := sameUser && r.idle > 0 && r.idle < t.cfg.Away && s.user.idle(now) >= t.cfg.Away
	if unchanged && sameUser && !comesBack && t.outbox != nil && now.Sub(tab.seen) < t.cfg.TTL/16 {
		return ignored // too soon for other instances, which must know the same
	}
	if s == nil {
		s = &session{name: strings.Clone(r.session)} // strings may be parts of long ones
		t.sessions[s.name] = s
	}
	if !sameUser {
		t.setUser(s, r, now)
	}
	if tab == nil {
		tab = t.addTab(s, r, now)
	} else if tab.page.path != r.path {
		t.moveTab(tab, r.path, now)
	}
	tab.sent, tab.leaving = r.sent, false
	if now.After(tab.seen) { // else it comes late from another instance
		tab.seen = now
	}
	t.noteInput(tab, r.idle, now)
	return applied
}

// noteInput takes how long before a beat its tab was used, 0 or less for unknown. The last
// input of a user never moves back, so however tabs contradict each other there is at
// most one Away in a time of Config.Away.
func (t *Tracker) noteInput(tab *tab, idle time.Duration, beat time.Time) {
	u := tab.session.user
	if idle <= 0 && u.input.IsZero() {
		return
	}
	now := time.Now() // the beat may come late from another instance
	wasAway := u.idle(now) >= t.cfg.Away
	input := beat.Add(-max(idle, 0))
	if idle > 0 {
		tab.input = latest(tab.input, input)
	}
	// Where a user's other pages report input, a page that does not counts as used: it
	// may be older than the setting, or its beat have come to an older instance.
	u.input = latest(u.input, input)
	switch isAway := u.idle(now) >= t.cfg.Away; {
	case isAway && !u.away:
		u.away = true
		t.emit(Away, u, now, "", "")
	case wasAway && !isAway:
		u.away = false
		t.emit(Back, u, now, "", "")
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (u *user) idle(now time.Time) time.Duration { return idleSince(u.input, now) }

// idleSince returns how long ago the last input was, at least a millisecond, or 0 if
// it is unknown.
func idleSince(input, now time.Time) time.Duration {
	if input.IsZero() {
		return 0
	}
	return max(now.Sub(input), time.Millisecond)
}

// late reports whether a message was sent before the last one that counted. One
// that is older by a minute comes from a page whose clock was set back.
func late(sent, last int64) bool {
	return sent != 0 && last != 0 && sent < last && last-sent < 60_000
}

// hasRoom reports whether the limits allow one more tab of s, which may be nil.
func (t *Tracker) hasRoom(s *session) bool {
	if len(t.tabs) >= t.cfg.MaxTotal {
		t.fullOnce.Do(func() {
			// Not under the lock: the logger may block.
			go t.log().Warn("presence: there are more tabs than Config.MaxTotal; further ones are not tracked", "MaxTotal", t.cfg.MaxTotal)
		})
		return false
	}
	return s == nil || len(s.tabs) < t.cfg.MaxTabs && t.userHasRoom(s, nil, s.user.name)
}

// userHasRoom reports whether the limit allows the named user what a beat of s and tab
// adds to their tabs. Either is nil if it is new.
func (t *Tracker) userHasRoom(s *session, tab *tab, name string) bool {
	u, added := t.users[name], 0
	if tab == nil {
		added++
	}
	if s != nil && s.user != u {
		added += len(s.tabs)
	}
	if u != nil && added > 0 {
		added += u.tabs
	}
	if added <= t.cfg.MaxUserTabs {
		return true
	}
	t.userOnce.Do(func() {
		go t.log().Warn("presence: a user has more tabs than Config.MaxUserTabs; further ones are not tracked", "MaxUserTabs", t.cfg.MaxUserTabs)
	})
	return false
}

func (t *Tracker) addTab(s *session, r *record, now time.Time) *tab {
	tab := &tab{id: strings.Clone(r.tab), session: s, since: now, seen: now, check: now.Add(t.cfg.TTL), copied: t.copies}
	t.enterPage(tab, r.path)
	s.tabs = append(s.tabs, tab)
	s.user.tabs++
	t.schedule(tab)
	t.emit(Join, s.user, now, "", tab.page.path)
	return tab
}

func (t *Tracker) moveTab(tab *tab, path string, now time.Time) {
	t.copyTab(tab)
	from := tab.page.path
	t.exitPage(tab)
	t.enterPage(tab, path)
	tab.since = now
	t.emit(Move, tab.session.user, now, from, tab.page.path)
}

// removeTab forgets a tab that is not scheduled any more, and its session and user
// if this was their last one.
func (t *Tracker) removeTab(tab *tab, now time.Time) {
	t.copyTab(tab)
	s, u := tab.session, tab.session.user
	i := slices.Index(s.tabs, tab)
	s.tabs = slices.Delete(s.tabs, i, i+1)
	u.tabs--
	t.emit(Leave, u, now, "", tab.page.path)
	t.exitPage(tab)
	if len(s.tabs) > 0 {
		return
	}
	if t.cfg.OnGone != nil {
		t.gone = append(t.gone, Gone{Session: s.name, User: u.name, Meta: rawMeta(u.meta), Time: now})
	}
	delete(t.sessions, s.name)
	t.detach(s)
}

// setUser gives a session to the user of r. In the events its tabs leave the user
// before, and join the new one, the newest tab first.
func (t *Tracker) setUser(s *session, r *record, now time.Time) {
	u := t.users[r.user]
	if u == nil {
		u = &user{name: strings.Clone(r.user), since: now}
		t.users[u.name] = u
	}
	u.meta = r.meta
	old := s.user
	if old == u {
		return
	}
	if old != nil {
		for _, tab := range s.tabs {
			t.copyTab(tab)
		}
		t.detach(s)
		for _, tab := range slices.Backward(s.tabs) {
			old.tabs--
			t.emit(Leave, old, now, "", tab.page.path)
		}
	}
	s.user, s.index = u, len(u.sessions)
	u.sessions = append(u.sessions, s)
	for _, tab := range slices.Backward(s.tabs) {
		u.tabs++
		tab.input = time.Time{} // it was the other user's
		t.emit(Join, u, now, "", tab.page.path)
	}
}

// detach takes a session from its user, and forgets the user with the last session.
// The last of user.sessions takes the free place, without a search: a user that
// stands for all guests may have thousands.
func (t *Tracker) detach(s *session) {
	u := s.user
	end := len(u.sessions) - 1
	last := u.sessions[end]
	u.sessions[s.index], last.index = last, s.index
	u.sessions[end] = nil
	u.sessions = u.sessions[:end]
	if end == 0 {
		delete(t.users, u.name)
	}
}

func (t *Tracker) enterPage(tab *tab, path string) {
	p := t.pages[path]
	if p == nil {
		p = &page{path: strings.Clone(path)}
		t.pages[p.path] = p
	}
	tab.page, tab.place = p, int32(len(p.tabs))
	p.tabs = append(p.tabs, tab)
}

// exitPage fills the gap with the last tab of the page, as detach does.
func (t *Tracker) exitPage(tab *tab) {
	p := tab.page
	end := len(p.tabs) - 1
	last := p.tabs[end]
	p.tabs[tab.place], last.place = last, tab.place
	p.tabs[end] = nil
	if p.tabs = p.tabs[:end]; end == 0 {
		delete(t.pages, p.path)
	}
}
