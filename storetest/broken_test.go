package storetest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
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
}

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

// then changes what a right touch does, by what is done after it.
func then(m memory, f func(key string, expiry time.Time, found bool, err error) (time.Time, bool, error)) touchFunc {
	return func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
		expiry, found, err := m.Touch(ctx, key, idle, deadline)
		return f(key, expiry, found, err)
	}
}

// readAndWrite is a touch of two steps: read, and write what is made of it.
func readAndWrite(m memory, write func(key string, r row, idle time.Duration, end time.Time) (time.Time, bool)) touchFunc {
	return func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
		r, found := m.get(key)
		if ctx.Err() != nil || !found {
			return time.Time{}, false, ctx.Err()
		}
		end, err := deadline(r.data)
		if err != nil || !time.Now().Before(end) {
			return time.Time{}, false, err
		}
		expiry, found := write(key, r, idle, end)
		return expiry, found, nil
	}
}

// remembering is a touch that asks for the deadline only once for each hint that
// it makes of a key and its data.
func remembering(m memory, hint func(key string, data []byte) string) touchFunc {
	var deadlines sync.Map
	return func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
		return m.Touch(ctx, key, idle, func(data []byte) (time.Time, error) {
			h := hint(key, data)
			if end, ok := deadlines.Load(h); ok {
				return end.(time.Time), nil
			}
			end, err := deadline(data)
			if err == nil {
				deadlines.Store(h, end)
			}
			return end, err
		})
	}
}

var broken = []struct {
	name  string
	fault func(f *faulty, m memory)
	cases string // those that must fail
}{
	{"touch inserts what is not there", func(f *faulty, m memory) {
		f.touch = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
			if _, found := m.get(key); !found && ctx.Err() == nil {
				expiry := time.Now().Add(idle)
				return expiry, true, m.Commit(key, nil, expiry)
			}
			return m.Touch(ctx, key, idle, deadline)
		}
	}, "gone; frozen/Delete; each step/RenewToken; random/Delete"},

	{"touch reads, then updates without a condition", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, r row, idle time.Duration, end time.Time) (expiry time.Time, found bool) {
			expiry = clamp(r.expiry, idle, end)
			return expiry, m.update(key, func(r *row) bool { r.expiry = expiry; return true })
		})
	}, "frozen/SetDeadline; frozen/later deadline; frozen/Touch; random/SetDeadline; random/Touch"},

	{"touch reads, then updates without a condition on the deadline only", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, _ row, idle time.Duration, end time.Time) (expiry time.Time, found bool) {
			found = m.update(key, func(r *row) bool {
				expiry = clamp(r.expiry, idle, end)
				r.expiry = expiry
				return true
			})
			return expiry, found
		})
	}, "frozen/SetDeadline; frozen/later deadline; random/SetDeadline"},

	{"touch rewrites the data", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, r row, idle time.Duration, end time.Time) (expiry time.Time, found bool) {
			expiry = clamp(r.expiry, idle, end)
			return expiry, m.update(key, func(now *row) bool { *now = row{r.data, expiry}; return true })
		})
	}, "frozen/Commit; frozen/Replace; frozen/SetDeadline; random/Commit; random/Replace"},

	{"touch commits what it has read", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, r row, idle time.Duration, end time.Time) (time.Time, bool) {
			expiry := clamp(r.expiry, idle, end)
			_ = m.Commit(key, r.data, expiry)
			return expiry, true
		})
	}, "frozen/Commit; frozen/Delete; frozen/RenewToken; ends while it is touched; random/Delete; random/RenewToken"},

	{"touch changes the data", func(f *faulty, m memory) {
		f.touch = then(m, func(key string, expiry time.Time, found bool, err error) (time.Time, bool, error) {
			m.update(key, func(r *row) bool { r.data = append(bytes.Clone(r.data), ' '); return true })
			return expiry, found, err
		})
	}, "Touch/extends; Touch/idle zero"},

	{"touch extends first and clamps after", func(f *faulty, m memory) {
		f.touch = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
			if ctx.Err() != nil {
				return time.Time{}, false, ctx.Err()
			}
			m.update(key, func(r *row) bool {
				r.expiry = clamp(r.expiry, idle, time.Now().Add(idle))
				return true
			})
			return m.Touch(ctx, key, idle, deadline)
		}
	}, "Touch/error of deadline; context/ends at each step; frozen/look; each step/look"},

	{"touch extends, and clamps in a second call", func(f *faulty, m memory) {
		f.touch = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
			_, found, err := m.Touch(ctx, key, idle, func(data []byte) (time.Time, error) {
				_, err := deadline(data)
				return time.Now().Add(2 * longest), err
			})
			if err != nil || !found || ctx.Err() != nil {
				return time.Time{}, false, err
			}
			return m.Touch(ctx, key, 0, deadline)
		}
	}, "context/ends at each step; each step/look"},

	{"touch ignores the deadline", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, _ row, idle time.Duration, _ time.Time) (expiry time.Time, found bool) {
			found = m.update(key, func(r *row) bool {
				expiry = clamp(r.expiry, idle, time.Now().Add(longest))
				r.expiry = expiry
				return true
			})
			return expiry, found
		})
	}, "Touch/not past the deadline; Touch/idle for a century; Touch/back to the deadline, idle zero; ends on time; random/look"},

	{"touch moves the expiry backwards", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, _ row, idle time.Duration, end time.Time) (expiry time.Time, found bool) {
			expiry = clamp(time.Time{}, idle, end)
			return expiry, m.update(key, func(r *row) bool { r.expiry = expiry; return true })
		})
	}, "Touch/never backwards; Touch/idle negative; frozen/Touch; random/Touch"},

	{"touch finds the dead", func(f *faulty, m memory) {
		f.touch = then(m, func(key string, expiry time.Time, _ bool, err error) (time.Time, bool, error) {
			return expiry, err == nil, err
		})
	}, "gone; Touch/past the deadline; ends on time; ends while it is touched; frozen/Delete"},

	{"touch revives a row that is past its expiry", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, r row, idle time.Duration, end time.Time) (expiry time.Time, found bool) {
			m.do(key, func(r *row, there bool) bool {
				expiry = clamp(r.expiry, idle, end)
				r.expiry, found = expiry, there
				return there
			})
			return expiry, found
		})
	}, "ends while it is touched"},

	{"touch writes nothing", func(f *faulty, m memory) {
		f.touch = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (expiry time.Time, found bool, err error) {
			r, found := m.get(key)
			if ctx.Err() != nil || !found {
				return time.Time{}, false, ctx.Err()
			}
			end, err := deadline(r.data)
			return clamp(r.expiry, idle, end), err == nil && time.Now().Before(end), err
		}
	}, "Touch/extends; Touch/back to the deadline; ends on time"},

	{"touch does not clamp what lies past the deadline", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, _ row, idle time.Duration, end time.Time) (expiry time.Time, found bool) {
			found = m.update(key, func(r *row) bool {
				if r.expiry.Before(end) {
					r.expiry = clamp(r.expiry, idle, end)
				}
				expiry = r.expiry
				return true
			})
			return expiry, found
		})
	}, "Touch/back to the deadline; Touch/past the deadline"},

	{"touch says gone when it gains nothing", func(f *faulty, m memory) {
		f.touch = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
			before, _ := m.get(key)
			expiry, found, err := m.Touch(ctx, key, idle, deadline)
			return expiry, found && !expiry.Equal(before.expiry), err
		}
	}, "Touch/never backwards; Touch/idle zero"},

	{"touch says gone when the data has changed", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, r row, idle time.Duration, end time.Time) (expiry time.Time, found bool) {
			found = m.update(key, func(now *row) bool {
				expiry = clamp(now.expiry, idle, end)
				now.expiry = expiry
				return bytes.Equal(now.data, r.data)
			})
			return expiry, found
		})
	}, "frozen/Commit; frozen/Replace; frozen twice/Touch; random/Replace"},

	{"touch is careful once, not twice", func(f *faulty, m memory) {
		f.touch = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (expiry time.Time, found bool, err error) {
			var ends []time.Time
			expiry, found, err = m.Touch(ctx, key, idle, func(data []byte) (time.Time, error) {
				end, err := deadline(data)
				if ends = append(ends, end); len(ends) > 2 {
					end = ends[1]
				}
				return end, err
			})
			return expiry, found, err
		}
	}, "frozen twice/SetDeadline; frozen twice/later deadline"},

	{"touch rounds to seconds", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, _ row, idle time.Duration, end time.Time) (expiry time.Time, found bool) {
			found = m.update(key, func(r *row) bool {
				r.expiry = clamp(r.expiry, idle, end).Truncate(time.Second)
				expiry = r.expiry
				return true
			})
			return expiry, found
		})
	}, "Touch/extends; Touch/precise"},

	{"touch skips small gains", func(f *faulty, m memory) {
		f.touch = readAndWrite(m, func(key string, _ row, idle time.Duration, end time.Time) (expiry time.Time, found bool) {
			found = m.update(key, func(r *row) bool {
				if next := clamp(r.expiry, idle, end); next.Sub(r.expiry) > time.Second || next.Before(r.expiry) {
					r.expiry = next
				}
				expiry = r.expiry
				return true
			})
			return expiry, found
		})
	}, "Touch/precise"},

	{"touch hides the error of deadline", func(f *faulty, m memory) {
		f.touch = then(m, func(_ string, expiry time.Time, found bool, err error) (time.Time, bool, error) {
			if err != nil {
				err = fmt.Errorf("touch: %v", err)
			}
			return expiry, found, err
		})
	}, "Touch/error of deadline; context/has ended"},

	{"touch remembers the deadline by key", func(f *faulty, m memory) {
		f.touch = remembering(m, func(key string, _ []byte) string { return key })
	}, "Touch/remembered deadline; random/SetDeadline"},

	{"touch remembers the deadline by the first 128 bytes, whatever the codec", func(f *faulty, m memory) {
		f.touch = remembering(m, func(_ string, data []byte) string { return string(data[:min(len(data), 128)]) })
	}, "Touch/remembered deadline; frozen twice/SetDeadline"},

	{"touch remembers the deadline by the length of the data", func(f *faulty, m memory) {
		f.touch = remembering(m, func(key string, data []byte) string { return fmt.Sprint(key, len(data)) })
	}, "Touch/remembered deadline"},

	{"touch ignores its context", func(f *faulty, m memory) {
		f.touch = func(_ context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
			return m.Touch(context.Background(), key, idle, deadline)
		}
	}, "context/has ended"},

	{"touch waits for a lock longer than its context", func(f *faulty, m memory) {
		var mu sync.Mutex
		f.touch = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
			mu.Lock()
			defer mu.Unlock()
			return m.Touch(ctx, key, idle, deadline)
		}
	}, "context/ends a wait"},

	{"touch keeps its lock when it is cut short", func(f *faulty, m memory) {
		lock := make(chan struct{}, 1)
		f.touch = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
			select {
			case lock <- struct{}{}:
			case <-time.After(100 * time.Millisecond):
				return time.Time{}, false, context.DeadlineExceeded
			}
			expiry, found, err := m.Touch(ctx, key, idle, deadline)
			if ctx.Err() == nil {
				<-lock
			}
			return expiry, found, err
		}
	}, "context/ends at each step"},

	{"Replace creates", func(f *faulty, m memory) {
		f.replace = func(ctx context.Context, key string, data []byte, expiry time.Time) (bool, error) {
			return true, m.Commit(key, data, expiry)
		}
	}, "gone; context/has ended; each step/Delete; random/Delete; random/RenewToken"},

	{"Replace looks, then commits", func(f *faulty, m memory) {
		f.replace = func(ctx context.Context, key string, data []byte, expiry time.Time) (bool, error) {
			_, found := m.get(key)
			if err := ctx.Err(); err != nil || !found {
				return false, err
			}
			return true, m.Commit(key, data, expiry)
		}
	}, "each step/Delete; each step/RenewToken"},

	{"Replace keeps the expiry", func(f *faulty, m memory) {
		f.replace = func(ctx context.Context, key string, data []byte, _ time.Time) (bool, error) {
			r, _ := m.get(key)
			return m.Replace(ctx, key, data, r.expiry)
		}
	}, "Replace and Expiry; written too late"},

	{"Replace only lengthens", func(f *faulty, m memory) {
		f.replace = func(ctx context.Context, key string, data []byte, expiry time.Time) (bool, error) {
			if r, _ := m.get(key); expiry.Before(r.expiry) {
				expiry = r.expiry
			}
			return m.Replace(ctx, key, data, expiry)
		}
	}, "Replace and Expiry; written too late"},

	{"Expiry does not see touches", func(f *faulty, m memory) {
		var committed sync.Map
		f.commit = func(key string, data []byte, expiry time.Time) error {
			committed.Store(key, expiry)
			return m.Commit(key, data, expiry)
		}
		f.expiry = func(ctx context.Context, key string) (time.Time, bool, error) {
			_, found, err := m.Expiry(ctx, key)
			expiry, _ := committed.Load(key)
			t, _ := expiry.(time.Time)
			return t, found, err
		}
	}, "Touch/extends; Replace and Expiry"},

	{"Expiry finds the dead", func(f *faulty, m memory) {
		f.expiry = func(ctx context.Context, key string) (time.Time, bool, error) {
			expiry, _, err := m.Expiry(ctx, key)
			return expiry, err == nil, err
		}
	}, "gone; ends on time"},

	{"Find does not look at the expiry", func(f *faulty, m memory) {
		f.find = func(key string) (data []byte, found bool, err error) {
			m.do(key, func(r *row, there bool) bool {
				data, found = r.data, there
				return false
			})
			return data, found, nil
		}
	}, "ends on time; written too late"},

	{"Find matches without regard to the end", func(f *faulty, m memory) {
		f.find = func(key string) ([]byte, bool, error) {
			return m.Find(key[:min(len(key), 43)])
		}
	}, "keys"},

	{"Commit past the expiry keeps for ever", func(f *faulty, m memory) {
		f.commit = func(key string, data []byte, expiry time.Time) error {
			if expiry.Before(time.Now()) {
				expiry = time.Now().Add(longest)
			}
			return m.Commit(key, data, expiry)
		}
	}, "written too late"},

	{"Commit ends data at a NUL", func(f *faulty, m memory) {
		f.commit = func(key string, data []byte, expiry time.Time) error {
			if i := bytes.IndexByte(data, 0); i == 0 {
				data = nil
			}
			return m.Commit(key, data, expiry)
		}
	}, "binary data"},

	{"All shows the dead", func(f *faulty, m memory) {
		f.all = func() (map[string][]byte, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			all := make(map[string][]byte)
			for key, r := range m.rows {
				all[key] = r.data
			}
			return all, nil
		}
	}, "iteration"},
}

// longest is longer than any session.
const longest = 1000 * time.Hour

// subjectEnv names the broken store for TestBrokenStore.
const subjectEnv = "STORETEST_BROKEN"

// TestBrokenStore runs the kit on one broken store. It fails, so it is run only
// by TestKitSees, in a process of its own.
func TestBrokenStore(t *testing.T) {
	name := os.Getenv(subjectEnv)
	if name == "" {
		t.Skip("run by TestKitSees")
	}
	for _, b := range broken {
		if b.name == name {
			m := newMemory()
			s := &faulty{m.Find, m.Commit, m.Delete, m.All, m.Touch, m.Replace, m.Expiry}
			b.fault(s, m)
			storetest.Run(t, func(*testing.T) keepalive.Store { return s })
		}
	}
}

func TestKitSees(t *testing.T) {
	t.Parallel()
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			cases := strings.Split(b.cases, "; ")
			for i, c := range cases {
				cases[i] = strings.ReplaceAll(c, " ", "_")
			}
			// Alternatives at the top level of a -run pattern are patterns of their own.
			cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^TestBrokenStore$/^"+strings.Join(cases, "$|^TestBrokenStore$/^"))
			cmd.Env = append(os.Environ(), subjectEnv+"="+b.name, "KEEPALIVE_ROUNDS=800")
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
