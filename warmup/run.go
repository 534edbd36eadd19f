package warmup

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// The way of a run: nextRun returns it when it is due, execute fetches its targets,
// fetch (fetch.go) makes one request, and record (results.go) keeps the result and
// sets when a failed target is retried.

const (
	// triggerDelay is how long a Trigger waits for others to share its run.
	triggerDelay = 100 * time.Millisecond

	// firstBackoff is the longest wait after the first failure. It doubles with each.
	firstBackoff = time.Second
)

// Run fetches all targets until ctx ends: at once, at each interval, on each Trigger
// and after each Reload. In between it retries failed targets. Runs never overlap.
//
// A failed target is retried after a random time of up to 1 s, 2 s, 4 s and so on,
// never more than Settings.Interval, for as long as Run runs.
//
// Run returns nil when ctx has ended and its requests with it, which is at once. If
// Config.Handler ignores its context, Run waits for it for Settings.RequestTimeout
// and then returns an error. It also returns an error if it is already running. It
// may be called again after it returned.
func (p *Pinger) Run(ctx context.Context) error {
	if !p.running.CompareAndSwap(false, true) {
		return errors.New("warmup: Run is already running; call it once for each Pinger")
	}
	defer p.running.Store(false)

	p.mu.Lock()
	if p.startedAt.IsZero() {
		p.startedAt = time.Now()
	}
	p.scheduleFullRun(time.Now(), "start")
	p.mu.Unlock()

	for ctx.Err() == nil {
		if r, wakeAt := p.nextRun(); r != nil {
			p.execute(ctx, r)
		} else {
			p.sleep(ctx, wakeAt)
		}
	}
	return p.waitForHandlers()
}

// sleep waits until a time, zero for none, until p.wake or until ctx ends.
func (p *Pinger) sleep(ctx context.Context, until time.Time) {
	var timer <-chan time.Time
	if !until.IsZero() {
		timer = time.After(time.Until(until))
	}
	select {
	case <-ctx.Done():
	case <-p.wake:
	case <-timer:
	}
}

// waitForHandlers waits until no call of Config.Handler is left.
func (p *Pinger) waitForHandlers() error {
	p.mu.Lock()
	timeout := p.plan.RequestTimeout
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if !p.requests.waitIdle(ctx) {
		return fmt.Errorf("warmup: Config.Handler has not returned %v after its context ended", timeout)
	}
	return nil
}

// Trigger asks for a run of all targets, for example after a cache was dropped. It
// returns at once. The run begins 100 ms later, so that a burst of calls shares one,
// or after the run in progress. While the warm-up is off Trigger has no effect;
// before Run it has none either, as Run begins with a run of all targets.
func (p *Pinger) Trigger() {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := time.Now().Add(triggerDelay)
	if p.nextFullAt.IsZero() || at.Before(p.nextFullAt) {
		p.scheduleFullRun(at, "trigger")
	}
}

// scheduleFullRun sets when all targets are fetched next. Called with mu held.
func (p *Pinger) scheduleFullRun(at time.Time, reason string) {
	p.nextFullAt, p.nextReason = at, reason
	select {
	case p.wake <- struct{}{}:
	default: // Run has not yet received the last one
	}
}

// run is a run that is due: a full one, of all targets, or one of failed targets.
type run struct {
	plan    *plan
	reason  string
	full    bool
	targets []*target
}

// nextRun returns the run that is due, or else nil and when to call it again, zero
// if only p.wake can change its answer.
func (p *Pinger) nextRun() (r *run, wakeAt time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.plan.enabled {
		return nil, time.Time{}
	}
	now := time.Now()
	if !p.nextFullAt.IsZero() && !now.Before(p.nextFullAt) {
		p.nextFullAt = time.Time{} // a Trigger from now on asks for another run
		return &run{plan: p.plan, reason: p.nextReason, full: true, targets: p.plan.targets}, time.Time{}
	}
	wakeAt = p.nextFullAt
	var retries []*target
	for _, t := range p.plan.targets {
		switch {
		case t.failures == 0:
		case !now.Before(t.retryAt):
			retries = append(retries, t)
		case wakeAt.IsZero() || t.retryAt.Before(wakeAt):
			wakeAt = t.retryAt
		}
	}
	if retries == nil {
		return nil, wakeAt
	}
	return &run{plan: p.plan, reason: "retry", targets: retries}, time.Time{}
}

// execute fetches the targets of r and returns when all have a result.
func (p *Pinger) execute(ctx context.Context, r *run) {
	start := time.Now()
	p.fetchAll(ctx, r)
	if p.defaultTransport != nil {
		p.defaultTransport.CloseIdleConnections() // the server closes them before the next run
	}
	if r.full {
		p.scheduleInterval(r.plan)
	}
	p.Ready() // logs the change, whether or not somebody asks
	p.log().DebugContext(ctx, "warmup: run ended", "reason", r.reason, "targets", len(r.targets), "took", time.Since(start))
}

// fetchAll fetches the targets of r, as many at a time as its plan allows.
func (p *Pinger) fetchAll(ctx context.Context, r *run) {
	timeout := r.plan.RunTimeout
	runCtx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the run took more than %v", timeout))
	defer cancel()
	var fetches sync.WaitGroup
	defer fetches.Wait()
	for _, t := range r.targets {
		switch {
		case p.requests.acquire(runCtx, r.plan.superseded, r.plan.Concurrency):
			fetches.Go(func() { p.fetchOne(ctx, runCtx, r, t) })
		case ctx.Err() == nil && runCtx.Err() != nil: // no time was left for this target
			p.record(r, t, Result{Time: time.Now(), Err: fmt.Errorf("not begun: %w", context.Cause(runCtx))})
		default: // Run ends, or Reload has replaced the plan
			return
		}
	}
}

// fetchOne fetches t and releases the slot that its caller has acquired.
func (p *Pinger) fetchOne(ctx, runCtx context.Context, r *run, t *target) {
	var handlers sync.WaitGroup
	res := p.fetch(runCtx, r.plan, t, &handlers)
	if ctx.Err() == nil || res.Err == nil { // a request that ended with Run proves nothing about its target
		p.record(r, t, res)
	}
	// A handler that ignores its context keeps the slot, but does not delay the run.
	go func() {
		handlers.Wait()
		p.requests.release()
	}()
}

// scheduleInterval sets the next run by the clock, unless a Trigger or a Reload has
// asked for one meanwhile.
func (p *Pinger) scheduleInterval(pl *plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nextFullAt.IsZero() {
		wait := pl.Interval - pl.Jitter + rand.N(2*pl.Jitter+1)
		p.scheduleFullRun(time.Now().Add(wait), "interval")
	}
}

// backoff returns how long a target waits for its retry after that many failures in a
// row. It is exponential with full jitter: instances that failed together do not
// retry together.
func backoff(failures int, interval time.Duration) time.Duration {
	limit := interval
	if failures < 32 { // else the shift could overflow
		limit = min(limit, firstBackoff<<(failures-1))
	}
	return rand.N(limit)
}
