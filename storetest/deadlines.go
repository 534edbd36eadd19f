package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
)

// deadlineCases are touches of data that a storage may have to read by itself, to
// touch a session in one step.
var deadlineCases = []testCase{
	{"Touch/form of the deadline", "scs's data holds a time in the zone and with the fraction that the app gave it: neither may move the deadline, nor any year fail", func(t *testing.T, s subject) {
		base := time.Now().Add(10 * time.Minute).Truncate(time.Second)
		var deadlines []time.Time
		for _, zone := range []*time.Location{
			time.UTC, time.Local, zone(5*time.Hour + 30*time.Minute), zone(-8 * time.Hour), zone(14 * time.Hour),
			zone(53*time.Minute + 28*time.Second), // with seconds the time is encoded in another version
		} {
			for _, fraction := range []time.Duration{0, 1, 1_000, 1_000_000, 123_456_789, 999_999_999} {
				deadlines = append(deadlines, base.Add(fraction).In(zone))
			}
		}
		for _, year := range []int{2038, 2039, 2106, 2107, 2300, 9999} {
			deadlines = append(deadlines, time.Date(year, 12, 31, 23, 59, 59, 999_999_999, time.UTC))
		}
		for _, k := range []kind{kinds[0], kinds[3], kinds[6], kinds[7]} {
			for _, deadline := range deadlines {
				x := newSession(k, time.Hour, 5*time.Minute)
				x.deadline = deadline
				x = x.encoded()
				err := x.commit(s)
				for range 2 {
					err = errors.Join(err, x.touchAll(s))
				}
				if err != nil {
					t.Errorf("%s, deadline %v: %v", k.name, deadline, err)
				}
			}
		}
	}},

	{"Touch/deadline out of range", "a deadline may be a time that the storage can't hold: it must neither fail a touch nor end a live session, nor find a dead one", func(t *testing.T, s subject) {
		for _, deadline := range []time.Time{
			{}, time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC),
		} {
			x := newSession(kinds[0], time.Hour, 5*time.Minute)
			x.deadline = deadline
			x = x.encoded()
			must(t, x.commit(s))
			_, found, err := s.Touch(t.Context(), x.key, idle, x.read)
			if err := notFound("Touch", found, err); err != nil {
				t.Errorf("deadline in the year %d: %v", deadline.Year(), err)
			}
		}
		x := newSession(kinds[0], time.Hour, 5*time.Minute)
		x.deadline = time.Date(10000, 1, 2, 0, 0, 0, 0, time.UTC)
		x = x.encoded()
		must(t, x.commit(s))
		must(t, x.touchAll(s))
	}},

	{"Touch/length of the data", "the deadline stands behind the length of the data, which takes more bytes where there is more", func(t *testing.T, s subject) {
		for _, limit := range []int{128, 256, 1 << 16} {
			// encoding/gob leads the values by 36 to 41 bytes more of the message, so
			// one of these fills it to the last byte, and the next is one too much.
			for size := limit - 44; size <= limit-36; size++ {
				k := kinds[0]
				k.size = size
				x := newSession(k, 10*time.Minute, 5*time.Minute)
				err := x.commit(s)
				if err != nil && len(x.data) > blobSize {
					t.Logf("nothing to test: the storage takes no %d bytes: %v", len(x.data), err)
					break
				}
				if err := errors.Join(err, x.touchAll(s)); err != nil {
					t.Errorf("%d bytes of values: %v", size, err)
				}
			}
		}
	}},

	{"Touch/damaged data", "what the codec makes of damaged data must hold, whether it is an error or a deadline; the storage's own reading must not fail on it", func(t *testing.T, s subject) {
		x := newSession(kinds[0], 10*time.Minute, 5*time.Minute)
		x.deadline = x.deadline.Truncate(time.Second).Add(123_456_789) // one flipped bit makes no second of it
		whole := x.encoded().data
		var damaged [][]byte
		for i := range min(len(whole), 130) { // the deadline ends before
			flipped := bytes.Clone(whole)
			flipped[i] ^= 1
			damaged = append(damaged, flipped)
			_, err := readGob(whole[:i+1])
			if _, inZone := readGob(whole[:i+3]); err == nil || inZone != nil { // a storage need not look at the zone
				damaged = append(damaged, whole[:i+1])
			}
		}
		for i, data := range damaged {
			deadline, unreadable := readGob(data)
			if year := deadline.Year(); unreadable == nil && (year < 1 || year > 9999) {
				continue
			}
			x := newSession(kinds[0], 0, 5*time.Minute)
			x.deadline, x.data = deadline, data
			must(t, x.commit(s))
			read := func(data []byte) (time.Time, error) {
				deadline, err := readGob(data)
				if err != nil {
					err = errUnreadable
				}
				return deadline, err
			}
			from := time.Now()
			expiry, found, err := s.Touch(t.Context(), x.key, idle, read)
			switch {
			case unreadable != nil && (err != errUnreadable || found):
				err = fmt.Errorf("found is %v, the error is %v, not the one of deadline", found, err)
			case unreadable != nil:
				err = x.checkAll(s, x.expiry)
			case !from.Before(deadline):
				err = notFound("Touch", found, err)
			case err == nil && !found:
				err = errors.New("a live session is gone according to Touch")
			case err == nil:
				err = errors.Join(between("Touch's answer", expiry, x.touched(from, idle), x.touched(time.Now(), idle)), x.checkAll(s, expiry))
			}
			if err != nil {
				t.Errorf("number %d, %x: %v", i, data, err)
			}
		}
	}},

	{"Touch/TouchDeadline", "it answers the deadline that counts, not one of before", optional[deadlineToucher]("TouchDeadline", func(t *testing.T, s subject) {
		each(t, kinds, func(t *testing.T, k kind) {
			x := newSession(k, time.Hour, 5*time.Minute)
			must(t, x.commit(s))
			must(t, x.touchAll(s))
			for _, by := range []keepalive.Store{s.Store, s.other} {
				for _, deadline := range []time.Duration{10 * time.Minute, 2 * time.Hour} {
					x = x.until(deadline, 5*time.Minute)
					must(t, x.replace(by))
					must(t, x.touchAll(s))
				}
			}
			must(t, s.other.Delete(x.key))
			_, _, found, err := s.Store.(deadlineToucher).TouchDeadline(t.Context(), x.key, idle, x.read)
			must(t, notFound("TouchDeadline", found, err))
			must(t, x.checkGone(s))
		})
	})},
}

// blobSize is how much data scs's MySQL table takes.
const blobSize = 1<<16 - 1

var errUnreadable = errors.New("unreadable")

func zone(offset time.Duration) *time.Location {
	return time.FixedZone("", int(offset.Seconds()))
}

// touchAll touches the session by each handle, and checks what that answers and
// leaves.
func (x session) touchAll(s subject) error {
	for _, st := range []keepalive.Store{s.Store, s.other} {
		expiry, err := x.touch(st, idle)
		if err != nil {
			return err
		}
		if err := x.checkAll(s, expiry); err != nil {
			return err
		}
		st, ok := st.(deadlineToucher)
		if !ok {
			continue
		}
		from := time.Now()
		expiry, deadline, found, err := st.TouchDeadline(context.Background(), x.key, idle, x.read)
		switch {
		case err != nil:
			return fmt.Errorf("in TouchDeadline: %w", err)
		case !found:
			return errors.New("a live session is gone according to TouchDeadline")
		case deadline.After(x.deadline) || x.deadline.Sub(deadline) > precision:
			return fmt.Errorf("TouchDeadline's deadline is %v, not %v", deadline, x.deadline)
		}
		if err := between("TouchDeadline's answer", expiry, x.touched(from, idle), x.touched(time.Now(), idle)); err != nil {
			return err
		}
	}
	return nil
}
