package main

import (
	"bytes"
	"fmt"
	"strings"
)

// panel is a group of bars below one heading.
type panel struct {
	heading string
	kinds   []kind  // of the bars of a row, in their order
	limit   float64 // bars above it are cut; none are if it is 0
	rows    []bars
}

// kind is a colour, by its class, and what it stands for. Without a label there is no
// legend.
type kind struct{ class, label string }

// bars are the values of a row; of a value 0 there is none.
type bars struct {
	label  string
	values []float64
}

const (
	plotStyle = `.bg{fill:#fff}.fg{fill:#1f2933}.head{fill:#1f2933;font-weight:600}.floor{fill:#cbd2d9}.other{fill:#9aa5b1}.ours{fill:#0b6bcb}` +
		`@media(prefers-color-scheme:dark){.bg{fill:#12181f}.fg,.head{fill:#e4e7eb}.floor{fill:#3e4c59}.other{fill:#616e7c}.ours{fill:#63b3ff}}`
	plotWidth = 800.0
	barLeft   = 230.0
	barWidth  = 480.0 // of the longest
	barHeight = 15.0
)

// draw returns an SVG with the panels below each other.
func draw(title string, panels ...panel) []byte {
	var body bytes.Buffer
	var told []string
	y := 32.0
	text := func(class string, x, y float64, s string) {
		fmt.Fprintf(&body, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, x, y, s)
	}
	bar := func(class string, x, y, width float64) {
		fmt.Fprintf(&body, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"12\" rx=\"2\"/>", class, x, y, width)
	}
	for _, p := range panels {
		text("head", 30, y, p.heading)
		if p.kinds[0].label != "" {
			y += 24
			for i, k := range p.kinds {
				x := barLeft + 160*float64(i)
				bar(k.class, x, y-10, 14)
				text("fg", x+20, y, k.label)
			}
		}
		y += 14
		longest := p.longest()
		var rows []string
		for _, row := range p.rows {
			first := y
			var values []string
			for i, v := range row.values {
				if v == 0 {
					continue
				}
				width := barWidth * min(v/longest, 1)
				bar(p.kinds[i].class, barLeft, y, width)
				if v > longest {
					fmt.Fprintf(&body, "<path class=\"bg\" d=\"M%.1f %.1fl6 0l-4 14l-6 0z\"/>", barLeft+width-16, y-1)
				}
				text("fg", barLeft+width+6, y+10, figure(v))
				values = append(values, strings.TrimSpace(p.kinds[i].label+" "+figure(v)))
				y += barHeight
			}
			text("fg", 30, (first+y)/2+4, row.label)
			y += 9
			rows = append(rows, row.label+": "+strings.Join(values, ", "))
		}
		y += 26
		told = append(told, p.heading+". "+strings.Join(rows, "; ")+".")
	}
	height := y - 26
	var svg bytes.Buffer
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img" aria-labelledby="t d" font-family="system-ui, sans-serif" font-size="13">
<title id="t">%s</title>
<desc id="d">Bars. %s</desc>
<style>%s</style>
<rect class="bg" width="%.0f" height="%.0f" rx="8"/>
%s</svg>
`, plotWidth, height, title, strings.Join(told, " "), plotStyle, plotWidth, height, body.Bytes())
	return svg.Bytes()
}

// longest returns the value of the longest bar.
func (p panel) longest() (v float64) {
	for _, row := range p.rows {
		for _, value := range row.values {
			v = max(v, value)
		}
	}
	if p.limit > 0 {
		v = min(v, p.limit)
	}
	return v
}
