package warmup_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	_ = os.Unsetenv(warmup.Env) // of whoever runs the tests
	os.Exit(m.Run())
}

func targets(urls ...string) (ts []warmup.Target) {
	for _, u := range urls {
		ts = append(ts, warmup.Target{URL: u})
	}
	return ts
}

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

// start runs a Pinger, and returns what ends it and waits until it has ended.
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

var ok = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func TestNew(t *testing.T) {
	set := func(s warmup.Settings) warmup.Config { return warmup.Config{Settings: s, Handler: ok} }
	one := targets("/")
	tests := []struct {
		name string
		cfg  warmup.Config
		env  string
		errs []string // none: it is valid
	}{
		{name: "defaults", cfg: set(warmup.Settings{Targets: one})},
		{name: "no targets", cfg: warmup.Config{Handler: ok}, errs: []string{"Settings.Targets is empty"}},
		{name: "off needs none", cfg: warmup.Config{Settings: warmup.Settings{Enabled: new(bool)}}},
		{name: "off by the environment", env: "OFF"},
		{name: "on by the environment", env: "on", cfg: warmup.Config{Settings: warmup.Settings{Enabled: new(bool)}}, errs: []string{"Settings.Targets is empty"}},
		{name: "mistyped environment", env: "of", cfg: set(warmup.Settings{Targets: one}), errs: []string{`KEEPALIVE_WARMUP is "of"`}},
		{name: "no origin", cfg: warmup.Config{Settings: warmup.Settings{Targets: one}}, errs: []string{"a path needs Settings.Origin"}},
		{name: "origin by a target", cfg: warmup.Config{Settings: warmup.Settings{Targets: targets("http://app/x", "/y")}}},
		{name: "origin", cfg: set(warmup.Settings{Origin: "https://APP:443/", Targets: targets("https://app/x", "HTTPS://App/y", "https://app:443/z")})},
		{name: "IPv6", cfg: set(warmup.Settings{Origin: "http://[::1]:80", Targets: targets("http://[::1]/x")})},
		{name: "origin with a path", cfg: set(warmup.Settings{Origin: "http://app/x", Targets: one}), errs: []string{"no http or https origin"}},
		{name: "origin of another scheme", cfg: set(warmup.Settings{Origin: "ftp://app", Targets: one}), errs: []string{"no http or https origin"}},
		{name: "jitter", cfg: set(warmup.Settings{Targets: one, Interval: time.Minute, Jitter: time.Minute}), errs: []string{"Settings.Jitter is 1m0s"}},
		{name: "no jitter", cfg: set(warmup.Settings{Targets: one, Jitter: -1})},
		{name: "timeouts", cfg: set(warmup.Settings{Targets: one, RequestTimeout: time.Minute, RunTimeout: time.Second}), errs: []string{"Settings.RunTimeout is 1s"}},
		{name: "every problem", cfg: warmup.Config{Handler: ok, Transport: http.DefaultTransport, Settings: warmup.Settings{
			Interval: time.Millisecond, RequestTimeout: -1, ReadyTimeout: -1, Concurrency: 101, MaxBody: -1, History: -1, HistoryAge: 1, Targets: targets("x", "/a", "/a"),
		}}, errs: []string{"Interval", "RequestTimeout", "ReadyTimeout", "Concurrency", "MaxBody", "History is", "HistoryAge", `Targets[0] is "x"`, "twice", "Transport"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.env != "" {
				t.Setenv(warmup.Env, tt.env)
			}
			_, err := warmup.New(tt.cfg)
			if tt.errs == nil {
				require.NoError(t, err)
			}
			for _, text := range tt.errs {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	tests := []struct {
		name   string
		target warmup.Target
		err    string
		other  bool // ErrOrigin
	}{
		{name: "path", target: warmup.Target{URL: "/a/b?c=d"}},
		{name: "whole URL", target: warmup.Target{URL: "http://app:8080/a"}},
		{name: "no path", target: warmup.Target{URL: "http://app:8080"}},
		{name: "empty", err: "begins with a slash"},
		{name: "relative", target: warmup.Target{URL: "a"}, err: "begins with a slash"},
		{name: "other host", target: warmup.Target{URL: "http://evil:8080/"}, err: "another origin than http://app:8080", other: true},
		{name: "other port", target: warmup.Target{URL: "http://app/"}, other: true},
		{name: "other scheme", target: warmup.Target{URL: "https://app:8080/"}, other: true},
		{name: "host without a scheme", target: warmup.Target{URL: "//evil/"}, err: "begins with a slash"},
		{name: "no web scheme", target: warmup.Target{URL: "file:///etc/passwd"}, err: "begins with a slash"},
		{name: "password", target: warmup.Target{URL: "http://a:b@app:8080/"}, err: "a name or a password"},
		{name: "fragment", target: warmup.Target{URL: "/#a"}, err: "fragment"},
		{name: "unreadable", target: warmup.Target{URL: "/%zz"}, err: "invalid URL escape"},
		{name: "method", target: warmup.Target{URL: "/", Method: "HEAD"}},
		{name: "no method", target: warmup.Target{URL: "/", Method: "GET /x"}, err: "can't be sent"},
		{name: "CONNECT", target: warmup.Target{URL: "/", Method: "CONNECT"}, err: "can't be sent"},
		{name: "status", target: warmup.Target{URL: "/", Status: []int{200, 404}}},
		{name: "early status", target: warmup.Target{URL: "/", Status: []int{103}}, err: "103"},
		{name: "header", target: warmup.Target{URL: "/", Header: map[string]string{"accept-language": "de"}}},
		{name: "cookie", target: warmup.Target{URL: "/", Header: map[string]string{"cookie": "a=b"}}, err: "Cookie"},
		{name: "host", target: warmup.Target{URL: "/", Header: map[string]string{"Host": "evil"}}, err: "Host"},
		{name: "header twice", target: warmup.Target{URL: "/", Header: map[string]string{"x": "", "X": ""}}, err: "twice"},
		{name: "header injection", target: warmup.Target{URL: "/", Header: map[string]string{"X": "a\r\nCookie: b"}}, err: "RFC 9110"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := warmup.New(warmup.Config{Settings: warmup.Settings{Origin: "http://app:8080", Targets: []warmup.Target{tt.target}}})
			if tt.err == "" && !tt.other {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.err)
			if tt.other {
				require.ErrorIs(t, err, warmup.ErrOrigin)
			}
		})
	}
}
