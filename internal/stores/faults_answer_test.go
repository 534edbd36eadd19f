package stores_test

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// A call that has been carried out, and whose answer got lost, may tell an error, or
// what it did. It must not be made a second time and tell what that finds: a session
// that it has taken itself would have ended.
func TestFaultAnswerLost(t *testing.T) {
	type store = interface {
		keepalive.Store
		touchDeadliner
		Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error)
		Take(ctx context.Context, key string) (data []byte, found bool, err error)
	}
	calls := map[string]func(ctx context.Context, s store, key string, data []byte) (found bool, err error){
		"Take": func(ctx context.Context, s store, key string, data []byte) (bool, error) {
			got, found, err := s.Take(ctx, key)
			return found && string(got) == string(data), err
		},
		"Replace": func(ctx context.Context, s store, key string, data []byte) (bool, error) {
			return s.Replace(ctx, key, []byte("new"), time.Now().Add(time.Hour))
		},
		"Swap": func(ctx context.Context, s store, key string, data []byte) (bool, error) {
			current, found, err := s.Swap(ctx, key, data, []byte("new"), time.Time{})
			return found && (current == nil || string(current) == "new"), err
		},
		"Touch": func(ctx context.Context, s store, key string, _ []byte) (bool, error) {
			_, found, err := s.Touch(ctx, key, idle, readHead)
			return found, err
		},
		"Expiry": func(ctx context.Context, s store, key string, _ []byte) (bool, error) {
			_, found, err := s.Expiry(ctx, key)
			return found, err
		},
	}
	each(t, func(t *testing.T, b backend) {
		if b.server == nil {
			t.Skip("there is no wire")
		}
		data := newRecord(t, 0).data
		other := b.ours(t, via{})
		for name, call := range calls {
			for _, fault := range []error{io.EOF, syscall.ECONNRESET} {
				// Some need one answer before they send what has an effect.
				for answer := range int64(3) {
					var countdown atomic.Int64
					s := b.ours(t, via{dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
						conn, err := new(net.Dialer).DialContext(ctx, network, addr)
						return &loser{conn, &countdown, fault}, err
					}}).(store)
					countdown.Store(1000)
					_, err := call(t.Context(), s, "none", data) // connects, prepares, loads scripts
					require.NoError(t, err)
					key := rand.Text()
					require.NoError(t, other.Commit(key, data, time.Now().Add(time.Minute)))
					countdown.Store(answer + 1)
					found, err := call(t.Context(), s, key, data)
					require.True(t, found || err != nil, "%s with %v in place of answer %d", name, fault, answer)
					require.True(t, answer > 0 || countdown.Load() <= 0, "%s lost no answer", name)
				}
			}
		}
	})
}

// loser is a connection that fails in place of an answer.
type loser struct {
	net.Conn
	countdown *atomic.Int64 // of what is sent; the answer to the last of it gets lost
	fault     error
}

func (l *loser) Write(b []byte) (int, error) {
	l.countdown.Add(-1)
	return l.Conn.Write(b)
}

func (l *loser) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if err == nil && l.countdown.CompareAndSwap(0, -1000) {
		_ = l.Conn.Close()
		return 0, l.fault
	}
	return n, err
}
