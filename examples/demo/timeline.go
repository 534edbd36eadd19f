package main

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
)

// maxMarks bounds what is kept of one session; the oldest go first.
const maxMarks = 2000

// lane is the life of one session, as its Manager reported it. Times are Unix
// milliseconds.
type lane struct {
	Start    int64  `json:"start"`
	Deadline int64  `json:"deadline"`
	Marks    []mark `json:"marks"`
}

// mark is a request or a ping that moved the session's expiry.
type mark struct {
	At     int64               `json:"at"`
	Kind   keepalive.EventKind `json:"kind"`
	Expiry int64               `json:"expiry"`
}

// timelines keeps the lanes of all visitors.
type timelines struct {
	lifetime time.Duration

	mu     sync.Mutex
	visits map[string]*visit
	lanes  map[string]*lane // by Event.Session
}

// visit is what one signing in began.
type visit struct {
	began    time.Time
	lanes    map[string]*lane // "with" and "without"
	sessions []string         // its keys in timelines.lanes
}

func newTimelines(lifetime time.Duration) *timelines {
	return &timelines{lifetime: lifetime, visits: make(map[string]*visit), lanes: make(map[string]*lane)}
}

// begin returns the name of a new timeline, and forgets those whose sessions
// have reached their deadlines.
func (t *timelines) begin() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, v := range t.visits {
		if time.Since(v.began) > t.lifetime {
			for _, session := range v.sessions {
				delete(t.lanes, session)
			}
			delete(t.visits, id)
		}
	}
	id := rand.Text()
	t.visits[id] = &visit{began: time.Now(), lanes: make(map[string]*lane)}
	return id
}

// observer is Config.Observer for one side.
func (t *timelines) observer(side string, sm *scs.SessionManager) func(keepalive.Event) {
	return func(e keepalive.Event) {
		t.mu.Lock()
		defer t.mu.Unlock()
		l := t.lanes[e.Session]
		now := time.Now().UnixMilli()
		if l == nil && e.Kind == keepalive.EventSave {
			// A session begins with a save. Its request has the session at hand,
			// and with it the timeline's name; a ping's has not.
			if v := t.visits[sm.GetString(e.Request.Context(), "timeline")]; v != nil {
				l = &lane{Start: now}
				t.lanes[e.Session] = l
				v.lanes[side] = l
				v.sessions = append(v.sessions, e.Session)
			}
		}
		if l == nil || e.Expiry.IsZero() {
			return
		}
		l.Deadline = e.Deadline.UnixMilli()
		if len(l.Marks) == maxMarks {
			l.Marks = slices.Delete(l.Marks, 0, 1)
		}
		l.Marks = append(l.Marks, mark{At: now, Kind: e.Kind, Expiry: e.Expiry.UnixMilli()})
	}
}

// get is a timeline as JSON, nil if there is none of that name.
func (t *timelines) get(id string) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.visits[id]
	if v == nil {
		return nil
	}
	body, err := json.Marshal(struct {
		Now     int64 `json:"now"`
		With    *lane `json:"with"`
		Without *lane `json:"without"`
	}{time.Now().UnixMilli(), v.lanes["with"], v.lanes["without"]})
	if err != nil {
		panic(err) // of numbers and constants
	}
	return body
}
