package presence

import "runtime"

// view is a part of all tabs. The zero value is all of them.
type view struct {
	part part
	name string // of the page, user or session
}

type part int

const (
	everything part = iota
	onPage
	ofUser
	ofSession
)

// size returns how many tabs v has. The caller holds Tracker.mu.
func (v view) size(t *Tracker) int {
	switch v.part {
	case everything:
		return len(t.tabs)
	case onPage:
		if p := t.pages[v.name]; p != nil {
			return len(p.tabs)
		}
	case ofUser:
		if u := t.users[v.name]; u != nil {
			return u.tabs
		}
	case ofSession:
		if s := t.sessions[v.name]; s != nil {
			return len(s.tabs)
		}
	}
	return 0
}

func (v view) has(tab *tab) bool {
	switch v.part {
	case onPage:
		return tab.page.path == v.name
	case ofUser:
		return tab.session.user.name == v.name
	case ofSession:
		return tab.session.name == v.name
	default:
		return true
	}
}

// each calls visit with each tab of v at least once. The caller holds Tracker.mu. If visit
// gives it away for a while, tabs that are changed meanwhile may be left out, and new
// ones added.
func (v view) each(t *Tracker, visit func(*tab)) {
	switch v.part {
	case everything:
		for _, p := range t.pages { // a map may be changed while it is ranged over
			backward(&p.tabs, visit)
		}
	case onPage:
		if p := t.pages[v.name]; p != nil {
			backward(&p.tabs, visit)
		}
	case ofUser:
		if u := t.users[v.name]; u != nil {
			backward(&u.sessions, func(s *session) { backward(&s.tabs, visit) })
		}
	case ofSession:
		if s := t.sessions[v.name]; s != nil {
			backward(&s.tabs, visit)
		}
	}
}

// backward goes through a list that visit may change. Who deletes fills the gap with
// later elements, and who adds appends, so nothing comes before the place of the loop or
// jumps over it.
func backward[T any](list *[]T, visit func(T)) {
	for i := len(*list) - 1; i >= 0; i = min(i, len(*list)) - 1 {
		visit((*list)[i])
	}
}

// maxCopied is how many tabs are copied before waiting beats have their turn.
const maxCopied = 200

// copying is a copy of more tabs than that. It shows all tabs of its view as they were
// at its beginning: a tab that is about to join another page or user, or to leave, is
// copied before. When a user used a page last, and their meta, may be newer.
type copying struct {
	view view
	rows []row
}

// copyTabs returns the tabs of v at the time when it calls begin, under the lock.
func (t *Tracker) copyTabs(v view, begin func()) []row {
	t.mu.Lock()
	size := v.size(t)
	if size <= maxCopied {
		defer t.mu.Unlock()
		begin()
		rows := make([]row, 0, size)
		v.each(t, func(tab *tab) { rows = append(rows, newRow(tab)) })
		return rows
	}
	t.mu.Unlock()
	t.copyMu.Lock()
	defer t.copyMu.Unlock()
	c := &copying{view: v, rows: make([]row, 0, size+size/8)}
	t.mu.Lock()
	defer t.mu.Unlock()
	begin()
	t.copying = c
	t.copies++
	visited := 0
	v.each(t, func(tab *tab) {
		t.copyTab(tab)
		if visited++; visited%maxCopied == 0 {
			t.mu.Unlock()
			runtime.Gosched()
			t.mu.Lock()
		}
	})
	t.copying = nil
	return c.rows
}

// copyTab adds a tab to the copy that is being made, unless the copy has it already or
// shows a time before it. It is called for each tab before it changes.
func (t *Tracker) copyTab(tab *tab) {
	if t.copying == nil || tab.copied == t.copies {
		return
	}
	tab.copied = t.copies
	if t.copying.view.has(tab) {
		t.copying.rows = append(t.copying.rows, newRow(tab))
	}
}
