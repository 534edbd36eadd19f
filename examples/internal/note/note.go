// Package note is the app of the examples that keep sessions in a shared store:
// people sign in, and write a note that lives in their session.
package note

import (
	"context"
	"errors"
	"html/template"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
)

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>A note in {{.Storage}}</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 34rem; margin: 2rem auto; padding: 0 1rem }
input, textarea, button { display: block; font: inherit; margin: .25rem 0 1rem; padding: .4rem .8rem }
input, textarea { box-sizing: border-box; width: 100% }
</style>
<h1>A note in {{.Storage}}</h1>
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

// Serve serves the app at an address until the process is told to end. storage is
// what the page says that the sessions are in.
func Serve(listen, storage string, sessions *scs.SessionManager, km *keepalive.Manager) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		user, note := sessions.GetString(r.Context(), "user"), sessions.GetString(r.Context(), "note")
		w.Header().Set("Cache-Control", "no-store")
		_ = page.Execute(w, map[string]string{"Storage": storage, "Instance": listen, "User": user, "Note": note}) // the browser may have gone
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
	server := &http.Server{Addr: listen, Handler: guarded, ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		log.Printf("serving http://%s", listen)
		ended <- server.ListenAndServe()
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stop() // so that a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
