// Command mysql is a small app whose sessions are in MySQL or MariaDB, so that
// several instances on any number of machines share them:
//
//	cd examples/mysql && go run . -dsn 'root@tcp(localhost:3306)/test'
//	cd examples/mysql && go run . -dsn 'root@tcp(localhost:3306)/test' -listen localhost:8081 # in a second terminal
//
// Sign in at http://localhost:8080, then open http://localhost:8081. Cookies are
// per host, not per port, so one browser has the same session at both.
package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"flag"
	"html/template"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/go-sql-driver/mysql"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/mysqlstore"
)

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>A note in MySQL or MariaDB</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 34rem; margin: 2rem auto; padding: 0 1rem }
input, textarea, button { display: block; font: inherit; margin: .25rem 0 1rem; padding: .4rem .8rem }
input, textarea { box-sizing: border-box; width: 100% }
</style>
<h1>A note in MySQL or MariaDB</h1>
{{if .User}}<p id="ended" role="alert" hidden>Your session has ended. <a href="/" target="_blank">Sign in in a new tab</a>, then save here.</p>
<form method="post" action="/note">
<label for="note">Note of {{.User}}</label>
<textarea id="note" name="note" rows="8" maxlength="4000">{{.Note}}</textarea>
<button>Save</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>
<script>document.addEventListener('keepalive:expired', () => { document.querySelector('#ended').hidden = false })</script>
{{else}}<form method="post" action="/sign-in">
<label for="user">Your name (any will do: this example asks for no password)</label>
<input id="user" name="user" required maxlength="40" autocomplete="username">
<button>Sign in</button></form>
{{end}}<p><small>This page is from the instance at {{.Instance}}.</small></p>
`))

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` to serve the app at")
	// No default here, as -help would print a password in the environment.
	dsn := flag.String("dsn", "", "`DSN` of the database (default $MYSQL_DSN, else root@tcp(localhost:3306)/test)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)

	config, err := mysql.ParseDSN(cmp.Or(*dsn, os.Getenv("MYSQL_DSN"), "root@tcp(localhost:3306)/test"))
	if err != nil {
		log.Fatalf("%v; give another database with -dsn", err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		log.Fatalf("%v; give another database with -dsn", err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetConnMaxLifetime(3 * time.Minute) // the driver asks for it: servers and proxies close idle connections
	check, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := db.PingContext(check); err != nil {
		log.Fatalf("the server at %s does not answer: %v; start one or give another with -dsn", config.Addr, err)
	}
	if _, err := db.ExecContext(check, `CREATE TABLE IF NOT EXISTS sessions (
		token CHAR(43) PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL,
		INDEX sessions_expiry_idx (expiry))`); err != nil {
		log.Fatalf("the table could not be made: %v", err)
	}

	sessions := scs.New()
	sessions.Store = mysqlstore.New(db)
	sessions.IdleTimeout = 20 * time.Minute
	sessions.Lifetime = 12 * time.Hour
	// sessions.Cookie.Secure = true // where the app is reached by HTTPS only
	km, err := keepalive.New(sessions, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		user, note := sessions.GetString(r.Context(), "user"), sessions.GetString(r.Context(), "note")
		w.Header().Set("Cache-Control", "no-store")
		_ = page.Execute(w, map[string]string{"Instance": *listen, "User": user, "Note": note}) // the browser may have gone
	})
	mux.HandleFunc("POST /sign-in", func(w http.ResponseWriter, r *http.Request) {
		// Neither a token that others may know nor what somebody else left stays.
		if err := errors.Join(sessions.RenewToken(r.Context()), sessions.Clear(r.Context())); err != nil {
			http.Error(w, "The session could not be begun.", http.StatusInternalServerError)
			return
		}
		sessions.Put(r.Context(), "user", r.PostFormValue("user"))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /note", func(w http.ResponseWriter, r *http.Request) {
		switch err := r.ParseForm(); {
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		case sessions.GetString(r.Context(), "user") == "":
			http.Error(w, "Your session has ended. Go back, sign in in a new tab, then save again.", http.StatusUnauthorized)
		default:
			sessions.Put(r.Context(), "note", r.PostForm.Get("note"))
			http.Redirect(w, r, "/", http.StatusSeeOther)
		}
	})
	mux.HandleFunc("POST /sign-out", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Destroy(r.Context()); err != nil {
			http.Error(w, "The session could not be ended.", http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})

	guarded := http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(mux), 32<<10))
	server := &http.Server{Addr: *listen, Handler: guarded, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		log.Printf("serving http://%s", *listen)
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	stop() // so that a second signal ends the program at once
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}
