// Command report reads the output of Go's benchmarks and writes the tables and plots of
// docs from it, for `make bench` and `make load`:
//
//	go run ./cmd/report -docs ../docs FILE...
//
// A table stands between <!-- bench: NAME --> and <!-- /bench -->. One for which the files
// have no figures stays as it is.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"golang.org/x/perf/benchfmt"
)

func main() {
	docs := flag.String("docs", "../docs", "the folder of the pages")
	flag.Parse()
	if err := report(*docs, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// results holds the figures of each benchmark, by its name and unit, in the order of the
// runs.
type results struct {
	names  []string
	values map[string]map[string][]float64
}

var procs = regexp.MustCompile(`-\d+$`)

func read(paths []string) (*results, error) {
	res := &results{values: map[string]map[string][]float64{}}
	files := benchfmt.Files{Paths: paths}
	for files.Scan() {
		r, ok := files.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		name := procs.ReplaceAllString(string(r.Name.Full()), "")
		if res.values[name] == nil {
			res.names = append(res.names, name)
			res.values[name] = map[string][]float64{}
		}
		for _, v := range r.Values {
			unit, value := v.Unit, v.Value
			if v.OrigUnit != "" {
				unit, value = v.OrigUnit, v.OrigValue
			}
			res.values[name][unit] = append(res.values[name][unit], value)
		}
	}
	return res, files.Err()
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// median returns that of a benchmark's runs, 0 if there are none.
func (r *results) median(name, unit string) float64 { return median(r.values[name][unit]) }

// ratio returns the median of the ratios that each run had.
func (r *results) ratio(name, to, unit string) float64 {
	a, b := r.values[name][unit], r.values[to][unit]
	var ratios []float64
	for i := range min(len(a), len(b)) {
		ratios = append(ratios, a[i]/b[i])
	}
	return median(ratios)
}

func (r *results) has(name string) bool { return r.values[name] != nil }

func report(docs string, files []string) error {
	res, err := read(files)
	if err != nil {
		return err
	}
	pages, err := filepath.Glob(filepath.Join(docs, "*.md"))
	if err != nil {
		return err
	}
	plots := map[string][]byte{}
	missing := maps.Clone(sections)
	for _, path := range pages {
		page, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		changed, err := fill(page, res, plots, missing)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !bytes.Equal(page, changed) {
			if err := os.WriteFile(path, changed, 0o644); err != nil {
				return err
			}
		}
	}
	for name := range missing {
		return fmt.Errorf("no page has a place for %s", name)
	}
	for name, svg := range plots {
		if err := os.WriteFile(filepath.Join(docs, name), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var place = regexp.MustCompile(`(?s)(<!-- bench: (\S+) -->\n).*?(<!-- /bench -->)`)

// fill writes the tables of a page, and takes their names out of missing.
func fill(page []byte, res *results, plots map[string][]byte, missing map[string]section) (filled []byte, err error) {
	filled = place.ReplaceAllFunc(page, func(old []byte) []byte {
		m := place.FindSubmatch(old)
		write, ok := sections[string(m[2])]
		if !ok {
			err = fmt.Errorf("nothing makes %s", m[2])
			return old
		}
		delete(missing, string(m[2]))
		if table := write(res, plots); table != "" {
			return slices.Concat(m[1], []byte("\n"+table+"\n"), m[3])
		}
		return old
	})
	return filled, err
}
