package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
)

const (
	// maxSteps is how many steps of a call are tried.
	maxSteps = 20
	// hangLimit is after which time a call that should have ended counts as
	// hanging. A machine with other work must not reach it.
	hangLimit = 10 * time.Second
)

// steps is a context that counts how often it is asked, and does something the
// n-th time. Stores, and the drivers below them, ask before most of what they
// do, so it stops a call between two of its steps without a hook in the store.
type steps struct {
	context.Context
	count atomic.Int64
	n     int
	do    func()
}

func newSteps() (*steps, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	return &steps{Context: ctx}, cancel
}

func (s *steps) at(n int, do func()) { s.n, s.do = n, do }

func (s *steps) reached(n int) bool { return s.count.Load() >= int64(n) }

func (s *steps) step() {
	if s.count.Add(1) == int64(s.n) {
		s.do()
	}
}

func (s *steps) Deadline() (time.Time, bool) {
	s.step()
	return s.Context.Deadline()
}

func (s *steps) Done() <-chan struct{} {
	s.step()
	return s.Context.Done()
}

func (s *steps) Err() error {
	s.step()
	return s.Context.Err()
}

var contextCases = []testCase{
	{"context/has ended", "a call for a client that has gone must end with the context's error and do nothing", func(t *testing.T, s subject) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		each(t, kinds, func(t *testing.T, k kind) {
			x := newSession(k, time.Hour, 10*time.Minute)
			must(t, x.commit(s))
			for range 2 {
				for _, ctx := range []context.Context{cancelled, late} {
					for name, call := range calls(s, x.data, x.filled()) {
						if err := call(ctx); !errors.Is(err, ctx.Err()) {
							t.Errorf("%s: the error is %v, not the context's, %v", name, err, ctx.Err())
						}
					}
				}
				must(t, x.checkAll(s, x.expiry))
				// Once more when the store has seen the session.
				var err error
				x.expiry, err = x.touch(s, idle)
				must(t, err)
			}
		})
	}},

	{"context/ends a wait", "a request that waits for another one of the same session must not wait longer than its context", func(t *testing.T, s subject) {
		each(t, fewKinds, func(t *testing.T, k kind) {
			x := newSession(k, time.Hour, 10*time.Minute)
			must(t, x.commit(s))
			reached, release, held := make(chan struct{}, 100), make(chan struct{}), make(chan error, 1)
			go func() {
				_, _, err := s.Touch(context.Background(), x.key, idle, func(data []byte) (time.Time, error) {
					reached <- struct{}{}
					<-release
					return x.read(data)
				})
				held <- err
				reached <- struct{}{}
			}()
			<-reached
			var err error
			for name, call := range calls(s, x.data, x.filled()) {
				if err = endsWithContext(name, call); err != nil {
					break // the next one would wait as long
				}
			}
			close(release)
			must(t, errors.Join(err, <-held))
		})
	}},

	{"context/ends at each step", "a call that is cut short anywhere, as by a crash, must leave a session that is within its bounds and free for the next call", func(t *testing.T, s subject) {
		each(t, fewKinds, func(t *testing.T, k kind) {
			for _, seen := range []bool{false, true} {
				for n := 1; n <= maxSteps; n++ {
					x := newSession(k, 10*time.Minute, 5*time.Minute)
					must(t, x.commit(s))
					if seen {
						var err error
						x.expiry, err = x.touch(s, 6*time.Minute)
						must(t, err)
					}
					steps, cancel := newSteps()
					steps.at(n, cancel)
					_, _, err := s.Touch(steps, x.key, idle, func(data []byte) (time.Time, error) {
						steps.step()
						return x.read(data)
					})
					cancel()
					if err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("Touch, cut short: the error is %v, not the context's", err)
					}
					if err := errors.Join(x.check(s.Store, x.expiry, x.deadline), x.check(s.other, x.expiry, x.deadline)); err != nil {
						t.Fatalf("after a Touch that was cut short at step %d: %v", n, err)
					}
					_, err = x.touch(s, idle)
					must(t, err)
					if !steps.reached(n) {
						break
					}
				}
			}
		})
	}},
}

// endsWithContext makes a call and reports what is wrong if it does not end when
// its context does. It may also succeed.
func endsWithContext(name string, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	case <-time.After(hangLimit):
		return fmt.Errorf("%s still waits for a touch, %v after it should", name, hangLimit)
	}
}

// calls are the methods that end with their context. x is what they write over old.
func calls(st keepalive.Store, old []byte, x session) map[string]func(context.Context) error {
	all := map[string]func(context.Context) error{
		"Touch": func(ctx context.Context) error {
			_, _, err := st.Touch(ctx, x.key, idle, x.read)
			return err
		},
		"Replace": func(ctx context.Context) error {
			found, err := st.Replace(ctx, x.key, x.data, x.expiry)
			if err == nil && !found {
				err = errors.New("a live session is gone")
			}
			return err
		},
		"Expiry": func(ctx context.Context) error {
			_, _, err := st.Expiry(ctx, x.key)
			return err
		},
	}
	if st, ok := as[swapper](st); ok {
		all["Swap"] = func(ctx context.Context) error {
			_, found, err := st.Swap(ctx, x.key, old, x.data, x.expiry)
			if err == nil && !found {
				err = errors.New("a live session is gone")
			}
			return err
		}
	}
	return all
}
