package warmup

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed status.html
var page string

//go:embed status.css
var style string

var (
	statusPage = template.Must(template.New("").Funcs(template.FuncMap{
		"css":  func() template.CSS { return template.CSS(style) },
		"time": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).Parse(page))

	// statusPolicy lets in the page's own style and nothing else.
	statusPolicy = "default-src 'none'; style-src 'sha256-" + hashOf(style) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// status is what the page and the JSON show.
type status struct {
	Ready   bool      `json:"ready"`
	Enabled bool      `json:"enabled"`
	Running bool      `json:"running"`
	Origin  string    `json:"origin,omitempty"`
	Next    time.Time `json:"next,omitzero"` // the next run of all targets
	Targets []line    `json:"targets"`
	Recent  []line    `json:"recent"` // newest first

	now time.Time
}

type line struct {
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

	Bars []bar  `json:"-"`
	Ago  string `json:"-"`
	Took string `json:"-"`
	Size string `json:"-"`
}

func newLine(r Result, now time.Time) line {
	l := line{
		Method: r.Method, URL: r.URL, Time: r.Time, Reason: r.Reason, Warm: r.Warm, Status: r.Status,
		Ms: float64(r.Duration.Microseconds()) / 1000, Bytes: r.Bytes, Truncated: r.Truncated, Location: r.Location, Failures: r.Failures,
		Ago: ago(now.Sub(r.Time)), Took: short(r.Duration), Size: size(r.Bytes),
	}
	if r.Err != nil {
		l.Error = r.Err.Error()
	}
	return l
}

// bar is one result in a target's little chart.
type bar struct {
	X, Y, H float64
	Warm    bool
	Title   string
}

// The chart of a target, in pixels of its view box.
const (
	maxBars   = 24
	barStep   = 5
	barHeight = 24
)

func (p *Pinger) status() status {
	ready, results, now := p.Ready(), p.Results(), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := status{Ready: ready, Enabled: p.plan.on, Running: p.running.Load(), Targets: []line{}, Recent: []line{}, now: now}
	if s.Enabled && s.Running {
		s.Next = p.full
	}
	if p.plan.origin != nil {
		s.Origin = p.plan.origin.String()
	}
	for _, t := range p.plan.targets {
		res := t.last
		res.Method, res.URL = t.Method, t.url.String()
		l := newLine(res, now)
		if t.fails > 0 && s.Enabled {
			l.Retry = t.retry
		}
		l.Bars = bars(results, t)
		s.Targets = append(s.Targets, l)
	}
	for i := len(results) - 1; i >= 0; i-- {
		s.Recent = append(s.Recent, newLine(results[i], now))
	}
	return s
}

// bars draws a target's last results, the newest at the right.
func bars(results []Result, t *target) (bs []bar) {
	slowest := time.Millisecond
	for i := len(results) - 1; i >= 0 && len(bs) < maxBars; i-- {
		if r := results[i]; r.Method == t.Method && r.URL == t.url.String() {
			slowest = max(slowest, r.Duration)
			bs = append(bs, bar{H: float64(r.Duration), Warm: r.Warm, Title: short(r.Duration)})
		}
	}
	for i := range bs {
		bs[i].X = float64((maxBars - 1 - i) * barStep)
		bs[i].H = max(2, barHeight*bs[i].H/float64(slowest))
		bs[i].Y = barHeight - bs[i].H
	}
	return bs
}

// Count of targets whose last result is warm.
func (s status) Count() (n int) {
	for _, t := range s.Targets {
		if t.Warm {
			n++
		}
	}
	return n
}

// Path leaves out the origin, which the page tells once.
func (s status) Path(url string) string { return strings.TrimPrefix(url, s.Origin) }

// In says how far away a time is, in whole seconds.
func (s status) In(t time.Time) string {
	return whole(max(t.Sub(s.now)+time.Second-1, time.Second))
}

func ago(d time.Duration) string {
	if d < time.Second {
		return "just now"
	}
	return whole(d) + " ago"
}

// short is a duration for people.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f\u00a0ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d\u00a0ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f\u00a0s", d.Seconds())
	}
	return whole(d)
}

// whole is short, without parts of a second.
func whole(d time.Duration) string {
	switch s := int(d.Seconds()); {
	case s < 60:
		return fmt.Sprintf("%d\u00a0s", s)
	case s < 3600:
		return fmt.Sprintf("%d\u00a0min %d\u00a0s", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%d\u00a0h %d\u00a0min", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%d\u00a0days", s/86400)
	}
}

func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d\u00a0B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f\u00a0kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f\u00a0MB", float64(n)/1e6)
}

// StatusHandler shows the state, the last result of each target and the results
// that are kept, to GET and HEAD: as HTML, or as JSON if the Accept header prefers
// application/json (RFC 9110 section 12.5.1) or the query says format=json. The
// page needs no script, and sets a Content-Security-Policy that lets in its own
// style alone. It tells URLs and errors, so it belongs behind the operators' door.
func (p *Pinger) StatusHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Accept")
		h.Set("X-Content-Type-Options", "nosniff")
		if !readOnly(w, r) {
			return
		}
		format := r.URL.Query().Get("format")
		if format == "" {
			format = "html"
			accept := strings.Join(r.Header.Values("Accept"), ",")
			if quality(accept, "application", "json") > quality(accept, "text", "html") {
				format = "json"
			}
		}
		var b bytes.Buffer
		var err error
		switch format {
		case "json":
			h.Set("Content-Type", "application/json")
			enc := json.NewEncoder(&b)
			enc.SetIndent("", "  ")
			err = enc.Encode(p.status())
		case "html":
			h.Set("Content-Type", "text/html; charset=utf-8")
			h.Set("Content-Security-Policy", statusPolicy)
			h.Set("Referrer-Policy", "no-referrer")
			err = statusPage.Execute(&b, p.status())
		default:
			http.Error(w, "format is html or json", http.StatusBadRequest)
			return
		}
		if err != nil {
			p.log().Error("warmup: the status can't be shown", "error", err)
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(b.Bytes()) // the client has gone, or it is out
	})
}

func readOnly(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	return false
}

// quality is the weight that an Accept header gives to a media type: that of the
// most specific range that matches. No header at all accepts everything.
func quality(accept, major, minor string) float64 {
	if strings.TrimSpace(accept) == "" {
		return 1
	}
	q, specific := 0.0, 0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(part, ";")
		s := 0
		switch strings.ToLower(strings.TrimSpace(name)) {
		case major + "/" + minor:
			s = 3
		case major + "/*":
			s = 2
		case "*/*":
			s = 1
		}
		if s <= specific {
			continue
		}
		q, specific = 1, s
		for param := range strings.SplitSeq(params, ";") {
			if k, v, _ := strings.Cut(strings.TrimSpace(param), "="); strings.EqualFold(k, "q") {
				q, _ = strconv.ParseFloat(v, 64) // what can't be read is refused: 0
			}
		}
	}
	return q
}
