package storetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
)

// century is longer than any idle timeout, and farther than some storages can
// represent. A page that reports its user's inactivity can take a touch as far
// into the past.
const century = 100 * 365 * 24 * time.Hour

// boundCases are touches of one session, with the time it has left.
func boundCases() (cs []testCase) {
	for _, b := range []struct {
		name, why              string
		deadline, expiry, idle time.Duration
	}{
		{"extends", "a page that is open must keep its session",
			time.Hour, time.Minute, idle},
		{"never backwards", "a late touch, or one with a shorter idle timeout, must not take away what another has given",
			time.Hour, 30 * time.Minute, idle},
		{"not past the deadline", "the lifetime is a promise that no ping may break",
			10 * time.Minute, time.Minute, idle},
		{"back to the deadline", "an expiry that lies past the deadline, such as a plain Commit can leave, must be repaired by the next touch",
			10 * time.Minute, 30 * time.Minute, idle},
		{"back to the deadline, idle zero", "also by one that extends nothing",
			10 * time.Minute, 30 * time.Minute, 0},
		{"idle zero", "a touch that gains nothing has still found its session; storages that count only changed rows say otherwise",
			time.Hour, time.Minute, 0},
		{"idle negative", "a ping may report that its user went long ago, which takes nothing away",
			time.Hour, time.Minute, -time.Hour},
		{"idle a century ago", "such a report must not fail for a time that the storage can't hold",
			time.Hour, time.Minute, -century},
		{"idle for a century", "the deadline holds, and must hold before the storage sees a time that it can't hold",
			time.Hour, time.Minute, century},
		{"precise", "a store that rounds, or skips small gains, ends sessions early; the core has skipped what is not worth a write",
			time.Hour, time.Minute, time.Minute + 10*time.Millisecond},
	} {
		cs = append(cs, testCase{"Touch/" + b.name, b.why, func(t *testing.T, s subject) {
			each(t, kinds, func(t *testing.T, k kind) {
				x := newSession(k, b.deadline, b.expiry)
				must(t, x.commit(s))
				for range 2 { // a store may know the session the second time
					expiry, err := x.touch(s, b.idle)
					must(t, err)
					must(t, x.checkAll(s, expiry))
				}
			})
		}})
	}
	return cs
}

var cases = []testCase{
	{"Touch/past the deadline", "a session past its deadline is gone, whatever expiry the store has for it", func(t *testing.T, s subject) {
		each(t, kinds, func(t *testing.T, k kind) {
			x := newSession(k, -time.Second, time.Hour)
			must(t, x.commit(s))
			_, found, err := s.Touch(t.Context(), x.key, idle, x.read)
			must(t, notFound("Touch", found, err))
			must(t, x.checkGone(s))
		})
	}},

	{"Touch/odd deadlines", "a deadline may be a time that the storage can't hold: it must neither fail a touch nor end a live session", func(t *testing.T, s subject) {
		for _, tt := range []struct {
			deadline time.Time
			found    bool
		}{
			{time.Time{}, false},
			{time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), false},
			{time.Date(10000, 1, 2, 0, 0, 0, 0, time.UTC), true},
		} {
			x := newSession(kinds[0], time.Hour, 10*time.Minute)
			must(t, x.commit(s))
			from := time.Now()
			expiry, found, err := s.Touch(t.Context(), x.key, idle, func([]byte) (time.Time, error) { return tt.deadline, nil })
			must(t, err)
			if found != tt.found {
				t.Errorf("deadline in the year %d: found is %v", tt.deadline.Year(), found)
			}
			if found {
				must(t, between("Touch's answer", expiry, from.Add(idle), time.Now().Add(idle)))
				must(t, x.checkAll(s, expiry))
			}
		}
	}},

	{"Touch/error of deadline", "data that can't be read must be reported as it is, and nothing done on its word", func(t *testing.T, s subject) {
		each(t, kinds, func(t *testing.T, k kind) {
			x := newSession(k, 10*time.Minute, time.Minute)
			must(t, x.commit(s))
			unreadable := errors.New("unreadable")
			_, found, err := s.Touch(t.Context(), x.key, idle, func([]byte) (time.Time, error) { return time.Time{}, unreadable })
			if err != unreadable || found {
				t.Errorf("Touch: found is %v, the error is %v, not the one of deadline", found, err)
			}
			must(t, x.checkAll(s, x.expiry))
		})
	}},

	{"Touch/remembered deadline", "a store may remember a deadline only as long as the data is the same: when another request has moved it, the new one counts", func(t *testing.T, s subject) {
		changes := map[string]func(session, keepalive.Store) error{
			"Commit":  session.commit,
			"Replace": session.replace,
			"Delete and Commit": func(x session, st keepalive.Store) error {
				return errors.Join(st.Delete(x.key), x.commit(st))
			},
		}
		each(t, kinds, func(t *testing.T, k kind) {
			for name, change := range changes {
				for _, by := range []keepalive.Store{s.Store, s.other} {
					for _, deadline := range []time.Duration{10 * time.Minute, 2 * time.Hour} {
						x := newSession(k, time.Hour, 5*time.Minute)
						must(t, x.commit(s))
						_, err := x.touch(s, 6*time.Minute)
						must(t, err)
						x = x.until(deadline, 5*time.Minute)
						must(t, change(x, by))
						expiry, err := x.touch(s, 90*time.Minute)
						if err == nil {
							err = x.checkAll(s, expiry)
						}
						if err != nil {
							t.Errorf("after a %s that moved the deadline from 1h to %v: %v", name, deadline, err)
						}
					}
				}
			}
		})
	}},

	{"ends on time", "a session must live until the expiry that was set last and not longer, or people are signed out early or stay signed in", func(t *testing.T, s subject) {
		const short = 400 * time.Millisecond
		var sessions []session
		for _, k := range kinds {
			for _, life := range []struct{ deadline, idle time.Duration }{
				{time.Hour, 0},         // ends at its first expiry
				{time.Hour, 2 * short}, // at its touched one
				{2 * short, time.Hour}, // at its deadline
			} {
				x := newSession(k, life.deadline, short)
				must(t, x.commit(s))
				for life.idle > 0 {
					expiry, err := x.touch(s, life.idle)
					if err == nil {
						x.expiry = expiry
						break
					}
					if time.Now().Before(x.expiry) {
						t.Fatal(err)
					}
					x = newSession(k, life.deadline, short) // the machine is slow
					must(t, x.commit(s))
				}
				sessions = append(sessions, x)
			}
		}
		for range 2 {
			time.Sleep(short + 50*time.Millisecond)
			for _, x := range sessions {
				if time.Now().After(x.expiry.Add(precision)) {
					if err := errors.Join(x.checkGone(s), x.checkGone(s.other)); err != nil {
						t.Errorf("%s: past its expiry: %v", x.name, err)
					}
					continue
				}
				_, found, err := s.Find(x.key)
				must(t, err)
				if !found && time.Now().Before(x.expiry.Add(-precision)) {
					t.Errorf("%s: Find reports %v too early that the session is gone", x.name, time.Until(x.expiry))
				}
			}
		}
	}},

	{"ends while it is touched", "a session that expires between the read and the write of a touch is gone; people must not be signed in again by a ping", func(t *testing.T, s subject) {
		each(t, fewKinds, func(t *testing.T, k kind) {
			for _, x := range []session{
				newSession(k, time.Hour, 100*time.Millisecond),
				newSession(k, 100*time.Millisecond, 100*time.Millisecond),
			} {
				must(t, x.commit(s))
				_, found, err := s.Touch(t.Context(), x.key, idle, func(data []byte) (time.Time, error) {
					time.Sleep(time.Until(x.expiry) + 10*time.Millisecond)
					return x.read(data)
				})
				must(t, notFound("Touch", found, err))
				must(t, x.checkGone(s))
			}
		})
	}},

	{"gone", "a session that was deleted or never was must not be found, or created, by a page that is still open", func(t *testing.T, s subject) {
		each(t, kinds, func(t *testing.T, k kind) {
			x := newSession(k, time.Hour, time.Minute)
			must(t, x.checkGone(s))
			must(t, s.Delete(x.key))
			must(t, x.commit(s))
			_, err := x.touch(s, idle)
			must(t, err)
			must(t, s.other.Delete(x.key))
			must(t, x.checkGone(s))
			must(t, x.checkGone(s.other))
		})
	}},

	{"written too late", "a slow request may write with an expiry that has passed: that ends the session, at once and for good, even where the storage takes a negative time for none", func(t *testing.T, s subject) {
		each(t, kinds, func(t *testing.T, k kind) {
			late := newSession(k, -time.Second, -time.Second)
			must(t, late.commit(s))
			must(t, late.checkGone(s))

			x := newSession(k, time.Hour, time.Minute)
			must(t, x.commit(s))
			late.key = x.key
			must(t, late.commit(s))
			must(t, x.checkGone(s))

			x = newSession(k, time.Hour, time.Minute)
			must(t, x.commit(s))
			_, err := s.Replace(t.Context(), x.key, late.data, late.expiry)
			must(t, err)
			must(t, x.checkGone(s))

			if st, ok := s.Store.(swapper); ok {
				x = newSession(k, time.Hour, time.Minute)
				must(t, x.commit(s))
				_, _, err := st.Swap(t.Context(), x.key, x.data, late.data, late.expiry)
				must(t, err)
				must(t, x.checkGone(s))
			}
		})
	}},

	{"Replace and Expiry", "the expiry that was written last counts, shorter or longer, and so does the data, of whatever size", func(t *testing.T, s subject) {
		each(t, kinds, func(t *testing.T, k kind) {
			x := newSession(k, time.Hour, 10*time.Minute)
			must(t, x.commit(s))
			must(t, x.checkAll(s, x.expiry))
			for _, size := range []int{10 << 10, 10} {
				for _, expiry := range []time.Duration{20 * time.Minute, 5 * time.Minute, time.Hour} {
					x.size = size
					x = x.filled().until(2*time.Hour, expiry)
					must(t, x.replace(s))
					must(t, x.checkAll(s, x.expiry))
					touched, err := x.touch(s, 30*time.Minute)
					must(t, err)
					must(t, x.checkAll(s, touched))
				}
			}
			x = x.filled().until(2*time.Hour, 5*time.Minute)
			must(t, x.commit(s.other))
			must(t, x.checkAll(s, x.expiry))
		})
	}},

	{"binary data", "a codec may write any bytes", func(t *testing.T, s subject) {
		x := newSession(kinds[0], time.Hour, 10*time.Minute)
		data := make([]byte, 0, 512)
		for i := range cap(data) {
			data = append(data, byte(i))
		}
		for _, x.data = range [][]byte{data, bytes.Repeat([]byte{0}, 300), []byte("'; \\0 \\x00 %s \r\n"), {0}} {
			must(t, x.commit(s))
			must(t, x.checkAll(s, x.expiry))
			must(t, x.replace(s))
			if _, ok := s.Store.(swapper); ok {
				must(t, x.swap(s, x.data, x.expiry))
			}
			expiry, found, err := s.Touch(t.Context(), x.key, idle, func([]byte) (time.Time, error) { return x.deadline, nil })
			must(t, err)
			if !found {
				t.Fatal("Touch reports that a live session is gone")
			}
			must(t, x.checkAll(s, expiry))
		}
	}},

	{"keys", "a cookie brings any key: it must match one session as a whole or none, and never fail", func(t *testing.T, s subject) {
		x := newSession(kinds[0], time.Hour, 10*time.Minute)
		must(t, x.commit(s))
		y := x
		for _, y.key = range []string{
			x.key[:len(x.key)-1], x.key + "x", strings.Repeat("_", len(x.key)), x.key[:1] + "%", "%", "*", "?", ".", "/../",
			"'", "' OR '1'='1", "--", "$1", "{x}", "[a-z]*", "a:b", "a b", strings.Repeat("k", 4<<10),
		} {
			if err := errors.Join(y.checkGone(s), s.Delete(y.key)); err != nil {
				t.Errorf("key %.50q, which has no session: %v", y.key, err)
			}
		}
		must(t, x.checkAll(s, x.expiry))
		for _, odd := range []string{"%", "_", "*?", "'", "[a]", "$1", "{x}", "a:b", "a b."} {
			// As long as a key of scs: its MySQL table takes no longer ones.
			y := newSession(kinds[0], time.Hour, 10*time.Minute)
			y.key = odd + y.key[len(odd):]
			must(t, y.commit(s))
			expiry, err := y.touch(s, idle)
			if err == nil {
				err = errors.Join(y.checkAll(s, expiry), s.Delete(y.key), y.checkGone(s))
			}
			if err != nil {
				t.Errorf("key %q: %v", y.key, err)
			}
		}
		must(t, x.checkAll(s, x.expiry))
	}},
}
