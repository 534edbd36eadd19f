package presence_test

import (
	"bytes"
	"context"
	"testing"
	"time"

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
	tracker := newTracker(f, presence.Config{Log: shared.instance()})
	here(tracker, "ann", "s1", "t1", "/a")
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
	f.Fuzz(func(t *testing.T, data []byte) {
		tracker := newTracker(t, presence.Config{Log: garbled{data: data}})
		count, err := tracker.Count(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, count.Tabs, 1)
	})
}
