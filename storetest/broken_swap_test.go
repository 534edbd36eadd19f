package storetest_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"time"
)

// brokenSwaps are stores of which Swap or Take has a fault.
var brokenSwaps = []brokenStore{
	{"Swap looks, then replaces", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			r, found := m.get(key)
			switch {
			case ctx.Err() != nil || !found:
				return nil, false, ctx.Err()
			case !bytes.Equal(r.data, old):
				return r.data, true, nil
			case expiry.IsZero():
				expiry = r.expiry
			}
			found, err := m.Replace(ctx, key, data, expiry)
			return nil, found, err
		}
	}, "each step/Commit; each step/Replace; each step/SetDeadline; each step/Touch; each step/Swap"},

	{"Swap replaces whatever there is", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, _, data []byte, expiry time.Time) ([]byte, bool, error) {
			r, _ := m.get(key)
			return m.Swap(ctx, key, r.data, data, expiry)
		}
	}, "Swap/other data; random merges/Touch; random merges/Replace; random merges/SetDeadline; random merges/Swap"},

	{"Swap creates", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			current, found, err := m.Swap(ctx, key, old, data, expiry)
			if err == nil && !found {
				err = m.Commit(key, data, time.Now().Add(longest))
			}
			return current, found, err
		}
	}, "gone; ends on time; each step/Delete; each step/RenewToken; each step/Take; random/Delete; random merges/Delete; random merges/Take; random merges/RenewToken"},

	{"Swap finds the dead", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			current, _, err := m.Swap(ctx, key, old, data, expiry)
			return current, err == nil, err
		}
	}, "gone; ends on time"},

	{"Swap does not look at the expiry", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error) {
			m.do(key, func(r *row, there bool) bool {
				if found = there; found && !r.live() {
					*r = row{data, time.Now().Add(longest)}
					return true
				}
				return false
			})
			if found {
				return m.Swap(ctx, key, old, data, expiry)
			}
			return nil, false, ctx.Err()
		}
	}, "ends on time; written too late"},

	{"Swap compares the length", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			if r, _ := m.get(key); len(r.data) == len(old) {
				old = r.data
			}
			return m.Swap(ctx, key, old, data, expiry)
		}
	}, "Swap/other data; random merges/Touch"},

	{"Swap compares all but the last byte", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			if r, _ := m.get(key); len(old) == len(r.data) && bytes.Equal(r.data[:len(r.data)-1], old[:len(old)-1]) {
				old = r.data
			}
			return m.Swap(ctx, key, old, data, expiry)
		}
	}, "Swap/other data"},

	{"Swap compares the first 4 KB by a digest", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			sum := func(data []byte) [sha1.Size]byte { return sha1.Sum(data[:min(len(data), 4<<10)]) }
			if r, _ := m.get(key); sum(r.data) == sum(old) {
				old = r.data
			}
			return m.Swap(ctx, key, old, data, expiry)
		}
	}, "Swap/other data"},

	{"Swap ignores what ends the data as text", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			if r, _ := m.get(key); bytes.Equal(bytes.TrimRight(r.data, " \x00"), bytes.TrimRight(old, " \x00")) {
				old = r.data
			}
			return m.Swap(ctx, key, old, data, expiry)
		}
	}, "Swap/other data"},

	{"Swap takes equal data for done", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			current, found, err := m.Swap(ctx, key, old, data, expiry)
			if bytes.Equal(current, data) {
				current = nil
			}
			return current, found, err
		}
	}, "Swap/other data"},

	{"Swap counts changed rows", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			before, _ := m.get(key)
			current, found, err := m.Swap(ctx, key, old, data, expiry)
			after, _ := m.get(key)
			return current, found && !(bytes.Equal(before.data, after.data) && before.expiry.Equal(after.expiry)), err
		}
	}, "Swap/equal data"},

	{"Swap answers what it was given", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			current, found, err := m.Swap(ctx, key, old, data, expiry)
			if current != nil {
				current = old
			}
			return current, found, err
		}
	}, "Swap/other data"},

	{"Swap sets the expiry also where the data is another", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			current, found, err := m.Swap(ctx, key, old, data, expiry)
			if current != nil && !expiry.IsZero() {
				_, err = m.Replace(ctx, key, current, expiry)
			}
			return current, found, err
		}
	}, "Swap/other data"},

	{"Swap only lengthens", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			if r, _ := m.get(key); expiry.Before(r.expiry) {
				expiry = r.expiry
			}
			return m.Swap(ctx, key, old, data, expiry)
		}
	}, "Swap/equal data; written too late"},

	{"Swap takes the zero expiry for a time", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			if expiry.IsZero() {
				expiry = time.Now()
			}
			return m.Swap(ctx, key, old, data, expiry)
		}
	}, "Swap/equal data; each step/Touch; random merges/Touch"},

	{"Swap keeps the expiry", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, _ time.Time) ([]byte, bool, error) {
			return m.Swap(ctx, key, old, data, time.Time{})
		}
	}, "Swap/equal data; written too late"},

	{"Swap past the expiry keeps for ever", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			if !expiry.IsZero() && expiry.Before(time.Now()) {
				expiry = time.Now().Add(longest)
			}
			return m.Swap(ctx, key, old, data, expiry)
		}
	}, "written too late"},

	{"Swap ends data at a NUL", func(f *faulty, m memory) {
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			data, _, _ = bytes.Cut(data, []byte{0, 0, 0})
			return m.Swap(ctx, key, old, data, expiry)
		}
	}, "binary data; Swap/equal data"},

	{"Swap ignores its context", func(f *faulty, m memory) {
		f.swap = func(_ context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			return m.Swap(context.Background(), key, old, data, expiry)
		}
	}, "context/has ended"},

	{"Swap waits for a touch longer than its context", func(f *faulty, m memory) {
		lock := make(chan struct{}, 1)
		f.touch = func(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
			select {
			case lock <- struct{}{}:
				defer func() { <-lock }()
			case <-ctx.Done():
				return time.Time{}, false, ctx.Err()
			}
			return m.Touch(ctx, key, idle, deadline)
		}
		f.swap = func(ctx context.Context, key string, old, data []byte, expiry time.Time) ([]byte, bool, error) {
			lock <- struct{}{}
			defer func() { <-lock }()
			return m.Swap(ctx, key, old, data, expiry)
		}
	}, "context/ends a wait"},

	{"Take looks, then deletes", func(f *faulty, m memory) {
		f.take = func(ctx context.Context, key string) ([]byte, bool, error) {
			r, found := m.get(key)
			_ = ctx.Err()
			return r.data, found, m.Delete(key)
		}
	}, "Take/each step"},

	{"Take does not look at the expiry", func(f *faulty, m memory) {
		f.take = func(_ context.Context, key string) ([]byte, bool, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			r, found := m.rows[key]
			delete(m.rows, key)
			return r.data, found, nil
		}
	}, "ends on time"},

	{"Take always finds", func(f *faulty, m memory) {
		f.take = func(ctx context.Context, key string) ([]byte, bool, error) {
			data, _, err := m.Take(ctx, key)
			return data, err == nil, err
		}
	}, "gone; Take/returns the data; Take/finds once"},

	{"Take only looks", func(f *faulty, m memory) {
		f.take = func(_ context.Context, key string) ([]byte, bool, error) { return m.Find(key) }
	}, "Take/returns the data; Take/finds once; Take/context has ended; random/Take; random merges/Take"},

	{"Take ends with its context", func(f *faulty, m memory) {
		f.take = func(ctx context.Context, key string) ([]byte, bool, error) {
			if err := ctx.Err(); err != nil {
				return nil, false, err
			}
			return m.Take(ctx, key)
		}
	}, "Take/context has ended"},

	{"Take finds nothing when its context has ended", func(f *faulty, m memory) {
		f.take = func(ctx context.Context, key string) ([]byte, bool, error) {
			data, found, err := m.Take(ctx, key)
			return data, found && ctx.Err() == nil, err
		}
	}, "Take/context has ended"},

	{"Take returns what was committed first", func(f *faulty, m memory) {
		first := make(map[string][]byte)
		f.commit = func(key string, data []byte, expiry time.Time) error {
			m.mu.Lock()
			if _, there := first[key]; !there {
				first[key] = data
			}
			m.mu.Unlock()
			return m.Commit(key, data, expiry)
		}
		f.take = func(ctx context.Context, key string) ([]byte, bool, error) {
			_, found, err := m.Take(ctx, key)
			m.mu.Lock()
			defer m.mu.Unlock()
			return first[key], found, err
		}
	}, "Take/returns the data; random merges/Take"},
}
