package storetest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
)

// gobStart is how the data of scs.GobCodec begins here: up to the length.
var gobStart = func() []byte {
	data, err := scs.GobCodec{}.Encode(time.Now(), nil)
	if err != nil {
		panic(err)
	}
	end := bytes.Index(data, []byte{0x01, 0x0f, 0x01})
	return data[:end-3] // the length, and the number of the type in two bytes
}()

// gobReader is a store's own reading of scs's data. Each field is a fault of it.
type gobReader struct {
	anyStart    bool // does not look whose numbers stand in front
	anyVersion  bool // does not look at the version of the time
	lengthBytes int  // the most that it knows, if not 0
	zoned       bool // takes the zone into account
	unsigned    bool // takes seconds for unsigned
	lastYear    int  // that it can hold, if not 0
	up          bool // rounds up to a millisecond
	strict      bool // fails on data that ends too early
}

// deadline returns the deadline, or ok=false for data that it can't read.
func (g gobReader) deadline(data []byte) (t time.Time, ok bool, err error) {
	start := len(gobStart)
	if !g.anyStart && !bytes.HasPrefix(data, gobStart) {
		return t, false, nil
	}
	at := start + 1
	if len(data) > start && data[start] >= 128 {
		n := 256 - int(data[start])
		if g.lengthBytes > 0 {
			n = min(n, g.lengthBytes-1)
		}
		at += n
	}
	at += 4 // number of the type, field, length of the time
	switch {
	case len(data) < at+15 && g.strict:
		return t, false, errors.New("not that long")
	case len(data) < at+15, !g.anyVersion && (data[at-1] != 15 || data[at] != 1):
		return t, false, nil
	}
	seconds := int64(binary.BigEndian.Uint64(data[at+1:])) - 62135596800
	if g.unsigned && seconds < -62135596800 {
		return time.Now().Add(longest), true, nil
	}
	if zone := int16(binary.BigEndian.Uint16(data[at+13:])); g.zoned && zone != -1 {
		seconds -= 60 * int64(zone)
	}
	t = time.Unix(seconds, int64(binary.BigEndian.Uint32(data[at+9:])))
	if g.up {
		t = t.Add(time.Millisecond - 1).Truncate(time.Millisecond)
	}
	if g.lastYear > 0 && t.Year() > g.lastYear {
		return time.Time{}, true, nil
	}
	return t, true, nil
}

// touch touches by this reading where it can, else by the codec's.
func (g gobReader) touch(m memory) touchFunc {
	return func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
		return m.Touch(ctx, key, idle, func(data []byte) (time.Time, error) {
			if end, ok, err := g.deadline(data); ok || err != nil {
				return end, err
			}
			return deadline(data)
		})
	}
}

// brokenDeadlines are stores that do not know the deadline right.
var brokenDeadlines = []brokenStore{
	{"touch reads the deadline whatever program wrote it", func(f *faulty, m memory) {
		f.touch = gobReader{anyStart: true, anyVersion: true}.touch(m)
	}, "Touch/not past the deadline; Touch/form of the deadline"},

	{"touch reads the deadline behind a length of one byte", func(f *faulty, m memory) {
		f.touch = gobReader{lengthBytes: 1, anyVersion: true}.touch(m)
	}, "Touch/not past the deadline; Touch/length of the data"},

	{"touch reads the deadline behind a length of two bytes", func(f *faulty, m memory) {
		f.touch = gobReader{lengthBytes: 2, anyVersion: true}.touch(m)
	}, "Touch/not past the deadline; Touch/length of the data"},

	{"touch reads the deadline behind a length of three bytes", func(f *faulty, m memory) {
		f.touch = gobReader{lengthBytes: 3, anyVersion: true}.touch(m)
	}, "Touch/length of the data"},

	{"touch reads the deadline in any version", func(f *faulty, m memory) {
		f.touch = gobReader{anyVersion: true}.touch(m)
	}, "Touch/damaged data"},

	{"touch fails to read the deadline from short data", func(f *faulty, m memory) {
		f.touch = gobReader{strict: true}.touch(m)
	}, "Touch/damaged data"},

	{"touch reads the deadline in the zone that it was written in", func(f *faulty, m memory) {
		f.touch = gobReader{zoned: true}.touch(m)
	}, "Touch/form of the deadline"},

	{"touch reads an early deadline as one far ahead", func(f *faulty, m memory) {
		f.touch = gobReader{unsigned: true}.touch(m)
	}, "Touch/deadline out of range"},

	{"touch knows no deadline after 2038", func(f *faulty, m memory) {
		f.touch = gobReader{lastYear: 2038}.touch(m)
	}, "Touch/form of the deadline; Touch/deadline out of range"},

	{"touch knows no deadline after 9999", func(f *faulty, m memory) {
		f.touch = gobReader{lastYear: 9999}.touch(m)
	}, "Touch/deadline out of range"},

	{"touch rounds the deadline up", func(f *faulty, m memory) {
		f.touch = gobReader{up: true}.touch(m)
	}, "Touch/form of the deadline"},

	{"TouchDeadline answers the deadline of the first touch", func(f *faulty, m memory) {
		var first sync.Map
		f.touchDeadline = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, time.Time, bool, error) {
			expiry, end, found, err := m.TouchDeadline(ctx, key, idle, deadline)
			known, _ := first.LoadOrStore(key, end)
			return expiry, known.(time.Time), found, err
		}
	}, "Touch/TouchDeadline"},

	{"TouchDeadline rounds the deadline up", func(f *faulty, m memory) {
		f.touchDeadline = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, time.Time, bool, error) {
			expiry, end, found, err := m.TouchDeadline(ctx, key, idle, deadline)
			return expiry, end.Add(time.Millisecond - 1).Truncate(time.Millisecond), found, err
		}
	}, "Touch/form of the deadline"},

	{"TouchDeadline finds the dead", func(f *faulty, m memory) {
		f.touchDeadline = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, time.Time, bool, error) {
			expiry, end, _, err := m.TouchDeadline(ctx, key, idle, deadline)
			return expiry, end, err == nil, err
		}
	}, "Touch/TouchDeadline"},
}
