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

	// Meta is the JSON of what Identify returned last. Nil: nothing.
	Meta json.RawMessage `json:"meta,omitempty"`

	// Since is when the user came online: since then at least one page has been
	// open at any time.
	Since time.Time `json:"since"`

	// Seen is the latest beat of the pages below. With Config.Log, a beat within a
	// sixteenth of the time to live after the last one does not count.
	Seen time.Time `json:"seen"`

	// Idle is how long ago the user last used a page, also one that is closed by now: 1
	// ms or more, which grows while no beat comes; 0 where no page has reported it. It
	// is exact from 3 minutes on, and may be too long by a minute before, because pages
	// report each minute. In JSON it is idleMs, in milliseconds.
	Idle time.Duration `json:"-"`

	// Away reports whether Idle has reached Config.Away.
	Away bool `json:"away,omitempty"`

	// Pages has an entry for each tab, sorted by path, then by Since.
	Pages []Page `json:"pages"`
}

// Page is a page that is open in a tab.
type Page struct {
	// Path is "" if it was not one that can be shown.
	Path string `json:"path"`

	// Since is when the tab came to the page, and Seen is its latest beat.
	Since time.Time `json:"since"`
	Seen  time.Time `json:"seen"`

	// Idle is how long ago this page was used last, as in [Visitor]. A page that nobody
	// has used yet begins with the last use of any page of the browser.
	Idle time.Duration `json:"-"`
}

// Counts is how many are online.
type Counts struct {
	Users    int `json:"users"`
	Sessions int `json:"sessions"`
	Tabs     int `json:"tabs"`
	Paths    int `json:"paths"` // different ones
}

// Online returns who is online, sorted by user. It copies 200 tabs at a time, and beats
// have their turn between.
//
// The error is that of ctx if it ended before Config.Log was read for the first time.
func (t *Tracker) Online(ctx context.Context) ([]Visitor, error) {
	return t.list(ctx, view{})
}

// Page returns who is on a page, sorted by user. Their Pages are that one only.
//
// path must be as it is in [Page.Path]: without the fragment, and without the query
// unless Config.Query is set. "" stands for all pages whose path can't be shown.
//
// The error is that of ctx if it ended before Config.Log was read for the first time.
func (t *Tracker) Page(ctx context.Context, path string) ([]Visitor, error) {
	return t.list(ctx, view{onPage, path})
}

// User returns a user, and whether they are online.
//
// The error is that of ctx if it ended before Config.Log was read for the first time.
func (t *Tracker) User(ctx context.Context, name string) (v Visitor, online bool, err error) {
	return first(t.list(ctx, view{ofUser, name}))
}

// Session returns the user of a session, and whether a page of it is open. Their
// Pages are those of the session only.
//
// The error is that of ctx if it ended before Config.Log was read for the first time.
func (t *Tracker) Session(ctx context.Context, name string) (v Visitor, online bool, err error) {
	return first(t.list(ctx, view{ofSession, name}))
}

// Count returns how many are online. It costs next to nothing.
//
// The error is that of ctx if it ended before Config.Log was read for the first time.
func (t *Tracker) Count(ctx context.Context) (Counts, error) {
	if err := t.waitReady(ctx); err != nil {
		return Counts{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return Counts{Users: len(t.users), Sessions: len(t.sessions), Tabs: len(t.tabs), Paths: len(t.pages)}, nil
}

func first(vs []Visitor, err error) (v Visitor, online bool, _ error) {
	if len(vs) == 0 {
		return v, false, err
	}
	return vs[0], true, nil
}

// list returns who is in v.
func (t *Tracker) list(ctx context.Context, v view) ([]Visitor, error) {
	if err := t.waitReady(ctx); err != nil {
		return nil, err
	}
	rows := t.copyTabs(v, func() {})
	sortRows(rows)
	return t.visitors(rows), nil
}

// row is a copy of a tab.
type row struct {
	user, meta, path      string
	online, arrived, seen time.Time
	used, input           time.Time // the user's last input, and that in the tab
}

func newRow(tab *tab) row {
	u := tab.session.user
	return row{
		user: u.name, meta: u.meta, path: tab.page.path,
		online: u.since, arrived: tab.since, seen: tab.seen,
		used: u.input, input: tab.input,
	}
}

// sortRows puts the rows of a user together.
func sortRows(rows []row) {
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(
			cmp.Compare(a.user, b.user), cmp.Compare(a.path, b.path), a.arrived.Compare(b.arrived), a.seen.Compare(b.seen),
		)
	})
}

// visitors returns the visitors of sorted rows.
func (t *Tracker) visitors(rows []row) []Visitor {
	now := time.Now()
	isNext := func(i int) bool { return i == 0 || rows[i-1].user != rows[i].user }
	users := 0
	for i := range rows {
		if isNext(i) {
			users++
		}
	}
	vs := make([]Visitor, 0, users)     // no null in JSON
	pages := make([]Page, 0, len(rows)) // of all
	for i, r := range rows {
		if isNext(i) {
			idle := idleSince(r.used, now)
			vs = append(vs, Visitor{
				User: r.user, Meta: rawMeta(r.meta), Since: r.online, Idle: idle, Away: idle >= t.cfg.Away,
			})
		}
		v := &vs[len(vs)-1]
		pages = append(pages, Page{Path: r.path, Since: r.arrived, Seen: r.seen, Idle: idleSince(r.input, now)})
		v.Pages = pages[len(pages)-len(v.Pages)-1 : len(pages) : len(pages)]
		if r.seen.After(v.Seen) {
			v.Seen = r.seen
		}
	}
	return vs
}
