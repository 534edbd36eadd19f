package warm_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/cmd/keepalive/internal/warm"
	"github.com/stretchr/testify/require"
)

// A line stays as long as it should and one part longer at most, also where the
// program starts again and again, or writes little.
func TestLogIsKept(t *testing.T) {
	tests := []struct {
		name                string
		keep, part          time.Duration
		writeEvery, restart time.Duration
	}{
		{name: "a day", keep: 24 * time.Hour, part: time.Hour, writeEvery: 10 * time.Minute},
		{name: "a day, with restarts", keep: 24 * time.Hour, part: time.Hour, writeEvery: 10 * time.Minute, restart: 25 * time.Minute},
		{name: "a day and a half, rare lines", keep: 36 * time.Hour, part: time.Hour, writeEvery: 150 * time.Minute},
		{name: "an hour", keep: time.Hour, part: 5 * time.Minute, writeEvery: time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				file := filepath.Join(folder, "warm.log")
				log, err := warm.OpenLog(file, tt.keep)
				require.NoError(t, err)
				defer func() { require.NoError(t, log.Close()) }()
				start, opened := time.Now(), time.Now()
				for time.Since(start) < 4*tt.keep {
					_, err = fmt.Fprintln(log, time.Now().Format(time.RFC3339))
					require.NoError(t, err)
					time.Sleep(tt.writeEvery)
					synctest.Wait()
					if time.Since(start) > 2*tt.keep {
						age := time.Since(oldestLine(t, folder))
						require.GreaterOrEqual(t, age, tt.keep-tt.writeEvery)
						require.LessOrEqual(t, age, tt.keep+tt.part+tt.writeEvery)
					}
					if tt.restart > 0 && time.Since(opened) >= tt.restart {
						require.NoError(t, log.Close())
						log, err = warm.OpenLog(file, tt.keep)
						require.NoError(t, err)
						opened = time.Now()
					}
				}
			})
		})
	}
}

func oldestLine(t *testing.T, folder string) time.Time {
	oldest := time.Now()
	files, err := filepath.Glob(filepath.Join(folder, "*.log"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			at, err := time.Parse(time.RFC3339, lines.Text())
			require.NoError(t, err)
			if at.Before(oldest) {
				oldest = at
			}
		}
	}
	return oldest
}

func TestOpenLogErrors(t *testing.T) {
	_, err := warm.OpenLog(filepath.Join(t.TempDir(), "warm.log"), time.Minute)
	require.ErrorContains(t, err, "5m0s or more")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = warm.OpenLog(filepath.Join(file, "warm.log"), time.Hour)
	require.ErrorContains(t, err, "the log can't be written")
}
