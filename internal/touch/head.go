package touch

import (
	"bytes"
	"time"

	"github.com/alexedwards/scs/v2"
)

// GobHead returns how the data begins that scs.GobCodec writes in this process, on
// both sides of the length of its message. That is one byte if it is below 128,
// else as many bytes as 256 minus the first one, behind that. Then come the other
// parts of the deadline, big-endian and in UTC, as the last byte of after is the
// version of Time.MarshalBinary:
//
//	before | length | after | 8 bytes of seconds since January 1 of the year 1 | 4 of nanoseconds | 2 of the zone
//
// encoding/gob numbers types in the order of their first use, and the numbers are
// a part of both. So sessions of another program, or of another version of this
// one, may begin otherwise.
func GobHead() (before, after []byte) { return bytes.Clone(head.before), bytes.Clone(head.after) }

// head is made before main, where few have used encoding/gob, so that the numbers
// are the same in most programs.
var head = newHead(time.Unix(1, 2).UTC())

type gobHead struct {
	before, after []byte
	session       []byte    // the beginning of a session, up to the end of its deadline
	deadline      time.Time // that deadline
}

func newHead(deadline time.Time) gobHead {
	encode := func(values map[string]any) []byte {
		data, _ := scs.GobCodec{}.Encode(deadline, values) // fails for values of types that are not registered
		return data
	}
	marshalled, _ := deadline.MarshalBinary() // fails for odd time zones
	empty, other := encode(nil), encode(map[string]any{"": ""})
	n := 0
	for empty[n] == other[n] {
		n++ // up to the length, the first byte that differs
	}
	end := bytes.Index(empty, marshalled) + len(marshalled)
	return gobHead{empty[:n], empty[n+1 : end-len(marshalled)+1], empty[:end], deadline}
}

// isReadBy reports whether read takes the deadline from the head of a session. One
// for another codec does not.
func (h gobHead) isReadBy(read ReadDeadline) bool {
	deadline, err := read(h.session)
	return err == nil && deadline.Equal(h.deadline)
}
