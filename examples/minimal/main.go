// The shortest complete program: sign in at /login, then leave the page open.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
)

func main() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute
	sessions.Lifetime = 12 * time.Hour

	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.RenewToken(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		sessions.Put(r.Context(), "user", "ann")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!doctype html><title>App</title><p>User: %q", sessions.GetString(r.Context(), "user"))
	})

	km, err := keepalive.New(sessions, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", km.LoadAndSave(mux))) // was sessions.LoadAndSave(mux)
}
