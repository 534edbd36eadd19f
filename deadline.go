package keepalive

import (
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive/internal/gob"
)

// deadlineReader returns a function that reads a session's deadline from data that
// codec wrote.
func deadlineReader(codec scs.Codec) func([]byte) (time.Time, error) {
	switch codec.(type) {
	case scs.GobCodec, *scs.GobCodec:
		return func(data []byte) (time.Time, error) {
			if t, ok := gob.Deadline(data); ok {
				return t, nil
			}
			t, _, err := codec.Decode(data)
			return t, err
		}
	}
	return func(data []byte) (time.Time, error) {
		t, _, err := codec.Decode(data)
		return t, err
	}
}
