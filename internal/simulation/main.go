// Command simulation lets any number of pages live through mornings, outages and
// weekends, with the real plan() of client/src/plan.js and without a wall clock. It
// prints what a server sees of that, for docs/performance.md.
//
// It is a module of its own so that esbuild and goja stay out of the library's
// requirements.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	pages := flag.Int("pages", 100_000, "how many there are in each scenario")
	days := flag.Int("days", 10_000, "how many days of random use are simulated")
	plot := flag.String("plot", "", "where the SVG of the scenarios goes; nowhere if empty")
	flag.Parse()
	if err := run(*pages, *days, *plot); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(pages, days int, plot string) error {
	panels, err := report(os.Stdout, pages)
	if err != nil {
		return err
	}
	if plot != "" {
		if err := os.WriteFile(plot, draw(panels), 0o644); err != nil {
			return err
		}
	}
	return reportOthers(os.Stdout, days)
}
