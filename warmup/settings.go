package warmup

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Settings is the part of Config that is plain data. In JSON durations are strings
// such as "30s" (time.ParseDuration), a target may be just its URL, and an unknown
// name is an error. The zero value of each field is its default. Fields must be named
// in literals. New and Reload check the values.
//
//	{"origin": "http://localhost:8080", "interval": "5m", "targets": ["/", {"url": "/feed", "method": "HEAD"}]}
type Settings struct {
	_ [0]func()

	// Enabled switches the warm-up on or off; the environment overrides it.
	// Default: nil, which is on.
	Enabled *bool `json:"enabled,omitempty"`

	// Origin is the scheme and host of all targets, such as http://localhost:8080.
	// Default: that of the first target with an absolute URL, or http://localhost
	// with Config.Handler.
	Origin string `json:"origin,omitempty"`

	// Targets lists the pages to fetch, each method and URL once. It may be empty
	// only while the warm-up is off.
	Targets []Target `json:"targets,omitempty"`

	// Interval is the time from the end of a run of all targets to the beginning
	// of the next, 1 s to 30 days. Default: 5 min.
	Interval time.Duration `json:"interval,omitempty"`

	// Jitter is how much an interval may be shorter or longer, at random: instances
	// that start together then do not stay in step. It must be less than Interval;
	// a negative one means no jitter. Default: a tenth of Interval.
	Jitter time.Duration `json:"jitter,omitempty"`

	// RequestTimeout limits the time of one target, from the first request to the
	// last byte, redirects included. 1 ms to 30 days. Default: 30 s.
	RequestTimeout time.Duration `json:"requestTimeout,omitempty"`

	// RunTimeout limits the time of a run. A target that has not ended by then has
	// failed. RequestTimeout to 120 days. Default: four times RequestTimeout.
	RunTimeout time.Duration `json:"runTimeout,omitempty"`

	// ReadyTimeout limits how long after the start Pinger.Ready waits for targets
	// that fail, so that a broken page does not stop a deployment. 1 ms to 30 days.
	// Default: 1 min.
	ReadyTimeout time.Duration `json:"readyTimeout,omitempty"`

	// Concurrency is how many requests may be unfinished at a time, 1 to 100. A
	// call of Config.Handler is unfinished until it returns, also after its
	// timeout. Default: 4.
	Concurrency int `json:"concurrency,omitempty"`

	// MaxBody is how many bytes of a page are read, at least 1. A longer page is
	// not read further, and is warm. Default: 1 MiB.
	MaxBody int64 `json:"maxBody,omitempty"`

	// CacheBust is the name of a query parameter with a random value, so that no
	// cache between here and the app answers. Default: "", no parameter.
	CacheBust string `json:"cacheBust,omitempty"`

	// History is how many results are kept, 1 to 10,000. The last one of each
	// target is kept besides. Default: 100.
	History int `json:"history,omitempty"`

	// HistoryAge is how long results are kept, 1 s to 360 days. Default: 24 h.
	HistoryAge time.Duration `json:"historyAge,omitempty"`
}

// Target is a page to keep warm. Fields must be named in literals.
type Target struct {
	_ [0]func()

	// URL is a path that begins with a slash, with or without a query, or an
	// absolute URL of Settings.Origin. It must not be empty.
	URL string `json:"url"`

	// Method is sent as it is, without a body. It should be a safe one (RFC 9110
	// section 9.2.1). Default: GET.
	Method string `json:"method,omitempty"`

	// Header is sent with the request; it may replace the User-Agent
	// keepalive-warmup. Host, Cookie and the fields that frame a message, such as
	// Content-Length, are errors. Default: none.
	Header map[string]string `json:"header,omitempty"`

	// Status lists the status codes of a warm page, 200 to 599. A listed redirect
	// is warm itself and is followed only with FollowRedirects. Default: 200 to 299.
	Status []int `json:"status,omitempty"`

	// FollowRedirects follows up to ten redirects within the origin; then the last
	// page decides whether the target is warm. Default: false, a redirect is a
	// failure unless Status lists it.
	FollowRedirects bool `json:"followRedirects,omitempty"`
}

// withDefaults returns s with each zero value replaced by its default.
func (s Settings) withDefaults() Settings {
	s.Interval = cmp.Or(s.Interval, 5*time.Minute)
	s.Jitter = max(cmp.Or(s.Jitter, s.Interval/10), 0)
	s.RequestTimeout = cmp.Or(s.RequestTimeout, 30*time.Second)
	s.RunTimeout = cmp.Or(s.RunTimeout, 4*s.RequestTimeout)
	s.ReadyTimeout = cmp.Or(s.ReadyTimeout, time.Minute)
	s.Concurrency = cmp.Or(s.Concurrency, 4)
	s.MaxBody = cmp.Or(s.MaxBody, 1<<20)
	s.History = cmp.Or(s.History, 100)
	s.HistoryAge = cmp.Or(s.HistoryAge, 24*time.Hour)
	return s
}

// maxDuration keeps sums of durations far below the overflow of time.Duration.
const maxDuration = 30 * 24 * time.Hour

// checkRanges checks settings that have their defaults. Its error joins all problems.
func (s *Settings) checkRanges() error {
	errs := []error{
		checkRange("Interval", s.Interval, time.Second, maxDuration),
		checkRange("RequestTimeout", s.RequestTimeout, time.Millisecond, maxDuration),
		checkRange("ReadyTimeout", s.ReadyTimeout, time.Millisecond, maxDuration),
		checkRange("HistoryAge", s.HistoryAge, time.Second, 12*maxDuration),
		checkRange("Concurrency", s.Concurrency, 1, 100),
		checkRange("History", s.History, 1, 10000),
	}
	if s.RequestTimeout > 0 && s.RequestTimeout <= maxDuration { // else one problem would be reported as two
		errs = append(errs, checkRange("RunTimeout", s.RunTimeout, s.RequestTimeout, 4*maxDuration))
	}
	if s.Interval > 0 && s.Jitter >= s.Interval {
		errs = append(errs, fmt.Errorf("warmup: Settings.Jitter is %v; write less than the interval of %v", s.Jitter, s.Interval))
	}
	if s.MaxBody < 1 {
		errs = append(errs, fmt.Errorf("warmup: Settings.MaxBody is %d; write a number of bytes, or 0 for the default", s.MaxBody))
	}
	return errors.Join(errs...)
}

func checkRange[T cmp.Ordered](name string, value, least, most T) error {
	if value < least || value > most {
		return fmt.Errorf("warmup: Settings.%s is %v; write %v to %v, or 0 for the default", name, value, least, most)
	}
	return nil
}
