// Package otel makes metrics and span events for OpenTelemetry of what keepalive
// observes:
//
//	telemetry, err := otel.New(otel.Options{})
//	km, err := keepalive.New(sessionManager, keepalive.Config{Observer: telemetry.Observe})
//
// Metrics have no attribute whose value a client can choose. Span events go to the span
// in the context of the request, so middleware that starts one, such as otelhttp, must
// stand outside of keepalive's. They have the session's name as session.id, which does
// not reveal its token, and never a user.
//
// docs/metrics.md lists the metrics, and says which alerts to set.
package otel

import (
	"context"
	"errors"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/seed4a306b22/keepalive/otel"

// Attributes of metrics and span events.
const (
	reasonKey   = attribute.Key("keepalive.reason")
	callKey     = attribute.Key("keepalive.store.call")
	durationKey = attribute.Key("keepalive.store.duration")
	sessionKey  = attribute.Key("session.id")
)

// Options configure a Recorder. Literals must name the fields.
type Options struct {
	_ [0]func()

	// MeterProvider makes the instruments. Default: nil, the global one, also if that is
	// set later.
	MeterProvider metric.MeterProvider

	// Presence adds how many users, sessions and tabs are online. Its own Observe must
	// be called, too. Default: nil, no such metrics.
	Presence *presence.Tracker
}

// Recorder records the events of one Manager, or of several together. Make one with
// New; the zero value can't be used. Its methods are safe for concurrent use.
type Recorder struct {
	counters map[keepalive.EventKind]metric.Int64Counter
	ended    metric.Int64Counter
	store    metric.Float64Histogram
}

// New returns a Recorder. The error joins those of the MeterProvider.
func New(options Options) (*Recorder, error) {
	provider := options.MeterProvider
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	m := maker{Meter: provider.Meter(scope)}
	r := &Recorder{
		counters: map[keepalive.EventKind]metric.Int64Counter{
			keepalive.EventPing:     m.counter("keepalive.pings", "{ping}", "Pings that have extended a session."),
			keepalive.EventTouch:    m.counter("keepalive.touches", "{request}", "Requests that have only read their session, and extended it."),
			keepalive.EventSave:     m.counter("keepalive.saves", "{request}", "Requests whose modified session was stored."),
			keepalive.EventLost:     m.counter("keepalive.saves.lost", "{request}", "Requests whose modified session was dropped, because it had ended or become another user's."),
			keepalive.EventConflict: m.counter("keepalive.saves.conflicts", "{request}", "Requests that have overwritten what another one had stored meanwhile."),
			keepalive.EventRenew:    m.counter("keepalive.renewals", "{request}", "Requests that have given their session another token."),
			keepalive.EventStart:    m.counter("keepalive.sessions.started", "{session}", "Requests that have begun a session."),
			keepalive.EventGone:     m.counter("keepalive.gone", "{request}", "Pings and requests that found no live session."),
			keepalive.EventError:    m.counter("keepalive.errors", "{error}", "Errors of the store and of Config.Payload."),
			keepalive.EventRefused:  m.counter("keepalive.refusals", "{request}", "Requests that an endpoint has refused."),
			keepalive.EventInject:   m.counter("keepalive.pages.injected", "{page}", "Pages that got the script."),
			keepalive.EventSkip:     m.counter("keepalive.pages.skipped", "{response}", "Responses that might be pages and got no script."),
		},
		ended: m.counter("keepalive.sessions.ended", "{session}", "Ends of sessions that this process has noticed."),
		store: m.duration("keepalive.store.duration", "How long calls of the store took, also those that failed."),
	}
	if options.Presence != nil {
		m.observe(options.Presence)
	}
	return r, errors.Join(m.errs...)
}

// maker makes instruments, and keeps the errors of that.
type maker struct {
	metric.Meter
	errs []error
}

func (m *maker) counter(name, unit, description string) metric.Int64Counter {
	c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.errs = append(m.errs, err)
	return c
}

func (m *maker) duration(name, description string) metric.Float64Histogram {
	h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
		metric.WithExplicitBucketBoundaries(.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 2.5))
	m.errs = append(m.errs, err)
	return h
}

func (m *maker) online(name, unit, description string) metric.Int64ObservableUpDownCounter {
	c, err := m.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	m.errs = append(m.errs, err)
	return c
}

// observe lets a reader of the metrics ask who is online.
func (m *maker) observe(tracker *presence.Tracker) {
	users := m.online("keepalive.presence.users", "{user}", "Users who are online.")
	sessions := m.online("keepalive.presence.sessions", "{session}", "Sessions that are online.")
	tabs := m.online("keepalive.presence.tabs", "{tab}", "Tabs that are open.")
	_, err := m.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		counts, err := tracker.Count(ctx)
		if err != nil {
			return err
		}
		o.ObserveInt64(users, int64(counts.Users))
		o.ObserveInt64(sessions, int64(counts.Sessions))
		o.ObserveInt64(tabs, int64(counts.Tabs))
		return nil
	}, users, sessions, tabs)
	m.errs = append(m.errs, err)
}

// Observe records an event. It is meant for keepalive's Config.Observer; an app that has
// another observer calls Observe from that one. It never blocks.
func (r *Recorder) Observe(e keepalive.Event) {
	ctx := context.Background()
	if e.Request != nil {
		ctx = e.Request.Context()
	}
	var reason []attribute.KeyValue
	if e.Reason != "" {
		reason = append(reason, reasonKey.String(string(e.Reason)))
	}
	switch e.Kind {
	case keepalive.EventStore:
		r.store.Record(ctx, e.Took.Seconds(), metric.WithAttributes(callKey.String(e.Call)))
	case keepalive.EventGone:
		r.counters[e.Kind].Add(ctx, 1)
		fallthrough
	case keepalive.EventDestroy:
		if e.Reason != "" {
			r.ended.Add(ctx, 1, metric.WithAttributes(reason...))
		}
	default:
		if counter, ok := r.counters[e.Kind]; ok {
			counter.Add(ctx, 1, metric.WithAttributes(reason...))
		}
	}
	addToSpan(trace.SpanFromContext(ctx), e, reason)
}

// addToSpan adds an event to the span of its request.
func addToSpan(span trace.Span, e keepalive.Event, attributes []attribute.KeyValue) {
	if !span.IsRecording() {
		return
	}
	if e.Session != "" {
		attributes = append(attributes, sessionKey.String(e.Session))
	}
	if e.Kind == keepalive.EventStore {
		attributes = append(attributes, callKey.String(e.Call), durationKey.Float64(e.Took.Seconds()))
	}
	if e.Kind == keepalive.EventError {
		span.RecordError(e.Err, trace.WithAttributes(attributes...))
		return
	}
	span.AddEvent("keepalive."+string(e.Kind), trace.WithAttributes(attributes...))
}
