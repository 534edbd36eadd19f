package doctor_test

import (
	"context"
	"time"

	"github.com/seed4a306b22/keepalive"
)

// stuck is a store whose Touch says that it has moved the expiry, and has not.
type stuck struct{ keepalive.Store }

func (s stuck) Touch(ctx context.Context, key string, idle time.Duration, deadline func([]byte) (time.Time, error)) (time.Time, bool, error) {
	return s.Expiry(ctx, key)
}
