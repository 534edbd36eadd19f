package pgxstore_test

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/pgxstore"
)

var _ keepalive.Store = (*pgxstore.PostgresStore)(nil)

func ExampleNew() {
	pool, err := pgxpool.New(context.Background(), os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	sessionManager := scs.New()
	sessionManager.Store = pgxstore.New(pool)

	km, err := keepalive.New(sessionManager, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	err = http.ListenAndServe("localhost:8080", km.LoadAndSave(http.NewServeMux()))
	log.Print(err)
}
