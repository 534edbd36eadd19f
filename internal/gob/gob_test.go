package gob_test

import (
	stdgob "encoding/gob"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive/internal/gob"
	"github.com/stretchr/testify/require"
)

// Deadline returns what the codec would decode.
func TestDeadline(t *testing.T) {
	type custom struct{ Name string }
	stdgob.Register(custom{})
	tests := []struct {
		name     string
		deadline time.Time
		values   map[string]any
	}{
		{name: "no values", deadline: time.Now().UTC()},
		{name: "64 KB", deadline: time.Now().UTC(), values: map[string]any{"v": strings.Repeat("x", 64<<10)}},
		{name: "registered type", deadline: time.Now().UTC(), values: map[string]any{"v": custom{"x"}}},
		{name: "time zone with seconds", deadline: time.Now().In(time.FixedZone("x", 3601))},
		{name: "before 1970", deadline: time.Unix(-1, 999_999_999)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := scs.GobCodec{}.Encode(tt.deadline, tt.values)
			require.NoError(t, err)
			got, ok := gob.Deadline(data[:min(len(data), 128)])
			require.True(t, ok, "it lies in the first 128 bytes")
			require.True(t, tt.deadline.Equal(got))
		})
	}
}

func FuzzDeadline(f *testing.F) {
	f.Add(int64(0), int64(0), "key", "value", []byte(nil))
	f.Add(int64(1<<40), int64(999_999_999), "", strings.Repeat("x", 300), []byte{3, 4, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, sec, nsec int64, key, value string, junk []byte) {
		_, _ = gob.Deadline(junk) // must not panic
		deadline := time.Unix(sec, nsec)
		data, err := scs.GobCodec{}.Encode(deadline, map[string]any{key: value})
		if err != nil {
			return // a year that Time.MarshalBinary refuses
		}
		got, ok := gob.Deadline(data)
		require.True(t, ok)
		require.True(t, deadline.Equal(got))
		for n := range data { // a part of a session must never give another deadline
			if part, ok := gob.Deadline(data[:n]); ok {
				require.True(t, deadline.Equal(part))
			}
		}
	})
}
