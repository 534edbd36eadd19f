package warm

import (
	"fmt"
	"io"
	"time"

	"github.com/DeRuina/timberjack"
)

// minKeep is the shortest part of a log.
const minKeep = 5 * time.Minute

// OpenLog opens a log file whose lines are kept for that long, and for one more part
// at most: an hour, or 5 minutes where keep is below 12 hours. A part that has grown
// to 100 MB ends sooner.
//
// Parts end by the clock, so that restarts do not make them longer, and their number is
// bounded. Days are the only age that the library knows. They remove what was left by a
// process that has stood still.
func OpenLog(file string, keep time.Duration) (io.WriteCloser, error) {
	if keep < minKeep {
		return nil, fmt.Errorf("the log can't be kept for %v; write %v or more", keep, minKeep)
	}
	part, minutes := time.Hour, []int{0}
	if keep < 12*time.Hour {
		part, minutes = minKeep, nil
		for m := range 12 {
			minutes = append(minutes, 5*m)
		}
	}
	const day = 24 * time.Hour
	log := &timberjack.Logger{
		Filename:        file,
		RotateAtMinutes: minutes,
		MaxBackups:      ceil(keep, part),
		MaxAge:          ceil(keep, day),
	}
	if _, err := log.Write(nil); err != nil { // opens it: a logger would drop the error
		return nil, fmt.Errorf("the log can't be written: %w", err)
	}
	return log, nil
}

func ceil(d, unit time.Duration) int { return int((d + unit - 1) / unit) }
