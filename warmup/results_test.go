package warmup_test

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settings := warmup.Settings{Targets: targets("/"), Interval: time.Minute, Jitter: -1, History: 5, HistoryAge: 3 * time.Minute}
		p := newPinger(t, warmup.Config{Handler: okHandler, Settings: settings})
		stop := start(t, p)
		time.Sleep(150 * time.Second) // runs at 0, 1 and 2 min
		require.Len(t, p.Results(), 3)
		time.Sleep(time.Minute)
		ages := func() (a []time.Duration) {
			for _, r := range p.Results() {
				a = append(a, time.Since(r.Time))
			}
			return a
		}
		s := time.Second
		require.Equal(t, []time.Duration{150 * s, 90 * s, 30 * s}, ages(), "HistoryAge drops the oldest")
		settings.History = 2
		require.NoError(t, p.Reload(settings))
		synctest.Wait()
		require.Equal(t, []time.Duration{30 * s, 0}, ages(), "History drops the oldest")
		stop()
		time.Sleep(3*time.Minute + 1)
		require.Empty(t, p.Results())
		require.False(t, p.Last()[0].Time.IsZero(), "the last result is kept, however old")
	})
}

// A failure that lasts is one warning, however often it is retried.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := newTestApp()
		app.setFailing("/", true)
		var out bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.LevelKey || a.Key == slog.MessageKey {
				return a
			}
			return slog.Attr{}
		}}))
		p := newPinger(t, warmup.Config{Handler: app, Logger: logger, Settings: warmup.Settings{Interval: 24 * time.Hour, ReadyTimeout: time.Minute}})
		stop := start(t, p)
		time.Sleep(time.Hour)
		require.Greater(t, p.Last()[0].Failures, 1)
		app.setFailing("/", false)
		for !p.Last()[0].Warm {
			time.Sleep(time.Second)
		}
		stop()
		require.Equal(t, `level=WARN msg="warmup: a target fails"
level=WARN msg="warmup: ready by its deadline, with targets that are not warm"
level=INFO msg="warmup: a target is warm again"
`, out.String())
	})
}
