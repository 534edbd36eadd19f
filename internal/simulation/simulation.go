package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
)

// failure is what happens to a request.
type failure int

const (
	none        failure = iota
	refused             // by a server that is down, or there is no network
	unavailable         // 503
	hanging             // no answer ever
)

// outage is a time in which requests fail.
type outage struct {
	from, to float64
	failure  failure
	share    float64 // of the requests; 0 means all
}

// world is what all browsers have in common.
type world struct {
	config
	end        float64
	throttled  bool // timers of hidden pages fire once a minute
	busy       bool // clocks jump and machines sleep, so that timers have to be short
	outages    []outage
	retryAfter float64
	// begin gives a browser its tabs, and its life something to do.
	begin func(*browser)
}

// life is what happens to a browser next. It is replaced by what happens after.
type life struct {
	next float64
	act  func(*browser)
}

// latency is around 100 ms for most requests. One of a hundred takes up to 8 seconds.
func (b *browser) latency() float64 {
	if b.rng.Float64() < 0.01 {
		return b.logUniform(second, 8*second)
	}
	return 20 + 80*b.rng.ExpFloat64()
}

func (b *browser) failure(at float64) failure {
	for _, o := range b.outages {
		if o.from <= at && at < o.to && (o.share == 0 || b.rng.Float64() < o.share) {
			return o.failure
		}
	}
	return none
}

// result is what the server has seen, in all simulated browsers together.
type result struct {
	requests    []uint32 // in each second
	lost        int      // sessions that have ended
	lostInTime  int      // those whose page could have asked in time
	lostByClock int      // those whose pages were misled: their clock was set while the server could not be asked
	spare       float64  // what a session had left when a request reached the server, at least
	calls       int      // of plan
}

func (r *result) add(other *result) {
	for i, n := range other.requests {
		r.requests[i] += n
	}
	r.lost += other.lost
	r.lostInTime += other.lostInTime
	r.lostByClock += other.lostByClock
	r.spare = min(r.spare, other.spare)
	r.calls += other.calls
}

// rate returns how many requests came in a second, on average between two times.
func (r *result) rate(from, to float64) float64 {
	sum := 0
	for _, n := range r.requests[int(from/second):int(to/second)] {
		sum += int(n)
	}
	return float64(sum) / (to - from) * second
}

// peak returns the highest rate of any window of so many seconds.
func (r *result) peak(from, to float64, seconds int) float64 {
	highest := 0.0
	for at := from; at+float64(seconds)*second <= to; at += second {
		highest = max(highest, r.rate(at, at+float64(seconds)*second))
	}
	return highest
}

func newResult(end float64) *result {
	return &result{requests: make([]uint32, int(end/second)+1), spare: never}
}

// crowd is how many browsers are simulated side by side: plan is called for all of
// them at once.
const crowd = 2_000

// simulate lets so many browsers live in the world. The same seed gives the same
// result.
func simulate(w world, browsers int, seed uint64) (*result, error) {
	total := newResult(w.end)
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	results := make([]*result, workers)
	var group sync.WaitGroup
	for i := range workers {
		results[i] = newResult(w.end)
		group.Go(func() {
			p, err := newPlanner(w.config)
			if err != nil {
				errs[i] = err
				return
			}
			own := w
			for first := i * crowd; first < browsers && errs[i] == nil; first += workers * crowd {
				errs[i] = own.run(p, first, min(first+crowd, browsers), seed, results[i])
			}
			if err := p.close(); err != nil && errs[i] == nil {
				errs[i] = err
			}
		})
	}
	group.Wait()
	for i := range workers {
		if errs[i] != nil {
			return nil, fmt.Errorf("simulation: %w", errs[i])
		}
		total.add(results[i])
	}
	return total, nil
}

func (w *world) run(p planner, first, last int, seed uint64, r *result) error {
	var waiting []*browser
	for i := first; i < last; i++ {
		b := &browser{world: w, result: r, rng: rand.New(rand.NewPCG(seed, uint64(i))), life: life{next: never}}
		w.begin(b)
		if b.next() {
			waiting = append(waiting, b)
		}
	}
	var numbers []float64
	for len(waiting) > 0 {
		numbers = append(numbers[:0], make([]float64, len(waiting)*querySize)...)
		for i, b := range waiting {
			b.encode(numbers[i*querySize:])
		}
		if err := p.plan(numbers); err != nil {
			return err
		}
		r.calls += len(waiting)
		kept := waiting[:0]
		for i, b := range waiting {
			b.apply(numbers[i*querySize:])
			if b.next() {
				kept = append(kept, b)
			}
		}
		waiting = kept
	}
	return nil
}

// uniform returns a number from 0 to below limit.
func (b *browser) uniform(limit float64) float64 { return b.rng.Float64() * limit }

// logUniform returns a number from low to high, small ones as often as large ones.
func (b *browser) logUniform(low, high float64) float64 {
	return low * math.Pow(high/low, b.rng.Float64())
}
