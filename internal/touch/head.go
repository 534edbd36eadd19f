package touch

import (
	"bytes"
	"encoding/binary"
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

// HeadSize is how much of a session's data ReadHead needs, whatever the length of
// its message.
var HeadSize = len(head.before) + maxLength + len(head.after) + timeSize

// MinSize is the size of a session without values. What is shorter has been cut.
var MinSize = len(head.before) + 1 + len(head.after) + timeSize + len("zn") + len("\x00")

const (
	maxLength = 5         // bytes that gob takes for a length below 2^32
	timeSize  = 8 + 4     // of seconds and nanoseconds
	maxSecond = 1<<40 - 1 // in the year 34843
)

// YearOne is January 1 of the year 1 in seconds since 1970.
const YearOne = -62135596800

// ReadHead returns the deadline in the head of a session's data. ok is false if it
// begins otherwise than GobHead says, or if its seconds take more than 5 bytes:
// arithmetic in databases has its limits.
func ReadHead(data []byte) (deadline time.Time, ok bool) {
	data, ok = bytes.CutPrefix(data, head.before)
	if !ok || len(data) == 0 {
		return time.Time{}, false
	}
	length := 1
	if data[0] >= 1<<7 {
		length += 1<<8 - int(data[0])
	}
	data, ok = bytes.CutPrefix(data[min(length, len(data)):], head.after)
	if !ok || length > maxLength || len(data) < timeSize {
		return time.Time{}, false
	}
	seconds := binary.BigEndian.Uint64(data)
	if seconds > maxSecond {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds)+YearOne, int64(binary.BigEndian.Uint32(data[8:]))), true
}
