// Package storetest tests implementations of [keepalive.Store].
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) keepalive.Store {
//			return mystore.New(db) // a handle to the storage
//		})
//	}
//
// It works with real servers and real clocks and needs no hook in the store.
// The clock of the storage MUST agree with that of the test to within a
// millisecond, which on one machine it does. Expiries may be off by 2 ms, so a
// storage that counts in whole milliseconds passes and one that counts in whole
// seconds does not.
//
// What it does not see: a crash of the server, memory that grows with the number
// of sessions, how many round trips a call takes, and keys that differ only in
// case (the MySQL table of scs takes those for one).
//
// Methods that a store may lack are tested where it has them: those of
// scs.CtxStore, iteration, TouchDeadline, Swap and Take. A case that finds nothing
// to test logs what the store lacks, and passes; see it with go test -v.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	stdgob "encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/gob"
)

// Run tests a store. Each case is a subtest, and prints why it matters when it
// fails. With an in-memory store it takes about six seconds.
//
// newStore returns a store for one case and registers its clean-up with
// t.Cleanup. It is called twice for each case, with the same t. Where the second
// store sees the sessions of the first, as two handles to one table do, the two
// stand for two instances of an app, and the cases play them against each other;
// otherwise the first one plays both. So newStore should start no server: do
// that once, before Run. The storage need not be empty, as keys are random.
//
// KEEPALIVE_ROUNDS in the environment is the number of rounds that the random
// cases share. Default: 800.
func Run(t *testing.T, newStore func(t *testing.T) keepalive.Store) {
	for _, c := range slices.Concat(boundCases(), cases, deadlineCases, swapCases, takeCases, contextCases, optionalCases, raceCases()) {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("why it matters: %s", c.why)
				}
			})
			s := subject{newStore(t), newStore(t), 2}
			x := newSession(kinds[0], time.Hour, time.Hour)
			must(t, s.Commit(x.key, x.data, x.expiry))
			_, shared, err := s.other.Find(x.key)
			must(t, err)
			if !shared {
				s.other, s.instances = s.Store, 1
			}
			c.run(t, s)
		})
	}
}

type testCase struct {
	name string
	why  string // what goes wrong for people when the case fails
	run  func(t *testing.T, s subject)
}

// subject is what a case tests.
type subject struct {
	keepalive.Store
	other     keepalive.Store // another handle to the same storage, or the same one
	instances int             // 2 or 1
}

const (
	// precision is how far an expiry may be from what was asked for: a
	// millisecond that was cut off, and a little for floating point (SQLite's
	// julianday).
	precision = 2 * time.Millisecond
	// idle is the idle timeout of touches that must move an expiry.
	idle = 20 * time.Minute
)

// kind is a size and a codec of sessions. A store must not depend on either, so
// there are two codecs: one whose deadline can be read from the beginning of the
// data alone, as keepalive does with scs's, and one whose can't. Before the deadline,
// scs's has numbers of types, which each program gives out in its own order, and may
// describe types of the app. The largest sessions just fit into a BLOB of MySQL.
type kind struct {
	name string
	codec
	size int // of the values
}

type codec struct {
	encode func(deadline time.Time, values []byte) ([]byte, error)
	read   func(data []byte) (deadline time.Time, err error)
	decode func(data []byte) (values []byte, err error)
}

var (
	gobCodec        = codec{encodeGob, readGob, gobValues}
	otherGobCodec   = codec{encodeOtherGob, readGob, gobValues}
	ownTypeGobCodec = codec{encodeOwnType, readGob, gobValues}
	jsonCodec       = codec{encodeJSON, readJSON, jsonValues}
)

var kinds = []kind{
	{"gob 0.2 KB", gobCodec, 100},
	{"gob 4 KB", gobCodec, 4 << 10},
	{"gob 64 KB", gobCodec, 63 << 10},
	{"json 0.2 KB", jsonCodec, 100},
	{"json 4 KB", jsonCodec, 3 << 10},
	{"json 64 KB", jsonCodec, 47 << 10},
	{"gob of another program", otherGobCodec, 4 << 10},
	{"gob with a type of its own", ownTypeGobCodec, 100},
}

// fewKinds is for cases that wait.
var fewKinds = []kind{kinds[1], kinds[3], kinds[6]}

func each(t *testing.T, kinds []kind, f func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { f(t, k) })
	}
}

func encodeGob(deadline time.Time, values []byte) ([]byte, error) {
	return scs.GobCodec{}.Encode(deadline, map[string]any{"v": values})
}

// otherSession is what scs.GobCodec encodes, as a type of its own (the tag is not
// encoded). So it has another number than scs's, as it has in the data of a program
// that encodes other types first.
type otherSession = struct {
	Deadline time.Time `other:"program"`
	Values   map[string]any
}

func encodeOtherGob(deadline time.Time, values []byte) ([]byte, error) {
	var b bytes.Buffer
	err := stdgob.NewEncoder(&b).Encode(otherSession{deadline, map[string]any{"v": values}})
	return b.Bytes(), err
}

// ownType is a type of an app, which the data describes.
type ownType struct{ Name string }

func init() { stdgob.Register(ownType{}) }

func encodeOwnType(deadline time.Time, values []byte) ([]byte, error) {
	return scs.GobCodec{}.Encode(deadline, map[string]any{"v": values, "own": ownType{"x"}})
}

func gobValues(data []byte) ([]byte, error) {
	_, values, err := scs.GobCodec{}.Decode(data)
	v, _ := values["v"].([]byte)
	return v, err
}

// readGob reads the deadline as keepalive does: also of a beginning of the data,
// and of data without a deadline, which is how encoding/gob writes the zero time.
func readGob(data []byte) (time.Time, error) {
	if deadline, ok := gob.Deadline(data); ok {
		return deadline, nil
	}
	deadline, _, err := scs.GobCodec{}.Decode(data)
	return deadline, err
}

// jsonTail is how JSON sessions end: with the deadline, always in the same number
// of bytes, so that neither their beginning nor their length shows that it has
// changed.
const jsonTail = `"Deadline":"2006-01-02T15:04:05.000000000Z"}`

func encodeJSON(deadline time.Time, values []byte) ([]byte, error) {
	data := append([]byte(`{"v":"`), base64.StdEncoding.EncodeToString(values)...)
	return deadline.UTC().AppendFormat(append(data, `",`...), jsonTail), nil
}

func readJSON(data []byte) (time.Time, error) {
	return time.Parse(jsonTail, string(data[max(0, len(data)-len(jsonTail)):]))
}

func jsonValues(data []byte) (values []byte, err error) {
	var session struct{ V []byte }
	err = json.Unmarshal(data, &session)
	return session.V, err
}

// session is what should be in the store.
type session struct {
	kind
	key              string
	values, data     []byte
	deadline, expiry time.Time
}

// newSession makes a session that has the given time left. It is not in the
// store yet.
func newSession(k kind, deadline, expiry time.Duration) session {
	x := session{kind: k, key: base64.RawURLEncoding.EncodeToString(random(32))}
	return x.filled().until(deadline, expiry)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// filled returns the session with other values.
func (x session) filled() session {
	x.values = random(x.size)
	return x.encoded()
}

// until returns the session with another deadline and expiry, from now, and the
// same values.
func (x session) until(deadline, expiry time.Duration) session {
	now := time.Now().UTC().Round(0)
	x.deadline, x.expiry = now.Add(deadline), now.Add(expiry)
	return x.encoded()
}

func (x session) encoded() session {
	var err error
	if x.data, err = x.encode(x.deadline, x.values); err != nil {
		panic(err) // the codecs can encode what newSession makes
	}
	return x
}

// touched returns the expiry that a touch at the time now must leave.
func (x session) touched(now time.Time, idle time.Duration) time.Time {
	expiry := now.Add(idle)
	if expiry.Before(x.expiry) {
		expiry = x.expiry
	}
	if x.deadline.Before(expiry) {
		expiry = x.deadline
	}
	return expiry
}

// commit puts the session into a store.
func (x session) commit(st keepalive.Store) error { return st.Commit(x.key, x.data, x.expiry) }

// replace puts it over one that is there.
func (x session) replace(st keepalive.Store) error {
	found, err := st.Replace(context.Background(), x.key, x.data, x.expiry)
	if err == nil && !found {
		err = errors.New("a live session is gone according to Replace")
	}
	return err
}

// touch touches the session and checks the answer. It returns the new expiry.
func (x session) touch(st keepalive.Store, idle time.Duration) (time.Time, error) {
	from := time.Now()
	expiry, found, err := st.Touch(context.Background(), x.key, idle, x.read)
	switch {
	case err != nil:
		return expiry, fmt.Errorf("in Touch: %w", err)
	case !found:
		return expiry, errors.New("a live session is gone according to Touch")
	case expiry.After(x.deadline):
		return expiry, fmt.Errorf("the answer of Touch is %v past the deadline", expiry.Sub(x.deadline))
	}
	return expiry, between("Touch's answer", expiry, x.touched(from, idle), x.touched(time.Now(), idle))
}

// check returns an error unless the store has the session, with its data and an
// expiry between from and to.
func (x session) check(st keepalive.Store, from, to time.Time) error {
	data, found, err := st.Find(x.key)
	switch {
	case err != nil:
		return fmt.Errorf("in Find: %w", err)
	case !found:
		return errors.New("a live session is gone according to Find")
	case !bytes.Equal(data, x.data):
		return errors.New("the session's data is not what was last written")
	}
	expiry, found, err := st.Expiry(context.Background(), x.key)
	switch {
	case err != nil:
		return fmt.Errorf("in Expiry: %w", err)
	case !found:
		return errors.New("a live session is gone according to Expiry")
	}
	return between("Expiry's answer", expiry, from, to)
}

// checkAll is check with every handle and one exact expiry.
func (x session) checkAll(s subject, expiry time.Time) error {
	return errors.Join(x.check(s.Store, expiry, expiry), x.check(s.other, expiry, expiry))
}

// checkGone returns an error unless every method reports that there is no such
// session, twice: the second round finds what the first may have created. Take
// comes last, because it deletes.
func (x session) checkGone(st keepalive.Store) error {
	ctx := context.Background()
	for range 2 {
		_, found, err := st.Find(x.key)
		if err := notFound("Find", found, err); err != nil {
			return err
		}
		_, found, err = st.Expiry(ctx, x.key)
		if err := notFound("Expiry", found, err); err != nil {
			return err
		}
		_, found, err = st.Touch(ctx, x.key, idle, x.read)
		if err := notFound("Touch", found, err); err != nil {
			return err
		}
		found, err = st.Replace(ctx, x.key, x.data, time.Now().Add(time.Hour))
		if err := notFound("Replace", found, err); err != nil {
			return err
		}
		if st, ok := as[swapper](st); ok {
			_, found, err = st.Swap(ctx, x.key, x.data, x.data, time.Now().Add(time.Hour))
			if err := notFound("Swap", found, err); err != nil {
				return err
			}
		}
	}
	if st, ok := as[taker](st); ok {
		_, found, err := st.Take(ctx, x.key)
		return notFound("Take", found, err)
	}
	return nil
}

func notFound(method string, found bool, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if found {
		return fmt.Errorf("%s finds a session that is gone", method)
	}
	return nil
}

// between compares an expiry with its bounds.
func between(what string, expiry, from, to time.Time) error {
	now := time.Now()
	switch {
	case expiry.Before(from.Add(-precision)):
		return fmt.Errorf("%s is %v from now, %v too early", what, expiry.Sub(now), from.Sub(expiry))
	case expiry.After(to.Add(precision)):
		return fmt.Errorf("%s is %v from now, %v too late", what, expiry.Sub(now), expiry.Sub(to))
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
