// Command turbo is a small app with Turbo Drive, which fetches the next page and
// puts it in place of the last one, so that the window never loads another.
//
//	go run ./examples/turbo
//
// Turbo comes from a CDN; -turbo names another URL of it.
package main

import (
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
	"github.com/seed4a306b22/keepalive"
)

const (
	turboURL = "https://cdn.jsdelivr.net/npm/@hotwired/turbo@8.0.23/dist/turbo.es2017-umd.js"
	// A CDN that is broken into must not get into the app. Computed from the file
	// in the npm package, whose bytes the CDN serves.
	turboHash = "sha384-2ePXINFSJiSCWUJkjFJGYdr2kyM132s7uBi9k+JISp4P+AjN9DXn4H/1enWEHu36"
)

//go:embed pages.html
var source string

var pages = template.Must(template.New("").Parse(source))

// page is what a template is filled with. Title is also the template's name.
type page struct {
	Title, Library, Hash, User, Note, Problem string
	Idle                                      time.Duration
}

func main() {
	addr := flag.String("addr", "localhost:8080", "`host:port` to listen on")
	idle := flag.Duration("idle", 20*time.Second, "idle timeout; this one is short, so that you can watch, and the log says so")
	library := flag.String("turbo", turboURL, "`URL` of the UMD build of Turbo")
	flag.Parse()

	handler, err := newHandler(*idle, *library)
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

// newHandler returns the app. library is the URL of Turbo.
func newHandler(idle time.Duration, library string) (http.Handler, error) {
	sessions := scs.New()
	sessions.IdleTimeout = idle
	sessions.Lifetime = 12 * time.Hour
	// This is all that Turbo needs. It runs the script again for each page that
	// has it, and so the script hears who is signed in from pages without a
	// session too.
	km, err := keepalive.New(sessions, keepalive.Config{Anonymous: true, LoginURL: "/sign-in"})
	if err != nil {
		return nil, err
	}

	show := func(w http.ResponseWriter, r *http.Request, code int, p page) {
		p.User, p.Library, p.Idle = sessions.GetString(r.Context(), "user"), library, idle
		if library == turboURL {
			p.Hash = turboHash
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		_ = pages.ExecuteTemplate(w, p.Title, p) // the browser may have gone
	}
	mux := http.NewServeMux()
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
			// With what was typed, as this page takes the place of the one before.
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
	return http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(mux), 32<<10)), nil
}
