package sqlite3store_test

import (
	"database/sql"
	"log"
	"net/http"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/sqlite3store"
)

var _ keepalive.Store = (*sqlite3store.SQLite3Store)(nil)

// The driver's name is that of modernc.org/sqlite, which the program imports too.
func ExampleNew() {
	db, err := sql.Open("sqlite", "file:sessions.db?_pragma=journal_mode(WAL)")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	sessionManager := scs.New()
	sessionManager.Store = sqlite3store.New(db)

	km, err := keepalive.New(sessionManager, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	err = http.ListenAndServe("localhost:8080", km.LoadAndSave(http.NewServeMux()))
	log.Print(err)
}
