package touch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/touch"
	"github.com/stretchr/testify/require"
)

var errBroken = errors.New("broken")

func TestWithContextError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	require.Equal(t, errBroken, touch.WithContextError(ctx, errBroken))
	cancel()
	require.NoError(t, touch.WithContextError(ctx, nil))
	require.ErrorIs(t, touch.WithContextError(ctx, errBroken), context.Canceled)
	require.ErrorIs(t, touch.WithContextError(ctx, errBroken), errBroken)
	require.Equal(t, context.Canceled, touch.WithContextError(ctx, context.Canceled))
	require.ErrorIs(t, touch.WithContextError(lateContext{t.Context()}, errBroken), context.DeadlineExceeded)
}

// lateContext has passed its deadline and does not know it yet.
type lateContext struct{ context.Context }

func (lateContext) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

func TestRunWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	for _, ctx := range []context.Context{ctx, context.Background()} {
		v, err := touch.RunWithContext(ctx, func(context.Context) (int, error) { return 1, errBroken })
		require.Equal(t, errBroken, err)
		require.Equal(t, 1, v)
	}

	// The call hangs for as long as the test runs.
	_, err := touch.RunWithContext(ctx, func(context.Context) (int, error) {
		cancel()
		<-t.Context().Done()
		return 0, nil
	})
	require.Equal(t, context.Canceled, err)

	_, err = touch.RunWithContext(ctx, func(context.Context) (int, error) { panic("the context has ended") })
	require.Equal(t, context.Canceled, err)
}

// A detached call goes on when its context ends; its caller does not wait.
func TestRunDetached(t *testing.T) {
	v, err := touch.RunDetached(t.Context(), func(context.Context) (int, error) { return 1, errBroken })
	require.Equal(t, errBroken, err)
	require.Equal(t, 1, v)

	ctx, cancel := context.WithCancel(t.Context())
	reached, done := make(chan error), make(chan error)
	go func() {
		_, err := touch.RunDetached(ctx, func(ctx context.Context) (int, error) {
			reached <- nil
			reached <- ctx.Err()
			return 0, nil
		})
		done <- err
	}()
	<-reached
	cancel()
	require.Equal(t, context.Canceled, <-done)
	require.NoError(t, <-reached)
}

func TestRetry(t *testing.T) {
	errConflict := errors.New("conflict")
	isConflict := func(err error) bool { return errors.Is(err, errConflict) }
	tests := []struct {
		name    string
		answers []error // the last one is repeated
		calls   int
		err     error
	}{
		{name: "success", answers: []error{nil}, calls: 1},
		{name: "another error", answers: []error{errBroken}, calls: 1, err: errBroken},
		{name: "success after conflicts", answers: []error{errConflict, errConflict, nil}, calls: 3},
		{name: "conflicts for ever", answers: []error{errConflict}, calls: 100, err: errConflict},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			err := touch.Retry(t.Context(), func() error {
				calls++
				return tt.answers[min(calls, len(tt.answers))-1]
			}, isConflict)
			require.Equal(t, tt.err, err)
			require.Equal(t, tt.calls, calls)
		})
	}

	ctx, cancel := context.WithCancel(t.Context())
	err := touch.Retry(ctx, func() error { cancel(); return errConflict }, isConflict)
	require.Equal(t, context.Canceled, err, "it does not try again")
}
