package keepalive

import (
	"bytes"
	"log/slog"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Inside the package, because what ends remembers does not show outside.
func TestEndsAreBounded(t *testing.T) {
	var e ends
	now := time.Now()
	e.note("known", now, now)
	for i := range 10 * maxEnds {
		require.Equal(t, ReasonUnknown, e.report(strconv.Itoa(i)))
	}
	require.LessOrEqual(t, len(e.reported.young)+len(e.reported.old), 2*maxEnds)
	require.Equal(t, ReasonLifetime, e.report("known"), "cookies that somebody made up displace no session")
	for i := range 10 * maxEnds {
		e.note(strconv.Itoa(i), now, now)
	}
	require.LessOrEqual(t, len(e.known.young)+len(e.known.old), 2*maxEnds)
}

// What ends a session without a request is published and logged all the same.
func TestEventWithoutARequest(t *testing.T) {
	var log bytes.Buffer
	var got Event
	e := events{logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), observer: func(e Event) { got = e }}
	e.publish(Event{Kind: EventDestroy, Request: &http.Request{}}, "key")
	require.Equal(t, ReasonLogout, got.Reason)
	require.Contains(t, log.String(), "keepalive: destroy")
	require.Contains(t, log.String(), "reason=logout")
}
