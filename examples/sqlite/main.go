// Command sqlite is a small app whose sessions are in SQLite, so that
// several instances on one machine share them:
//
//	cd examples/sqlite && go run . -file sessions.db
//	cd examples/sqlite && go run . -file sessions.db -listen localhost:8081 # in a second terminal
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
	"os"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/note"
	"github.com/seed4a306b22/keepalive/sqlite3store"
	_ "modernc.org/sqlite"
)

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` to serve the app at")
	file := flag.String("file", cmp.Or(os.Getenv("SQLITE_FILE"), "sessions.db"), "`path` of the database, also $SQLITE_FILE; made if missing")
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
	sessions.IdleTimeout = 20 * time.Minute
	sessions.Lifetime = 12 * time.Hour
	// sessions.Cookie.Secure = true // where the app is reached by HTTPS only
	km, err := keepalive.New(sessions, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}

	if err := note.Serve(*listen, "SQLite", sessions, km); err != nil {
		log.Fatal(err)
	}
}
