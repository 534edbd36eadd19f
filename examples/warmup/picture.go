package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"time"
)

//go:embed page.html
var source string

//go:embed page.css
var style string

//go:embed page.js
var script string

var (
	page = template.Must(template.New("").Funcs(template.FuncMap{
		"css": func() template.CSS { return template.CSS(style) },
		"js":  func() template.JS { return template.JS(script) },
	}).Parse(source))
	policy = "default-src 'none'; style-src 'sha256-" + hash(style) + "'; script-src 'sha256-" + hash(script) + "'; " +
		"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// picture is what the page shows.
type picture struct {
	Drop, Build, Visit string
	Lanes              []plot
}

// plot is one of the two plots. Places are in per cent of its width and height,
// from the top left.
type plot struct {
	Name, Title   string
	Visits, Slow  int
	Median, Worst string
	Bars          []bar
	Drops         []float64
	Columns       []label
	Rows          []string // from the top
}

type bar struct {
	X, Y  float64
	Slow  bool
	Title string
}

type label struct {
	At   float64
	Text string
}

func (a *app) picture(now time.Time) picture {
	p := picture{Drop: format(a.drop), Build: format(a.build), Visit: format(a.visit)}
	longest := a.build // both plots have one scale, so that they can be compared
	for _, l := range a.lanes {
		l.mu.Lock()
		for _, v := range l.waits {
			longest = max(longest, v.took)
		}
		l.mu.Unlock()
	}
	longest = ceiling(longest)
	for _, l := range a.lanes {
		p.Lanes = append(p.Lanes, l.plot(now, longest))
	}
	return p
}

func (l *lane) plot(now time.Time, longest time.Duration) plot {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := func(t time.Time) float64 { return 100 - 100*float64(now.Sub(t))/float64(history) }
	p := plot{Name: l.Name, Title: l.Title, Median: "–", Worst: "–"}
	var took []time.Duration
	for _, v := range l.waits {
		if x(v.at) < 0 {
			continue
		}
		height := max(100*float64(v.took)/float64(longest), 2)
		p.Bars = append(p.Bars, bar{X: x(v.at), Y: 100 - height, Slow: v.slow, Title: format(v.took)})
		took = append(took, v.took)
		p.Visits++
		if v.slow {
			p.Slow++
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		p.Median, p.Worst = format(took[len(took)/2]), format(took[len(took)-1])
	}
	for _, d := range l.drops {
		if x(d) >= 0 {
			p.Drops = append(p.Drops, x(d))
		}
	}
	for m := 0; m <= int(history/time.Minute); m++ {
		text := fmt.Sprintf("%d min ago", m)
		if m == 0 {
			text = "now"
		}
		p.Columns = append(p.Columns, label{x(now.Add(-time.Duration(m) * time.Minute)), text})
	}
	for _, d := range []time.Duration{longest, longest / 2, 0} {
		p.Rows = append(p.Rows, format(d))
	}
	return p
}

// ceiling returns the next duration, from d on, that is a round number for an axis.
func ceiling(d time.Duration) time.Duration {
	for unit := time.Millisecond; ; unit *= 10 {
		for _, n := range []time.Duration{1, 2, 4, 6, 8} {
			if d <= n*unit {
				return n * unit
			}
		}
	}
}

// format formats a duration for people: < 1 ms, 600 ms, 1.2 s.
func format(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < time.Millisecond:
		return "< 1\u00a0ms"
	case d < time.Second:
		return fmt.Sprintf("%d\u00a0ms", d.Milliseconds())
	}
	return strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + "\u00a0s"
}
