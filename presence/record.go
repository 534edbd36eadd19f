package presence

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"
)

// record is a message of a page that has been checked, as instances send it to each
// other.
type record struct {
	session, tab, path string // no tab: the whole session leaves
	user, meta         string // no user: not identified yet

	sent  int64         // the page's clock in milliseconds; 0: unknown
	idle  time.Duration // how long ago the page was used last; 0 or less: unknown
	leave bool
}

// recordVersion is the first byte of a record. Instances ignore records of another
// version, so that two can run side by side.
const recordVersion = 1

// encode returns a record as the instance called sender sends it: version, sender,
// leave, sent, and the strings, each behind its length. idle follows where it is
// known. Older instances do not read so far, and their records end before: idle is 0.
func (r *record) encode(sender [8]byte) []byte {
	b := make([]byte, 0, 32+len(r.session)+len(r.tab)+len(r.path)+len(r.user)+len(r.meta))
	b = append(b, recordVersion)
	b = append(b, sender[:]...)
	if r.leave {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendVarint(b, r.sent)
	for _, s := range []string{r.session, r.tab, r.path, r.user, r.meta} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if r.idle > 0 {
		b = binary.AppendVarint(b, int64(r.idle))
	}
	return b
}

// decodeRecord reports whether b is a record that can be applied.
func decodeRecord(b []byte) (r record, sender [8]byte, ok bool) {
	const fixed = 1 + 8 + 1
	if len(b) < fixed || b[0] != recordVersion {
		return r, sender, false
	}
	copy(sender[:], b[1:])
	r.leave = b[9] != 0
	sent, size := binary.Varint(b[fixed:])
	if size <= 0 {
		return r, sender, false
	}
	r.sent = sent
	b = b[fixed+size:]
	for _, s := range []*string{&r.session, &r.tab, &r.path, &r.user, &r.meta} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return r, sender, false
		}
		b = b[size:]
		*s, b = string(b[:n]), b[n:]
	}
	idle, _ := binary.Varint(b) // 0 if there is none
	r.idle = time.Duration(idle)
	// Meta is shown as it came, in one line of a stream.
	validMeta := r.meta == "" || json.Valid([]byte(r.meta)) && !strings.ContainsAny(r.meta, "\r\n")
	return r, sender, r.session != "" && (r.leave || r.user != "" && r.tab != "") && validMeta
}
