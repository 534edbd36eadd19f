package storetest_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"
)

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

// longest is longer than any session.
const longest = 1000 * time.Hour

// brokenTouches are stores whose Touch has a fault.
var brokenTouches = []brokenStore{
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

	{"touch reports gone when it gains nothing", func(f *faulty, m memory) {
		f.touch = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
			before, _ := m.get(key)
			expiry, found, err := m.Touch(ctx, key, idle, deadline)
			return expiry, found && !expiry.Equal(before.expiry), err
		}
	}, "Touch/never backwards; Touch/idle zero"},

	{"touch reports gone when the data has changed", func(f *faulty, m memory) {
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
}
