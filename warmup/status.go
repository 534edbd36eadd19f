package warmup

import (
	"math"
	"strings"
	"time"
)

// statusView is what the status page and its JSON form show.
type statusView struct {
	Ready   bool        `json:"ready"`
	Enabled bool        `json:"enabled"`
	Running bool        `json:"running"`
	Origin  string      `json:"origin,omitempty"`
	Next    time.Time   `json:"next,omitzero"` // the next run of all targets
	Targets []resultRow `json:"targets"`
	Recent  []resultRow `json:"recent"` // newest first

	now time.Time
}

// resultRow is one row of the page's tables. What has no JSON name is for the page.
type resultRow struct {
	Method    string    `json:"method"`
	URL       string    `json:"url"`
	Time      time.Time `json:"time,omitzero"`
	Reason    string    `json:"reason,omitempty"`
	Warm      bool      `json:"warm"`
	Status    int       `json:"status,omitempty"`
	Ms        float64   `json:"ms"`
	Bytes     int64     `json:"bytes"`
	Truncated bool      `json:"truncated,omitempty"`
	Location  string    `json:"location,omitempty"`
	Failures  int       `json:"failures,omitempty"`
	Retry     time.Time `json:"retry,omitzero"`
	Error     string    `json:"error,omitempty"`

	Bars []chartBar `json:"-"`
	Age  string     `json:"-"`
	Took string     `json:"-"`
	Size string     `json:"-"`
}

func newResultRow(r Result, now time.Time) resultRow {
	row := resultRow{
		Method:    r.Method,
		URL:       r.URL,
		Time:      r.Time,
		Reason:    r.Reason,
		Warm:      r.Warm,
		Status:    r.Status,
		Ms:        float64(r.Duration.Microseconds()) / 1000,
		Bytes:     r.Bytes,
		Truncated: r.Truncated,
		Location:  r.Location,
		Failures:  r.Failures,
		Age:       formatAge(now.Sub(r.Time)),
		Took:      formatDuration(r.Duration),
		Size:      formatBytes(r.Bytes),
	}
	if r.Err != nil {
		row.Error = r.Err.Error()
	}
	return row
}

// newStatusView returns the state of p at this moment.
func (p *Pinger) newStatusView() statusView {
	ready, results, now := p.Ready(), p.Results(), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	v := statusView{Ready: ready, Enabled: p.plan.enabled, Running: p.running.Load(), Targets: []resultRow{}, Recent: []resultRow{}, now: now}
	if v.Enabled && v.Running {
		v.Next = p.nextFullAt
	}
	if p.plan.origin != nil {
		v.Origin = p.plan.origin.String()
	}
	for _, t := range p.plan.targets {
		row := newResultRow(t.lastResult(), now)
		if t.failures > 0 && v.Enabled {
			row.Retry = t.retryAt
		}
		row.Bars = chartBars(results, t)
		v.Targets = append(v.Targets, row)
	}
	for i := len(results) - 1; i >= 0; i-- {
		v.Recent = append(v.Recent, newResultRow(results[i], now))
	}
	return v
}

// WarmCount returns how many targets are warm. The page calls it.
func (v statusView) WarmCount() (n int) {
	for _, t := range v.Targets {
		if t.Warm {
			n++
		}
	}
	return n
}

// Path returns url without the origin, which the page shows once. The page calls it.
func (v statusView) Path(url string) string { return strings.TrimPrefix(url, v.Origin) }

// Until returns the time from now to t, rounded up to whole seconds and at least one.
// The page calls it.
func (v statusView) Until(t time.Time) string {
	seconds := math.Ceil(t.Sub(v.now).Seconds())
	return formatSeconds(time.Duration(max(seconds, 1)) * time.Second)
}

// chartBar is one result in the chart of a target.
type chartBar struct {
	X, Y, H float64
	Warm    bool
	Title   string
}

// The chart of a target, in units of the view box in status.html.
const (
	maxBars      = 24
	barStep      = 5
	barHeight    = 24
	minBarHeight = 2 // so that the fastest request can still be seen
)

// chartBars returns the bars of a target's last results, the newest first and at the
// right.
func chartBars(results []Result, t *target) (bars []chartBar) {
	slowest := time.Millisecond
	for i := len(results) - 1; i >= 0 && len(bars) < maxBars; i-- {
		if r := results[i]; r.Method == t.Method && r.URL == t.url.String() {
			slowest = max(slowest, r.Duration)
			bars = append(bars, chartBar{H: float64(r.Duration), Warm: r.Warm, Title: formatDuration(r.Duration)})
		}
	}
	for i := range bars {
		bars[i].X = float64((maxBars - 1 - i) * barStep)
		bars[i].H = max(minBarHeight, barHeight*bars[i].H/float64(slowest))
		bars[i].Y = barHeight - bars[i].H
	}
	return bars
}
