// Command csrf is a small app whose forms carry a CSRF token, which each ping
// renews. A form that was open while its token changed is accepted:
//
//	cd examples/csrf && go run .
//
// Sign in, open the note, sign in again in a second tab, which changes the
// token, and save the note in the first one.
//
// Programs that use http.CrossOriginProtection need no tokens, and none of this.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/justinas/nosurf"
	"github.com/seed4a306b22/keepalive"
)

//go:embed pages.html
var source string

var pages = template.Must(template.New("").Parse(source))

// page is what a template is filled with. Title is also the template's name.
type page struct {
	Title, Field, Token, User, Note, Problem string
	Idle                                     time.Duration
}

func main() {
	addr := flag.String("addr", "localhost:8080", "`host:port` to listen on")
	idle := flag.Duration("idle", 20*time.Second, "idle timeout; this one is short, so that you can watch, and the log says so")
	flag.Parse()

	handler, err := newHandler(*idle)
	if err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatalf("%v; give another address with -addr", err)
	}
	fmt.Printf("Open http://%s (Ctrl-C stops)\n", ln.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(ln))
}

func newHandler(idle time.Duration) (http.Handler, error) {
	sessions := scs.New()
	sessions.IdleTimeout = idle
	sessions.Lifetime = 12 * time.Hour
	km, err := keepalive.New(sessions, keepalive.Config{
		// A form that was refused because its session had ended asks for a token too,
		// when the user comes back from signing in.
		Anonymous: true,
		LoginURL:  "/sign-in",
		// A token for the cookie that this very request brought, or is given.
		Payload: func(_ context.Context, r *http.Request) (any, error) { return nosurf.Token(r), nil },
	})
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	// nosurf stands outside, so that it has read its cookie when Payload asks.
	csrf := nosurf.New(km.LoadAndSave(mux))
	// A cookie without a path would be one for /keepalive only if a ping set it.
	csrf.SetBaseCookie(http.Cookie{Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	csrf.SetIsTLSFunc(func(r *http.Request) bool { return r.TLS != nil })
	// Pings carry no token. keepalive refuses those from other origins itself.
	csrf.ExemptPath(km.Path() + "ping")
	csrf.SetFailureHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "This form is out of date. Go back, copy what you wrote, and load the page again.", http.StatusBadRequest)
	}))

	show := func(w http.ResponseWriter, r *http.Request, code int, p page) {
		p.Field, p.Token = nosurf.FormFieldName, nosurf.Token(r)
		p.User, p.Idle = sessions.GetString(r.Context(), "user"), idle
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		_ = pages.ExecuteTemplate(w, p.Title, p) // the browser may have gone
	}
	for path, title := range map[string]string{"/{$}": "Home", "/about": "About", "/sign-in": "Sign in"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			show(w, r, http.StatusOK, page{Title: title})
		})
	}
	mux.HandleFunc("POST /sign-in", func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimSpace(r.PostFormValue("name"))
		if name == "" {
			show(w, r, http.StatusUnprocessableEntity, page{Title: "Sign in", Problem: "Please write a name."})
			return
		}
		// Neither a token that others may know nor what somebody else left stays.
		if err := errors.Join(sessions.RenewToken(r.Context()), sessions.Clear(r.Context())); err != nil {
			http.Error(w, "The session could not be begun.", http.StatusInternalServerError)
			return
		}
		csrf.RegenerateToken(w, r)
		sessions.Put(r.Context(), "user", name)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /note", func(w http.ResponseWriter, r *http.Request) {
		if !sessions.Exists(r.Context(), "user") {
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
			return
		}
		show(w, r, http.StatusOK, page{Title: "Note", Note: sessions.GetString(r.Context(), "note")})
	})
	mux.HandleFunc("POST /note", func(w http.ResponseWriter, r *http.Request) {
		note := r.PostFormValue("note")
		if !sessions.Exists(r.Context(), "user") {
			show(w, r, http.StatusUnauthorized, page{Title: "Note", Note: note, Problem: "Not saved: your session has ended."})
			return
		}
		sessions.Put(r.Context(), "note", note)
		http.Redirect(w, r, "/note", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /sign-out", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Destroy(r.Context()); err != nil {
			http.Error(w, "The session could not be ended.", http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})

	outer := http.NewServeMux()
	outer.Handle("/", http.MaxBytesHandler(csrf, 32<<10))
	// The script is the same for everybody and is kept by caches: no cookie of
	// one browser goes out with it.
	outer.Handle(km.Path()+"keepalive.js", km.Handler())
	return outer, nil
}
