// Command postgres is a small app whose sessions are in PostgreSQL, so that
// several instances on any number of machines share them:
//
//	cd examples/postgres && go run . -dsn postgres://localhost:5432/postgres
//	cd examples/postgres && go run . -dsn postgres://localhost:5432/postgres -addr localhost:8081 # in a second terminal
//
// Sign in at http://localhost:8080, then open http://localhost:8081. Cookies are
// per host, not per port, so one browser has the same session at both.
package main

import (
	"cmp"
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
	"github.com/seed4a306b22/keepalive/pgxstore"
)

func main() {
	addr, idle := site.Flags(20 * time.Minute)
	// No default here, as -help would print a password in the environment.
	dsn := flag.String("dsn", "", "`URL` of the database (default $DATABASE_URL, else postgres://localhost:5432/postgres)")
	flag.Parse()

	check, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	pool, err := pgxpool.New(check, cmp.Or(*dsn, os.Getenv("DATABASE_URL"), "postgres://localhost:5432/postgres"))
	if err != nil {
		log.Fatalf("%v; give another database with -dsn", err)
	}
	defer pool.Close()
	if err := pool.Ping(check); err != nil {
		conn := pool.Config().ConnConfig
		log.Fatalf("the server at %s:%d does not answer: %v; start one or give another with -dsn", conn.Host, conn.Port, err)
	}
	// All in one transaction. The lock, of any number, is for instances that start
	// at the same moment, where IF NOT EXISTS alone can fail.
	if _, err := pool.Exec(check, `
		SELECT pg_advisory_xact_lock(20250101);
		CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
		CREATE INDEX IF NOT EXISTS sessions_expiry_idx ON sessions (expiry);`); err != nil {
		log.Fatalf("the table could not be created: %v", err)
	}

	sessions := scs.New()
	sessions.Store = pgxstore.New(pool)
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
