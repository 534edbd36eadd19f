package touch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// detachedTimeout is how long a detached call may take.
const detachedTimeout = 5 * time.Second

// WithContextError returns err joined with the context's error, if the context
// has ended: drivers return errors of their own then. Test with errors.Is.
func WithContextError(ctx context.Context, err error) error {
	ended := ctx.Err()
	if deadline, ok := ctx.Deadline(); ended == nil && ok && !time.Now().Before(deadline) {
		ended = context.DeadlineExceeded // the driver's own timer may be the first to see it
	}
	if err != nil && ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w", ended, err)
	}
	return err
}

// RunWithContext returns what call returns, or the context's error as soon as
// the context ends: some drivers go on waiting for an answer. The call goes on
// in the background then, and what it has sent may still be carried out. It is
// not made if the context has ended before.
func RunWithContext[T any](ctx context.Context, call func(context.Context) (T, error)) (v T, err error) {
	if err := ctx.Err(); err != nil {
		return v, err
	}
	if ctx.Done() == nil { // it never ends
		return call(ctx)
	}
	v, err = await(ctx, ctx, call)
	return v, WithContextError(ctx, err)
}

// RunDetached makes a call with a context that goes on for 5 seconds when ctx
// ends, or has ended: a logout must not get lost because its client hangs up.
// The caller waits no longer than ctx, whose error it gets then.
func RunDetached[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), detachedTimeout)
	return await(ctx, detached, func(ctx context.Context) (T, error) {
		defer cancel()
		return call(ctx)
	})
}

// await makes a call in the background, with a context of its own, and waits for
// it or for the end of ctx.
func await[T any](ctx, callCtx context.Context, call func(context.Context) (T, error)) (v T, err error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := call(callCtx)
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

// Retry makes a call again, at most 100 times, as long as it fails with a
// conflict: a server that resolves a deadlock has undone one side's statement,
// which may be run again at once.
func Retry(ctx context.Context, call func() error, isConflict func(error) bool) (err error) {
	for range maxTries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err = call(); err == nil || !isConflict(err) {
			break
		}
		time.Sleep(rand.N(5 * time.Millisecond))
	}
	return WithContextError(ctx, err)
}
