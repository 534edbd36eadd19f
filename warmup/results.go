package warmup

import (
	"slices"
	"time"
)

// Result is the outcome of one request.
type Result struct {
	// Method and URL are those of the target, without the parameter of
	// Settings.CacheBust.
	Method, URL string

	// Reason is why the run began: start, interval, trigger, reload or retry.
	Reason string

	// Time is when the request began. It is zero for a target without a request.
	Time time.Time

	// Duration is how long the request took, to the last byte that was read.
	Duration time.Duration

	// Warm reports whether the page was read and its status is an accepted one.
	Warm bool

	// Status is the status code of the last response, 0 if there was none.
	Status int

	// Bytes is how much of the body was read.
	Bytes int64

	// Truncated reports whether the body was longer than Settings.MaxBody.
	Truncated bool

	// Location is the URL that the last redirect pointed to, "" without one.
	Location string

	// Failures is how many times in a row the target has failed, this one included.
	Failures int

	// Err is why the target is not warm, nil if it is. It wraps ErrOrigin for a
	// redirect to another origin.
	Err error
}

// Results returns the kept results, oldest first. The caller owns the slice.
func (p *Pinger) Results() []Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trimHistory()
	return slices.Clone(p.history)
}

// Last returns the last result of each target, however old, in the order of
// Settings.Targets. The caller owns the slice.
func (p *Pinger) Last() []Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := make([]Result, 0, len(p.plan.targets))
	for _, t := range p.plan.targets {
		last = append(last, t.lastResult())
	}
	return last
}

// record keeps the result of a target, and passes it to the log and the Observer.
func (p *Pinger) record(r *run, t *target, res Result) {
	res.Method, res.URL, res.Reason = t.Method, t.url.String(), r.reason
	p.mu.Lock()
	failuresBefore := t.failures
	if res.Warm {
		t.failures = 0
	} else {
		t.failures++
		t.retryAt = time.Now().Add(backoff(t.failures, r.plan.Interval))
	}
	res.Failures = t.failures
	t.last = res
	p.history = append(p.history, res)
	p.trimHistory()
	p.mu.Unlock()

	p.logResult(res, failuresBefore)
	if p.cfg.Observer != nil {
		p.cfg.Observer(res)
	}
}

// logResult logs a change loudly and a repetition at the debug level: a target may
// fail for hours.
func (p *Pinger) logResult(res Result, failuresBefore int) {
	log, args := p.log(), []any{"method", res.Method, "url", res.URL, "status", res.Status, "took", res.Duration, "reason", res.Reason}
	switch {
	case !res.Warm && failuresBefore == 0:
		log.Warn("warmup: a target fails", append(args, "error", res.Err)...)
	case !res.Warm:
		log.Debug("warmup: a target still fails", append(args, "error", res.Err, "failures", res.Failures)...)
	case failuresBefore > 0:
		log.Info("warmup: a target is warm again", append(args, "failures", failuresBefore)...)
	default:
		log.Debug("warmup: a target is warm", args...)
	}
}

// trimHistory drops the results that are too many or too old. Called with mu held.
func (p *Pinger) trimHistory() {
	oldest := time.Now().Add(-p.plan.HistoryAge)
	drop := max(len(p.history)-p.plan.History, 0)
	for drop < len(p.history) && p.history[drop].Time.Before(oldest) {
		drop++
	}
	p.history = slices.Delete(p.history, 0, drop)
}
