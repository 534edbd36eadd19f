package main

import (
	"fmt"
	"math"
)

// figure rounds to two digits, and to three from 100 on.
func figure(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.1f", v)
	case v < 1000:
		return fmt.Sprintf("%.0f", v)
	}
	return thousands(v)
}

// thousands rounds to a whole number, with commas.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rounded returns three digits and zeros.
func rounded(v float64) string {
	if v < 1000 {
		return figure(v)
	}
	scale := math.Pow(10, math.Floor(math.Log10(v))-2)
	return thousands(math.Round(v/scale) * scale)
}

// nanoseconds in the unit that fits.
func nanoseconds(v float64) string {
	switch {
	case v < 10_000:
		return fmt.Sprintf("%.2g µs", v/1e3)
	case v < 1e6:
		return figure(v/1e3) + " µs"
	case v < 1e9:
		return figure(v/1e6) + " ms"
	}
	return figure(v/1e9) + " s"
}

// size of bytes, in the unit that fits.
func size(v float64) string {
	switch {
	case v < 1000:
		return figure(v) + " B"
	case v < 1e6:
		return figure(v/1e3) + " KB"
	}
	return figure(v/1e6) + " MB"
}

func ratio(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f", v)
	}
	return figure(v)
}
