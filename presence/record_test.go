package presence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// garbled is a Log with one record, of the fuzzer.
type garbled struct {
	silent
	data []byte
}

func (g garbled) Follow(ctx context.Context, _ time.Duration, record func([]byte, time.Duration), live func()) error {
	record(g.data, 0)
	live()
	<-ctx.Done()
	return ctx.Err()
}

// A damaged record does no harm.
func FuzzRecord(f *testing.F) {
	shared := newSharedLog()
	identify := func(*http.Request) (string, any) { return "ann", json.RawMessage(`{"a":1}`) }
	tracker := newTracker(f, presence.Config{Log: shared.instance(), Identify: identify})
	tracker.Observe(keepalive.Event{Kind: keepalive.EventHere, Session: "s1", Tab: "t1", Page: "/a"})
	for range 1000 {
		shared.mu.Lock()
		n := len(shared.records)
		shared.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	f.Add(shared.records[0])
	f.Add(append(bytes.Clone(shared.records[0]), 2)) // idle for 1 ns
	f.Add(bytes.Replace(shared.records[0], []byte(`{"a":1}`), []byte(`{"a":x}`), 1))
	f.Add(bytes.Replace(shared.records[0], []byte(`{"a":1}`), []byte("{\n\"a\":1"), 1))
	f.Add(bytes.Replace(shared.records[0], []byte(`{"a":1}`), []byte("{\n\n\n\n\n}"), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		tracker := newTracker(t, presence.Config{Log: garbled{data: data}})
		count, err := tracker.Count(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, count.Tabs, 1)
		w := httptest.NewRecorder()
		tracker.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.True(t, json.Valid(w.Body.Bytes()), w.Body)
		require.NotContains(t, w.Body.String(), "\n")
	})
}
