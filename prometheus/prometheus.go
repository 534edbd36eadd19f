// Package prometheus makes metrics for Prometheus of what keepalive observes:
//
//	metrics := prometheus.New(prometheus.Options{})
//	registry.MustRegister(metrics)
//	km, err := keepalive.New(sessionManager, keepalive.Config{Observer: metrics.Observe})
//
// No label has a value that a client can choose, and each has a fixed list of them.
// What a later version of keepalive adds to it is counted as "other".
//
// docs/metrics.md lists the metrics, and says which alerts to set.
package prometheus

import (
	"context"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
)

// Options configure a Collector. Literals must name the fields.
type Options struct {
	_ [0]func()

	// Presence adds how many users, sessions and tabs are online. Its own Observe must
	// be called, too. Default: nil, no such metrics.
	Presence *presence.Tracker
}

// Collector counts the events of one Manager, or of several together. It implements
// prometheus.Collector of client_golang. Make one with New; the zero value can't be
// used. Its methods are safe for concurrent use.
type Collector struct {
	plain    map[keepalive.EventKind]prom.Counter
	byReason map[keepalive.EventKind]counters
	calls    map[string]prom.Observer
	metrics  []prom.Collector // of all the above

	presence *presence.Tracker
	online   map[*prom.Desc]func(presence.Counts) int
}

// counters are those of one metric, by the value of its label.
type counters map[keepalive.Reason]prom.Counter

// other is the value of a label for all that is not in its list.
const other = "other"

// calls are the values of Event.Call.
var calls = []string{"find", "touch", "expiry", "commit", "swap", "replace", "delete", other}

// New returns a Collector.
func New(options Options) *Collector {
	c := &Collector{presence: options.Presence}
	c.plain = map[keepalive.EventKind]prom.Counter{
		keepalive.EventPing:     c.counter("pings_total", "Pings that have extended a session."),
		keepalive.EventTouch:    c.counter("touches_total", "Requests that have only read their session, and extended it."),
		keepalive.EventSave:     c.counter("saves_total", "Requests whose modified session was stored."),
		keepalive.EventLost:     c.counter("lost_saves_total", "Requests whose modified session was dropped, because it had ended or become another user's."),
		keepalive.EventConflict: c.counter("conflicts_total", "Requests that have overwritten what another one had stored meanwhile."),
		keepalive.EventRenew:    c.counter("renewals_total", "Requests that have given their session another token."),
		keepalive.EventStart:    c.counter("sessions_started_total", "Requests that have begun a session."),
		keepalive.EventGone:     c.counter("gone_total", "Pings and requests that found no live session."),
		keepalive.EventError:    c.counter("errors_total", "Errors of the store and of Config.Payload."),
	}
	ended := c.counters("sessions_ended_total", "Ends of sessions that this process has noticed.",
		append(keepalive.EventDestroy.Reasons(), keepalive.EventGone.Reasons()...))
	c.byReason = map[keepalive.EventKind]counters{
		keepalive.EventDestroy: ended,
		keepalive.EventGone:    ended,
		keepalive.EventRefused: c.counters("refusals_total", "Requests that an endpoint has refused.", keepalive.EventRefused.Reasons()),
		keepalive.EventInject:  c.counters("pages_injected_total", "Pages that got the script.", keepalive.EventInject.Reasons()),
		keepalive.EventSkip:    c.counters("pages_skipped_total", "Responses that might be pages and got no script.", keepalive.EventSkip.Reasons()),
	}
	c.addStore()
	if c.presence != nil {
		c.online = map[*prom.Desc]func(presence.Counts) int{
			gauge("users", "Users who are online."):        func(n presence.Counts) int { return n.Users },
			gauge("sessions", "Sessions that are online."): func(n presence.Counts) int { return n.Sessions },
			gauge("tabs", "Tabs that are open."):           func(n presence.Counts) int { return n.Tabs },
		}
	}
	return c
}

func (c *Collector) counter(name, help string) prom.Counter {
	counter := prom.NewCounter(prom.CounterOpts{Namespace: "keepalive", Name: name, Help: help})
	c.metrics = append(c.metrics, counter)
	return counter
}

// counters starts each series at 0, so that its first increase shows.
func (c *Collector) counters(name, help string, reasons []keepalive.Reason) counters {
	vec := prom.NewCounterVec(prom.CounterOpts{Namespace: "keepalive", Name: name, Help: help}, []string{"reason"})
	c.metrics = append(c.metrics, vec)
	by := make(counters)
	for _, reason := range append(reasons, other) {
		by[reason] = vec.WithLabelValues(string(reason))
	}
	return by
}

func (c *Collector) addStore() {
	vec := prom.NewHistogramVec(prom.HistogramOpts{
		Namespace: "keepalive", Name: "store_duration_seconds", Help: "How long calls of the store took, also those that failed.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 2.5},
	}, []string{"call"})
	c.metrics = append(c.metrics, vec)
	c.calls = make(map[string]prom.Observer)
	for _, call := range calls {
		c.calls[call] = vec.WithLabelValues(call)
	}
}

func gauge(name, help string) *prom.Desc {
	return prom.NewDesc("keepalive_presence_"+name, help, nil, nil)
}

// Observe counts an event. It is meant for keepalive's Config.Observer; an app that has
// another observer calls Observe from that one. It never blocks.
func (c *Collector) Observe(e keepalive.Event) {
	if counter, ok := c.plain[e.Kind]; ok {
		counter.Inc()
	}
	if by, ok := c.byReason[e.Kind]; ok && e.Reason != "" {
		valueOr(by, e.Reason).Inc()
	}
	if e.Kind == keepalive.EventStore {
		valueOr(c.calls, e.Call).Observe(e.Took.Seconds())
	}
}

// valueOr returns what a map has for a label, or for other.
func valueOr[L ~string, V any](m map[L]V, label L) V {
	if v, ok := m[label]; ok {
		return v
	}
	return m[other]
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(descs chan<- *prom.Desc) {
	for _, m := range c.metrics {
		m.Describe(descs)
	}
	for desc := range c.online {
		descs <- desc
	}
}

// Collect implements prometheus.Collector. It waits up to a second for a Tracker that
// has not read its Config.Log yet, and then leaves its metrics out.
func (c *Collector) Collect(metrics chan<- prom.Metric) {
	for _, m := range c.metrics {
		m.Collect(metrics)
	}
	if c.presence == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	counts, err := c.presence.Count(ctx)
	if err != nil {
		return
	}
	for desc, count := range c.online {
		metrics <- prom.MustNewConstMetric(desc, prom.GaugeValue, float64(count(counts)))
	}
}
