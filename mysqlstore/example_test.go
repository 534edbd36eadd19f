package mysqlstore_test

import (
	"database/sql"
	"log"
	"net/http"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/mysqlstore"
)

var _ keepalive.Store = (*mysqlstore.MySQLStore)(nil)

func ExampleNew() {
	db, err := sql.Open("mysql", "user:password@tcp(localhost:3306)/app?time_zone=%27%2B00%3A00%27")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	sessionManager := scs.New()
	sessionManager.Store = mysqlstore.New(db)

	km, err := keepalive.New(sessionManager, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	err = http.ListenAndServe("localhost:8080", km.LoadAndSave(http.NewServeMux()))
	log.Print(err)
}
