package main

import (
	"fmt"
	"io"
)

// figures are what a scenario has shown, as multiples of the steady mean.
type figures struct {
	peak, echoes float64 // in any window
	down         float64 // on average from a minute after the beginning to its end; 0 for less than a minute
	lost, inTime int     // sessions, and those of them that had time left after the scenario's end
}

// measure compares a result with the steady mean, in windows of so many seconds.
func (s *scenario) measure(r *result, mean float64, window int) figures {
	f := figures{
		peak:   r.peak(s.from, s.echoes, window) / mean,
		echoes: r.peak(s.echoes, s.end, window) / mean,
		lost:   r.lost,
		inTime: r.lostInTime,
	}
	if s.back > s.from+minute {
		f.down = r.rate(s.from+minute, s.back) / mean
	}
	return f
}

// report simulates all scenarios with so many pages each, prints a row for each,
// and draws some of them.
func report(w io.Writer, pages int) ([]panel, error) {
	var mean float64
	var panels []panel
	fmt.Fprintln(w, "| | peak | later | while down | lost | of these in time |\n|---|---|---|---|---|---|")
	for i, s := range scenarios() {
		r, err := simulate(s.world, pages, 1)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			mean = r.rate(s.from, s.end)
		}
		f := s.measure(r, mean, 1)
		fmt.Fprintf(w, "| %s | %.2f | %s | %s | %.1f %% | %d |\n",
			s.name, f.peak, orNothing(f.echoes), orNothing(f.down), 100*float64(f.lost)/float64(pages), f.inTime)
		panels = append(panels, newPanel(&s, r, mean))
	}
	fmt.Fprintf(w, "\nPings of a page in an hour: %.2f\n", mean*3600/float64(pages))
	return panels, nil
}

func orNothing(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", x)
}

// reportOthers simulates what is not about crowds.
func reportOthers(w io.Writer, days int) error {
	rate := func(world world, from float64) (*result, float64, error) {
		r, err := simulate(world, 1_000, 1)
		if err != nil {
			return nil, 0, err
		}
		return r, r.rate(from, world.end), nil
	}
	_, one, err := rate(manyTabs(1), steadyFrom)
	if err != nil {
		return err
	}
	_, ten, err := rate(manyTabs(10), steadyFrom)
	if err != nil {
		return err
	}
	hidden, _, err := rate(hiddenTab(), 0)
	if err != nil {
		return err
	}
	_, polled, err := rate(polling(), 0)
	if err != nil {
		return err
	}
	lived, err := simulate(randomDays(daysOfBrowser, 1), days/daysOfBrowser, 1)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Pings of ten tabs to those of one: %.3f\n", ten/one)
	fmt.Fprintf(w, "Pings of a page whose app asks each minute: %.0f\n", polled)
	fmt.Fprintf(w, "Spare time of hidden tabs with an idle timeout of 3 minutes, at the worst: %.0f s\n", hidden.spare/second)
	fmt.Fprintf(w, "%d days of random use: %d sessions ended, %d of them though a page could ask, "+
		"%d as a clock was set while nobody could\n", days, lived.lost, lived.lostInTime, lived.lostByClock)
	return nil
}

// daysOfBrowser is how long one browser lives in reportOthers.
const daysOfBrowser = 10
