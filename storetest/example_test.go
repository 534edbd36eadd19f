package storetest_test

import (
	"database/sql"
	"testing"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/storetest"
)

var (
	t          *testing.T                       // of your own func TestStore(t *testing.T)
	newMyStore func(db *sql.DB) keepalive.Store // the store that you have written
)

func ExampleRun() {
	db, err := sql.Open("mydriver", "mydatabase") // once, for all cases
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })

	storetest.Run(t, func(*testing.T) keepalive.Store { return newMyStore(db) })
}
