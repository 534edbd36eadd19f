package touch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
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
	data                       []byte
	expiry                     time.Time
	gone                       bool
	heads, finds, peeks, moves int
	beforeMove                 func()
	err                        error
	last                       touch.Condition // of the last Move
}

func newStorage(t *testing.T, deadline time.Time, size int) *storage {
	data, err := scs.GobCodec{}.Encode(deadline, map[string]any{"v": strings.Repeat("x", size)})
	require.NoError(t, err)
	return &storage{data: data, expiry: time.Now().Add(time.Minute)}
}

func (s *storage) toucher() *touch.Toucher {
	return touch.New(touch.Storage{Head: s.head, Find: s.find, Digest: digest, Peek: s.peek, Move: s.move})
}

func (s *storage) head(context.Context, string) ([]byte, bool, error) {
	s.heads++
	return s.data[:min(len(s.data), touch.HeadSize)], !s.gone, s.err
}

func (s *storage) find(context.Context, string) ([]byte, bool, error) {
	s.finds++
	return s.data, !s.gone, s.err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return string(sum[:])
}

func (s *storage) meets(c touch.Condition) bool {
	if c.IsDigest() {
		return string(c.Guard()) == digest(s.data)
	}
	return bytes.HasPrefix(s.data, c.Guard())
}

func (s *storage) peek(_ context.Context, _ string, c touch.Condition) (time.Time, bool, error) {
	s.peeks++
	return s.expiry, !s.gone && s.meets(c), s.err
}

func (s *storage) move(_ context.Context, _ string, c touch.Condition, next time.Time) (time.Time, bool, error) {
	s.moves++
	s.last = c
	if s.beforeMove != nil {
		s.beforeMove()
	}
	if s.err != nil || s.gone || !s.meets(c) {
		return time.Time{}, false, s.err
	}
	if next.After(s.expiry) {
		s.expiry = next
	}
	if s.expiry.After(c.Deadline()) {
		s.expiry = c.Deadline()
	}
	return s.expiry, true, nil
}

func TestTouch(t *testing.T) {
	tests := []struct {
		name         string
		read         touch.ReadDeadline
		heads, finds int // of three touches of one session
	}{
		{name: "a codec that can read the beginning", read: readShort, heads: 1},
		{name: "another codec", read: readWhole, heads: 1, finds: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			deadline := time.Now().Add(time.Hour).UTC()
			s := newStorage(t, deadline, 4096)
			toucher := s.toucher()
			for range 3 {
				expiry, end, found, err := toucher.Touch(t.Context(), "k", 20*time.Minute, tt.read)
				require.NoError(t, err)
				require.True(t, found)
				require.True(t, end.Equal(deadline))
				require.True(t, expiry.Equal(s.expiry))
			}
			require.Equal(t, []int{tt.heads, tt.finds, 0, 3}, []int{s.heads, s.finds, s.peeks, s.moves})

			// What another process has written counts, each time.
			sooner := newStorage(t, time.Now().Add(10*time.Minute).UTC(), 4096)
			s.beforeMove = func() { s.data, s.beforeMove = sooner.data, nil }
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
	expiry, end, found, err := s.toucher().Touch(t.Context(), "k", 0, readShort)
	require.NoError(t, err)
	require.True(t, found)
	require.True(t, expiry.Equal(before) && end.Equal(deadline))
	require.Equal(t, []int{1, 0}, []int{s.peeks, s.moves})

	s.expiry = deadline.Add(time.Hour)
	expiry, _, found, err = s.toucher().Touch(t.Context(), "k", 0, readShort)
	require.NoError(t, err)
	require.True(t, found)
	require.True(t, expiry.Equal(deadline), "an expiry past the deadline is moved back")
	require.Equal(t, []int{2, 1}, []int{s.peeks, s.moves})
}

func TestTouchFails(t *testing.T) {
	deadline := time.Now().Add(time.Hour).UTC()
	broken := errors.New("broken")
	t.Run("storage", func(t *testing.T) {
		s := newStorage(t, deadline, 10)
		s.err = broken
		_, _, found, err := s.toucher().Touch(t.Context(), "k", time.Minute, readShort)
		require.ErrorIs(t, err, broken)
		require.False(t, found)
	})
	t.Run("codec", func(t *testing.T) {
		s := newStorage(t, deadline, 10)
		_, _, _, err := s.toucher().Touch(t.Context(), "k", time.Minute, func([]byte) (time.Time, error) { return time.Time{}, broken })
		require.Equal(t, broken, err)
		require.Zero(t, s.moves)
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := newStorage(t, deadline, 10)
		_, _, _, err := s.toucher().Touch(ctx, "k", time.Minute, readShort)
		require.Equal(t, context.Canceled, err)
		require.Zero(t, s.heads)
	})
	t.Run("data that changes for ever", func(t *testing.T) {
		s := newStorage(t, deadline, 10)
		n := 0
		s.beforeMove = func() { n++; s.data = newStorage(t, deadline.Add(time.Duration(n)), 10).data }
		_, _, found, err := s.toucher().Touch(t.Context(), "k", time.Minute, readShort)
		require.ErrorContains(t, err, "changed each time")
		require.False(t, found)
	})
	t.Run("past the deadline", func(t *testing.T) {
		s := newStorage(t, time.Now().Add(-time.Second).UTC(), 10)
		_, _, found, err := s.toucher().Touch(t.Context(), "k", time.Minute, readShort)
		require.NoError(t, err)
		require.False(t, found)
		require.True(t, s.expiry.Before(time.Now()), "the storage must know")
	})
}

// A condition must hold all that decides the deadline, or be a digest.
func TestCondition(t *testing.T) {
	deadline := time.Now().Add(time.Hour).UTC()
	s := newStorage(t, deadline, 4096)
	_, _, found, err := s.toucher().Touch(t.Context(), "k", time.Minute, readShort)
	require.NoError(t, err)
	require.True(t, found)
	require.False(t, s.last.IsDigest())
	require.True(t, s.last.Deadline().Equal(deadline))
	require.True(t, bytes.HasPrefix(s.data, s.last.Guard()))
	got, err := readShort(s.last.Guard())
	require.NoError(t, err)
	require.True(t, got.Equal(deadline))

	// The same time as a value in front of the deadline that counts.
	b, err := deadline.MarshalBinary()
	require.NoError(t, err)
	s.data = append(b, s.data...)
	_, _, found, err = s.toucher().Touch(t.Context(), "k", time.Minute, func(data []byte) (time.Time, error) {
		if len(data) < touch.HeadSize {
			return time.Time{}, errors.New("cut")
		}
		return deadline, nil
	})
	require.NoError(t, err)
	require.True(t, found)
	require.True(t, s.last.IsDigest())
}
