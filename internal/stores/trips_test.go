package stores_test

import (
	"bytes"
	"context"
	"crypto/rand"
	stdgob "encoding/gob"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive/internal/gob"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/seed4a306b22/keepalive/internal/touch"
	"github.com/stretchr/testify/require"
)

// A touch takes one round trip, also of a session that the store sees for the first
// time. More are for sessions of another program, whose types have other numbers, and
// for other codecs.
func TestTrips(t *testing.T) {
	stdgob.Register([]string{})
	encodeIn := func(zone *time.Location, values map[string]any) []byte {
		data, err := scs.GobCodec{}.Encode(time.Now().Add(lifetime).In(zone), values)
		require.NoError(t, err)
		return data
	}
	encode := func(values map[string]any) []byte { return encodeIn(time.UTC, values) }
	other, err := exec.Command("go", "run", "./otherprogram", lifetime.String()).Output()
	require.NoError(t, err)
	before, _ := touch.GobHead()
	require.False(t, bytes.HasPrefix(other, before), "its types have the same numbers")

	tests := []struct {
		name  string
		data  []byte
		read  func(data []byte) (time.Time, error)
		trips int64
	}{
		{name: "no values", data: encode(nil), read: readHead, trips: 1},
		{name: "0.2 KB", data: encode(map[string]any{"v": strings.Repeat("x", 200)}), read: readHead, trips: 1},
		{name: "60 KB", data: encode(map[string]any{"v": strings.Repeat("x", 60<<10)}), read: readHead, trips: 1},
		{name: "a type that is described in the middle", data: encode(map[string]any{"v": []string{"x"}}), read: readHead, trips: 1},
		{name: "a time zone", data: encodeIn(time.FixedZone("", 3600), nil), read: readHead, trips: 1},
		{name: "a time zone with seconds", data: encodeIn(time.FixedZone("", 3601), nil), read: readHead, trips: 3},
		{name: "another program", data: other, read: readHead, trips: 3},
		{name: "another codec", data: encode(nil), read: readWhole, trips: 2},
	}
	each(t, func(t *testing.T, b backend) {
		var counter servers.Counter
		s, another := b.ours(t, via{dial: counter.Dial}), b.ours(t, via{})
		touchNew := func(data []byte, read func([]byte) (time.Time, error), d time.Duration) (trips int64) {
			key := rand.Text()
			deadline, err := read(data)
			require.NoError(t, err)
			expiry := time.Now().Add(time.Minute)
			require.NoError(t, another.Commit(key, data, expiry))
			trips, _, _ = counter.Counts()
			from := time.Now()
			got, end, found, err := s.(touchDeadliner).TouchDeadline(t.Context(), key, d, read)
			after, _, _ := counter.Counts()
			require.NoError(t, err)
			require.True(t, found)
			require.WithinRange(t, end, deadline.Add(-time.Millisecond), deadline)
			if d == 0 {
				from = expiry
			}
			require.WithinDuration(t, from.Add(d), got, time.Second)
			return after - trips
		}
		for _, tt := range tests { // loads scripts, prepares statements
			touchNew(tt.data, tt.read, 0)
			touchNew(tt.data, tt.read, idle)
		}
		for _, tt := range tests {
			for _, d := range []time.Duration{0, idle} {
				trips := touchNew(tt.data, tt.read, d)
				if b.server != nil {
					require.Equal(t, tt.trips, trips, "%s, %v", tt.name, d)
				}
			}
		}
	})
}

type touchDeadliner interface {
	TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline func([]byte) (time.Time, error)) (expiry, end time.Time, found bool, err error)
}

// readHead reads a deadline as keepalive does with scs's codec, and readWhole as it
// does with others.
func readHead(data []byte) (time.Time, error) {
	if deadline, ok := gob.Deadline(data); ok {
		return deadline, nil
	}
	return readWhole(data)
}

func readWhole(data []byte) (time.Time, error) {
	deadline, _, err := scs.GobCodec{}.Decode(data)
	return deadline, err
}
