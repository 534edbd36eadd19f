package warmup_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func TestNew(t *testing.T) {
	withHandler := func(s warmup.Settings) warmup.Config { return warmup.Config{Settings: s, Handler: okHandler} }
	root := targets("/")
	tests := []struct {
		name string
		cfg  warmup.Config
		env  string
		errs []string // parts of the error; nil if cfg is valid
	}{
		{name: "defaults", cfg: withHandler(warmup.Settings{Targets: root})},
		{name: "no targets", cfg: warmup.Config{Handler: okHandler}, errs: []string{"Settings.Targets is empty"}},
		{name: "no targets, switched off", cfg: warmup.Config{Settings: warmup.Settings{Enabled: new(bool)}}},
		{name: "no targets, switched off by the environment", env: "OFF"},
		{name: "no targets, switched on by the environment", env: "on", cfg: warmup.Config{Settings: warmup.Settings{Enabled: new(bool)}}, errs: []string{"Settings.Targets is empty"}},
		{name: "mistyped environment", env: "of", cfg: withHandler(warmup.Settings{Targets: root}), errs: []string{`KEEPALIVE_WARMUP is "of"`}},
		{name: "path without an origin", cfg: warmup.Config{Settings: warmup.Settings{Targets: root}}, errs: []string{"a path needs Settings.Origin"}},
		{name: "path after an absolute URL", cfg: warmup.Config{Settings: warmup.Settings{Targets: targets("http://app/x", "/y")}}},
		{name: "origin", cfg: withHandler(warmup.Settings{Origin: "https://APP:443/", Targets: targets("https://app/x", "HTTPS://App/y", "https://app:443/z")})},
		{name: "IPv6", cfg: withHandler(warmup.Settings{Origin: "http://[::1]:80", Targets: targets("http://[::1]/x")})},
		{name: "unreadable origin", cfg: withHandler(warmup.Settings{Origin: "http://%zz", Targets: root}), errs: []string{"Settings.Origin", "invalid URL escape"}},
		{name: "origin with a path", cfg: withHandler(warmup.Settings{Origin: "http://app/x", Targets: root}), errs: []string{"no http or https origin"}},
		{name: "origin of another scheme", cfg: withHandler(warmup.Settings{Origin: "ftp://app", Targets: root}), errs: []string{"no http or https origin"}},
		{name: "jitter as long as the interval", cfg: withHandler(warmup.Settings{Targets: root, Interval: time.Minute, Jitter: time.Minute}), errs: []string{"Settings.Jitter is 1m0s"}},
		{name: "one page in two forms", cfg: withHandler(warmup.Settings{Origin: "http://app", Targets: targets("/", "http://app")}), errs: []string{"twice"}},
		{name: "no jitter", cfg: withHandler(warmup.Settings{Targets: root, Jitter: -1})},
		{name: "run shorter than a request", cfg: withHandler(warmup.Settings{Targets: root, RequestTimeout: time.Minute, RunTimeout: time.Second}), errs: []string{"Settings.RunTimeout is 1s"}},
		{name: "every problem", cfg: warmup.Config{Handler: okHandler, Transport: http.DefaultTransport, Settings: warmup.Settings{
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

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		settings := warmup.Settings{Targets: targets("/a"), Interval: time.Minute, Jitter: -1}
		p := newPinger(t, warmup.Config{Handler: app, Settings: settings})
		stop := start(t, p)
		time.Sleep(30 * time.Second)

		require.ErrorIs(t, p.Reload(warmup.Settings{Targets: targets("http://evil/", "/b"), Interval: -1}), warmup.ErrOrigin)
		time.Sleep(45 * time.Second) // 75 s
		require.Equal(t, []time.Duration{0, time.Minute}, app.requests("/a"), "the old settings remain in use")
		require.Empty(t, app.requests("/b"))

		settings.Targets, settings.Interval = targets("/a", "/b"), 10*time.Second
		require.NoError(t, p.Reload(settings))
		synctest.Wait()
		require.Equal(t, "reload", p.Last()[1].Reason)
		time.Sleep(25 * time.Second) // 100 s
		require.Equal(t, []time.Duration{75 * time.Second, 85 * time.Second, 95 * time.Second}, app.requests("/b"))

		settings.Enabled = new(bool)
		require.NoError(t, p.Reload(settings))
		p.Trigger()
		time.Sleep(time.Hour)
		require.Len(t, app.requests("/b"), 3)
		require.True(t, p.Last()[1].Warm, "the last result is kept")

		t.Setenv(warmup.Env, "on")
		require.NoError(t, p.Reload(settings))
		synctest.Wait()
		require.Len(t, app.requests("/b"), 4, "the environment overrides the settings")
		t.Setenv(warmup.Env, "off")
		settings.Enabled = nil
		require.NoError(t, p.Reload(settings))
		time.Sleep(time.Hour)
		require.Len(t, app.requests("/b"), 4)
		stop()
	})
}

func TestReloadDuringARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.delay = 10 * time.Second
		settings := warmup.Settings{Targets: targets("/a", "/b", "/c"), Concurrency: 1, Interval: time.Hour}
		p := newPinger(t, warmup.Config{Handler: app, Settings: settings})
		stop := start(t, p)
		time.Sleep(5 * time.Second)
		settings.Targets = targets("/c", "/d")
		require.NoError(t, p.Reload(settings))
		time.Sleep(time.Minute)
		require.Equal(t, []time.Duration{0}, app.requests("/a"), "the unfinished request ends")
		require.Empty(t, app.requests("/b"), "no other request of the old settings begins")
		require.Equal(t, []time.Duration{10 * time.Second}, app.requests("/c"))
		require.Equal(t, []time.Duration{20 * time.Second}, app.requests("/d"))
		require.Equal(t, 1, app.maxActive)
		require.Len(t, p.Results(), 3)
		require.True(t, p.Ready())
		stop()
	})
}
