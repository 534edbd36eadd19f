package otel_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/observetest"
	"github.com/seed4a306b22/keepalive/otel"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
	global "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// What happens to a running program is what a reader of its metrics finds, and what the
// spans of its requests have.
func TestProgram(t *testing.T) {
	tracker, err := presence.New(presence.Config{})
	require.NoError(t, err)
	defer tracker.Close()
	reader := sdkmetric.NewManualReader()
	telemetry, err := otel.New(otel.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), Presence: tracker})
	require.NoError(t, err)
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("app")
	steps := observetest.Steps(t, func(e keepalive.Event) {
		telemetry.Observe(e)
		tracker.Observe(e)
	}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, span := tracer.Start(r.Context(), r.URL.Path)
			defer span.End()
			h.ServeHTTP(w, r.WithContext(ctx))
		})
	})

	want := map[string]map[string]int64{
		"login":                       {"sessions.started": 1, "saves": 1, "store.duration commit": 1},
		"page":                        {"pages.injected session": 1, "store.duration find": 1},
		"request to another instance": {"touches": 1, "store.duration find": 1, "store.duration touch": 1},
		"ping":                        {"pings": 1, "store.duration find": 2, "store.duration touch": 1},
		"ping without its payload":    {"pings": 1, "errors": 1, "store.duration find": 2, "store.duration touch": 1},
		"write":                       {"saves": 1, "store.duration find": 1, "store.duration swap": 1},
		"writes at the same time":     {"saves": 2, "saves.conflicts": 1, "store.duration find": 2, "store.duration swap": 3},
		"renewal":                     {"saves": 1, "renewals": 1, "store.duration find": 1, "store.duration delete": 1, "store.duration commit": 1},
		"logout during a write":       {"saves.lost": 1, "sessions.ended logout": 1, "store.duration find": 2, "store.duration delete": 1, "store.duration swap": 1},
		"ping after that":             {"gone": 1, "store.duration find": 1},
		"made-up cookie":              {"gone": 1, "sessions.ended unknown": 1, "store.duration find": 1},
		"idle session":                {"sessions.started": 1, "saves": 1, "store.duration commit": 1, "gone": 1, "sessions.ended idle": 1, "store.duration find": 1},
		"session past its deadline":   {"sessions.started": 1, "saves": 1, "store.duration commit": 1, "gone": 1, "sessions.ended lifetime": 1, "store.duration find": 1},
		"refusals":                    {"refusals method": 1, "refusals origin": 1, "refusals body": 1, "refusals path": 1},
		"no pages":                    {"pages.skipped no session": 1, "pages.skipped status": 1},
		"open page": {"sessions.started": 1, "saves": 1, "store.duration commit": 1, "store.duration find": 1,
			"presence.users": 1, "presence.sessions": 1, "presence.tabs": 1},
	}
	wantSpans := map[string][]string{ // some of them
		"login":                    {"/login: store start save"},
		"page":                     {"/: store inject"},
		"ping without its payload": {"/keepalive/ping: store store ping store exception"},
		"logout during a write":    {"/logout: store store destroy", "/late: store store lost"},
		"idle session":             {"/login: store start save", "/keepalive/ping: store gone"},
	}
	before := read(t, reader)
	for _, step := range steps {
		spans.Reset()
		step.Do()
		after, added := read(t, reader), make(map[string]int64)
		for name, value := range after {
			if value != before[name] {
				added[name] = value - before[name]
			}
		}
		require.Equal(t, want[step.Name], added, step.Name)
		before = after
		if lines, ok := wantSpans[step.Name]; ok {
			require.Equal(t, lines, spanEvents(t, spans.Ended()), step.Name)
		}
	}
}

// read returns the value, or the count, of each series by its name without keepalive.,
// and its attribute.
func read(t *testing.T, reader sdkmetric.Reader) map[string]int64 {
	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &got))
	values := make(map[string]int64)
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			require.NotEmpty(t, m.Unit, m.Name)
			name, found := strings.CutPrefix(m.Name, "keepalive.")
			require.True(t, found, m.Name)
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, point := range data.DataPoints {
					values[strings.TrimRight(name+" "+label(point.Attributes), " ")] = point.Value
				}
			case metricdata.Histogram[float64]:
				for _, point := range data.DataPoints {
					require.Positive(t, point.Sum)
					values[name+" "+label(point.Attributes)] = int64(point.Count)
				}
			default:
				require.Fail(t, "unexpected metric", m.Name)
			}
		}
	}
	return values
}

// label returns the value of the only attribute, "" for none.
func label(set attribute.Set) (value string) {
	for _, kv := range set.ToSlice() {
		value += kv.Value.AsString()
	}
	return value
}

// spanEvents returns the path and the events of each span.
func spanEvents(t *testing.T, spans []sdktrace.ReadOnlySpan) (lines []string) {
	for _, span := range spans {
		line := span.Name() + ":"
		for _, e := range span.Events() {
			set := attribute.NewSet(e.Attributes...)
			require.True(t, set.HasValue("session.id"), e.Name)
			require.NotContains(t, set.Encoded(attribute.DefaultEncoder()), "ann", "no user")
			line += " " + strings.TrimPrefix(e.Name, "keepalive.")
		}
		lines = append(lines, line)
	}
	return lines
}

// An event may come without a request, and be of a kind that this version does not know.
func TestOtherEvents(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	telemetry, err := otel.New(otel.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	require.NoError(t, err)
	telemetry.Observe(keepalive.Event{Kind: "new", Request: &http.Request{}})
	telemetry.Observe(keepalive.Event{Kind: keepalive.EventDestroy, Reason: keepalive.ReasonLogout})
	require.Equal(t, map[string]int64{"sessions.ended logout": 1}, read(t, reader))
}

// Without a MeterProvider the global one is used.
func TestGlobalProvider(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	global.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	telemetry, err := otel.New(otel.Options{})
	require.NoError(t, err)
	telemetry.Observe(keepalive.Event{Kind: keepalive.EventPing, Request: &http.Request{}})
	require.Equal(t, map[string]int64{"pings": 1}, read(t, reader))
}
