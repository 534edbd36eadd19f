package keepalive

import (
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive/internal/gob"
)

// fasterCodec returns a codec that decodes what codec does, faster if it is scs's, and
// a function that reports whether it decodes data without fail.
func fasterCodec(codec scs.Codec) (scs.Codec, func(data []byte) (deadline time.Time, ok bool)) {
	switch codec.(type) {
	case scs.GobCodec, *scs.GobCodec:
		return gobCodec{}, gob.Check
	}
	return codec, func([]byte) (time.Time, bool) { return time.Time{}, false }
}

// gobCodec is scs.GobCodec, and reads common values without encoding/gob.
type gobCodec struct{ scs.GobCodec }

// Decode implements scs.Codec.
func (c gobCodec) Decode(data []byte) (deadline time.Time, values map[string]any, err error) {
	if deadline, values, ok := gob.Decode(data); ok {
		return deadline, values, nil
	}
	return c.GobCodec.Decode(data)
}
