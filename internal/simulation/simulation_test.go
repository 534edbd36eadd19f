package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// pages is how many a scenario has here. The windows in which requests are counted
// are as much longer than a second as pages are fewer than the 100,000 for which
// the bounds are meant, so that chance moves the peaks as little.
const (
	pages  = 10_000
	window = 100_000 / pages
)

func live(t *testing.T, w world, browsers int) *result {
	t.Helper()
	r, err := simulate(w, browsers, 1)
	require.NoError(t, err)
	return r
}

func TestScenarios(t *testing.T) {
	all := scenarios()
	mean := live(t, all[0].world, pages).rate(all[0].from, all[0].end)
	require.InDelta(t, 6.3, mean*3600/pages, 0.4, "pings of a page in an hour")
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			f := s.measure(live(t, s.world, pages), mean, window)
			t.Logf("%+v", f)
			if s.bound > 0 {
				require.LessOrEqual(t, f.peak, s.bound)
				require.LessOrEqual(t, f.down, downBound)
			}
			require.LessOrEqual(t, f.echoes, echoBound)
			require.Zero(t, f.inTime, "sessions with 30 s left after it")
		})
	}
}

func TestShortOutagesLoseNothing(t *testing.T) {
	r := live(t, outageOf("", idleTimeout/4, refused, 0, 0).world, pages)
	require.Zero(t, r.lost)
}

func TestPollingAppNeedsNoPings(t *testing.T) {
	r := live(t, polling(), 100)
	require.Positive(t, r.calls)
	require.Zero(t, r.rate(0, hour))
}

// The shortest wait is 30 % of the idle timeout.
func TestWarningNeedsNoQuestion(t *testing.T) {
	w := nine("", minute, 0).world
	w.warn = 2 * minute
	r := live(t, w, 100)
	require.Zero(t, r.rate(0, 0.3*idleTimeout))
	require.Positive(t, r.rate(0.3*idleTimeout, 0.7*idleTimeout))
}

func TestTabsAskAsOftenAsOne(t *testing.T) {
	one, ten := manyTabs(1), manyTabs(10)
	want := live(t, one, 200).rate(steadyFrom, one.end)
	require.Less(t, live(t, ten, 200).rate(steadyFrom, ten.end), 1.1*want)
}

func TestHiddenTabHasTimeToSpare(t *testing.T) {
	r := live(t, hiddenTab(), 200)
	require.Zero(t, r.lost)
	require.Greater(t, r.spare, 20*second)
}

func TestRandomDaysLoseNothing(t *testing.T) {
	r := live(t, randomDays(daysOfBrowser, 1), 50)
	require.Positive(t, r.lost, "sessions end at night, for one thing")
	require.Zero(t, r.lostInTime)
}

// Without Node.js the steps are the same.
func TestEnginesAgree(t *testing.T) {
	w := randomDays(1, 2)
	inNode := live(t, w, 20)
	t.Setenv("PATH", "")
	require.Equal(t, inNode, live(t, w, 20))
}
