package interleave_test

import (
	"context"
	"fmt"
	"maps"
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

// deployment is where the requests run.
type deployment struct {
	name  string
	store func(*world) scs.Store
	// merges is whether the store has Swap and Take, or gets them by its wrapper.
	merges bool
	// isWrapped is whether New wraps the store. All requests go to one instance then.
	isWrapped bool
	// identifies is whether Config.Identify is set. Then nobody gets what another user has written meanwhile.
	identifies bool
}

var deployments = []deployment{
	{name: "store of all methods", merges: true, store: func(w *world) scs.Store { return fullGate{gate{w}} }},
	{name: "users", merges: true, identifies: true, store: func(w *world) scs.Store { return fullGate{gate{w}} }},
	{name: "store without the optional methods", store: func(w *world) scs.Store { return gate{w} }},
	{name: "wrapped store", merges: true, isWrapped: true, store: func(w *world) scs.Store { return innerGate{w} }},
}

// Every three requests, and every two of a store without Swap and Take, which makes more calls.
func TestAnyThreeRequests(t *testing.T) {
	for _, d := range deployments {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			runs := 0
			for i, a := range actions {
				for j, b := range actions[i:] {
					if !d.merges {
						synctest.Test(t, func(t *testing.T) { runs += runAll(t, d, a, b) })
						continue
					}
					for _, c := range actions[i+j:] {
						synctest.Test(t, func(t *testing.T) { runs += runAll(t, d, a, b, c) })
					}
				}
			}
			t.Log(runs, "orders")
		})
	}
}

// runAll runs three requests in every order, and returns how many there are.
func runAll(t *testing.T, d deployment, actions ...action) (runs int) {
	w := new(world)
	var handlers []http.Handler
	for len(handlers) < len(actions) {
		if d.isWrapped && len(handlers) > 0 {
			handlers = append(handlers, handlers[0])
		} else {
			handlers = append(handlers, newInstance(t, w, d))
		}
	}
	codec := scs.GobCodec{}
	contents := map[string]any{"user": "alice", "a": "", "b": "", "c": ""}
	for choices := []int{}; choices != nil; {
		*w = world{token: fmt.Sprintf("%043d", runs), began: time.Now(), isShared: d.isWrapped, inner: memstore.NewWithCleanupInterval(0)}
		data, err := codec.Encode(w.began.Add(lifetime-time.Hour).UTC(), contents)
		require.NoError(t, err)
		if !d.isWrapped {
			w.store = memory.New(w.inner, true, deadlineIn).(memory.IterableStore).Store
			require.NoError(t, w.store.Commit(w.token, data, time.Now().Add(idle/2)))
		} else {
			require.NoError(t, w.inner.Commit(w.token, data, time.Now().Add(idle/2)))
		}
		for i, a := range actions {
			w.requests = append(w.requests, &request{action: a, value: fmt.Sprint(i), turn: make(chan struct{}), response: httptest.NewRecorder()})
		}
		w.start(handlers)
		made, of, failed := w.run(choices)
		runs++
		w.check(t, d)
		require.Empty(t, w.faults, "%v\n%s", made, strings.Join(w.log, "\n"))
		if !failed {
			choices = next(made, of)
		}
	}
	return runs
}

// newInstance returns the handler of an instance of an app.
func newInstance(t *testing.T, w *world, d deployment) http.Handler {
	sm := scs.New()
	synctest.Wait()
	sm.Store.(*memstore.MemStore).StopCleanup() // which would outlive the test
	sm.IdleTimeout, sm.Lifetime, sm.Store = idle, lifetime, d.store(w)
	cfg := keepalive.Config{
		Logger:   quiet,
		Passive:  func(r *http.Request) bool { return r.URL.Path == "/passive" },
		Observer: func(e keepalive.Event) { r := w.slot(e.Request.Context()); r.events = append(r.events, e) },
	}
	if d.identifies {
		cfg.Salt = "salt of all instances"
		cfg.Identify = func(ctx context.Context) string { return sm.GetString(ctx, "user") }
	}
	km, err := keepalive.New(sm, cfg)
	require.NoError(t, err)
	return km.LoadAndSave(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		request := w.slot(r.Context())
		request.handle(r.Context(), sm, request.value)
		rw.WriteHeader(http.StatusNoContent)
	}))
}

// has reports whether the request has published such an event.
func (r *request) has(kind keepalive.EventKind) bool {
	return slices.ContainsFunc(r.events, func(e keepalive.Event) bool { return e.Kind == kind })
}

func (r *request) isOneOf(names ...string) bool { return slices.Contains(names, r.name) }

func (r *request) writes() bool { return !r.isOneOf("read", "ping") }

// check holds a run that has ended against what is promised.
func (w *world) check(t *testing.T, d deployment) {
	all, err := w.inner.All()
	require.NoError(t, err)
	isRenewed := w.taker != nil && w.taker.isOneOf("login", "renew")

	// The first session, or what a renewal has made of it, is there unless somebody has signed out.
	current := w.token
	if isRenewed {
		if len(w.taker.created) != 1 {
			w.fault("the renewal has created %d sessions", len(w.taker.created))
			return
		}
		current = w.taker.created[0]
	}
	if signedOut := w.taker != nil && !isRenewed; !signedOut {
		w.checkContents(t, d, current)
	}
	delete(all, current)

	// All others hold only what was put into them.
	for key := range all {
		i := slices.IndexFunc(w.requests, func(r *request) bool { return slices.Contains(r.created, key) })
		r := w.requests[i]
		if !d.merges && r.isOneOf("login", "renew") {
			continue // without Take, one that has read the session before another deletes it brings it back
		}
		isNew := !r.isLoaded && !r.isOneOf("logout") || r.isOneOf("logout with message")
		_, values := w.contents(t, key)
		if !isNew || len(values) > 1 || values["user"] == "alice" {
			w.fault("%s %s has created a session: %v", r.value, r.name, values)
		}
	}
	for _, r := range w.requests {
		w.checkRequest(r, all, current)
	}
}

// checkContents holds the session against what the requests have reported.
func (w *world) checkContents(t *testing.T, d deployment, key string) {
	deadline, values := w.contents(t, key)
	if values == nil {
		w.fault("the session is lost")
		return
	}
	want := map[string]any{"user": "alice", "a": "", "b": "", "c": ""}
	wantDeadline := w.began.Add(lifetime - time.Hour)
	writers := slices.DeleteFunc(slices.Clone(w.requests), func(r *request) bool { return r.wrote == 0 })
	slices.SortFunc(writers, func(a, b *request) int { return a.wrote - b.wrote })
	isLogin := w.taker != nil && w.taker.name == "login"
	for _, r := range writers {
		if d.identifies && isLogin && r.wrote > w.taker.loadedAt {
			continue
		}
		switch r.name {
		case "write a":
			want["a"] = r.value
		case "write b":
			want["b"] = r.value
		case "passive write":
			want["c"] = r.value
		case "set deadline":
			wantDeadline = deadlineOf(r.value)
		}
	}
	if w.taker != nil { // a renewal, which begins another lifetime
		if isLogin {
			want["user"] = w.taker.value
		}
		wantDeadline = w.began.Add(lifetime)
	}
	if d.merges && (!maps.Equal(values, want) || !deadline.Equal(wantDeadline)) {
		w.fault("the session holds %v until %v, not %v until %v", values, deadline, want, wantDeadline)
	}
}

// checkRequest holds what a request has answered and reported against what it did.
func (w *world) checkRequest(r *request, others map[string][]byte, current string) {
	if r.name == "ping" {
		want := http.StatusUnauthorized
		if r.wasAlive {
			want = http.StatusOK
		}
		if r.response.Code != want {
			w.fault("the ping was answered with %d", r.response.Code)
		}
		return
	}
	if r.response.Code != http.StatusNoContent {
		w.fault("%s was answered with %d", r.name, r.response.Code)
	}
	isKept := r.wrote > 0 || r.took || len(r.created) > 0
	isUpdate := r.isLoaded && r.writes() && !strings.HasPrefix(r.name, "logout")
	if isUpdate && (r.has(keepalive.EventSave) != isKept || r.has(keepalive.EventLost) == isKept) {
		w.fault("%s has reported %v", r.name, r.events)
	}
	if isUpdate && !isKept && w.taker == nil {
		w.fault("%s is lost", r.name)
	}
	for _, cookie := range r.response.Result().Cookies() {
		isNamed := cookie.Value == w.token || slices.Contains(r.created, cookie.Value)
		if cookie.Value != "" && !isNamed {
			w.fault("the cookie of %s names no session", r.name)
		}
	}
}
