package storetest_test

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// brokenOthers are stores of which another method has a fault.
var brokenOthers = []brokenStore{
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
