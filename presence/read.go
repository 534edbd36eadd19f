package presence

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"
)

// Visitor is a user who is online.
type Visitor struct {
	User string `json:"user"`

	// Meta is the JSON of what Identify last told. Nil: nothing.
	Meta json.RawMessage `json:"meta,omitempty"`

	// Since is when the first of the pages that have been open without a break
	// was opened.
	Since time.Time `json:"since"`

	// Seen is the latest beat of the pages below. With Config.Log, beats that come
	// sooner than a sixteenth of the time to live do not count.
	Seen time.Time `json:"seen"`

	// Pages has an entry for each tab, sorted by path, then by Since.
	Pages []Page `json:"pages"`
}

// Page is a page that is open in a tab.
type Page struct {
	// Path is "" if it was not one that can be shown.
	Path string `json:"path"`

	// Since is when the tab came to the page, and Seen its latest beat.
	Since time.Time `json:"since"`
	Seen  time.Time `json:"seen"`
}

// Counts is how many are online.
type Counts struct {
	Users    int `json:"users"`
	Sessions int `json:"sessions"`
	Tabs     int `json:"tabs"`
	Paths    int `json:"paths"` // different ones
}

// Online returns who is online, sorted by user. It holds up beats for some 0.05 ms
// per 1,000 tabs. The error is that of ctx if it ended before Config.Log was read
// for the first time; so it is for the methods below.
func (t *Tracker) Online(ctx context.Context) ([]Visitor, error) {
	return t.list(ctx, func() []row { return t.rows("", true) })
}

// Page returns who is on a page, sorted by user. Their Pages are that one only.
func (t *Tracker) Page(ctx context.Context, path string) ([]Visitor, error) {
	return t.list(ctx, func() []row { return t.rows(path, false) })
}

// User returns a user, and whether they are online.
func (t *Tracker) User(ctx context.Context, name string) (v Visitor, online bool, err error) {
	return one(t.list(ctx, func() (rows []row) {
		if ui := t.byUser[name]; ui != 0 {
			for si := t.users.at(ui).sessions; si != 0; si = t.sessions.cell(si).next {
				rows = t.session(rows, si)
			}
		}
		return rows
	}))
}

// Session returns the user of a session, and whether a page of it is open. Their
// Pages are those of the session only.
func (t *Tracker) Session(ctx context.Context, name string) (v Visitor, online bool, err error) {
	return one(t.list(ctx, func() (rows []row) {
		if si := t.byName[name]; si != 0 {
			rows = t.session(rows, si)
		}
		return rows
	}))
}

// Count returns how many are online. It costs next to nothing.
func (t *Tracker) Count(ctx context.Context) (Counts, error) {
	if err := t.settled(ctx); err != nil {
		return Counts{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return Counts{Users: t.users.n, Sessions: t.sessions.n, Tabs: t.tabs.n, Paths: t.pages.n}, nil
}

func one(vs []Visitor, err error) (v Visitor, online bool, _ error) {
	if len(vs) == 0 {
		return v, false, err
	}
	return vs[0], true, err
}

// row is a tab as it is copied while the lock is held.
type row struct {
	user, meta, path   string
	since, moved, seen int32
}

func (s *state) row(ti uint32) row {
	b := s.tabs.at(ti)
	u := s.users.at(s.sessions.at(b.session).user)
	return row{u.name, u.meta, s.pages.at(b.page).path, u.since, b.moved, b.seen}
}

func (s *state) session(rows []row, si uint32) []row {
	for ti := s.sessions.at(si).tabs; ti != 0; ti = s.tabs.at(ti).sibling {
		rows = append(rows, s.row(ti))
	}
	return rows
}

// rows copies the tabs on a page, or all of them.
func (s *state) rows(path string, all bool) (rows []row) {
	pi, n := s.byPath[path], s.tabs.n
	if !all {
		if pi == 0 {
			return nil
		}
		n = int(s.pages.at(pi).tabs)
	}
	rows = make([]row, 0, n)
	for i := uint32(0); len(rows) < n; i++ {
		if b := s.tabs.at(i); b.session != 0 && (all || b.page == pi) {
			rows = append(rows, s.row(i))
		}
	}
	return rows
}

func (t *Tracker) list(ctx context.Context, collect func() []row) ([]Visitor, error) {
	if err := t.settled(ctx); err != nil {
		return nil, err
	}
	t.mu.Lock()
	rows := collect()
	t.mu.Unlock()
	return t.visitors(rows), nil
}

// visitors sorts rows and puts those of a user together.
func (t *Tracker) visitors(rows []row) []Visitor {
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.path, b.path), cmp.Compare(a.moved, b.moved), cmp.Compare(a.seen, b.seen))
	})
	vs := []Visitor{}
	pages := make([]Page, 0, len(rows))
	for i, r := range rows {
		if i == 0 || r.user != rows[i-1].user {
			vs = append(vs, Visitor{User: r.user, Meta: raw(r.meta), Since: t.time(r.since)})
		}
		pages = append(pages, Page{Path: r.path, Since: t.time(r.moved), Seen: t.time(r.seen)})
		v := &vs[len(vs)-1]
		v.Pages = pages[len(pages)-1-len(v.Pages) : len(pages) : len(pages)]
		if seen := t.time(r.seen); seen.After(v.Seen) {
			v.Seen = seen
		}
	}
	return vs
}
