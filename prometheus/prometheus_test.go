package prometheus_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/observetest"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/seed4a306b22/keepalive/prometheus"
	"github.com/stretchr/testify/require"
)

// What happens to a running program is what a scrape of it says.
func TestScrape(t *testing.T) {
	tracker, err := presence.New(presence.Config{})
	require.NoError(t, err)
	defer tracker.Close()
	metrics := prometheus.New(prometheus.Options{Presence: tracker})
	registry := prom.NewPedanticRegistry()
	registry.MustRegister(metrics)
	srv := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	defer srv.Close()

	steps := observetest.Steps(t, func(e keepalive.Event) {
		metrics.Observe(e)
		tracker.Observe(e)
	}, func(h http.Handler) http.Handler { return h })
	// What each step adds, but for the buckets and sums of the histogram.
	const store, ended, refused = `store_duration_seconds_count{call="%s"}`, `sessions_ended_total{reason="%s"}`, `refusals_total{reason="%s"}`
	call := func(name string) string { return fmt.Sprintf(store, name) }
	end := func(reason keepalive.Reason) string { return fmt.Sprintf(ended, reason) }
	refusal := func(reason keepalive.Reason) string { return fmt.Sprintf(refused, reason) }
	want := map[string]map[string]float64{
		"login":                       {"sessions_started_total": 1, "saves_total": 1, call("commit"): 1},
		"page":                        {`pages_injected_total{reason="session"}`: 1, call("find"): 1},
		"request to another instance": {"touches_total": 1, call("find"): 1, call("touch"): 1},
		"ping":                        {"pings_total": 1, call("find"): 2, call("touch"): 1},
		"ping without its payload":    {"pings_total": 1, "errors_total": 1, call("find"): 2, call("touch"): 1},
		"write":                       {"saves_total": 1, call("find"): 1, call("swap"): 1},
		"writes at the same time":     {"saves_total": 2, "conflicts_total": 1, call("find"): 2, call("swap"): 3},
		"renewal":                     {"saves_total": 1, "renewals_total": 1, call("find"): 1, call("delete"): 1, call("commit"): 1},
		"logout during a write":       {"lost_saves_total": 1, end("logout"): 1, call("find"): 2, call("delete"): 1, call("swap"): 1},
		"ping after that":             {"gone_total": 1, call("find"): 1},
		"made-up cookie":              {"gone_total": 1, end("unknown"): 1, call("find"): 1},
		"idle session":                {"sessions_started_total": 1, "saves_total": 1, call("commit"): 1, "gone_total": 1, end("idle"): 1, call("find"): 1},
		"session past its deadline":   {"sessions_started_total": 1, "saves_total": 1, call("commit"): 1, "gone_total": 1, end("lifetime"): 1, call("find"): 1},
		"refusals":                    {refusal("method"): 1, refusal("origin"): 1, refusal("body"): 1, refusal("path"): 1},
		"no pages":                    {`pages_skipped_total{reason="no session"}`: 1, `pages_skipped_total{reason="status"}`: 1},
		"open page": {"sessions_started_total": 1, "saves_total": 1, call("commit"): 1, call("find"): 1,
			"presence_users": 1, "presence_sessions": 1, "presence_tabs": 1},
	}
	before := scrape(t, srv.URL)
	for name, value := range before {
		require.Zero(t, value, name)
	}
	for _, step := range steps {
		step.Do()
		after, added := scrape(t, srv.URL), make(map[string]float64)
		require.Len(t, after, len(before), "the same series throughout")
		for name, value := range after {
			if value != before[name] && !strings.Contains(name, "_bucket") && !strings.Contains(name, "_sum") {
				added[name] = value - before[name]
			}
		}
		require.Equal(t, want[step.Name], added, step.Name)
		before = after
	}
	changed := make(map[string]bool) // metrics, without labels
	for name, value := range before {
		metric, _, _ := strings.Cut(name, "{")
		changed[metric] = changed[metric] || value > 0
		require.False(t, strings.Contains(name, `"other"`) && value > 0, name)
	}
	for metric, ok := range changed {
		require.True(t, ok, "nothing has happened to %s", metric)
	}
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

// scrape returns the value of each series by its name without keepalive_.
func scrape(t *testing.T, url string) map[string]float64 {
	res, err := http.Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	series := make(map[string]float64)
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		at := strings.LastIndex(lines.Text(), " ")
		name, found := strings.CutPrefix(lines.Text()[:at], "keepalive_")
		require.True(t, found, lines.Text())
		var value float64
		_, err := fmt.Sscan(lines.Text()[at:], &value)
		require.NoError(t, err)
		series[name] = value
	}
	return series
}

// What this version does not know gets no series of its own.
func TestUnknownValues(t *testing.T) {
	metrics := prometheus.New(prometheus.Options{})
	before := testutil.CollectAndCount(metrics)
	for _, e := range []keepalive.Event{
		{Kind: "new"},
		{Kind: keepalive.EventGone, Reason: "new"},
		{Kind: keepalive.EventRefused, Reason: "new"},
		{Kind: keepalive.EventInject, Reason: "new"},
		{Kind: keepalive.EventSkip, Reason: "new"},
		{Kind: keepalive.EventStore, Call: "new"},
	} {
		metrics.Observe(e)
	}
	require.Equal(t, before, testutil.CollectAndCount(metrics))
	require.NoError(t, testutil.CollectAndCompare(metrics, strings.NewReader(`
# HELP keepalive_refusals_total Requests that an endpoint has refused.
# TYPE keepalive_refusals_total counter
keepalive_refusals_total{reason="body"} 0
keepalive_refusals_total{reason="method"} 0
keepalive_refusals_total{reason="origin"} 0
keepalive_refusals_total{reason="other"} 1
keepalive_refusals_total{reason="path"} 0
keepalive_refusals_total{reason="timeout"} 0
`), "keepalive_refusals_total"))
}
