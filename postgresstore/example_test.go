package postgresstore_test

import (
	"database/sql"
	"log"
	"net/http"
	"os"

	"github.com/alexedwards/scs/v2"
	_ "github.com/lib/pq"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/postgresstore"
)

var _ keepalive.Store = (*postgresstore.PostgresStore)(nil)

// lib/pq must be at least of version 1.12.3, which this module asks for.
func ExampleNew() {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	sessionManager := scs.New()
	sessionManager.Store = postgresstore.New(db)

	km, err := keepalive.New(sessionManager, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	err = http.ListenAndServe("localhost:8080", km.LoadAndSave(http.NewServeMux()))
	log.Print(err)
}
