package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
)

var swapCases = []testCase{
	{"Swap/equal data", "a request that nobody has come in between must be saved, with the expiry that it sets, or the one that is there", optional[swapper]("Swap", func(t *testing.T, s subject) {
		each(t, kinds, func(t *testing.T, k kind) {
			x := newSession(k, time.Hour, 10*time.Minute)
			must(t, x.commit(s))
			swap := func(y session, by keepalive.Store) {
				t.Helper()
				must(t, y.swap(by, x.data, y.expiry))
				must(t, y.checkAll(s, y.expiry))
				x = y
			}
			for _, by := range []keepalive.Store{s.Store, s.other} {
				swap(x.filled().until(2*time.Hour, 20*time.Minute), by)
				swap(x.filled().until(2*time.Hour, 5*time.Minute), by)
				swap(x, by) // changes nothing, and has still found its session
				var err error
				x.expiry, err = x.touch(s.other, 30*time.Minute)
				must(t, err)
				for range 2 {
					y := x.filled()
					must(t, y.swap(by, x.data, time.Time{}))
					must(t, y.checkAll(s, x.expiry))
					x = y
				}
				must(t, x.swap(by, x.data, time.Time{}))
				must(t, x.checkAll(s, x.expiry))
				for _, size := range []int{10 << 10, 10, k.size} {
					y := x
					y.size = size
					swap(y.filled(), by)
				}
			}
		})
	})},

	{"Swap/other data", "what others have written meanwhile must not be lost, however little it differs, and must come back to be merged", optional[swapper]("Swap", func(t *testing.T, s subject) {
		each(t, kinds, func(t *testing.T, k kind) {
			loaded := newSession(k, time.Hour, 10*time.Minute)
			must(t, loaded.commit(s))
			x := loaded.filled()
			must(t, x.replace(s.other))
			flip := func(i int) []byte {
				data := bytes.Clone(x.data)
				data[i] ^= 1
				return data
			}
			for name, old := range map[string][]byte{
				"what was loaded":  loaded.data,
				"last byte":        flip(len(x.data) - 1),
				"first byte":       flip(0),
				"one byte less":    x.data[:len(x.data)-1],
				"a space more":     append(bytes.Clone(x.data), ' '),
				"a zero byte more": append(bytes.Clone(x.data), 0),
				"nothing":          nil,
			} {
				for _, data := range [][]byte{x.filled().data, x.data} {
					for _, expiry := range []time.Time{{}, time.Now().Add(30 * time.Minute)} {
						current, found, err := s.Store.(swapper).Swap(t.Context(), x.key, old, data, expiry)
						must(t, err)
						if !found || !bytes.Equal(current, x.data) {
							t.Errorf("%s: found is %v, and what comes back is not what is stored", name, found)
						}
						must(t, x.checkAll(s, x.expiry))
					}
				}
			}
			y := x.filled()
			must(t, y.swap(s, x.data, y.expiry)) // the next try
			must(t, y.checkAll(s, y.expiry))
		})
	})},
}

var takeCases = []testCase{
	{"Take/returns the data", "what a session holds when it is renewed goes into the new one, and nothing of it may be lost", optional[taker]("Take", func(t *testing.T, s subject) {
		each(t, kinds, func(t *testing.T, k kind) {
			for _, by := range []keepalive.Store{s.Store, s.other} {
				x := newSession(k, time.Hour, 10*time.Minute)
				_, found, err := by.(taker).Take(t.Context(), x.key)
				must(t, notFound("Take", found, err))
				must(t, x.commit(s))
				x = x.filled()
				must(t, x.replace(s))
				_, err = x.touch(s, idle)
				must(t, err)
				data, found, err := by.(taker).Take(t.Context(), x.key)
				must(t, err)
				if !found || !bytes.Equal(data, x.data) {
					t.Errorf("Take: found is %v, and the data is not what was stored", found)
				}
				must(t, x.checkGone(s))
				must(t, x.checkGone(s.other))
				must(t, x.commit(s))
				must(t, x.checkAll(s, x.expiry))
			}
		})
	})},

	{"Take/finds once", "of two requests that renew a session one goes on with it, or its user has two", optional[taker]("Take", func(t *testing.T, s subject) {
		for i := range 50 {
			x := newSession(kinds[i%len(kinds)], time.Hour, 10*time.Minute)
			must(t, x.commit(s))
			var mu sync.Mutex
			var errs []error
			n := 0
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					ctx, cancel := newSteps()
					defer cancel()
					ctx.at(1+i/4, jitter)
					data, found, err := []keepalive.Store{s.Store, s.other}[i%2].(taker).Take(ctx, x.key)
					mu.Lock()
					defer mu.Unlock()
					if found {
						n++
					}
					if found && !bytes.Equal(data, x.data) {
						err = errors.New("other data than was stored")
					}
					errs = append(errs, err)
				})
			}
			wg.Wait()
			must(t, errors.Join(errs...))
			if n != 1 {
				t.Fatalf("%d of 8 found the session", n)
			}
			must(t, x.checkGone(s))
		}
	})},

	{"Take/context has ended", "somebody who signs out and closes the tab at once has signed out", optional[taker]("Take", func(t *testing.T, s subject) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		for _, k := range fewKinds {
			for _, ctx := range []context.Context{cancelled, late} {
				x := newSession(k, time.Hour, 10*time.Minute)
				must(t, x.commit(s))
				data, found, err := s.Store.(taker).Take(ctx, x.key)
				if err == nil && (!found || !bytes.Equal(data, x.data)) {
					t.Errorf("Take: found is %v, and the data is not what was stored", found)
				}
				if err != nil && !errors.Is(err, ctx.Err()) {
					t.Errorf("Take: the error is %v, not the context's", err)
				}
				// It need not be waited for.
				for until := time.Now().Add(hangLimit); ; time.Sleep(time.Millisecond) {
					if _, found, err := s.Find(x.key); err == nil && !found {
						break
					}
					if time.Now().After(until) {
						t.Fatal("the session is still there")
					}
				}
				must(t, x.checkGone(s))
			}
		}
	})},

	{"Take/each step", "a request that writes while the session is renewed is either in what Take returns, or has found no session", optional[taker]("Take", func(t *testing.T, s subject) {
		for _, by := range []string{"Touch", "Replace", "Swap", "Take"} {
			if _, ok := s.Store.(swapper); by == "Swap" && !ok {
				continue
			}
			each(t, fewKinds, func(t *testing.T, k kind) {
				for n := 1; n <= maxSteps; n++ {
					x := newSession(k, time.Hour, 10*time.Minute)
					must(t, x.commit(s))
					y := x.filled()
					var took, wrote bool
					m := collide(rival{do: func(st keepalive.Store) (err error) {
						ctx := context.Background()
						var current []byte
						switch by {
						case "Touch":
							_, _, err = st.Touch(ctx, x.key, idle, x.read)
						case "Replace":
							wrote, err = st.Replace(ctx, y.key, y.data, y.expiry)
						case "Swap":
							current, wrote, err = st.(swapper).Swap(ctx, y.key, x.data, y.data, y.expiry)
							wrote = wrote && current == nil
						case "Take":
							_, took, err = st.(taker).Take(ctx, x.key)
						}
						return err
					}}, s.other)
					ctx, cancel := newSteps()
					ctx.at(n, m.hold)
					data, found, err := s.Store.(taker).Take(ctx, x.key)
					reached := ctx.reached(n)
					cancel()
					must(t, errors.Join(err, m.end()))
					want := x.data
					if wrote {
						want = y.data
					}
					switch {
					case found == took:
						t.Fatalf("%s, held at step %d: found is %v for both", by, n, found)
					case found && !bytes.Equal(data, want):
						t.Fatalf("%s, held at step %d: it has written is %v, and what Take returns does not show it", by, n, wrote)
					}
					must(t, x.checkGone(s))
					must(t, x.checkGone(s.other))
					if !reached {
						break
					}
				}
			})
		}
	})},
}

// swap puts the session over old, which is there.
func (x session) swap(st keepalive.Store, old []byte, expiry time.Time) error {
	sw, _ := as[swapper](st)
	current, found, err := sw.Swap(context.Background(), x.key, old, x.data, expiry)
	switch {
	case err != nil:
		return fmt.Errorf("in Swap: %w", err)
	case !found:
		return errors.New("a live session is gone according to Swap")
	case current != nil:
		return errors.New("the data is another according to Swap")
	}
	return nil
}

// merge tries until nobody comes in between, as a request does that merges what it
// has changed. It returns whether it has written; else the session has gone.
func (x session) merge(ctx context.Context, st keepalive.Store, old []byte, expiry time.Time, change func(current []byte) ([]byte, error)) (bool, error) {
	sw, _ := as[swapper](st)
	for range 20 { // each time another one has succeeded, and there are fewer
		data, err := change(old)
		if err != nil {
			return false, err
		}
		current, found, err := sw.Swap(ctx, x.key, old, data, expiry)
		switch {
		case err != nil:
			return false, fmt.Errorf("in Swap: %w", err)
		case !found:
			return false, nil
		case current == nil:
			return true, nil
		}
		old = current
	}
	return false, errors.New("no Swap ever succeeds")
}
