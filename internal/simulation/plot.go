package main

import (
	"bytes"
	"fmt"
	"slices"
)

// panel is the curve of one scenario: requests as a multiple of the steady mean.
type panel struct {
	name  string
	curve []float64 // one value for each step, from before the beginning on
	bound float64
}

const (
	plotStep   = 20 * second
	plotBefore = 10 * minute
	plotLength = 80 * minute
	plotHigh   = 5.0 // the highest multiple that fits
)

func newPanel(s *scenario, r *result, mean float64) panel {
	p := panel{name: s.name, bound: s.bound}
	for at := s.from - plotBefore; at < s.from-plotBefore+plotLength; at += plotStep {
		if at < 0 {
			p.curve = append(p.curve, 0)
		} else {
			p.curve = append(p.curve, r.rate(at, at+plotStep)/mean)
		}
	}
	return p
}

// plotted names the scenarios that are drawn.
var plotted = []string{
	"all open a page within a minute", "all open a page within 5 minutes",
	"no network for a minute", "no network for 5 minutes",
	"no server for a minute", "no server for 5 minutes",
}

const plotStyle = `.bg{fill:#fff}.fg{fill:#1f2933;font-weight:600}.dim{fill:#52606d}.grid{stroke:#9aa5b1;stroke-width:.5;fill:none}` +
	`.bound{stroke:#9aa5b1;stroke-dasharray:3 4;fill:none}.line{stroke:#0b6bcb;stroke-width:1.5;fill:none;stroke-linejoin:round}` +
	`@media(prefers-color-scheme:dark){.bg{fill:#12181f}.fg{fill:#e4e7eb}.dim{fill:#9aa5b1}.grid,.bound{stroke:#616e7c}.line{stroke:#63b3ff}}`

// draw returns an SVG with a panel for each scenario of plotted.
func draw(panels []panel) []byte {
	const width, height, left, top = 300.0, 110.0, 60.0, 60.0
	var svg bytes.Buffer
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 590" role="img" aria-labelledby="t d" font-family="system-ui, sans-serif" font-size="13">
<title id="t">Requests of many pages after something has happened to all of them</title>
<desc id="d">Six curves of the requests in a second, as multiples of the steady mean, over 80 minutes. After all have opened a page within a minute or five, the requests come in waves that are soon flat. After an outage of a minute the curve hardly moves; after one of five minutes it rises for some minutes, most if all pages hear at the same moment that the network is back.</desc>
<style>%s</style>
<rect class="bg" width="800" height="590" rx="8"/>
<text class="dim" x="20" y="26">requests, as multiples of the steady mean; minutes since the beginning; dashed: what the tests allow in any second</text>
`, plotStyle)
	for i, name := range plotted {
		p := panels[slices.IndexFunc(panels, func(p panel) bool { return p.name == name })]
		x0, y0 := left+float64(i%2)*(width+70), top+float64(i/2)*(height+65)
		y := func(multiple float64) float64 { return y0 + height*(1-multiple/plotHigh) }
		x := func(at float64) float64 { return x0 + width*(at+plotBefore)/plotLength }
		fmt.Fprintf(&svg, "<text class=\"fg\" x=\"%.0f\" y=\"%.0f\">%s</text>\n", x0, y0-8, name)
		for multiple := 0.0; multiple <= plotHigh; multiple++ {
			fmt.Fprintf(&svg, "<path class=\"grid\" d=\"M%.0f %.0fh%.0f\"/>", x0, y(multiple), width)
			fmt.Fprintf(&svg, "<text class=\"dim\" text-anchor=\"end\" x=\"%.0f\" y=\"%.0f\">%.0f</text>\n", x0-8, y(multiple)+4, multiple)
		}
		for at := 0.0; at < plotLength-plotBefore; at += 20 * minute {
			fmt.Fprintf(&svg, "<text class=\"dim\" text-anchor=\"middle\" x=\"%.0f\" y=\"%.0f\">%.0f</text>\n", x(at), y0+height+18, at/minute)
		}
		fmt.Fprintf(&svg, "<path class=\"bound\" d=\"M%.0f %.0fh%.0f\"/>\n<path class=\"line\" d=\"M", x0, y(p.bound), width)
		for k, multiple := range p.curve {
			fmt.Fprintf(&svg, "%.1f %.1f ", x0+width*float64(k)/float64(len(p.curve)-1), y(multiple))
		}
		svg.Truncate(svg.Len() - 1)
		svg.WriteString("\"/>\n")
	}
	svg.WriteString("</svg>\n")
	return svg.Bytes()
}
