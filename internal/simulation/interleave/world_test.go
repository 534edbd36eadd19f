package interleave_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/memory"
	"github.com/stretchr/testify/require"
)

const (
	idle     = 20 * time.Minute
	lifetime = 12 * time.Hour
)

// action is what a request does.
type action struct {
	name, method, path string
	handle             func(ctx context.Context, sm *scs.SessionManager, value string)
}

func put(key string) func(context.Context, *scs.SessionManager, string) {
	return func(ctx context.Context, sm *scs.SessionManager, value string) { sm.Put(ctx, key, value) }
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

var actions = []action{
	{name: "login", handle: func(ctx context.Context, sm *scs.SessionManager, value string) {
		must(sm.RenewToken(ctx))
		sm.Put(ctx, "user", value)
	}},
	{name: "logout", handle: func(ctx context.Context, sm *scs.SessionManager, _ string) { must(sm.Destroy(ctx)) }},
	{name: "logout with message", handle: func(ctx context.Context, sm *scs.SessionManager, value string) {
		must(sm.Destroy(ctx))
		sm.Put(ctx, "message", value)
	}},
	{name: "renew", handle: func(ctx context.Context, sm *scs.SessionManager, _ string) { must(sm.RenewToken(ctx)) }},
	{name: "write a", handle: put("a")},
	{name: "write b", handle: put("b")},
	{name: "passive write", path: "/passive", handle: put("c")},
	{name: "read", handle: func(ctx context.Context, sm *scs.SessionManager, _ string) { sm.GetString(ctx, "user") }},
	{name: "set deadline", handle: func(ctx context.Context, sm *scs.SessionManager, value string) {
		sm.SetDeadline(ctx, deadlineOf(value))
	}},
	{name: "ping", method: http.MethodPost, path: "/keepalive/ping"},
}

// deadlineOf returns another deadline for each request.
func deadlineOf(value string) time.Time {
	return time.Date(2000, 1, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(value[0]) * time.Minute)
}

// slotKey is the key under which a context has the number of a request.
type slotKey struct{}

// request is one of those that run at the same time.
type request struct {
	action
	value string // what it writes
	turn  chan struct{}
	done  bool

	atGate    bool
	call, key string // that it waits for, or has last made
	arrived   int    // the number of steps then
	calls     int

	response  *httptest.ResponseRecorder
	events    []keepalive.Event
	hasLooked bool
	isLoaded  bool // the first session was there when it was loaded
	loadedAt  int  // the number of that step
	wasAlive  bool // it was there at the request's last call of the store for it
	wrote     int  // the number of the step that wrote into it; 0 for none
	took      bool // it deleted the first session
	created   []string
}

// world is a store, and what runs against it.
type world struct {
	token    string // of the session that all requests name
	began    time.Time
	inner    *memstore.MemStore
	store    *memory.Store
	requests []*request
	steps    int
	log      []string
	taker    *request
	last     *request // that has made a call

	isShared     bool // what is not in the store, too: there the order of reads counts
	isRepetition bool // an equal order runs, too
	faults       []string
}

func deadlineIn(data []byte) (time.Time, error) {
	deadline, _, err := scs.GobCodec{}.Decode(data)
	return deadline, err
}

// slot returns the request of a context.
func (w *world) slot(ctx context.Context) *request {
	n, ok := ctx.Value(slotKey{}).(int)
	if !ok {
		return nil
	}
	return w.requests[n]
}

// enter waits until it is the turn of the request, and returns a function that notes what the call has done.
func (w *world) enter(ctx context.Context, call, key string) func() {
	r := w.slot(ctx)
	if r == nil {
		return func() {}
	}
	r.atGate, r.call, r.key, r.arrived = true, call, key, w.steps
	<-r.turn
	r.calls++
	w.steps++
	before, was, _ := w.inner.Find(w.token)
	expiry := w.expiry()
	if key == w.token {
		r.wasAlive = was
		if !r.hasLooked {
			r.hasLooked, r.isLoaded, r.loadedAt = true, was, w.steps
		}
	}
	w.log = append(w.log, r.value+" "+r.name+": "+call)
	return func() {
		after, is, _ := w.inner.Find(w.token)
		now := w.expiry()
		switch {
		case was && !is:
			r.took, w.taker = true, r
		case !was && is:
			w.fault("%s: %s has brought the session back", r.name, call)
		case is && string(before) != string(after):
			r.wrote = w.steps
		}
		if is {
			deadline, err := deadlineIn(after)
			if err != nil || now.After(deadline) {
				w.fault("%s: the expiry %v is after the deadline %v", r.name, now, deadline)
			}
			if r.name == "passive write" && now.After(expiry) {
				w.fault("a passive request has extended the session")
			}
		}
		if key != w.token && strings.HasSuffix(call, "Commit") && !slices.Contains(r.created, key) {
			r.created = append(r.created, key)
		}
	}
}

// expiry returns that of the first session; the zero time behind a wrapper, which alone knows it.
func (w *world) expiry() time.Time {
	if w.store == nil {
		return time.Time{}
	}
	expiry, _, err := w.store.Expiry(context.Background(), w.token)
	must(err)
	return expiry
}

func (w *world) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// start begins all requests, each in a goroutine of its own, and leaves them at their
// first call of the store.
func (w *world) start(handlers []http.Handler) {
	for i, r := range w.requests {
		method, path := r.method, r.path
		if method == "" {
			method = http.MethodGet
		}
		if path == "" {
			path = "/"
		}
		ctx := context.WithValue(context.Background(), slotKey{}, i)
		req := httptest.NewRequestWithContext(ctx, method, path, nil)
		req.Header.Set("Cookie", "session="+w.token)
		go func() {
			handlers[i].ServeHTTP(r.response, req)
			r.done = true
		}()
	}
}

// ready returns the requests that wait for their turn, nil when all are done. One that waits for another, or
// for a random time, is not ready.
func (w *world) ready() []*request {
	for {
		synctest.Wait()
		ready := slices.DeleteFunc(slices.Clone(w.requests), func(r *request) bool { return !r.atGate })
		if len(ready) > 0 || !slices.ContainsFunc(w.requests, func(r *request) bool { return !r.done }) {
			return ready
		}
		time.Sleep(time.Millisecond)
	}
}

// commute reports whether the order of two calls makes no difference.
func commute(a, b *request) bool {
	return a.key != b.key || strings.HasSuffix(a.call, "Find") && strings.HasSuffix(b.call, "Find")
}

// isRepeated reports whether another order is as good as this, with r before what was
// last, or with an equal request first.
func (w *world) isRepeated(r *request) bool {
	n := slices.Index(w.requests, r)
	if w.last != nil && !w.isShared && n < slices.Index(w.requests, w.last) && r.arrived < w.steps && commute(r, w.last) {
		return true
	}
	return r.calls == 0 && slices.ContainsFunc(w.requests[:n], func(other *request) bool { return other.name == r.name && other.calls == 0 })
}

// run lets the requests make their calls in the order of choices, each the index among
// those that may go on, and after them always the first. It returns all choices made,
// and how many there were at each. It has failed where there were fewer than before:
// sessions share the locks of a wrapper by chance.
func (w *world) run(choices []int) (made, of []int, failed bool) {
	for {
		ready := w.ready()
		if len(ready) == 0 {
			return made, of, failed
		}
		r := ready[0]
		if fresh := slices.DeleteFunc(ready, w.isRepeated); len(fresh) == 0 {
			w.isRepetition = true
		} else if !w.isRepetition {
			choice := 0
			if step := len(made); step < len(choices) {
				choice = min(choices[step], len(fresh)-1)
				failed = failed || choice < choices[step]
			}
			made, of, r = append(made, choice), append(of, len(fresh)), fresh[choice]
		}
		w.last, r.atGate = r, false
		r.turn <- struct{}{}
	}
}

// next returns the choices of the run after one, nil after the last.
func next(made, of []int) []int {
	for i := len(made) - 1; i >= 0; i-- {
		if made[i]+1 < of[i] {
			return append(slices.Clone(made[:i]), made[i]+1)
		}
	}
	return nil
}

// contents returns what a session holds, nil for none.
func (w *world) contents(t *testing.T, key string) (time.Time, map[string]any) {
	data, found, err := w.inner.Find(key)
	require.NoError(t, err)
	if !found {
		return time.Time{}, nil
	}
	deadline, values, err := scs.GobCodec{}.Decode(data)
	require.NoError(t, err)
	return deadline, values
}

var errUnused = errors.New("not used")

var quiet = slog.New(slog.DiscardHandler)
