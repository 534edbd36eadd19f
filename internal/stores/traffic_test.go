package stores_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// What is known of a session: a logout that was answered with an error may or
// may not have ended it.
const (
	live int32 = iota
	leaving
	gone
)

type trafficSession struct {
	token  string
	state  atomic.Int32
	values []string // what may be in the store; only its worker uses it
}

// traffic keeps a number of sessions busy: each is written, read and ended by
// one worker, and pinged by others.
type traffic struct {
	app *faultApp
	// fresh is an instance that has not yet seen any session, so that reading
	// one extends it.
	fresh func() *faultApp
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu       sync.Mutex
	sessions []*trafficSession
	answers  map[string]int
	faults   []string
}

func startTraffic(t *testing.T, a *faultApp) *traffic {
	tr := &traffic{app: a, answers: map[string]int{}}
	tr.fresh = func() *faultApp { return newFaultApp(t, a.store) }
	var ctx context.Context
	ctx, tr.stop = context.WithCancel(context.Background())
	t.Cleanup(tr.end)
	for id := range 4 {
		var own []*trafficSession
		for range 6 {
			own = append(own, tr.begin(a.login(t)))
		}
		tr.run(ctx, func(n int) { tr.work(own, fmt.Sprintf("%d-%d", id, n)) })
	}
	for range 3 {
		tr.run(ctx, func(int) { tr.look(a, "ping", "/keepalive/ping", 503) })
	}
	for range 2 {
		tr.run(ctx, func(int) { tr.look(tr.fresh(), "look", "/read", 500) })
	}
	return tr
}

func (tr *traffic) end() {
	tr.stop()
	tr.wg.Wait()
}

func (tr *traffic) run(ctx context.Context, f func(n int)) {
	tr.wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			f(n)
			time.Sleep(time.Millisecond) // as clients think, or the machine has no time for the server
		}
	})
}

func (tr *traffic) begin(token string) *trafficSession {
	s := &trafficSession{token: token, values: []string{""}}
	tr.mu.Lock()
	tr.sessions = append(tr.sessions, s)
	tr.mu.Unlock()
	return s
}

// note counts an answer, which is a fault if it is none of those allowed.
func (tr *traffic) note(what string, code int, allowed ...int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.answers[fmt.Sprint(what, code)]++
	if !slices.Contains(allowed, code) && len(tr.faults) < 20 {
		tr.faults = append(tr.faults, fmt.Sprintf("%s answered %d", what, code))
	}
}

func (tr *traffic) work(own []*trafficSession, v string) {
	i := rand.IntN(len(own))
	s := own[i]
	if s.state.Load() != live { // a new one in its place
		if code, _, token := tr.app.do(context.Background(), "/login", ""); code == 200 {
			own[i] = tr.begin(token)
		}
		return
	}
	switch p := rand.IntN(100); {
	case p < 45:
		code, ok := tr.app.put(s.token, v)
		if code == 200 && !ok {
			code = -200 // the session was lost
		}
		tr.note("put", code, 200, 500)
		if ok {
			// Those before it that failed may still be on their way.
			s.values[0] = v
		} else {
			s.values = append(s.values, v)
		}
	case p < 90:
		code, body, _ := tr.app.do(context.Background(), "/read", s.token)
		if code == 200 && !slices.Contains(s.values, body) {
			code = -200 // a write was lost
		}
		tr.note("read", code, 200, 500)
	case p < 95:
		s.state.Store(leaving)
		var late sync.WaitGroup // others that must not undo it
		late.Go(func() { tr.app.put(s.token, "late") })
		late.Go(func() { tr.fresh().code("/read", s.token) })
		code := tr.app.code("/logout", s.token)
		tr.note("logout", code, 200, 500)
		late.Wait()
		if code == 200 {
			s.state.Store(gone)
		}
	default: // a login over it, which must end the old token
		s.state.Store(leaving)
		code, _, token := tr.app.do(context.Background(), "/login", s.token)
		tr.note("login", code, 200, 500)
		if code == 200 {
			s.state.Store(gone)
			own[i] = tr.begin(token)
			own[i].values = slices.Clone(s.values)
		}
	}
}

// look asks for any session, also those that have ended. failed is the answer
// when the store does not work.
func (tr *traffic) look(a *faultApp, what, path string, failed int) {
	tr.mu.Lock()
	s := tr.sessions[rand.IntN(len(tr.sessions))]
	tr.mu.Unlock()
	before := s.state.Load()
	code := a.code(path, s.token)
	switch {
	case before == gone:
		tr.note(what+" of an ended session ", code, 401, failed)
	case s.state.Load() == live:
		tr.note(what+" of a live session ", code, 200, failed)
	default:
		tr.note(what+" of a leaving session ", code, 200, 401, failed)
	}
}

func (tr *traffic) count(answer string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.answers[answer]
}

// goesOn waits for n more of an answer.
func (tr *traffic) goesOn(t *testing.T, answer string, n int) {
	t.Helper()
	want := tr.count(answer) + n
	require.Eventually(t, func() bool { return tr.count(answer) >= want }, patience, 5*time.Millisecond, answer)
}

// check ends the traffic and compares what is known with what is stored, also as
// another process sees it.
func (tr *traffic) check(t *testing.T, other keepalive.Store) {
	tr.end()
	t.Log(tr.answers)
	require.Empty(t, tr.faults)
	second := newFaultApp(t, other)
	for _, s := range tr.sessions {
		for _, a := range []*faultApp{tr.app, second} {
			code := a.ping(s.token)
			_, found, err := other.Find(s.token)
			require.NoError(t, err)
			switch s.state.Load() {
			case gone:
				require.Equal(t, 401, code)
				require.False(t, found, "a session that was logged out is there")
			case live:
				require.Equal(t, 200, code)
				require.True(t, found)
				code, body, _ := a.do(t.Context(), "/read", s.token)
				require.Equal(t, 200, code)
				require.Contains(t, s.values, body)
			default:
				require.Equal(t, found, code == 200)
			}
		}
	}
}
