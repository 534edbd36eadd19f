package warmup_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	_ = os.Unsetenv(warmup.Env) // the developer's own setting must not switch the tests off
	os.Exit(m.Run())
}

func targets(urls ...string) (ts []warmup.Target) {
	for _, u := range urls {
		ts = append(ts, warmup.Target{URL: u})
	}
	return ts
}

// newPinger returns a Pinger for cfg, with the target / unless cfg has others.
func newPinger(t *testing.T, cfg warmup.Config) *warmup.Pinger {
	t.Helper()
	if cfg.Targets == nil {
		cfg.Targets = targets("/")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p, err := warmup.New(cfg)
	require.NoError(t, err)
	return p
}

// start calls Run. The returned function ends it and waits until it has returned.
func start(t *testing.T, p *warmup.Pinger) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

var okHandler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// testApp is a handler that records its requests. Set delay before the first one.
type testApp struct {
	delay time.Duration // of each response

	mu                sync.Mutex
	startedAt         time.Time
	requested         map[string][]time.Duration // by path, since startedAt
	failing           map[string]bool            // by path
	active, maxActive int                        // requests at a time
}

func newTestApp() *testApp {
	return &testApp{startedAt: time.Now(), requested: make(map[string][]time.Duration), failing: make(map[string]bool)}
}

func (a *testApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	failing := a.begin(r.URL.Path)
	defer a.end()
	select {
	case <-time.After(a.delay):
	case <-r.Context().Done():
		return
	}
	if failing {
		http.Error(w, "broken", http.StatusInternalServerError)
	}
}

func (a *testApp) begin(path string) (failing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requested[path] = append(a.requested[path], time.Since(a.startedAt))
	a.active++
	a.maxActive = max(a.maxActive, a.active)
	return a.failing[path]
}

func (a *testApp) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.active--
}

// requests returns when a path was requested, since the app was made.
func (a *testApp) requests(path string) []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requested[path])
}

// setFailing makes later requests of a path answer 500, or no longer.
func (a *testApp) setFailing(path string, failing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failing[path] = failing
}
