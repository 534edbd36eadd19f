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

const (
	// maxMarks is how many marks a lane keeps. New ones replace the oldest.
	maxMarks = 2000
	// keepTimeline is how long a timeline can be read after its sessions have
	// reached their deadlines: a page may have been hidden until then.
	keepTimeline = time.Hour
)

// lane is the history of one session, from the events of its Manager. Times are
// Unix milliseconds.
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

// visit is what belongs to one sign-in.
type visit struct {
	start    time.Time
	lanes    map[string]*lane // "with" and "without"
	sessions []string         // the keys of its lanes in timelines.lanes
}

func newTimelines(lifetime time.Duration) *timelines {
	return &timelines{lifetime: lifetime, visits: make(map[string]*visit), lanes: make(map[string]*lane)}
}

// add returns the id of a new timeline, and removes those that are too old.
func (t *timelines) add() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, v := range t.visits {
		if time.Since(v.start) > t.lifetime+keepTimeline {
			t.delete(id)
		}
	}
	id := rand.Text()
	t.visits[id] = &visit{start: time.Now(), lanes: make(map[string]*lane)}
	return id
}

// remove removes the timeline with that id, if there is one.
func (t *timelines) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delete(id)
}

// delete is remove for callers that hold the lock.
func (t *timelines) delete(id string) {
	if v := t.visits[id]; v != nil {
		for _, session := range v.sessions {
			delete(t.lanes, session)
		}
		delete(t.visits, id)
	}
}

// observer returns the Config.Observer of one side.
func (t *timelines) observer(side string, sm *scs.SessionManager) func(keepalive.Event) {
	return func(e keepalive.Event) {
		t.mu.Lock()
		defer t.mu.Unlock()
		l := t.lanes[e.Session]
		now := time.Now().UnixMilli()
		if l == nil && e.Kind == keepalive.EventSave {
			// A session starts with a save. The context of that request has the
			// session, with the id of the timeline; that of a ping has none.
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

// get returns a timeline as JSON, nil if there is none with that id.
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
		panic(err) // numbers and strings always have a JSON form
	}
	return body
}
