package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
)

const (
	// patience is how long a call that is held waits for the other one. One
	// that takes longer waits for a lock of the first, which is as good.
	patience = 50 * time.Millisecond
	// defaultRounds is the number of random rounds of all hazards together.
	defaultRounds = 800
)

// hazard is what another request does beside a touch.
type hazard struct {
	name, why string
	deadline  time.Duration // of the session before
	rival     func(x session) rival
}

// rival is one such request.
type rival struct {
	do    func(st keepalive.Store) error
	after session       // what it leaves under the key, if nothing comes after it
	gone  bool          // it leaves nothing there
	idle  time.Duration // how far it may move the expiry itself
	fresh *session      // what it leaves under another key
}

// longIdle is the idle timeout of a touch that goes farther than others.
const longIdle = 40 * time.Minute

var hazards = []hazard{
	{"Commit", "what another request has written must not be lost", time.Hour, func(x session) rival {
		y := x.filled().until(time.Hour, 10*time.Minute)
		return rival{after: y, do: y.commit}
	}},
	{"Replace", "what another request has written must not be lost, and the expiry that it set counts", time.Hour, func(x session) rival {
		y := x.filled().until(time.Hour, 2*time.Minute)
		return rival{after: y, do: y.replace}
	}},
	{"SetDeadline", "a deadline that was moved nearer must hold: often it is what ends a stolen session", time.Hour, func(x session) rival {
		y := x.until(time.Minute, time.Minute)
		return rival{after: y, do: y.replace}
	}},
	{"later deadline", "a deadline that was moved away must not pull the expiry back to the old one", 10 * time.Minute, func(x session) rival {
		y := x.until(2*time.Hour, 30*time.Minute)
		return rival{after: y, do: y.replace}
	}},
	{"Delete", "somebody who has signed out must stay signed out", time.Hour, func(x session) rival {
		return rival{after: x, gone: true, do: func(st keepalive.Store) error { return st.Delete(x.key) }}
	}},
	{"RenewToken", "the old token must die: it is renewed because others may know it", time.Hour, func(x session) rival {
		y := newSession(x.kind, time.Hour, 10*time.Minute)
		return rival{after: x, gone: true, fresh: &y, do: func(st keepalive.Store) error {
			return errors.Join(st.Delete(x.key), y.commit(st))
		}}
	}},
	{"Touch", "the later of two expiries counts, whichever touch comes last", time.Hour, func(x session) rival {
		y := x
		y.expiry = time.Now().Add(longIdle)
		return rival{after: y, idle: longIdle, do: func(st keepalive.Store) error {
			_, err := x.touch(st, longIdle)
			return err
		}}
	}},
	{"Swap", "what another request has merged must not be lost", time.Hour, func(x session) rival {
		y := x.filled().until(time.Hour, 2*time.Minute)
		return rival{after: y, do: func(st keepalive.Store) error {
			found, err := y.merge(context.Background(), st, x.data, y.expiry, func([]byte) ([]byte, error) { return y.data, nil })
			if err == nil && !found {
				err = errors.New("a live session is gone according to Swap")
			}
			return err
		}}
	}},
	{"Take", "somebody who has signed out must stay signed out", time.Hour, func(x session) rival {
		return rival{after: x, gone: true, do: func(st keepalive.Store) error {
			_, _, err := st.(taker).Take(context.Background(), x.key)
			return err
		}}
	}},
	{"look", "the expiry must never be past the deadline, not even for a moment: a crash would make it stay there", 10 * time.Minute, func(x session) rival {
		return rival{after: x, do: func(st keepalive.Store) error {
			return x.check(st, x.expiry, x.deadline)
		}}
	}},
}

// where runs a case for stores that have what the hazard needs.
func (h hazard) where(run func(*testing.T, subject)) func(*testing.T, subject) {
	switch h.name {
	case "Swap":
		return optional[swapper](h.name, run)
	case "Take":
		return optional[taker](h.name, run)
	}
	return run
}

// checkLeft returns an error unless the store is as it must be when x was touched,
// between from and now, beside rs. Of those that write, one has come last.
func checkLeft(st keepalive.Store, x session, from time.Time, rs ...rival) error {
	for _, r := range rs {
		if r.fresh != nil {
			if err := r.fresh.check(st, r.fresh.expiry, r.fresh.expiry); err != nil {
				return fmt.Errorf("the renewed session: %w", err)
			}
		}
	}
	if slices.ContainsFunc(rs, func(r rival) bool { return r.gone }) {
		return x.checkGone(st)
	}
	data, found, err := st.Find(x.key)
	if err != nil || !found {
		return fmt.Errorf("a live session is gone according to Find (error: %v)", err)
	}
	writes := func(r rival) bool { return !bytes.Equal(r.after.data, x.data) }
	written := slices.ContainsFunc(rs, writes)
	longest := idle
	for _, r := range rs {
		longest = max(longest, r.idle)
	}
	for _, r := range rs {
		if bytes.Equal(data, r.after.data) && (writes(r) || !written) {
			return r.after.check(st, r.after.touched(from, -century), r.after.touched(time.Now(), longest))
		}
	}
	return errors.New("what another request wrote is lost")
}

// collision is a rival that runs while a call is held.
type collision struct {
	rival
	st       keepalive.Store
	once     sync.Once
	err      error
	done     chan struct{}
	early    atomic.Bool // it had ended before the call went on
	previous *collision  // has to end before it starts; may be nil
}

func collide(r rival, st keepalive.Store) *collision {
	return &collision{rival: r, st: st, done: make(chan struct{})}
}

// hold starts the rival, and waits until it has ended or waits for us.
func (c *collision) hold() {
	c.once.Do(func() {
		go func() {
			defer close(c.done)
			if c.previous != nil {
				<-c.previous.done
			}
			c.err = c.do(c.st)
		}()
		select {
		case <-c.done:
			c.early.Store(true)
		case <-time.After(patience):
		}
	})
}

// end waits for the rival when the call has ended.
func (c *collision) end() error {
	c.hold()
	<-c.done
	return c.err
}

// frozen holds a touch when it has asked for the deadline. With retry it does so
// twice: a store that then sees other data must begin again, and be as careful.
func frozen(h hazard, retry bool) func(*testing.T, subject) {
	return func(t *testing.T, s subject) {
		each(t, fewKinds, func(t *testing.T, k kind) {
			x := newSession(k, h.deadline, 5*time.Minute)
			must(t, x.commit(s))
			var ms []*collision
			var first *collision
			if retry {
				y := x.filled()
				first = collide(rival{do: y.commit}, s.other)
				ms = append(ms, first)
				x = y
			}
			last := collide(h.rival(x), s.other)
			last.previous = first // also where the first one is slow
			ms = append(ms, last)
			from, asked := time.Now(), 0
			expiry, found, err := s.Touch(t.Context(), x.key, idle, func(data []byte) (time.Time, error) {
				deadline, err := x.read(data)
				if err == nil && asked < len(ms) { // not if the store tries with a part of the data first
					ms[asked].hold()
					asked++
				}
				return deadline, err
			})
			to := time.Now()
			if err != nil {
				t.Errorf("Touch: %v", err)
			}
			if asked == 0 {
				t.Error("Touch does not ask for the deadline of a session that is new to the store")
			}
			early := asked == len(ms)
			for _, m := range ms {
				early = early && m.early.Load()
				if err := m.end(); err != nil {
					t.Errorf("%s, beside the touch: %v", h.name, err)
				}
			}
			must(t, checkLeft(s.Store, x, from, last.rival))
			must(t, checkLeft(s.other, x, from, last.rival))
			switch {
			case last.gone && early && found:
				t.Error("Touch finds a session that has gone before it could write")
			case !last.gone && !found:
				t.Error("Touch reports that a live session is gone")
			case !last.gone && early: // so the touch came last
				must(t, between("Touch's answer", expiry, last.after.touched(from, idle), last.after.touched(to, max(idle, last.idle))))
				must(t, last.after.checkAll(s, expiry))
			}
		})
	}
}

// stepped holds a call at each step that its context can see: a touch of a
// session that the store has not touched before, one that it has, a Replace, and a
// Swap that keeps the expiry.
func stepped(h hazard) func(*testing.T, subject) {
	return func(t *testing.T, s subject) {
		calls := []string{"first Touch", "second Touch", "Replace"}
		if _, ok := s.Store.(swapper); ok {
			calls = append(calls, "Swap")
		}
		for _, call := range calls {
			each(t, fewKinds, func(t *testing.T, k kind) {
				for n := 1; n <= maxSteps; n++ {
					x := newSession(k, h.deadline, 5*time.Minute)
					must(t, x.commit(s))
					if call == "second Touch" {
						var err error
						x.expiry, err = x.touch(s, 6*time.Minute)
						must(t, err)
					}
					m := collide(h.rival(x), s.other)
					rs := []rival{m.rival}
					ctx, cancel := newSteps()
					ctx.at(n, m.hold)
					from := time.Now()
					var found bool
					var err error
					switch y := x.filled(); call {
					case "Replace":
						rs = append(rs, rival{after: y})
						found, err = s.Replace(ctx, y.key, y.data, y.expiry)
					case "Swap":
						_, found, err = s.Store.(swapper).Swap(ctx, y.key, x.data, y.data, time.Time{})
						if !m.gone && bytes.Equal(m.after.data, x.data) { // so nothing may stop it
							y.expiry = x.expiry
							rs[0].after.data, x = y.data, y
						}
					default:
						_, found, err = s.Touch(ctx, x.key, idle, x.read)
					}
					reached := ctx.reached(n)
					cancel()
					if err != nil {
						t.Errorf("%s: %v", call, err)
					} else if !found && !m.gone {
						t.Errorf("%s reports that a live session is gone", call)
					}
					err = m.end()
					if h.name == "look" && (call == "Replace" || call == "Swap") {
						err = nil // it may see the other data
					}
					if err := errors.Join(err, checkLeft(s.Store, x, from, rs...), checkLeft(s.other, x, from, rs...)); err != nil {
						t.Fatalf("%s, held at step %d: %v", call, n, err)
					}
					if !reached {
						break
					}
				}
			})
		}
	}
}

// schedules lets two of everything run at random.
func schedules(h hazard) func(*testing.T, subject) {
	return func(t *testing.T, s subject) {
		randomRounds(t, s, func(k kind) error { return schedule(s, h, k) })
	}
}

// randomRounds runs a case's share of the random rounds.
func randomRounds(t *testing.T, s subject, round func(k kind) error) {
	total := defaultRounds
	if v := os.Getenv("KEEPALIVE_ROUNDS"); v != "" {
		var err error
		if total, err = strconv.Atoi(v); err != nil || total < 1 {
			t.Fatalf("KEEPALIVE_ROUNDS is %q, not a number of rounds", v)
		}
	}
	cases := 2*len(hazards) - 1 // all are also beside merges, but "look"
	rounds := (total + cases - 1) / cases
	broken := 0
	for i := range rounds {
		k := kinds[i%len(kinds)]
		if err := round(k); err != nil {
			if broken++; broken <= 3 {
				t.Errorf("round %d, %s: %v", i, k.name, err)
			}
		}
	}
	t.Logf("%d of %d rounds broken, %d instance(s)", broken, rounds, s.instances)
}

// schedule is one round: two touches by each handle and two rivals; and two
// Replaces where the session must be gone in the end whoever writes.
func schedule(s subject, h hazard, k kind) error {
	x := newSession(k, h.deadline, 5*time.Minute)
	if err := x.commit(s); err != nil {
		return fmt.Errorf("in Commit: %w", err)
	}
	var err error
	if x.expiry, err = x.touch(s, 6*time.Minute); err != nil { // one handle has seen it, the other has not
		return err
	}
	rs := []rival{h.rival(x), h.rival(x)}
	var calls []func() error
	touch := func(st keepalive.Store) func() error {
		return func() error {
			ctx, cancel := newSteps()
			defer cancel()
			ctx.at(1+rand.IntN(4), jitter)
			_, found, err := st.Touch(ctx, x.key, idle, func(data []byte) (time.Time, error) {
				jitter()
				return x.read(data)
			})
			if err == nil && !found && !rs[0].gone {
				err = errors.New("a live session is gone")
			}
			if err != nil {
				err = fmt.Errorf("in Touch: %w", err)
			}
			return err
		}
	}
	calls = append(calls, touch(s.Store), touch(s.Store), touch(s.other), touch(s.other))
	for i, r := range rs {
		calls = append(calls, func() error { return r.do([]keepalive.Store{s.Store, s.other}[i]) })
		if y := x.filled(); r.gone {
			calls = append(calls, func() error {
				_, err := s.Replace(context.Background(), y.key, y.data, y.expiry)
				if st, ok := s.Store.(swapper); ok && err == nil {
					_, _, err = st.Swap(context.Background(), y.key, x.data, y.data, y.expiry)
				}
				return err
			})
		}
	}
	from := time.Now()
	errs := make([]error, len(calls))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, call := range calls {
		wg.Go(func() {
			<-start
			jitter()
			errs[i] = call()
		})
	}
	close(start)
	wg.Wait()
	return errors.Join(append(errs, checkLeft(s.Store, x, from, rs...), checkLeft(s.other, x, from, rs...))...)
}

// jitter lets others go first, sometimes for about as long as a server takes.
func jitter() {
	if rand.IntN(4) == 0 {
		time.Sleep(rand.N(200 * time.Microsecond))
		return
	}
	for range rand.IntN(4) {
		runtime.Gosched()
	}
}

func raceCases() (cs []testCase) {
	for _, h := range hazards {
		cs = append(cs, testCase{"frozen/" + h.name, h.why, h.where(frozen(h, false))})
	}
	for _, h := range hazards {
		cs = append(cs, testCase{"frozen twice/" + h.name, h.why, h.where(frozen(h, true))})
	}
	for _, h := range hazards {
		cs = append(cs, testCase{"each step/" + h.name, h.why, h.where(stepped(h))})
	}
	for _, h := range hazards {
		cs = append(cs, testCase{"random/" + h.name, h.why, h.where(schedules(h))})
	}
	for _, h := range hazards {
		if h.name != "look" {
			cs = append(cs, testCase{"random merges/" + h.name, h.why, h.where(optional[swapper]("Swap", merges(h)))})
		}
	}
	return cs
}
