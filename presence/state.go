package presence

import (
	"hash/fnv"
	"strings"
)

// state is who is online. Tabs, sessions, users and pages lie in slabs and refer
// to each other by number, 0 for none: that is half of what pointers take, and
// nothing for the garbage collector to follow. Times are seconds since
// Tracker.start. Tracker.mu guards all of it.
type state struct {
	tabs     slab[tab] // linked in wheel
	sessions slab[session]
	users    slab[user]
	pages    slab[page]

	byName map[string]uint32 // sessions
	byUser map[string]uint32
	byPath map[string]uint32

	// wheel holds each tab in the slot of the second it is due. A slot that is
	// being swept stands in pending.
	wheel   [wheelSize]uint32
	pending uint32
	swept   int32 // the last second that is done
}

// wheelSize is how many seconds the wheel takes for a turn. A tab that is due
// later is looked at once in a turn.
const wheelSize = 1 << 10

type tab struct {
	id, sent               uint32
	session, sibling, page uint32
	moved, seen, due       int32
	slot                   int16 // -1: pending
	leaving                bool
}

type session struct {
	name       string
	user, tabs uint32 // first of user; first of tabs
	n          int32  // of tabs
}

type user struct {
	name, meta string
	sessions   uint32 // the first
	tabs       int32
	since      int32
}

type page struct {
	path string
	tabs int32
}

// slab holds values under numbers that last until they are freed.
type slab[T any] struct {
	chunks [][]cell[T]
	free   uint32 // the first of a list by next
	n      int    // in use
}

// cell is a value and its place in one doubly linked list.
type cell[T any] struct {
	v          T
	next, prev uint32
}

const chunk = 256

func (s *slab[T]) cell(i uint32) *cell[T] { return &s.chunks[i/chunk][i%chunk] }
func (s *slab[T]) at(i uint32) *T         { return &s.cell(i).v }

func (s *slab[T]) add(v T) uint32 {
	if s.free == 0 {
		first := uint32(len(s.chunks) * chunk)
		s.chunks = append(s.chunks, make([]cell[T], chunk))
		for i := first + chunk - 1; i > first; i-- {
			s.cell(i).next, s.free = s.free, i
		}
		if first > 0 { // number 0 is none
			s.cell(first).next, s.free = s.free, first
		}
	}
	i := s.free
	c := s.cell(i)
	s.free = c.next
	*c = cell[T]{v: v}
	s.n++
	return i
}

func (s *slab[T]) drop(i uint32) {
	*s.cell(i) = cell[T]{next: s.free}
	s.free = i
	s.n--
}

func (s *slab[T]) link(head *uint32, i uint32) {
	c := s.cell(i)
	c.next, c.prev = *head, 0
	if c.next != 0 {
		s.cell(c.next).prev = i
	}
	*head = i
}

func (s *slab[T]) unlink(head *uint32, i uint32) {
	c := s.cell(i)
	if c.prev != 0 {
		s.cell(c.prev).next = c.next
	} else {
		*head = c.next
	}
	if c.next != 0 {
		s.cell(c.next).prev = c.prev
	}
}

// record is a beat that has been checked, as instances tell it to each other.
type record struct {
	session, path, user, meta string

	tab   uint32 // 0: the whole session
	sent  uint32 // the page's clock; 0: not known
	leave bool
}

// number is what a tab's id is remembered as. Two tabs of a session that share
// one count as one, which is once in four billion.
func number(id string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return max(h.Sum32(), 1)
}

// late tells that a message was sent before the last one that counted. One that
// is older by far comes from a page whose clock was set.
func late(sent, last uint32) bool {
	behind := int32(last - sent)
	return sent != 0 && last != 0 && behind > 0 && behind < 60_000
}

// find returns a tab, or 0, and its session, or 0.
func (s *state) find(r *record) (ti, si uint32) {
	si = s.byName[r.session]
	if si == 0 {
		return 0, 0
	}
	for ti = s.sessions.at(si).tabs; ti != 0; ti = s.tabs.at(ti).sibling {
		if s.tabs.at(ti).id == r.tab {
			break
		}
	}
	return ti, si
}

// refresh takes a beat that changes nothing of what is shown, or a leave. ok
// tells that there is nothing more to do, tell that other instances should know.
func (t *Tracker) refresh(r *record, now int32) (ok, tell bool) {
	ti, si := t.find(r)
	switch {
	case r.leave && r.tab == 0 && si != 0:
		for ti := t.sessions.at(si).tabs; ti != 0; ti = t.tabs.at(ti).sibling {
			t.leave(ti, now)
		}
		return true, true
	case ti == 0:
		return r.leave, false
	}
	b := t.tabs.at(ti)
	same := t.pages.at(b.page).path == r.path
	switch {
	case late(r.sent, b.sent), r.leave && r.sent == 0 && r.path != "" && !same:
		return true, false
	case r.leave:
		b.sent, r.path = r.sent, t.pages.at(b.page).path // which another instance may know to be left already
		tell = !b.leaving
		t.leave(ti, now)
		return true, tell
	case !same, b.leaving && r.user == "", r.user != "" && !t.known(r, si): // who has come back may be somebody else
		return false, false
	case t.link != nil && !b.leaving && now-b.seen < t.ttl/16:
		return true, false // too soon to tell others, who are to know the same
	}
	t.see(b, r, now)
	return true, true
}

// known tells that a session is of the user that r names.
func (s *state) known(r *record, si uint32) bool {
	u := s.users.at(s.sessions.at(si).user)
	return u.name == r.user && u.meta == r.meta
}

// leave lets a tab stay for the grace.
func (t *Tracker) leave(ti uint32, now int32) {
	if b := t.tabs.at(ti); !b.leaving {
		b.leaving, b.due = true, now+t.grace
		t.schedule(ti)
	}
}

// see notes that a tab is there. It stays in its slot, to be moved when that is
// swept: a beat is cheaper so.
func (t *Tracker) see(b *tab, r *record, now int32) {
	b.seen, b.sent, b.leaving = max(b.seen, now), r.sent, false
	b.due = b.seen + t.ttl
}

// apply takes a beat that brings the session's user. It tells whether the beat
// counted.
func (t *Tracker) apply(r *record, now int32) bool {
	ti, si := t.find(r)
	switch {
	case ti != 0 && late(r.sent, t.tabs.at(ti).sent):
		return false
	case ti == 0 && t.tabs.n >= t.cfg.MaxTotal:
		t.full()
		return false
	case si != 0 && ti == 0 && int(t.sessions.at(si).n) >= t.cfg.MaxTabs:
		return false
	}
	if si == 0 {
		name := strings.Clone(r.session)
		si = t.sessions.add(session{name: name})
		t.byName[name] = si
	}
	t.belong(si, r, now)
	s := t.sessions.at(si)
	u := t.users.at(s.user)
	if ti == 0 {
		ti = t.tabs.add(tab{id: r.tab, session: si, sibling: s.tabs, page: t.enter(r.path), moved: now, seen: now, due: now + t.ttl, slot: -1})
		t.tabs.link(&t.pending, ti)
		t.wind()
		t.schedule(ti)
		s.tabs = ti
		s.n++
		u.tabs++
		t.emit(Join, u, now, "", r.path)
	} else if b := t.tabs.at(ti); t.pages.at(b.page).path != r.path {
		from := t.pages.at(b.page).path
		old := b.page
		b.page, b.moved = t.enter(r.path), now
		t.exit(old)
		t.emit(Move, u, now, from, r.path)
	}
	t.see(t.tabs.at(ti), r, now)
	return true
}

// belong makes a session one of the user that r names.
func (t *Tracker) belong(si uint32, r *record, now int32) {
	s := t.sessions.at(si)
	ui := t.byUser[r.user]
	if ui == 0 {
		name := strings.Clone(r.user)
		ui = t.users.add(user{name: name, since: now})
		t.byUser[name] = ui
	}
	u := t.users.at(ui)
	u.meta = r.meta
	if s.user == ui {
		return
	}
	if s.user != 0 {
		old := t.users.at(s.user)
		t.sessions.unlink(&old.sessions, si)
		for ti := s.tabs; ti != 0; ti = t.tabs.at(ti).sibling {
			old.tabs--
			t.emit(Leave, old, now, "", t.pages.at(t.tabs.at(ti).page).path)
		}
		t.release(s.user)
	}
	s.user = ui
	t.sessions.link(&u.sessions, si)
	for ti := s.tabs; ti != 0; ti = t.tabs.at(ti).sibling {
		u.tabs++
		t.emit(Join, u, now, "", t.pages.at(t.tabs.at(ti).page).path)
	}
}

// release forgets a user without tabs.
func (t *Tracker) release(ui uint32) {
	if u := t.users.at(ui); u.tabs == 0 {
		delete(t.byUser, u.name)
		t.users.drop(ui)
	}
}

func (s *state) enter(path string) uint32 {
	pi := s.byPath[path]
	if pi == 0 {
		path = strings.Clone(path) // it may be a part of a longer text
		pi = s.pages.add(page{path: path})
		s.byPath[path] = pi
	}
	s.pages.at(pi).tabs++
	return pi
}

func (s *state) exit(pi uint32) {
	p := s.pages.at(pi)
	if p.tabs--; p.tabs == 0 {
		delete(s.byPath, p.path)
		s.pages.drop(pi)
	}
}

// remove forgets a tab that is in no list, and what stood for it alone.
func (t *Tracker) remove(ti uint32, now int32) {
	b := t.tabs.at(ti)
	si := b.session
	s := t.sessions.at(si)
	u := t.users.at(s.user)
	for at := &s.tabs; ; at = &t.tabs.at(*at).sibling {
		if *at == ti {
			*at = b.sibling
			break
		}
	}
	s.n--
	u.tabs--
	t.emit(Leave, u, now, "", t.pages.at(b.page).path)
	t.exit(b.page)
	t.tabs.drop(ti)
	if s.n > 0 {
		return
	}
	if t.cfg.OnGone != nil {
		t.gone = append(t.gone, Gone{Session: s.name, User: u.name, Meta: raw(u.meta), Time: t.time(now)})
	}
	ui := s.user
	t.sessions.unlink(&u.sessions, si)
	delete(t.byName, s.name)
	t.sessions.drop(si)
	t.release(ui)
}

// schedule moves a tab to the slot of the second it is due.
func (s *state) schedule(ti uint32) {
	b := s.tabs.at(ti)
	slot := int16(max(b.due, s.swept+1) & (wheelSize - 1))
	if slot == b.slot {
		return
	}
	s.tabs.unlink(s.list(b.slot), ti)
	b.slot = slot
	s.tabs.link(s.list(slot), ti)
}

func (s *state) list(slot int16) *uint32 {
	if slot < 0 {
		return &s.pending
	}
	return &s.wheel[slot]
}

// sweep removes some of the tabs that are due, and tells whether it is done.
func (t *Tracker) sweep(now int32) bool {
	for range 1000 {
		if t.pending == 0 {
			if t.swept >= now {
				return true
			}
			t.swept++
			slot := &t.wheel[t.swept&(wheelSize-1)]
			t.pending, *slot = *slot, 0
			for ti := t.pending; ti != 0; ti = t.tabs.cell(ti).next {
				t.tabs.at(ti).slot = -1
			}
			continue
		}
		ti := t.pending
		b := t.tabs.at(ti)
		if !b.leaving {
			b.due = max(b.due, t.hold)
		}
		if b.due > now {
			t.schedule(ti)
			continue
		}
		t.tabs.unlink(&t.pending, ti)
		t.remove(ti, now)
	}
	return false
}
