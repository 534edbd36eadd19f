package storetest_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/storetest"
	"github.com/stretchr/testify/require"
)

// faulty is a store whose methods can be replaced one by one.
type faulty struct {
	find    func(key string) ([]byte, bool, error)
	commit  func(key string, data []byte, expiry time.Time) error
	delete  func(key string) error
	all     func() (map[string][]byte, error)
	touch   touchFunc
	replace func(ctx context.Context, key string, data []byte, expiry time.Time) (bool, error)
	expiry  func(ctx context.Context, key string) (time.Time, bool, error)
	swap    swapFunc
	take    func(ctx context.Context, key string) ([]byte, bool, error)
	// touchDeadline is nil for a TouchDeadline by touch.
	touchDeadline func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (expiry, end time.Time, found bool, err error)
}

type swapFunc = func(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error)

type touchFunc = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error)

func (f *faulty) Find(key string) ([]byte, bool, error) { return f.find(key) }
func (f *faulty) Commit(key string, data []byte, expiry time.Time) error {
	return f.commit(key, data, expiry)
}
func (f *faulty) Delete(key string) error         { return f.delete(key) }
func (f *faulty) All() (map[string][]byte, error) { return f.all() }

func (f *faulty) Touch(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
	return f.touch(ctx, key, idle, deadline)
}

func (f *faulty) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (bool, error) {
	return f.replace(ctx, key, data, expiry)
}

func (f *faulty) Expiry(ctx context.Context, key string) (time.Time, bool, error) {
	return f.expiry(ctx, key)
}

func (f *faulty) Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
	return f.swap(ctx, key, old, data, expiry)
}

func (f *faulty) Take(ctx context.Context, key string) ([]byte, bool, error) {
	return f.take(ctx, key)
}

func (f *faulty) TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (expiry, end time.Time, found bool, err error) {
	if f.touchDeadline != nil {
		return f.touchDeadline(ctx, key, idle, deadline)
	}
	return touchDeadline(ctx, f.touch, key, idle, deadline)
}

// brokenStore is a store with one fault.
type brokenStore struct {
	name  string
	fault func(f *faulty, m memory)
	cases string // those that must fail
}

var brokenStores = slices.Concat(brokenTouches, brokenDeadlines, brokenOthers, brokenSwaps)

// subjectEnv names the broken store for TestBrokenStore.
const subjectEnv = "STORETEST_BROKEN"

// TestBrokenStore runs the kit on one broken store. It fails, so it is run only
// by TestKitSees, in a process of its own.
func TestBrokenStore(t *testing.T) {
	name := os.Getenv(subjectEnv)
	if name == "" {
		t.Skip("run by TestKitSees")
	}
	for _, b := range brokenStores {
		if b.name == name {
			m := newMemory()
			s := &faulty{m.Find, m.Commit, m.Delete, m.All, m.Touch, m.Replace, m.Expiry, m.Swap, m.Take, nil}
			b.fault(s, m)
			storetest.Run(t, func(*testing.T) keepalive.Store { return s })
		}
	}
}

func TestKitSees(t *testing.T) {
	t.Parallel()
	for _, b := range brokenStores {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			cases := strings.Split(b.cases, "; ")
			for i, c := range cases {
				cases[i] = strings.ReplaceAll(c, " ", "_")
			}
			// Alternatives at the top level of a -run pattern are patterns of their own.
			cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^TestBrokenStore$/^"+strings.Join(cases, "$|^TestBrokenStore$/^"))
			cmd.Env = append(os.Environ(), subjectEnv+"="+b.name, "KEEPALIVE_ROUNDS=2000")
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "the kit passes a broken store:\n%s", out)
			for _, c := range cases {
				require.True(t, bytes.Contains(out, []byte("--- FAIL: TestBrokenStore/"+c+" ")), "%s does not fail:\n%s", c, out)
			}
			require.False(t, bytes.Contains(out, []byte("panic:")), "%s", out)
		})
	}
}
