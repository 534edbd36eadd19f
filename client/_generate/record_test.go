package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRecord(t *testing.T) {
	each(t, func(t *testing.T, b *browser, s *session) {
		tb := b.open(page{})
		loaded := float64(now - 250) // requestStart is 50 ms after the navigation's start, the script runs at 300
		require.InDelta(t, 0.5, b.record()["rand"], 0.5)
		require.Equal(t, map[string]float64{
			"at": loaded, "idle": 19 * 60_000, "full": 19 * 60_000, "guess": 0, "life": 0, "fails": 0, "rand": b.record()["rand"],
		}, b.record(), "a page load gives a minute less: the server skips touches that gain less than that")

		b.server = func(string, time.Time) reply { return reply{status: 500} }
		b.sleep(15 * time.Minute)
		require.Equal(t, float64(len(b.asked)), b.record()["fails"])
		b.server = func(method string, at time.Time) reply {
			r := s.serve(method, at)
			r.delay = 8 * time.Second
			return r
		}
		tb.show(true)
		b.sleep(10 * time.Second)
		r := b.record()
		require.Equal(t, float64(b.asked[len(b.asked)-1].at.UnixMilli()), r["at"], "the time left counts from before the question")
		require.Equal(t, float64(20*60_000), r["idle"])
		require.Equal(t, float64(20*60_000), r["full"])
		require.Zero(t, r["fails"])
		require.Zero(t, r["claim"])

		b.sleep(10 * time.Second)
		b.open(page{})
		require.Greater(t, b.record()["at"], r["at"])
		require.Equal(t, r["life"], b.record()["life"], "a page load tells nothing of the deadline, and forgets nothing")
	})
}

func TestNonsenseInTheRecord(t *testing.T) {
	records := []string{
		`{`, `null`, `[]`, `"x"`,
		`{"at":"x","fails":"x","by":{},"claim":[]}`,
		`{"at":9e15,"claim":9e15,"gone":9e15,"failed":9e15}`,
	}
	for _, record := range records {
		t.Run(fmt.Sprintf("%q", record), func(t *testing.T) {
			each(t, func(t *testing.T, b *browser, s *session) {
				b.disk[recordKey] = record
				b.open(page{cached: true})
				b.sleep(time.Second)
				require.Equal(t, []string{"POST"}, b.methods())
				b.sleep(time.Hour)
				require.InDelta(t, 7, len(b.asked), 1)
			})
		})
	}
}
