package stores_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/seed4a306b22/keepalive/sqlite3store"
	"github.com/stretchr/testify/require"
)

// sqliteFile opens a database, with the table of scs. conns bounds the
// connections, where a setting is one of the connection: 0 for as many as it
// takes.
func sqliteFile(t *testing.T, driver, file string, conns int) *sql.DB {
	params := map[string]string{"sqlite": "?_pragma=busy_timeout(5000)", "sqlite3": "?_busy_timeout=5000"}
	db, err := sql.Open(driver, "file:"+file+params[driver])
	require.NoError(t, err)
	db.SetMaxOpenConns(conns)
	t.Cleanup(func() { _ = db.Close() })
	sqliteExec(t, db, `
		CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL);
		CREATE INDEX IF NOT EXISTS sessions_expiry_idx ON sessions(expiry);`)
	return db
}

func sqliteExec(t *testing.T, db *sql.DB, query string) {
	_, err := db.Exec(query)
	require.NoError(t, err)
}

// tightDisk is a database with little room. fill takes what is left of it and
// free gives room again; other is a second handle, to read with.
type tightDisk struct {
	store, other keepalive.Store
	fill, free   func()
	// touches reports whether a touch may find no room either.
	touches bool
}

// limitPages bounds the pages of one connection.
func limitPages(t *testing.T, driver string) tightDisk {
	file := filepath.Join(servers.TempDir(t), "sessions.db")
	db, other := sqliteFile(t, driver, file, 1), sqliteFile(t, driver, file, 1)
	sqliteExec(t, db, `PRAGMA max_page_count = 100`)
	return tightDisk{
		store: sqlite3store.NewWithCleanupInterval(db, 0), other: sqlite3store.NewWithCleanupInterval(other, 0),
		fill: func() {}, free: func() { sqliteExec(t, db, `PRAGMA max_page_count = 10000`) },
	}
}

// smallDisk is a file system of its own.
func smallDisk(journal string) func(t *testing.T, driver string) tightDisk {
	return func(t *testing.T, driver string) tightDisk {
		dir := servers.TempDir(t)
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("may not mount: %v", err)
			}
			t.Skipf("needs root: may not mount: %v", err)
		}
		t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
		file, ballast := filepath.Join(dir, "sessions.db"), filepath.Join(dir, "ballast")
		db, other := sqliteFile(t, driver, file, 0), sqliteFile(t, driver, file, 1)
		sqliteExec(t, db, `PRAGMA journal_mode = `+journal)
		require.NoError(t, os.WriteFile(ballast, make([]byte, 500<<10), 0o600))
		fill := func() {
			f, err := os.OpenFile(ballast, os.O_APPEND|os.O_WRONLY, 0)
			require.NoError(t, err)
			defer f.Close()
			for err == nil {
				_, err = f.Write(make([]byte, 4096))
			}
			require.ErrorIs(t, err, syscall.ENOSPC)
		}
		return tightDisk{
			store: sqlite3store.NewWithCleanupInterval(db, 0), other: sqlite3store.NewWithCleanupInterval(other, 0),
			fill: fill, free: func() { require.NoError(t, os.Remove(ballast)) }, touches: true,
		}
	}
}

func TestFaultDiskFull(t *testing.T) {
	for _, driver := range []string{"sqlite", "sqlite3"} {
		for name, disk := range map[string]func(*testing.T, string) tightDisk{
			"pages": limitPages, "rollback journal": smallDisk("DELETE"), "WAL": smallDisk("WAL"),
		} {
			t.Run(driver+"/"+name, func(t *testing.T) {
				noGoroutinesLeft(t)
				diskFull(t, disk(t, driver))
			})
		}
	}
}

func diskFull(t *testing.T, d tightDisk) {
	a := newFaultApp(t, d.store)
	var tokens []string
	for i := range 5 {
		tokens = append(tokens, a.login(t))
		code, ok := a.put(tokens[i], strings.Repeat("v", i*1000))
		require.True(t, ok, code)
	}
	stored, err := d.other.(*sqlite3store.SQLite3Store).All()
	require.NoError(t, err)
	fillStore(t, d, stored, 4000)
	d.fill()
	fillStore(t, d, stored, 100)
	requireStored(t, d.other, stored)

	for _, token := range tokens {
		require.Contains(t, []int{200, 503}, a.ping(token))
		require.Equal(t, 200, a.code("/read", token))
		code, ok := a.put(token, strings.Repeat("w", 20_000))
		require.False(t, ok)
		require.Equal(t, 500, code)
	}
	require.Equal(t, 500, a.code("/put?v="+strings.Repeat("w", 20_000), ""), "a new session")
	requireStored(t, d.other, stored)
	refused := fullTouches(t, d, stored)
	if d.touches {
		require.Positive(t, refused, "the disk is not full")
	}

	d.free()
	requireStored(t, d.other, stored)
	for _, token := range tokens {
		require.Equal(t, 200, a.ping(token))
		code, ok := a.put(token, strings.Repeat("w", 20_000))
		require.True(t, ok, code)
	}
}

// fillStore commits sessions of a size until one has no room, and adds them to
// stored.
func fillStore(t *testing.T, d tightDisk, stored map[string][]byte, size int) {
	for i := range 1000 {
		key, data := fmt.Sprintf("%d bytes %d", size, i), bytes.Repeat([]byte{byte(i)}, size)
		if err := d.store.Commit(key, data, time.Now().Add(time.Hour)); err != nil {
			require.ErrorContains(t, err, "full")
			_, found, err := d.other.Find(key)
			require.NoError(t, err)
			require.False(t, found, "was answered with an error")
			return
		}
		stored[key] = data
	}
	require.Fail(t, "there is room for all")
}

// requireStored requires that another handle sees these sessions and no others.
func requireStored(t *testing.T, other keepalive.Store, stored map[string][]byte) {
	t.Helper()
	all, err := other.(*sqlite3store.SQLite3Store).All()
	require.NoError(t, err)
	require.Equal(t, len(stored), len(all))
	for key, data := range stored {
		require.True(t, bytes.Equal(data, all[key]), key)
	}
}

// fullTouches touches and replaces each session. What was answered must be what
// another handle sees, as a driver learns only at the end of a statement that it
// could not be committed.
func fullTouches(t *testing.T, d tightDisk, stored map[string][]byte) (refused int) {
	deadline := func([]byte) (time.Time, error) { return time.Now().Add(lifetime), nil }
	idle := 2 * time.Hour
	for key, old := range stored {
		before, found, err := d.other.Expiry(t.Context(), key)
		require.NoError(t, err)
		require.True(t, found)
		idle += time.Minute
		answered, found, err := d.store.Touch(context.Background(), key, idle, deadline)
		require.True(t, found || err != nil, "reported as gone")
		after, there, oerr := d.other.Expiry(t.Context(), key)
		require.NoError(t, oerr)
		require.True(t, there)
		if err != nil {
			refused++
			require.Equal(t, before, after, "was answered with %v", err)
		} else {
			require.Equal(t, answered, after)
		}

		data := old
		if strings.Contains(key, "bytes") { // no app reads it
			data = bytes.Repeat([]byte{'r'}, len(old))
		}
		found, err = d.store.Replace(context.Background(), key, data, before)
		require.True(t, found || err != nil, "reported as gone")
		if err == nil {
			old, stored[key] = data, data
		}
		now, there, err := d.other.Find(key)
		require.NoError(t, err)
		require.True(t, there)
		require.True(t, bytes.Equal(old, now), key)
	}
	return refused
}
