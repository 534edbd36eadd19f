package storetest_test

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// table is a storage in memory that does as a server does: what it is asked in
// one call is atomic, what is asked in two is not.
type table struct {
	mu   sync.Mutex
	rows map[string]row
}

type row struct {
	data   []byte
	expiry time.Time
}

func (r row) live() bool { return time.Now().Before(r.expiry) }

// do is one call. f gets the row, dead or alive, and its changes to it count if
// it returns true.
func (t *table) do(key string, f func(r *row, there bool) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, there := t.rows[key]
	if f(&r, there) {
		t.rows[key] = r
	}
}

// memory is a store on a table without locks of its own: a touch writes on the
// condition that the data is what it has read, and begins again if it is not.
type memory struct{ *table }

func newMemory() memory { return memory{&table{rows: make(map[string]row)}} }

// get returns a live row.
func (m memory) get(key string) (got row, found bool) {
	m.do(key, func(r *row, there bool) bool {
		got, found = *r, there && r.live()
		return false
	})
	return got, found
}

// update changes a live row.
func (m memory) update(key string, f func(r *row) bool) (found bool) {
	m.do(key, func(r *row, there bool) bool {
		found = there && r.live() && f(r)
		return found
	})
	return found
}

func (m memory) Find(key string) ([]byte, bool, error) {
	r, found := m.get(key)
	if !found {
		return nil, false, nil
	}
	return r.data, true, nil
}

func (m memory) Commit(key string, data []byte, expiry time.Time) error {
	m.do(key, func(r *row, _ bool) bool {
		*r = row{data, expiry}
		return true
	})
	return nil
}

func (m memory) Delete(key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, key)
	return nil
}

func (m memory) All() (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string][]byte)
	for key, r := range m.rows {
		if r.live() {
			all[key] = r.data
		}
	}
	return all, nil
}

func (m memory) Expiry(ctx context.Context, key string) (time.Time, bool, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, false, err
	}
	r, found := m.get(key)
	return r.expiry, found, nil
}

func (m memory) Replace(ctx context.Context, key string, data []byte, expiry time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return m.update(key, func(r *row) bool {
		*r = row{data, expiry}
		return true
	}), nil
}

func (m memory) Swap(ctx context.Context, key string, old, data []byte, expiry time.Time) (current []byte, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	m.update(key, func(r *row) bool {
		found = true
		if !bytes.Equal(r.data, old) {
			current = r.data
			return false
		}
		if expiry.IsZero() {
			expiry = r.expiry
		}
		*r = row{data, expiry}
		return true
	})
	return current, found, nil
}

func (m memory) Take(_ context.Context, key string) (data []byte, found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, found := m.rows[key]
	delete(m.rows, key)
	if !found || !r.live() {
		return nil, false, nil
	}
	return r.data, true, nil
}

// touchDeadline is TouchDeadline by a store's touch.
func touchDeadline(ctx context.Context, touch touchFunc, key string, idle time.Duration, deadline deadlineFunc) (expiry, end time.Time, found bool, err error) {
	expiry, found, err = touch(ctx, key, idle, func(data []byte) (time.Time, error) {
		var err error
		end, err = deadline(data)
		return end, err
	})
	return expiry, end, found, err
}

func (m memory) TouchDeadline(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (expiry, end time.Time, found bool, err error) {
	return touchDeadline(ctx, m.Touch, key, idle, deadline)
}

type deadlineFunc = func([]byte) (time.Time, error)

func (m memory) Touch(ctx context.Context, key string, idle time.Duration, deadline deadlineFunc) (time.Time, bool, error) {
	for {
		if err := ctx.Err(); err != nil {
			return time.Time{}, false, err
		}
		r, found := m.get(key)
		if !found {
			return time.Time{}, false, nil
		}
		end, err := deadline(r.data)
		if err != nil {
			return time.Time{}, false, err
		}
		if err := ctx.Err(); err != nil {
			return time.Time{}, false, err
		}
		var expiry time.Time
		changed := false
		found = m.update(key, func(now *row) bool {
			if changed = !bytes.Equal(now.data, r.data); changed {
				return false
			}
			now.expiry = clamp(now.expiry, idle, end)
			expiry = now.expiry
			return true
		})
		if !changed {
			return expiry, found && time.Now().Before(end), nil
		}
	}
}

// clamp is min(max(current, now+idle), deadline).
func clamp(current time.Time, idle time.Duration, deadline time.Time) time.Time {
	if next := time.Now().Add(idle); next.After(current) {
		current = next
	}
	if deadline.Before(current) {
		current = deadline
	}
	return current
}
