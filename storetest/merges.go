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

// merges lets four requests of two instances each set a byte of one session's
// values at random, beside a hazard's rival.
func merges(h hazard) func(*testing.T, subject) {
	return func(t *testing.T, s subject) {
		randomRounds(t, s, func(k kind) error { return mergeRound(s, h, k) })
	}
}

func mergeRound(s subject, h hazard, k kind) error {
	stores := []keepalive.Store{s.Store, s.other}
	x := newSession(k, h.deadline, 5*time.Minute)
	const n = 4
	clear(x.values[:n])
	x = x.encoded()
	if err := x.commit(s); err != nil {
		return fmt.Errorf("in Commit: %w", err)
	}
	r := h.rival(x)
	var taken []byte
	if h.name == "Take" {
		r.do = func(st keepalive.Store) (err error) {
			taken, _, err = st.(taker).Take(context.Background(), x.key)
			return err
		}
	}
	from := time.Now()
	errs, done := make([]error, n+1), make([]bool, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			jitter()
			ctx, cancel := newSteps()
			defer cancel()
			ctx.at(1+i, jitter)
			old, found, err := stores[i%2].Find(x.key)
			if err == nil && found {
				jitter()
				done[i], err = x.merge(ctx, stores[i%2], old, time.Time{}, func(data []byte) ([]byte, error) {
					deadline, err := x.read(data)
					values, decodeErr := x.decode(data)
					if err := errors.Join(err, decodeErr); err != nil {
						return nil, err
					}
					values[i] = 1
					return x.encode(deadline, values)
				})
			}
			errs[i] = err
		})
	}
	wg.Go(func() {
		<-start
		jitter()
		errs[n] = r.do(s.other)
	})
	close(start)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if r.fresh != nil {
		if err := r.fresh.checkAll(s, r.fresh.expiry); err != nil {
			return fmt.Errorf("the renewed session: %w", err)
		}
	}
	data := taken
	if r.gone {
		if err := errors.Join(x.checkGone(s), x.checkGone(s.other)); err != nil || h.name != "Take" {
			return err
		}
	} else {
		var err error
		if data, _, err = s.Find(x.key); err != nil {
			return err
		}
	}
	values, err := x.decode(data)
	if err != nil {
		return fmt.Errorf("in the end: %w", err)
	}
	if !bytes.Equal(values[n:], r.after.values[n:]) {
		return fmt.Errorf("what the %s wrote is lost", h.name)
	}
	if bytes.Equal(r.after.data, x.data) { // so nothing has written over them
		for i := range n {
			if wrote := values[i] == 1; wrote != done[i] || !wrote && !r.gone {
				return fmt.Errorf("of four that were merged: reported as written %v, in the data %v", done, values[:n])
			}
		}
	}
	if r.gone {
		return nil
	}
	y := r.after
	y.data = data
	if deadline, err := x.read(data); err != nil || !deadline.Equal(y.deadline) {
		return fmt.Errorf("the deadline is %v, not %v", deadline, y.deadline)
	}
	return errors.Join(y.check(s.Store, y.touched(from, -century), y.touched(time.Now(), r.idle)),
		y.check(s.other, y.touched(from, -century), y.touched(time.Now(), r.idle)))
}
