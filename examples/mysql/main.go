// Command mysql is a small app whose sessions are in MySQL or MariaDB, so that
// several instances on any number of machines share them:
//
//	cd examples/mysql && go run . -dsn 'root@tcp(localhost:3306)/test'
//	cd examples/mysql && go run . -dsn 'root@tcp(localhost:3306)/test' -addr localhost:8081 # in a second terminal
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
	"github.com/go-sql-driver/mysql"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
	"github.com/seed4a306b22/keepalive/mysqlstore"
)

func main() {
	addr, idle := site.Flags(20 * time.Minute)
	// No default here, as -help would print a password in the environment.
	dsn := flag.String("dsn", "", "`DSN` of the database (default $MYSQL_DSN, else root@tcp(localhost:3306)/test)")
	flag.Parse()

	config, err := mysql.ParseDSN(cmp.Or(*dsn, os.Getenv("MYSQL_DSN"), "root@tcp(localhost:3306)/test"))
	if err != nil {
		log.Fatalf("%v; give another database with -dsn", err)
	}
	if config.Params == nil {
		config.Params = make(map[string]string)
	}
	config.Params["time_zone"] = "'+00:00'" // one for all instances, without summer time: see package mysqlstore
	connector, err := mysql.NewConnector(config)
	if err != nil {
		log.Fatalf("%v; give another database with -dsn", err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetConnMaxLifetime(3 * time.Minute) // the driver asks for it: servers and proxies close idle connections
	check, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := db.PingContext(check); err != nil {
		log.Fatalf("the server at %s does not answer: %v; start one or give another with -dsn", config.Addr, err)
	}
	if _, err := db.ExecContext(check, `CREATE TABLE IF NOT EXISTS sessions (
		token CHAR(43) COLLATE ascii_bin PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL,
		INDEX sessions_expiry_idx (expiry))`); err != nil {
		log.Fatalf("the table could not be created: %v", err)
	}

	sessions := scs.New()
	sessions.Store = mysqlstore.New(db)
	sessions.IdleTimeout = *idle
	sessions.Lifetime = 12 * time.Hour
	// sessions.Cookie.Secure = true // if the app is served by HTTPS only
	km, err := keepalive.New(sessions, keepalive.Config{LoginURL: "/sign-in"})
	if err != nil {
		log.Fatal(err)
	}

	app := site.NewStoreApp("MySQL", *addr, sessions)
	site.Run(*addr, http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(app), 32<<10)))
}
