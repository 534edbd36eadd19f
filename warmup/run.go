package warmup

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	// settle is how long a trigger waits for others.
	settle = 100 * time.Millisecond

	// firstBackoff bounds the wait after the first failure. It doubles with each.
	firstBackoff = time.Second
)

// Run fetches all targets, then again at each interval, on each Trigger and after
// each Reload, and those that fail in between, until ctx ends. Runs never overlap.
//
// A target that fails is tried again after a random time of up to 1 s, 2 s, 4 s
// and so on, never more than Settings.Interval, for as long as Run runs.
//
// Run returns nil when ctx has ended and its requests with it, which is at once.
// It waits for a Config.Handler that goes on for up to Settings.RequestTimeout,
// and then returns an error. It also returns one if it is already running.
func (p *Pinger) Run(ctx context.Context) error {
	if !p.running.CompareAndSwap(false, true) {
		return errors.New("warmup: Run is already running; call it once for each Pinger")
	}
	defer p.running.Store(false)
	p.mu.Lock()
	if p.began.IsZero() {
		p.began = time.Now()
	}
	p.full, p.why = time.Now(), "start"
	p.mu.Unlock()

	for ctx.Err() == nil {
		at, due := p.due()
		if due != nil {
			p.run(ctx, due)
			continue
		}
		var timer <-chan time.Time
		if !at.IsZero() {
			timer = time.After(time.Until(at))
		}
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-timer:
		}
	}
	p.mu.Lock()
	timeout := p.plan.RequestTimeout
	p.mu.Unlock()
	return p.drain(timeout)
}

// drain waits until no request is left.
func (p *Pinger) drain(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if !p.slots.acquire(ctx, nil, 1) {
		return fmt.Errorf("warmup: Config.Handler has not returned %v after its context ended", timeout)
	}
	p.slots.release()
	return nil
}

// job is a run to be.
type job struct {
	plan    *plan
	why     string
	full    bool
	targets []*target
}

// due returns the run whose time has come, or else the time to look again, zero
// for none.
func (p *Pinger) due() (at time.Time, j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.plan.on {
		return at, nil
	}
	now := time.Now()
	if !p.full.IsZero() && !now.Before(p.full) {
		j = &job{p.plan, p.why, true, p.plan.targets}
		p.full = time.Time{} // a trigger from now on asks for another run
		return at, j
	}
	at = p.full
	j = &job{plan: p.plan, why: "retry"}
	for _, t := range p.plan.targets {
		switch {
		case t.fails == 0:
		case !now.Before(t.retry):
			j.targets = append(j.targets, t)
		case at.IsZero() || t.retry.Before(at):
			at = t.retry
		}
	}
	if j.targets == nil {
		return at, nil
	}
	return at, j
}

// run fetches the targets of one run and returns when all have a result.
func (p *Pinger) run(ctx context.Context, j *job) {
	start := time.Now()
	runCtx, cancel := context.WithTimeoutCause(ctx, j.plan.RunTimeout, fmt.Errorf("the run took more than %v", j.plan.RunTimeout))
	defer cancel()
	var wg sync.WaitGroup
	for _, t := range j.targets {
		if !p.slots.acquire(runCtx, j.plan.superseded, j.plan.Concurrency) {
			if ctx.Err() == nil && runCtx.Err() != nil { // it had no chance, and is not warm
				p.record(j, t, Result{Time: time.Now(), Err: fmt.Errorf("not begun: %w", context.Cause(runCtx))})
				continue
			}
			break
		}
		wg.Go(func() {
			s := newSlot(p.slots.release)
			defer s.done()
			res := p.fetch(runCtx, j.plan, t, s)
			if ctx.Err() == nil || res.Err == nil {
				p.record(j, t, res)
			}
		})
	}
	wg.Wait()
	if p.own != nil {
		p.own.CloseIdleConnections() // the server closes them before the next run
	}

	p.mu.Lock()
	if p.full.IsZero() && j.full { // else a trigger or new settings came meanwhile
		s := j.plan
		p.full, p.why = time.Now().Add(s.Interval-s.Jitter+rand.N(2*s.Jitter+1)), "interval"
	}
	p.mu.Unlock()
	p.Ready()
	p.log().DebugContext(ctx, "warmup: run ended", "reason", j.why, "targets", len(j.targets), "took", time.Since(start))
}

// backoff is when a target that has failed so many times in a row is tried again:
// exponential with full jitter, so that instances that failed together do not
// come back together.
func backoff(fails int, interval time.Duration) time.Duration {
	limit := interval
	if fails < 32 {
		limit = min(limit, firstBackoff<<(fails-1))
	}
	return rand.N(limit)
}

// Trigger asks for a run of all targets that begins from now on, such as after a
// cache was dropped. It returns at once. A run begins 100 ms after the first of a
// burst of triggers, so that they share it, and after a run that is going on.
// Triggers while the warm-up is off are forgotten; one before Run is its start.
func (p *Pinger) Trigger() {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := time.Now().Add(settle)
	if p.full.IsZero() || at.Before(p.full) {
		p.full, p.why = at, "trigger"
		p.nudge()
	}
}

// nudge wakes Run. Called with mu held, after a change.
func (p *Pinger) nudge() {
	select {
	case p.wake <- struct{}{}:
	default: // it has not yet seen the last one
	}
}

// Ready tells whether the app may get traffic: the last result of every target is
// warm, or Settings.ReadyTimeout has passed since Run was called, or the warm-up
// is off. It stays true from then on. It is false until Run is called.
func (p *Pinger) Ready() bool {
	p.mu.Lock()
	was := p.isReady
	took, cold := p.ready()
	is := p.isReady
	p.mu.Unlock()
	switch {
	case was == is:
	case len(cold) > 0:
		p.log().Warn("warmup: ready by its deadline, with targets that are not warm", "after", took, "targets", cold)
	default:
		p.log().Info("warmup: ready", "after", took)
	}
	return is
}

// ready brings isReady up to date. Called with mu held.
func (p *Pinger) ready() (took time.Duration, cold []string) {
	if p.isReady || !p.plan.on {
		p.isReady = true
		return 0, nil
	}
	if p.began.IsZero() {
		return 0, nil
	}
	for _, t := range p.plan.targets {
		if !t.last.Warm {
			cold = append(cold, t.key())
		}
	}
	took = time.Since(p.began)
	p.isReady = cold == nil || took >= p.plan.ReadyTimeout
	return took, cold
}

// ReadyHandler answers 200 when Ready is true and 503 until then, to GET and HEAD,
// for the readiness probe of a load balancer or Kubernetes.
func (p *Pinger) ReadyHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !readOnly(w, r) {
			return
		}
		if !p.Ready() {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "warming up", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ready\n")) // the prober has gone
	})
}

// slots counts unfinished requests. Its limit is the caller's, as settings change.
type slots struct {
	mu    sync.Mutex
	used  int
	freed chan struct{} // closed at the next release
}

// acquire waits until fewer than limit are used. It is false if ctx or stop ends.
func (s *slots) acquire(ctx context.Context, stop <-chan struct{}, limit int) bool {
	for {
		s.mu.Lock()
		select {
		case <-stop: // a free slot must not win over it
			s.mu.Unlock()
			return false
		default:
		}
		if s.used < limit && ctx.Err() == nil {
			s.used++
			s.mu.Unlock()
			return true
		}
		if s.freed == nil {
			s.freed = make(chan struct{})
		}
		freed := s.freed
		s.mu.Unlock()
		select {
		case <-freed:
		case <-stop:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
}
