package warmup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Settings is the part of Config that is plain data. In JSON, durations are
// strings such as "30s" (time.ParseDuration), and a target may be just its URL;
// unknown names are errors. The zero value of each field is its default. Fields
// must be named in literals.
//
//	{"origin": "http://localhost:8080", "interval": "5m", "targets": ["/", {"url": "/feed", "method": "HEAD"}]}
type Settings struct {
	_ [0]func()

	// Enabled switches the warm-up on or off; the environment overrides it.
	// Default: nil, which is on.
	Enabled *bool `json:"enabled,omitempty"`

	// Origin is the scheme and host that all targets belong to. Default: that of
	// the first target with a whole URL, or http://localhost with Config.Handler.
	Origin string `json:"origin,omitempty"`

	// Targets is what is fetched, at least one unless the warm-up is off, and each
	// method and URL once.
	Targets []Target `json:"targets,omitempty"`

	// Interval is the time from the end of a run of all targets to the beginning
	// of the next. 1 s to 30 days. Default: 5 min.
	Interval time.Duration `json:"interval,omitempty"`

	// Jitter is by how much an interval may be shorter or longer, at random, so
	// that instances that start together do not stay together. Below Interval; a
	// negative one is none. Default: a tenth of Interval.
	Jitter time.Duration `json:"jitter,omitempty"`

	// RequestTimeout is how long a target may take to its last byte, redirects
	// and all. Default: 30 s.
	RequestTimeout time.Duration `json:"requestTimeout,omitempty"`

	// RunTimeout is how long a run may take; targets that have not ended by then
	// have failed. At least RequestTimeout. Default: four times RequestTimeout.
	RunTimeout time.Duration `json:"runTimeout,omitempty"`

	// ReadyTimeout is how long after the start Pinger.Ready waits for targets that
	// fail, so that a broken page can't hold a deployment. Default: 1 min.
	ReadyTimeout time.Duration `json:"readyTimeout,omitempty"`

	// Concurrency is how many requests may be unfinished at a time, 1 to 100. A
	// handler that goes on after its timeout is unfinished. Default: 4.
	Concurrency int `json:"concurrency,omitempty"`

	// MaxBody is how many bytes of a page are read. One that is longer is warm,
	// and cut off there. Default: 1 MiB.
	MaxBody int64 `json:"maxBody,omitempty"`

	// CacheBust is the name of a query parameter that gets a random value, so that
	// caches on the way do not answer for the app. Default: "", none.
	CacheBust string `json:"cacheBust,omitempty"`

	// History is how many results are kept, 1 to 10,000, beside the last one of
	// each target. Default: 100.
	History int `json:"history,omitempty"`

	// HistoryAge is how long they are kept. Default: 24 h.
	HistoryAge time.Duration `json:"historyAge,omitempty"`
}

// Target is a page to keep warm. Fields must be named in literals.
type Target struct {
	_ [0]func()

	// URL is a path that begins with a slash, with or without a query, or a whole
	// URL of Settings.Origin.
	URL string `json:"url"`

	// Method is sent as it is, without a body. Choose one that changes nothing
	// (RFC 9110 section 9.2.1). Default: GET.
	Method string `json:"method,omitempty"`

	// Header is sent with the request. User-Agent is keepalive-warmup unless it is
	// here. Host, Cookie and what frames a message are refused. Default: none.
	Header map[string]string `json:"header,omitempty"`

	// Status lists the codes of a warm page, 200 to 599. A redirect that is listed
	// is warm without being followed. Default: 200 to 299.
	Status []int `json:"status,omitempty"`

	// FollowRedirects follows up to ten redirects within the origin; the target is
	// warm if the last page is. Default: false, a redirect is a failure.
	FollowRedirects bool `json:"followRedirects,omitempty"`
}

func (s Settings) withDefaults() Settings {
	fill(&s.Interval, 5*time.Minute)
	fill(&s.Jitter, s.Interval/10)
	fill(&s.RequestTimeout, 30*time.Second)
	fill(&s.RunTimeout, 4*s.RequestTimeout)
	fill(&s.ReadyTimeout, time.Minute)
	fill(&s.Concurrency, 4)
	fill(&s.MaxBody, 1<<20)
	fill(&s.History, 100)
	fill(&s.HistoryAge, 24*time.Hour)
	s.Jitter = max(s.Jitter, 0)
	return s
}

func fill[T comparable](v *T, standard T) {
	if *v == *new(T) {
		*v = standard
	}
}

// maxDuration keeps sums of durations far from their end.
const maxDuration = 30 * 24 * time.Hour

// check finds what is wrong with settings whose defaults are filled in.
func (s *Settings) check() (errs []error) {
	within := func(name string, d, least, most time.Duration) {
		if d < least || d > most {
			errs = append(errs, fmt.Errorf("warmup: Settings.%s is %v; write %v to %v, or 0 for the default", name, d, least, most))
		}
	}
	within("Interval", s.Interval, time.Second, maxDuration)
	within("RequestTimeout", s.RequestTimeout, time.Millisecond, maxDuration)
	if s.RequestTimeout > 0 && s.RequestTimeout <= maxDuration { // else that is what is wrong
		within("RunTimeout", s.RunTimeout, s.RequestTimeout, 4*maxDuration)
	}
	within("ReadyTimeout", s.ReadyTimeout, time.Millisecond, maxDuration)
	within("HistoryAge", s.HistoryAge, time.Second, 12*maxDuration)
	if s.Interval > 0 && s.Jitter >= s.Interval {
		errs = append(errs, fmt.Errorf("warmup: Settings.Jitter is %v; write less than the interval of %v", s.Jitter, s.Interval))
	}
	if s.Concurrency < 1 || s.Concurrency > 100 {
		errs = append(errs, fmt.Errorf("warmup: Settings.Concurrency is %d; write 1 to 100, or 0 for the default", s.Concurrency))
	}
	if s.MaxBody < 1 {
		errs = append(errs, fmt.Errorf("warmup: Settings.MaxBody is %d; write a number of bytes, or 0 for the default", s.MaxBody))
	}
	if s.History < 1 || s.History > 10000 {
		errs = append(errs, fmt.Errorf("warmup: Settings.History is %d; write 1 to 10000, or 0 for the default", s.History))
	}
	return errs
}

// span is a duration that is a string in JSON.
type span time.Duration

func (d span) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

func (d *span) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf(`%s is no duration; write a string such as "30s"`, b)
	}
	v, err := time.ParseDuration(s)
	*d = span(v)
	return err
}

type plainSettings Settings

// wire is Settings as JSON. Its own fields hide those of the same name.
type wire struct {
	*plainSettings
	Interval       *span `json:"interval,omitempty"`
	Jitter         *span `json:"jitter,omitempty"`
	RequestTimeout *span `json:"requestTimeout,omitempty"`
	RunTimeout     *span `json:"runTimeout,omitempty"`
	ReadyTimeout   *span `json:"readyTimeout,omitempty"`
	HistoryAge     *span `json:"historyAge,omitempty"`
}

func newWire(s *Settings, point func(*time.Duration) *span) wire {
	return wire{(*plainSettings)(s), point(&s.Interval), point(&s.Jitter), point(&s.RequestTimeout), point(&s.RunTimeout), point(&s.ReadyTimeout), point(&s.HistoryAge)}
}

// MarshalJSON writes durations as strings and leaves out what is default.
func (s Settings) MarshalJSON() ([]byte, error) {
	return json.Marshal(newWire(&s, func(d *time.Duration) *span {
		if *d == 0 {
			return nil
		}
		return (*span)(d)
	}))
}

// UnmarshalJSON reads what MarshalJSON writes; names that are missing leave their
// field as it is, and unknown ones are errors. It does not check values: New and
// Reload do.
func (s *Settings) UnmarshalJSON(b []byte) error {
	w := newWire(s, func(d *time.Duration) *span { return (*span)(d) })
	return strict(b, &w)
}

// UnmarshalJSON reads an object, or a string that is the URL.
func (t *Target) UnmarshalJSON(b []byte) error {
	*t = Target{} // json hands over elements of the slice that was there before
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &t.URL)
	}
	type plain Target
	return strict(b, (*plain)(t))
}

func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is more than one JSON value")
	}
	return nil
}
