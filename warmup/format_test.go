package warmup_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func TestStatusUnits(t *testing.T) {
	tests := []struct {
		name            string
		delay           time.Duration
		bytes           int
		took, size, age string
	}{
		{name: "nothing", took: "0.0 ms", size: "0 B", age: "just now"},
		{name: "parts of a millisecond", delay: 5500 * time.Microsecond, bytes: 999, took: "5.5 ms", size: "999 B", age: "just now"},
		{name: "milliseconds, kilobytes", delay: 999 * time.Millisecond, bytes: 1500, took: "999 ms", size: "1.5 kB", age: "just now"},
		{name: "parts of a second, megabytes", delay: 1500 * time.Millisecond, bytes: 4_200_000, took: "1.5 s", size: "4.2 MB", age: "1 s ago"},
		{name: "seconds", delay: 10900 * time.Millisecond, took: "10 s", size: "0 B", age: "10 s ago"},
		{name: "minutes", delay: 75 * time.Second, took: "1 min 15 s", size: "0 B", age: "1 min 15 s ago"},
		{name: "hours", delay: 2*time.Hour + 90*time.Second, took: "2 h 1 min", size: "0 B", age: "2 h 1 min ago"},
		{name: "days", delay: 50 * time.Hour, took: "2 days", size: "0 B", age: "2 days ago"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					time.Sleep(tt.delay)
					_, _ = w.Write(make([]byte, tt.bytes))
				})
				p := newPinger(t, warmup.Config{Handler: handler, Settings: warmup.Settings{MaxBody: 5e6, RequestTimeout: 51 * time.Hour}})
				stop := start(t, p)
				time.Sleep(tt.delay)
				synctest.Wait()
				page := strings.ReplaceAll(get(p.StatusHandler(), "/").Body.String(), "\u00a0", " ")
				require.Contains(t, page, `<td class="num">`+tt.took+`</td>`)
				require.Contains(t, page, `<td class="num">`+tt.size+`</td>`)
				require.Contains(t, page, ">"+tt.age+"</time>")
				stop()
			})
		})
	}
}
