package keepalive_test

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// cart is a value that handlers change in place.
type cart struct{ Items []string }

func init() { gob.Register(&cart{}) }

// overlap is a browser whose two requests run at the same time.
type overlap struct {
	sm     *scs.SessionManager
	events []keepalive.Event
	client apptest.Client
	first  *http.Response
}

// do is what a handler does to its session.
type do = func(sm *scs.SessionManager, ctx context.Context)

// runOverlap lets a request load its session, then another one of the same session
// begin and end, and then the first one do what it does.
func runOverlap(t *testing.T, sm *scs.SessionManager, cfg keepalive.Config, values map[string]any, first, second do) *overlap {
	o := &overlap{sm: sm}
	cfg.Observer = sessionEvents(func(e keepalive.Event) { o.events = append(o.events, e) })
	var meanwhile func()
	km := newManager(t, sm, cfg)
	mux := http.NewServeMux()
	mux.HandleFunc("/begin", func(_ http.ResponseWriter, r *http.Request) {
		for key, value := range values {
			sm.Put(r.Context(), key, value)
		}
	})
	mux.HandleFunc("/first", func(_ http.ResponseWriter, r *http.Request) {
		meanwhile()
		first(sm, r.Context())
	})
	mux.HandleFunc("/second", func(_ http.ResponseWriter, r *http.Request) { second(sm, r.Context()) })
	o.client.Handler = km.LoadAndSave(mux)
	o.client.Get("/begin")
	other := o.client
	meanwhile = func() { other.Get("/second") }
	o.events = nil
	o.first = o.client.Get("/first")
	if other.Token != o.client.Token && o.first.Header["Set-Cookie"] == nil {
		o.client.Token = other.Token // a browser has one cookie
	}
	return o
}

func put(key string, value any) do {
	return func(sm *scs.SessionManager, ctx context.Context) { sm.Put(ctx, key, value) }
}

// all does one after another.
func all(each ...do) do {
	return func(sm *scs.SessionManager, ctx context.Context) {
		for _, do := range each {
			do(sm, ctx)
		}
	}
}

func clearAll(sm *scs.SessionManager, ctx context.Context) { _ = sm.Clear(ctx) }

func remove(sm *scs.SessionManager, ctx context.Context) { sm.Remove(ctx, "a") }

func nothing(*scs.SessionManager, context.Context) {}

func commit(sm *scs.SessionManager, ctx context.Context) { _, _, _ = sm.Commit(ctx) }

func destroy(sm *scs.SessionManager, ctx context.Context) { _ = sm.Destroy(ctx) }

func renew(sm *scs.SessionManager, ctx context.Context) { _ = sm.RenewToken(ctx) }

// endAll signs a user out everywhere, also here.
func endAll(sm *scs.SessionManager, ctx context.Context) { _ = sm.Iterate(ctx, sm.Destroy) }

const (
	started  = keepalive.EventStart
	save     = keepalive.EventSave
	lost     = keepalive.EventLost
	conflict = keepalive.EventConflict
	renewed  = keepalive.EventRenew
	ended    = keepalive.EventDestroy
)

// Two requests that change a session at the same time lose nothing of what the other
// one has done.
func TestTwoWriters(t *testing.T) {
	loaded := map[string]any{"a": "old", "b": "old"}
	tests := []struct {
		name          string
		first, second do
		want          map[string]any // nil for no session
		events        []keepalive.EventKind
		keys          []string // of the conflict
	}{
		{name: "different keys", first: put("a", "1"), second: put("b", "2"), want: map[string]any{"a": "1", "b": "2"}},
		{name: "new keys", first: put("c", "1"), second: put("d", "2"), want: map[string]any{"a": "old", "b": "old", "c": "1", "d": "2"}},
		{name: "nothing of the other's", first: put("a", "1"), second: nothing, want: map[string]any{"a": "1", "b": "old"}, events: []keepalive.EventKind{save}},
		{name: "the same key", first: all(put("b", "1"), put("a", "1")), second: put("a", "2"), want: map[string]any{"a": "1", "b": "1"}, events: []keepalive.EventKind{save, conflict, save}, keys: []string{"a"}},
		{name: "the same value", first: put("a", "1"), second: put("a", "1"), want: map[string]any{"a": "1", "b": "old"}},
		{name: "removed here", first: remove, second: put("b", "2"), want: map[string]any{"b": "2"}},
		{name: "removed there", first: put("b", "1"), second: remove, want: map[string]any{"b": "1"}},
		{name: "removed by both", first: remove, second: remove, want: map[string]any{"b": "old"}},
		{name: "removed here, changed there", first: remove, second: put("a", "2"), want: map[string]any{"b": "old"}, events: []keepalive.EventKind{save, conflict, save}, keys: []string{"a"}},
		{name: "changed here, removed there", first: put("a", "1"), second: remove, want: map[string]any{"a": "1", "b": "old"}, events: []keepalive.EventKind{save, conflict, save}, keys: []string{"a"}},
		{name: "a new key of both", first: put("c", "1"), second: put("c", "2"), want: map[string]any{"a": "old", "b": "old", "c": "1"}, events: []keepalive.EventKind{save, conflict, save}, keys: []string{"c"}},
		{name: "written as it was", first: put("a", "old"), second: put("a", "2"), want: map[string]any{"a": "2", "b": "old"}},
		{name: "cleared here", first: all(clearAll, put("c", "1")), second: put("d", "2"), want: map[string]any{"c": "1"}, events: []keepalive.EventKind{save, conflict, save}, keys: []string{"d"}},
		{name: "cleared there", first: put("c", "1"), second: clearAll, want: map[string]any{"c": "1"}},
		{name: "ended there", first: put("a", "1"), second: destroy, events: []keepalive.EventKind{ended, lost}},
		{name: "ended here", first: destroy, second: put("a", "2"), events: []keepalive.EventKind{save, ended}},
		{name: "renewed here", first: all(renew, put("a", "1")), second: nothing, want: map[string]any{"a": "1", "b": "old"}, events: []keepalive.EventKind{renewed, save}},
		{name: "renewed here, ended there", first: all(renew, put("a", "1")), second: destroy, events: []keepalive.EventKind{ended, lost}},
		{name: "renewed there", first: put("a", "1"), second: renew, want: map[string]any{"a": "old", "b": "old"}, events: []keepalive.EventKind{renewed, save, lost}},
		{name: "renewed by both", first: all(renew, put("a", "1")), second: renew, want: map[string]any{"a": "old", "b": "old"}, events: []keepalive.EventKind{renewed, save, lost}},
		{name: "renewed here, changed there", first: all(renew, put("a", "1")), second: put("b", "2"), want: map[string]any{"a": "1", "b": "2"}, events: []keepalive.EventKind{save, renewed, save}},
		{name: "a message after the end", first: all(destroy, put("message", "bye")), second: destroy, want: map[string]any{"message": "bye"}, events: []keepalive.EventKind{ended, ended, started, save}},
		{name: "renewed, then ended", first: all(renew, destroy, put("message", "bye")), second: put("c", "2"), want: map[string]any{"message": "bye"}, events: []keepalive.EventKind{save, ended, started, save}},
		{name: "renewed, then ended, then renewed", first: all(renew, destroy, renew, put("a", "1")), second: put("c", "2"), want: map[string]any{"a": "1"}, events: []keepalive.EventKind{save, ended, started, save}},
		{name: "renewed, ended and renewed, ended there", first: all(renew, destroy, renew, put("a", "1")), second: destroy, want: map[string]any{"a": "1"}, events: []keepalive.EventKind{ended, ended, started, save}},
		{name: "written twice", first: all(put("c", "1"), commit, func(sm *scs.SessionManager, ctx context.Context) { sm.Remove(ctx, "c") }), second: nothing, want: map[string]any{"a": "old", "b": "old"}, events: []keepalive.EventKind{save}},
		{name: "written twice, ended there", first: all(put("c", "1"), commit), second: destroy, events: []keepalive.EventKind{ended, lost}},
		{name: "renewed and written, ended there", first: all(renew, commit), second: destroy, events: []keepalive.EventKind{ended, lost}},
		{name: "a login after the end", first: all(destroy, renew, put("a", "old")), second: all(destroy, renew, put("a", "old")), want: map[string]any{"a": "old"}, events: []keepalive.EventKind{ended, started, save, ended, started, save}},
		{name: "ended everywhere but here", first: all(endAll, renew), second: nothing, want: map[string]any{"a": "old", "b": "old"}, events: []keepalive.EventKind{renewed, save}},
		{name: "ended everywhere", first: all(endAll, put("a", "1")), second: nothing, events: []keepalive.EventKind{lost}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, codec := range []scs.Codec{scs.GobCodec{}, jsonCodec{}} {
				sm := newSessions()
				sm.Codec = codec
				o := runOverlap(t, sm, keepalive.Config{}, loaded, tt.first, tt.second)
				_, values, found := apptest.Stored(t, sm, o.client.Token)
				require.Equal(t, tt.want != nil, found)
				require.Equal(t, tt.want, values)
				if tt.events == nil {
					tt.events = []keepalive.EventKind{save, save}
				}
				require.Equal(t, tt.events, kinds(o.events))
				for _, e := range o.events {
					require.True(t, e.Kind == conflict || e.Keys == nil)
					if e.Kind == conflict {
						require.Equal(t, tt.keys, e.Keys)
						require.NotEmpty(t, e.Session)
					}
				}
			}
		})
	}
}

// jsonCodec is a codec of a program's own.
type jsonCodec struct{}

func (jsonCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{"deadline": deadline, "values": values})
}

func (jsonCodec) Decode(data []byte) (time.Time, map[string]any, error) {
	var v struct {
		Deadline time.Time
		Values   map[string]any
	}
	err := json.Unmarshal(data, &v)
	return v.Deadline, v.Values, err
}

// A session that has ended before a request renews it does not come back: a stolen
// token could else hold a request open until its owner has signed out.
func TestRenewalAfterLogout(t *testing.T) {
	for _, end := range []do{destroy, renew} {
		sm := newSessions()
		var events []keepalive.Event
		km := newManager(t, sm, keepalive.Config{Observer: sessionEvents(func(e keepalive.Event) { events = append(events, e) })})
		var owner apptest.Client
		mux := http.NewServeMux()
		mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) { sm.Put(r.Context(), "user", "ann") })
		mux.HandleFunc("/end", func(_ http.ResponseWriter, r *http.Request) { end(sm, r.Context()) })
		mux.HandleFunc("/held", func(_ http.ResponseWriter, r *http.Request) {
			owner.Get("/end")
			renew(sm, r.Context())
			sm.Put(r.Context(), "more", 1)
		})
		owner.Handler = km.LoadAndSave(mux)
		owner.Get("/login")
		thief := owner
		res := thief.Get("/held")
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Empty(t, res.Header["Set-Cookie"])
		require.Equal(t, lost, events[len(events)-1].Kind)
		all, err := sm.Store.(scs.IterableStore).All()
		require.NoError(t, err)
		_, _, found := apptest.Stored(t, sm, owner.Token)
		if found {
			require.Len(t, all, 1)
		} else {
			require.Empty(t, all)
		}
	}
}

func TestValuesChangedInPlace(t *testing.T) {
	sm := newSessions()
	add := func(sm *scs.SessionManager, ctx context.Context) {
		c := sm.Get(ctx, "cart").(*cart)
		c.Items = append(c.Items, "book")
		sm.Put(ctx, "seen", true)
	}
	o := runOverlap(t, sm, keepalive.Config{}, map[string]any{"cart": &cart{Items: []string{"pen"}}}, add, put("b", 2))
	_, values, _ := apptest.Stored(t, sm, o.client.Token)
	require.Equal(t, map[string]any{"cart": &cart{Items: []string{"pen", "book"}}, "seen": true, "b": 2}, values)
}

// The deadline is merged as keys are.
func TestMergedDeadline(t *testing.T) {
	setDeadline := func(sm *scs.SessionManager, ctx context.Context) { sm.SetDeadline(ctx, time.Now().Add(time.Minute)) }
	for _, writers := range [][2]do{{setDeadline, put("a", 1)}, {put("a", 1), setDeadline}} {
		sm := newSessions()
		o := runOverlap(t, sm, keepalive.Config{}, map[string]any{"b": 1}, writers[0], writers[1])
		deadline, values, _ := apptest.Stored(t, sm, o.client.Token)
		require.WithinDuration(t, time.Now().Add(time.Minute), deadline, 10*time.Second)
		require.Equal(t, map[string]any{"a": 1, "b": 1}, values)
		expiry, _, err := sm.Store.(keepalive.Store).Expiry(t.Context(), o.client.Token)
		require.NoError(t, err)
		require.False(t, expiry.After(deadline))
	}
}

// The cookie is that of the merged session.
func TestMergedCookie(t *testing.T) {
	remember := func(sm *scs.SessionManager, ctx context.Context) { sm.RememberMe(ctx, true) }
	sm := newSessions()
	sm.Cookie.Persist = false
	o := runOverlap(t, sm, keepalive.Config{}, map[string]any{"a": 1}, put("a", 2), remember)
	require.Positive(t, o.first.Cookies()[0].MaxAge)
	require.Equal(t, 2, o.sm.GetInt(loadContext(t, sm, o.client.Token), "a"))
}

func loadContext(t *testing.T, sm *scs.SessionManager, token string) context.Context {
	ctx, err := sm.Load(t.Context(), token)
	require.NoError(t, err)
	return ctx
}

// With Config.Identify nothing gets from one user's session into another's.
func TestTwoWritersOfDifferentUsers(t *testing.T) {
	tests := []struct {
		name          string
		loaded        string // the user
		first, second do
		want          map[string]any
		last          []keepalive.EventKind
	}{
		{name: "a login meanwhile", first: put("cart", "full"), second: put("user", "bob"), want: map[string]any{"x": 1, "user": "bob"}, last: []keepalive.EventKind{lost}},
		{name: "another user meanwhile", loaded: "ann", first: put("cart", "full"), second: put("user", "bob"), want: map[string]any{"x": 1, "user": "bob"}, last: []keepalive.EventKind{lost}},
		{name: "a login here", first: put("user", "bob"), second: put("cart", "full"), want: map[string]any{"x": 1, "user": "bob", "cart": "full"}, last: []keepalive.EventKind{save}},
		{name: "another user here", loaded: "ann", first: put("user", "bob"), second: put("cart", "full"), want: map[string]any{"x": 1, "user": "ann", "cart": "full"}, last: []keepalive.EventKind{lost}},
		{name: "the same user", loaded: "ann", first: put("a", 1), second: put("b", 1), want: map[string]any{"x": 1, "user": "ann", "a": 1, "b": 1}, last: []keepalive.EventKind{save}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			loaded := map[string]any{"x": 1}
			if tt.loaded != "" {
				loaded["user"] = tt.loaded
			}
			o := runOverlap(t, sm, identified(sm), loaded, tt.first, tt.second)
			_, values, _ := apptest.Stored(t, sm, o.client.Token)
			require.Equal(t, tt.want, values)
			require.Equal(t, tt.last, kinds(o.events[len(o.events)-len(tt.last):]))
		})
	}
}

// A renewal that makes another user takes nothing over that the first one has written
// meanwhile.
func TestRenewalAsAnotherUser(t *testing.T) {
	sm := newSessions()
	o := runOverlap(t, sm, identified(sm), map[string]any{"user": "ann"}, all(renew, put("user", "bob")), put("secret", "of ann"))
	_, values, _ := apptest.Stored(t, sm, o.client.Token)
	require.Equal(t, map[string]any{"user": "bob"}, values)
	require.Equal(t, []keepalive.EventKind{save, renewed, conflict, save}, kinds(o.events))
}

// identified returns a Config by which the session knows its user.
func identified(sm *scs.SessionManager) keepalive.Config {
	return keepalive.Config{
		Identify: func(ctx context.Context) string { return sm.GetString(ctx, "user") },
		Salt:     strings.Repeat("s", 32),
	}
}

// A logout that only takes the user out of the session is not undone by a renewal that
// has loaded it before.
func TestRenewalAfterLogoutInPlace(t *testing.T) {
	for _, logout := range []do{clearAll, func(sm *scs.SessionManager, ctx context.Context) { sm.Remove(ctx, "user") }} {
		sm := newSessions()
		o := runOverlap(t, sm, identified(sm), map[string]any{"user": "ann", "a": 1}, renew, logout)
		_, _, found := apptest.Stored(t, sm, o.client.Token)
		require.False(t, found)
	}
}

// Many requests that write at once lose nothing, and none gives up.
func TestManyWriters(t *testing.T) {
	const writers = 40
	sm := newSessions()
	var conflicts atomic.Int64
	var ready sync.WaitGroup
	ready.Add(writers)
	h := newManager(t, sm, keepalive.Config{Observer: func(e keepalive.Event) {
		if e.Kind == conflict {
			conflicts.Add(1)
		}
	}}).LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ready.Done()
		ready.Wait()
		sm.Put(r.Context(), r.URL.Path, true)
	}))
	token := newToken(t, sm)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { (&apptest.Client{Handler: h, Token: token}).Get(fmt.Sprintf("/%d", i)) })
	}
	wg.Wait()
	_, values, _ := apptest.Stored(t, sm, token)
	require.Len(t, values, 1+writers)
	require.Zero(t, conflicts.Load())
}

// What others have written and this program can't read is written over, as in scs.
func TestUnreadableConflict(t *testing.T) {
	for _, first := range []do{put("a", 2), all(renew, put("a", 2))} {
		sm := newSessions()
		spoil := func(sm *scs.SessionManager, ctx context.Context) {
			require.NoError(t, sm.Store.Commit(sm.Token(ctx), []byte("no session"), time.Now().Add(time.Hour)))
		}
		o := runOverlap(t, sm, keepalive.Config{}, map[string]any{"a": 1}, all(spoil, first), nothing)
		_, values, _ := apptest.Stored(t, sm, o.client.Token)
		require.Equal(t, map[string]any{"a": 2}, values)
		require.Contains(t, kinds(o.events), conflict)
	}
}

// A store that another session manager has guarded is guarded anew.
func TestStoreOfAnotherManager(t *testing.T) {
	other := newSessions()
	newManager(t, other, keepalive.Config{}).LoadAndSave(http.NotFoundHandler())
	sm := newSessions()
	sm.Store = other.Store
	o := runOverlap(t, sm, keepalive.Config{}, map[string]any{"a": 1}, renew, destroy)
	_, _, found := apptest.Stored(t, sm, o.client.Token)
	require.False(t, found)
}

// Two logins at once from the page of a guest: both sign in.
func TestTwoLoginsOfGuest(t *testing.T) {
	login := all(renew, put("user", "ann"))
	sm := newSessions()
	o := runOverlap(t, sm, identified(sm), map[string]any{"csrf": "x"}, login, login)
	_, values, _ := apptest.Stored(t, sm, o.client.Token)
	require.Equal(t, map[string]any{"csrf": "x", "user": "ann"}, values)

	o = runOverlap(t, sm, identified(sm), map[string]any{"user": "ann"}, login, destroy)
	_, _, found := apptest.Stored(t, sm, o.client.Token)
	require.False(t, found)
}

// restlessStore has other data each time it is written to.
type restlessStore struct {
	keepalive.Store
	swaps int
}

func (s *restlessStore) Swap(ctx context.Context, key string, old, data []byte, _ time.Time) ([]byte, bool, error) {
	s.swaps++
	deadline, values, err := scs.GobCodec{}.Decode(old)
	if err != nil {
		return nil, false, err
	}
	values["n"] = s.swaps
	current, err := scs.GobCodec{}.Encode(deadline, values)
	return current, true, err
}

// Where others write all the time the last one wins in the end, and an event says so.
func TestEndlessConflict(t *testing.T) {
	sm := newSessions()
	newManager(t, sm, keepalive.Config{})
	store := &restlessStore{Store: sm.Store.(keepalive.Store)}
	sm.Store = store
	o := runOverlap(t, sm, keepalive.Config{}, map[string]any{"a": 1}, put("a", 2), nothing)
	_, values, _ := apptest.Stored(t, sm, o.client.Token)
	require.Equal(t, map[string]any{"a": 2, "n": 100}, values)
	require.Equal(t, 100, store.swaps)
	require.Equal(t, []keepalive.EventKind{conflict, save}, kinds(o.events))
}

// failingSwap fails to write.
type failingSwap struct{ keepalive.Store }

func (failingSwap) Swap(context.Context, string, []byte, []byte, time.Time) ([]byte, bool, error) {
	return nil, false, errors.New("no space left")
}

func TestFailingSwap(t *testing.T) {
	sm := newSessions()
	sm.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
	newManager(t, sm, keepalive.Config{})
	sm.Store = failingSwap{sm.Store.(keepalive.Store)}
	o := runOverlap(t, sm, keepalive.Config{}, map[string]any{"a": 1}, put("a", 2), nothing)
	require.Equal(t, http.StatusInternalServerError, o.first.StatusCode)
	require.Equal(t, "no space left\n", body(t, o.first))
}

// A store that can't compare is written to as it ever was: the last one wins.
func TestWritersOfStoreWithoutSwap(t *testing.T) {
	sm := newSessions()
	newManager(t, sm, keepalive.Config{})
	sm.Store = struct{ keepalive.Store }{sm.Store.(keepalive.Store)}
	o := runOverlap(t, sm, keepalive.Config{}, map[string]any{"a": 1, "b": 1}, put("a", 2), put("b", 2))
	_, values, _ := apptest.Stored(t, sm, o.client.Token)
	require.Equal(t, map[string]any{"a": 2, "b": 1}, values)
	require.Equal(t, []keepalive.EventKind{save, save}, kinds(o.events))
}
