// Command sqlite is a small app whose sessions are in SQLite, so that
// several instances on one machine share them:
//
//	cd examples/sqlite && go run . -file sessions.db
//	cd examples/sqlite && go run . -file sessions.db -addr localhost:8081 # in a second terminal
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
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
	"github.com/seed4a306b22/keepalive/sqlite3store"
	_ "modernc.org/sqlite"
)

func main() {
	addr, idle := site.Flags(20 * time.Minute)
	file := flag.String("file", cmp.Or(os.Getenv("SQLITE_FILE"), "sessions.db"), "`path` of the database, also $SQLITE_FILE; created if missing")
	flag.Parse()

	// WAL lets readers go on beside the one writer; the timeout lets writers queue.
	db, err := sql.Open("sqlite", "file:"+*file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	check, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// SQLite does not wait when another instance changes a new file to WAL.
	for ; ; time.Sleep(20 * time.Millisecond) {
		_, err := db.ExecContext(check, `
			CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL);
			CREATE INDEX IF NOT EXISTS sessions_expiry_idx ON sessions(expiry);`)
		if err == nil {
			break
		}
		if check.Err() != nil || !strings.Contains(err.Error(), "database is locked") {
			log.Fatalf("the file %s can't be used: %v; give another with -file", *file, err)
		}
	}

	sessions := scs.New()
	sessions.Store = sqlite3store.New(db)
	sessions.IdleTimeout = *idle
	sessions.Lifetime = 12 * time.Hour
	// sessions.Cookie.Secure = true // if the app is served by HTTPS only
	km, err := keepalive.New(sessions, keepalive.Config{LoginURL: "/sign-in"})
	if err != nil {
		log.Fatal(err)
	}

	app := site.NewStoreApp("SQLite", *addr, sessions)
	site.Run(*addr, http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(app), 32<<10)))
}
