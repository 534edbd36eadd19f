package keepalive

import (
	"bytes"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/require"
)

// The deadline can be read from the data of any codec, gob or not.
func TestDeadlineOf(t *testing.T) {
	for _, codec := range []scs.Codec{scs.GobCodec{}, &scs.GobCodec{}, otherCodec{}} {
		for _, want := range []time.Time{{}, time.Now().UTC()} {
			data, err := codec.Encode(want, map[string]any{"v": 1})
			require.NoError(t, err)
			got, err := deadlineReader(codec)(data)
			require.NoError(t, err)
			require.True(t, want.Equal(got))
		}
		_, err := deadlineReader(codec)([]byte("no session"))
		require.Error(t, err)
	}
}

// otherCodec writes the same fields behind a byte of its own.
type otherCodec struct{}

func (otherCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	b, err := scs.GobCodec{}.Encode(deadline, values)
	return append([]byte{0xff}, b...), err
}

func (otherCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	return scs.GobCodec{}.Decode(bytes.TrimPrefix(b, []byte{0xff}))
}
