// Command libpq is a small app whose sessions are in PostgreSQL, by database/sql and
// lib/pq, so that several instances on any number of machines share them:
//
//	cd examples/libpq && go run . -dsn 'postgres://localhost:5432/postgres?sslmode=disable'
//	cd examples/libpq && go run . -dsn 'postgres://localhost:5432/postgres?sslmode=disable' -addr localhost:8081 # in a second terminal
//
// Sign in at http://localhost:8080, then open http://localhost:8081. Cookies are
// per host, not per port, so one browser has the same session at both.
package main

import (
	"cmp"
	"context"
	"database/sql"
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/alexedwards/scs/v2"
	_ "github.com/lib/pq"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
	"github.com/seed4a306b22/keepalive/postgresstore"
)

func main() {
	addr, idle := site.Flags(20 * time.Minute)
	// No default here, as -help would print a password in the environment.
	dsn := flag.String("dsn", "", "`URL` of the database (default $DATABASE_URL, else postgres://localhost:5432/postgres?sslmode=disable)")
	flag.Parse()

	db, err := sql.Open("postgres", cmp.Or(*dsn, os.Getenv("DATABASE_URL"), "postgres://localhost:5432/postgres?sslmode=disable"))
	if err != nil {
		log.Fatalf("%v; give another database with -dsn", err)
	}
	defer db.Close()
	db.SetMaxIdleConns(10) // the default of 2 makes many new connections
	check, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := db.PingContext(check); err != nil {
		log.Fatalf("the server does not answer: %v; start one or give another with -dsn", err)
	}
	// All in one transaction. The lock, of any number, is for instances that start
	// at the same moment, where IF NOT EXISTS alone can fail.
	if _, err := db.ExecContext(check, `
		SELECT pg_advisory_xact_lock(20250101);
		CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
		CREATE INDEX IF NOT EXISTS sessions_expiry_idx ON sessions (expiry);`); err != nil {
		log.Fatalf("the table could not be created: %v", err)
	}

	sessions := scs.New()
	sessions.Store = postgresstore.New(db)
	sessions.IdleTimeout = *idle
	sessions.Lifetime = 12 * time.Hour
	// sessions.Cookie.Secure = true // if the app is served by HTTPS only
	km, err := keepalive.New(sessions, keepalive.Config{LoginURL: "/sign-in"})
	if err != nil {
		log.Fatal(err)
	}

	app := site.NewStoreApp("PostgreSQL", *addr, sessions)
	site.Run(*addr, http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(app), 32<<10)))
}
