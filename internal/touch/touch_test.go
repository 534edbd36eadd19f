package touch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	stdgob "encoding/gob"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive/internal/gob"
	"github.com/seed4a306b22/keepalive/internal/touch"
	"github.com/stretchr/testify/require"
)

// readShort reads a deadline as keepalive does with scs's codec: from the
// beginning of the data where that is enough.
func readShort(data []byte) (time.Time, error) {
	if t, ok := gob.Deadline(data); ok {
		return t, nil
	}
	return readWhole(data)
}

// readWhole needs all of the data, as codecs of others do.
func readWhole(data []byte) (time.Time, error) {
	t, _, err := scs.GobCodec{}.Decode(data)
	return t, err
}

// storage is one session in memory. It counts the calls.
type storage struct {
	data   []byte
	expiry time.Time
	gone   bool
	calls  calls
	// beforeMove is called by Extend too.
	beforeMove func()
	err        error
}

type calls struct{ extend, find, peek, move int }

func newStorage(t *testing.T, deadline time.Time, size int) *storage {
	data := encode(t, deadline, map[string]any{"v": strings.Repeat("x", size)})
	return &storage{data: data, expiry: time.Now().Add(time.Minute)}
}

func encode(t *testing.T, deadline time.Time, values map[string]any) []byte {
	data, err := scs.GobCodec{}.Encode(deadline, values)
	require.NoError(t, err)
	return data
}

func (s *storage) toucher() *touch.Toucher {
	return touch.New(touch.Storage{Extend: s.extend, Find: s.find, Digest: digest, Peek: s.peek, Move: s.move})
}

func (s *storage) extend(_ context.Context, _ string, next time.Time) (expiry, deadline time.Time, found bool, err error) {
	s.calls.extend++
	if s.beforeMove != nil {
		s.beforeMove()
	}
	if s.err != nil || s.gone {
		return expiry, deadline, false, s.err
	}
	before, after := touch.GobHead()
	rest, ok := bytes.CutPrefix(s.data, before)
	if !ok {
		return expiry, deadline, true, nil
	}
	if rest[0] >= 128 {
		rest = rest[256-int(rest[0]):]
	}
	rest, ok = bytes.CutPrefix(rest[1:], after)
	if !ok {
		return expiry, deadline, true, nil
	}
	deadline = time.Unix(int64(binary.BigEndian.Uint64(rest))-62135596800, int64(binary.BigEndian.Uint32(rest[8:])))
	return s.set(deadline, next), deadline, true, nil
}

func (s *storage) set(deadline, next time.Time) time.Time {
	if next.After(s.expiry) {
		s.expiry = next
	}
	if s.expiry.After(deadline) {
		s.expiry = deadline
	}
	return s.expiry
}

func (s *storage) find(context.Context, string) ([]byte, bool, error) {
	s.calls.find++
	return s.data, !s.gone, s.err
}

func (s *storage) peek(_ context.Context, _, d string) (time.Time, bool, error) {
	s.calls.peek++
	return s.expiry, !s.gone && d == digest(s.data), s.err
}

func (s *storage) move(_ context.Context, _, d string, deadline, next time.Time) (time.Time, bool, error) {
	s.calls.move++
	if s.beforeMove != nil {
		s.beforeMove()
	}
	if s.err != nil || s.gone || d != digest(s.data) {
		return time.Time{}, false, s.err
	}
	return s.set(deadline, next), true, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return string(sum[:])
}

// encodeOtherwise returns what GobCodec would write if it called its type by a name, which
// also has another number.
func encodeOtherwise(t *testing.T, deadline time.Time, values map[string]any) []byte {
	type session struct {
		Deadline time.Time
		Values   map[string]any
	}
	var b bytes.Buffer
	require.NoError(t, stdgob.NewEncoder(&b).Encode(session{deadline, values}))
	return b.Bytes()
}

// GobHead is right for every session of this process but those whose deadline is in an
// odd time zone.
func TestGobHead(t *testing.T) {
	deadline := time.Now().Add(time.Hour)
	tests := []struct {
		name     string
		deadline time.Time
		values   map[string]any
		extended bool
	}{
		{name: "no values", deadline: deadline.UTC(), extended: true},
		{name: "0.2 KB", deadline: deadline.UTC(), values: map[string]any{"v": strings.Repeat("x", 200)}, extended: true},
		{name: "70 KB", deadline: deadline.UTC(), values: map[string]any{"v": strings.Repeat("x", 70<<10)}, extended: true},
		{name: "17 MB", deadline: deadline.UTC(), values: map[string]any{"v": strings.Repeat("x", 17<<20)}, extended: true},
		{name: "a type that is described in the middle", deadline: deadline.UTC(), values: map[string]any{"v": []string{"x"}}, extended: true},
		{name: "a time zone", deadline: deadline.In(time.FixedZone("", 3600)), extended: true},
		{name: "a time zone with seconds", deadline: deadline.In(time.FixedZone("", 3601))},
	}
	stdgob.Register([]string{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &storage{data: encode(t, tt.deadline, tt.values), expiry: time.Now().Add(time.Minute)}
			expiry, end, found, err := s.extend(t.Context(), "k", deadline.Add(time.Hour))
			require.NoError(t, err)
			require.True(t, found)
			if !tt.extended {
				require.True(t, end.IsZero())
				return
			}
			require.True(t, end.Equal(deadline) && expiry.Equal(deadline))
		})
	}
}

func TestReadHead(t *testing.T) {
	now := time.Now().Round(0)
	for _, deadline := range []time.Time{now, now.UTC(), now.In(time.FixedZone("", 5*60*60)), time.Unix(touch.YearOne, 1), time.Unix(touch.YearOne+1<<40-1, 999_999_999)} {
		for _, size := range []int{0, 100, 1000, 70_000, 1 << 24} {
			data := encode(t, deadline, map[string]any{"v": strings.Repeat("x", size)})
			got, ok := touch.ReadHead(data[:min(len(data), touch.HeadSize)])
			require.True(t, ok, deadline)
			require.True(t, got.Equal(deadline), "%v, not %v", got, deadline)
		}
	}

	data := encode(t, now, nil)
	require.Len(t, data, touch.MinSize)
	end := touch.MinSize - len("zn") - len("\x00")
	for n := range end {
		_, ok := touch.ReadHead(data[:n])
		require.False(t, ok, "%d bytes", n)
		if n < end-11 { // but for the time
			_, ok = touch.ReadHead(append(append(bytes.Clone(data[:n]), data[n]^0x80), data[n+1:]...))
			require.False(t, ok, "another byte %d", n)
		}
	}
	for name, deadline := range map[string]time.Time{
		"before the year 1": time.Unix(touch.YearOne-1, 0), "too late": time.Unix(touch.YearOne+1<<40, 0),
		"a zone with seconds": now.In(time.FixedZone("", 1)),
	} {
		_, ok := touch.ReadHead(encode(t, deadline, nil))
		require.False(t, ok, name)
	}
}

func TestTouch(t *testing.T) {
	tests := []struct {
		name   string
		encode func(t *testing.T, deadline time.Time, values map[string]any) []byte
		read   touch.ReadDeadline
		calls  calls // of three touches of one session
	}{
		{name: "data of this program", encode: encode, read: readShort, calls: calls{extend: 3}},
		{name: "data of another program", encode: encodeOtherwise, read: readShort, calls: calls{extend: 3, find: 3, move: 3}},
		{name: "another codec", encode: encode, read: readWhole, calls: calls{find: 3, move: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			deadline := time.Now().Add(time.Hour).UTC()
			values := map[string]any{"v": strings.Repeat("x", 4096)}
			s := &storage{data: tt.encode(t, deadline, values), expiry: time.Now().Add(time.Minute)}
			toucher := s.toucher()
			for range 3 {
				expiry, end, found, err := toucher.Touch(t.Context(), "k", 20*time.Minute, tt.read)
				require.NoError(t, err)
				require.True(t, found)
				require.True(t, end.Equal(deadline))
				require.True(t, expiry.Equal(s.expiry))
			}
			require.Equal(t, tt.calls, s.calls)

			// What another process writes in the middle counts.
			sooner := tt.encode(t, time.Now().Add(10*time.Minute).UTC(), values)
			s.beforeMove = func() { s.data, s.beforeMove = sooner, nil }
			expiry, end, found, err := toucher.Touch(t.Context(), "k", 20*time.Minute, tt.read)
			require.NoError(t, err)
			require.True(t, found)
			require.True(t, expiry.Equal(end) && end.Before(deadline))

			s.gone = true
			_, _, found, err = toucher.Touch(t.Context(), "k", 20*time.Minute, tt.read)
			require.NoError(t, err)
			require.False(t, found)
		})
	}
}

// A touch that extends nothing writes only what it must repair.
func TestTouchThatExtendsNothing(t *testing.T) {
	deadline := time.Now().Add(time.Hour).UTC()
	s := newStorage(t, deadline, 10)
	before := s.expiry
	expiry, end, found, err := s.toucher().Touch(t.Context(), "k", 0, readWhole)
	require.NoError(t, err)
	require.True(t, found)
	require.True(t, expiry.Equal(before) && end.Equal(deadline))
	require.Equal(t, calls{find: 1, peek: 1}, s.calls)

	s.expiry = deadline.Add(time.Hour)
	expiry, _, found, err = s.toucher().Touch(t.Context(), "k", 0, readWhole)
	require.NoError(t, err)
	require.True(t, found)
	require.True(t, expiry.Equal(deadline), "an expiry past the deadline is moved back")
	require.Equal(t, calls{find: 2, peek: 2, move: 1}, s.calls)
}

func TestTouchFails(t *testing.T) {
	deadline := time.Now().Add(time.Hour).UTC()
	broken := errors.New("broken")
	for name, read := range map[string]touch.ReadDeadline{"by its head": readShort, "by its digest": readWhole} {
		t.Run("storage/"+name, func(t *testing.T) {
			s := newStorage(t, deadline, 10)
			s.err = broken
			_, _, found, err := s.toucher().Touch(t.Context(), "k", time.Minute, read)
			require.ErrorIs(t, err, broken)
			require.False(t, found)
		})
		t.Run("past the deadline/"+name, func(t *testing.T) {
			s := newStorage(t, time.Now().Add(-time.Second).UTC(), 10)
			_, _, found, err := s.toucher().Touch(t.Context(), "k", time.Minute, read)
			require.NoError(t, err)
			require.False(t, found)
			require.True(t, s.expiry.Before(time.Now()), "the storage must know")
		})
	}
	t.Run("codec", func(t *testing.T) {
		s := newStorage(t, deadline, 10)
		_, _, _, err := s.toucher().Touch(t.Context(), "k", time.Minute, func([]byte) (time.Time, error) { return time.Time{}, broken })
		require.Equal(t, broken, err)
		require.Equal(t, calls{find: 1}, s.calls)
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := newStorage(t, deadline, 10)
		_, _, _, err := s.toucher().Touch(ctx, "k", time.Minute, readWhole)
		require.Equal(t, context.Canceled, err)
		require.Zero(t, s.calls)
	})
	t.Run("data that changes for ever", func(t *testing.T) {
		s := newStorage(t, deadline, 10)
		n := 0
		s.beforeMove = func() { n++; s.data = newStorage(t, deadline.Add(time.Duration(n)), 10).data }
		_, _, found, err := s.toucher().Touch(t.Context(), "k", time.Minute, readWhole)
		require.ErrorContains(t, err, "changed each time")
		require.False(t, found)
	})
}
