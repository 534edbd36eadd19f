// Package gob reads what scs.GobCodec writes: the deadline alone, so that a touch
// costs the same for every size of session, or the whole session.
package gob

import "time"

// Deadline reads the deadline from a session, or from the beginning of one that
// reaches behind the deadline. It gives up, ok=false, on anything that is not of
// the expected shape.
//
// A gob stream is a row of messages, each led by its length. Those with a
// negative type number define types; the first other one is the value, a struct
// whose fields are led by the distance from the field before. The deadline is
// field 1, in the form of Time.MarshalBinary (encoding/gob, "Encoding Details").
func Deadline(data []byte) (t time.Time, ok bool) {
	data, _, _ = skipKnownTypes(data)
	for {
		size, rest, ok := readUint(data)
		if !ok || size == 0 {
			return t, false
		}
		number, body, ok := readUint(rest)
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
		field, body, ok := readUint(body)
		if !ok || field != 1 {
			return t, false
		}
		length, body, ok := readUint(body)
		if !ok || length > uint64(len(body)) {
			return t, false
		}
		err := t.UnmarshalBinary(body[:length])
		return t, err == nil
	}
}

// readUint reads an unsigned gob integer: one byte below 128, or the negated
// count of the big-endian bytes that follow.
func readUint(b []byte) (n uint64, rest []byte, ok bool) {
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
