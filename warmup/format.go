package warmup

import (
	"fmt"
	"time"
)

// The status page shows numbers with a no-break space before their unit.

func formatAge(d time.Duration) string {
	if d < time.Second {
		return "just now"
	}
	return formatSeconds(d) + " ago"
}

// formatDuration shows parts of a second up to ten seconds.
func formatDuration(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f\u00a0ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d\u00a0ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f\u00a0s", d.Seconds())
	}
	return formatSeconds(d)
}

// formatSeconds shows whole seconds, and larger units alone for long durations.
func formatSeconds(d time.Duration) string {
	switch s := int(d.Seconds()); {
	case s < 60:
		return fmt.Sprintf("%d\u00a0s", s)
	case s < 3600:
		return fmt.Sprintf("%d\u00a0min %d\u00a0s", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%d\u00a0h %d\u00a0min", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%d\u00a0days", s/86400)
	}
}

func formatBytes(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d\u00a0B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f\u00a0kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f\u00a0MB", float64(n)/1e6)
}
