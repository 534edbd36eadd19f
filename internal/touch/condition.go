package touch

import (
	"bytes"
	"time"
	"unique"
)

// HeadSize is how many bytes of a session's data are read to find its deadline.
// In what scs.GobCodec writes the deadline ends within the first 128.
const HeadSize = 128

// Condition is what a session's data must be for a deadline that was read from
// it to count. It may be out of date: the storage compares it with the stored
// data whenever it acts on it.
type Condition struct {
	deadline time.Time
	// start is the data in front of the deadline, or the digest of all data. It
	// is the same for most sessions, so it is kept once.
	start    unique.Handle[string]
	isDigest bool
}

// Deadline is the deadline that was read.
func (c Condition) Deadline() time.Time { return c.deadline }

// IsDigest reports whether Guard is compared with the digest of all data, and
// not with its first bytes.
func (c Condition) IsDigest() bool { return c.isDigest }

// Guard returns the first bytes of the data, up to and including the deadline;
// with IsDigest what Storage.Digest has returned for all of the data.
func (c Condition) Guard() []byte {
	if c.isDigest {
		return []byte(c.start.Value())
	}
	b, _ := c.deadline.MarshalBinary() // headCondition has checked that it can
	return append([]byte(c.start.Value()), b...)
}

func digestCondition(deadline time.Time, digest string) Condition {
	return Condition{deadline: deadline, start: unique.Make(digest), isDigest: true}
}

// headCondition looks for the deadline in the head of the data, where it must
// stand as encoding/gob writes it. It must also be readable from what comes up
// to its end alone: a codec can do so, by the contract of keepalive.Store, only
// if nothing that follows can change the deadline.
func headCondition(head []byte, read ReadDeadline) (cond Condition, ok bool) {
	deadline, err := read(head)
	if err != nil {
		return Condition{}, false
	}
	b, err := deadline.MarshalBinary()
	i := bytes.Index(head, b)
	if err != nil || i < 0 {
		return Condition{}, false
	}
	again, err := read(head[:i+len(b)])
	if err != nil || !again.Equal(deadline) {
		return Condition{}, false
	}
	return Condition{deadline: deadline, start: unique.Make(string(head[:i]))}, true
}
