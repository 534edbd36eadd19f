package warmup

import (
	"slices"
	"time"
)

// Result is what became of one request.
type Result struct {
	// Method and URL name the target. The cache-busting parameter is left out.
	Method, URL string

	// Reason says why the run began: start, interval, trigger, reload or retry.
	Reason string

	// Time is when the request began. It is zero for a target that has had none.
	Time time.Time

	// Duration is how long it took to the last byte that was read.
	Duration time.Duration

	// Warm tells that the page was read and its status is an accepted one.
	Warm bool

	// Status is the status code of the last response, 0 if there was none.
	Status int

	// Bytes is how much of the body was read.
	Bytes int64

	// Truncated tells that there was more than Settings.MaxBody.
	Truncated bool

	// Location is where the last redirect pointed, if there was one.
	Location string

	// Failures is how many times in a row the target has failed, this one included.
	Failures int

	// Err says why the target is not warm. It wraps ErrOrigin for a redirect that
	// left the origin.
	Err error
}

// record keeps a result and tells who wants to know.
func (p *Pinger) record(j *job, t *target, res Result) {
	res.Method, res.URL, res.Reason = t.Method, t.url.String(), j.why
	p.mu.Lock()
	before := t.fails
	if res.Warm {
		t.fails = 0
	} else {
		t.fails++
		t.retry = time.Now().Add(backoff(t.fails, j.plan.Interval))
	}
	res.Failures = t.fails
	t.last = res
	p.ring = append(p.ring, res)
	p.trim()
	p.mu.Unlock()

	log, args := p.log(), []any{"method", res.Method, "url", res.URL, "status", res.Status, "took", res.Duration, "reason", res.Reason}
	switch {
	case !res.Warm && before == 0:
		log.Warn("warmup: a target fails", append(args, "error", res.Err)...)
	case !res.Warm:
		log.Debug("warmup: a target still fails", append(args, "error", res.Err, "failures", res.Failures)...)
	case before > 0:
		log.Info("warmup: a target is warm again", append(args, "failures", before)...)
	default:
		log.Debug("warmup: a target is warm", args...)
	}
	if p.cfg.Observer != nil {
		p.cfg.Observer(res)
	}
}

// trim drops what is too much or too old. Called with mu held.
func (p *Pinger) trim() {
	oldest := time.Now().Add(-p.plan.HistoryAge)
	drop := max(len(p.ring)-p.plan.History, 0)
	for drop < len(p.ring) && p.ring[drop].Time.Before(oldest) {
		drop++
	}
	p.ring = slices.Delete(p.ring, 0, drop)
}

// Results returns the results that are kept, oldest first. The slice is the
// caller's.
func (p *Pinger) Results() []Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trim()
	return slices.Clone(p.ring)
}

// Last returns the last result of each target, whatever its age, in the order of
// Settings.Targets. The slice is the caller's.
func (p *Pinger) Last() []Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := make([]Result, 0, len(p.plan.targets))
	for _, t := range p.plan.targets {
		res := t.last
		res.Method, res.URL = t.Method, t.url.String()
		last = append(last, res)
	}
	return last
}
