package touch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive/internal/gob"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the stores' copies of touch.go")

// Each store's module has its copy of touch.go, made by -update.
func TestCopies(t *testing.T) {
	source, err := os.ReadFile("touch.go")
	require.NoError(t, err)
	_, code, found := strings.Cut(string(source), "package touch\n")
	require.True(t, found)
	for _, name := range []string{"goredisstore", "pgxstore", "mysqlstore", "sqlite3store"} {
		path := filepath.Join("..", "..", name, "touch.go")
		want := fmt.Sprintf("// Code generated from ../internal/touch/touch.go; DO NOT EDIT.\n\npackage %s\n%s", name, code)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(want), 0o666))
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(got), "run: go test ./internal/touch -update")
	}
}

// fast reads a deadline as the core does, strict as a codec without short cut.
func fast(data []byte) (time.Time, error) {
	if t, ok := gob.Deadline(data); ok {
		return t, nil
	}
	return strict(data)
}

func strict(data []byte) (time.Time, error) {
	t, _, err := scs.GobCodec{}.Decode(data)
	return t, err
}

// storage is one session in memory. It does what a test puts in the way.
type storage struct {
	data              []byte
	expiry            time.Time
	gone              bool
	heads, all, moves int
	before            func() // runs before each move
	err               error
}

func newStorage(t *testing.T, deadline time.Time, size int) *storage {
	data, err := scs.GobCodec{}.Encode(deadline, map[string]any{"v": strings.Repeat("x", size)})
	require.NoError(t, err)
	return &storage{data: data, expiry: time.Now().Add(time.Minute)}
}

func (s *storage) head(context.Context, string) ([]byte, bool, error) {
	s.heads++
	return s.data[:min(len(s.data), headSize)], !s.gone, s.err
}

func (s *storage) FindCtx(context.Context, string) ([]byte, bool, error) {
	s.all++
	return s.data, !s.gone, s.err
}

func (s *storage) digest(data []byte) string {
	sum := sha256.Sum256(data)
	return string(sum[:])
}

func (s *storage) move(_ context.Context, _ string, h hint, next time.Time) (time.Time, bool, error) {
	s.moves++
	if s.before != nil {
		s.before()
	}
	same := bytes.HasPrefix(s.data, h.guard())
	if h.whole {
		same = string(h.guard()) == s.digest(s.data)
	}
	if s.err != nil || s.gone || !same {
		return time.Time{}, false, s.err
	}
	if next.After(s.expiry) {
		s.expiry = next
	}
	if s.expiry.After(h.deadline) {
		s.expiry = h.deadline
	}
	return s.expiry, true, nil
}

func TestTouch(t *testing.T) {
	tests := []struct {
		name              string
		read              func([]byte) (time.Time, error)
		heads, all, moves int // of three touches of one session
	}{
		{name: "a codec that can read the beginning", read: fast, heads: 1, moves: 3},
		{name: "another codec", read: strict, heads: 1, all: 1, moves: 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			deadline := time.Now().Add(time.Hour).UTC()
			s, hs := newStorage(t, deadline, 4096), newHints()
			for range 3 {
				expiry, end, found, err := hs.touch(t.Context(), s, "k", 20*time.Minute, tt.read)
				require.NoError(t, err)
				require.True(t, found)
				require.True(t, end.Equal(deadline))
				require.True(t, expiry.Equal(s.expiry))
			}
			require.Equal(t, []int{tt.heads, tt.all, tt.moves}, []int{s.heads, s.all, s.moves})

			// What another process has written counts, each time.
			sooner := newStorage(t, time.Now().Add(10*time.Minute).UTC(), 4096)
			s.before = func() { s.data, s.before = sooner.data, nil }
			expiry, end, found, err := hs.touch(t.Context(), s, "k", 20*time.Minute, tt.read)
			require.NoError(t, err)
			require.True(t, found)
			require.True(t, expiry.Equal(end) && end.Before(deadline))

			s.gone = true
			_, _, found, err = hs.touch(t.Context(), s, "k", 20*time.Minute, tt.read)
			require.NoError(t, err)
			require.False(t, found)
		})
	}
}

func TestTouchFails(t *testing.T) {
	deadline := time.Now().Add(time.Hour).UTC()
	broken := errors.New("broken")
	t.Run("storage", func(t *testing.T) {
		s := newStorage(t, deadline, 10)
		s.err = broken
		_, _, found, err := newHints().touch(t.Context(), s, "k", time.Minute, fast)
		require.ErrorIs(t, err, broken)
		require.False(t, found)
	})
	t.Run("codec", func(t *testing.T) {
		s := newStorage(t, deadline, 10)
		_, _, _, err := newHints().touch(t.Context(), s, "k", time.Minute, func([]byte) (time.Time, error) { return time.Time{}, broken })
		require.Equal(t, broken, err)
		require.Zero(t, s.moves)
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := newStorage(t, deadline, 10)
		_, _, _, err := newHints().touch(ctx, s, "k", time.Minute, fast)
		require.Equal(t, context.Canceled, err)
		require.Zero(t, s.heads)
	})
	t.Run("data that changes for ever", func(t *testing.T) {
		s := newStorage(t, deadline, 10)
		n := 0
		s.before = func() { n++; s.data = newStorage(t, deadline.Add(time.Duration(n)), 10).data }
		_, _, found, err := newHints().touch(t.Context(), s, "k", time.Minute, fast)
		require.ErrorIs(t, err, errBusy)
		require.False(t, found)
	})
	t.Run("past the deadline", func(t *testing.T) {
		s := newStorage(t, time.Now().Add(-time.Second).UTC(), 10)
		_, _, found, err := newHints().touch(t.Context(), s, "k", time.Minute, fast)
		require.NoError(t, err)
		require.False(t, found)
		require.True(t, s.expiry.Before(time.Now()), "the storage must know")
	})
}

// A guard must hold all that decides the deadline, or nothing.
func TestGuard(t *testing.T) {
	deadline := time.Now().Add(time.Hour).UTC()
	data := newStorage(t, deadline, 4096).data
	h, ok := newHint(data[:headSize], fast)
	require.True(t, ok)
	require.True(t, bytes.HasPrefix(data, h.guard()))
	got, err := fast(h.guard())
	require.NoError(t, err)
	require.True(t, got.Equal(deadline))

	// The same time as a value in front of the deadline that counts.
	b, err := deadline.MarshalBinary()
	require.NoError(t, err)
	_, ok = newHint(append(b, data[:headSize-len(b)]...), func(data []byte) (time.Time, error) {
		if len(data) < headSize {
			return time.Time{}, errors.New("cut")
		}
		return deadline, nil
	})
	require.False(t, ok)
}

func TestHintsAreBounded(t *testing.T) {
	hs := newHints()
	h, ok := newHint(newStorage(t, time.Now().UTC(), 10).data, fast)
	require.True(t, ok)
	for i := range 5 * maxHints {
		hs.note(fmt.Sprint(i), h)
	}
	require.LessOrEqual(t, len(hs.young)+len(hs.old), 2*maxHints)
	_, ok = hs.get(fmt.Sprint(5*maxHints - 1))
	require.True(t, ok)
	_, ok = hs.get("0")
	require.False(t, ok)
}

// A call goes on when its context ends; its caller does not wait.
func TestFinish(t *testing.T) {
	broken := errors.New("broken")
	require.Equal(t, broken, finish(t.Context(), func(context.Context) error { return broken }))

	ctx, cancel := context.WithCancel(t.Context())
	reached, done := make(chan error), make(chan error)
	go func() {
		done <- finish(ctx, func(ctx context.Context) error {
			reached <- nil
			reached <- ctx.Err()
			return nil
		})
	}()
	<-reached
	cancel()
	require.Equal(t, context.Canceled, <-done)
	require.NoError(t, <-reached)
}

func TestBecause(t *testing.T) {
	broken := errors.New("broken")
	ctx, cancel := context.WithCancel(t.Context())
	require.Equal(t, broken, because(ctx, broken))
	cancel()
	require.NoError(t, because(ctx, nil))
	require.ErrorIs(t, because(ctx, broken), context.Canceled)
	require.ErrorIs(t, because(ctx, broken), broken)
	require.Equal(t, context.Canceled, because(ctx, context.Canceled))
}
