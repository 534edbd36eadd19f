package keepalive

import (
	"time"

	"github.com/alexedwards/scs/v2"
)

// deadlineOf returns how to read a session's deadline from data that codec
// wrote.
func deadlineOf(codec scs.Codec) func([]byte) (time.Time, error) {
	switch codec.(type) {
	case scs.GobCodec, *scs.GobCodec:
		return func(data []byte) (time.Time, error) {
			if t, ok := gobDeadline(data); ok {
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

// gobDeadline reads the deadline that scs.GobCodec wrote without decoding the
// values behind it, so that a touch costs the same for every size of session.
// It gives up, ok=false, on anything that is not of the expected shape.
//
// A gob stream is a row of messages, each led by its length. Those with a
// negative type number define types; the first other one is the value, a struct
// whose fields are led by the distance from the field before. The deadline is
// field 1, in the form of Time.MarshalBinary (encoding/gob, "Encoding Details").
func gobDeadline(data []byte) (t time.Time, ok bool) {
	for {
		size, rest, ok := gobUint(data)
		if !ok || size == 0 {
			return t, false
		}
		number, body, ok := gobUint(rest)
		if !ok {
			return t, false
		}
		if number&1 == 1 { // the sign of a gob integer is its lowest bit
			if size > uint64(len(rest)) {
				return t, false
			}
			data = rest[size:]
			continue
		}
		field, body, ok := gobUint(body)
		if !ok || field != 1 {
			return t, false
		}
		length, body, ok := gobUint(body)
		if !ok || length > uint64(len(body)) {
			return t, false
		}
		err := t.UnmarshalBinary(body[:length])
		return t, err == nil
	}
}

// gobUint reads an unsigned gob integer: one byte below 128, or the negated
// count of the big-endian bytes that follow.
func gobUint(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	if b[0] < 128 {
		return uint64(b[0]), b[1:], true
	}
	count := -int(int8(b[0]))
	if count > 8 || count >= len(b) {
		return 0, nil, false
	}
	for _, c := range b[1 : 1+count] {
		n = n<<8 | uint64(c)
	}
	return n, b[1+count:], true
}
