// Command htmx is a small app whose links and forms are boosted by htmx: it
// fetches the next page and puts its body in place of the last one.
//
//	go run ./examples/htmx
//
// htmx comes from a CDN; -htmx names another URL of it.
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
	htmxURL = "https://cdn.jsdelivr.net/npm/htmx.org@2.0.11/dist/htmx.min.js"
	// A CDN that is broken into must not get into the app. Computed from the file
	// in the npm package, whose bytes the CDN serves.
	htmxHash = "sha384-2OatzQy1H+Zd/IIrjr1TcuDGqLXeHhbooAyJY1KdQMKnr4LZ22k31GBLdYKHmVjg"
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
	library := flag.String("htmx", htmxURL, "`URL` of htmx 2")
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

// newHandler returns the app. library is the URL of htmx.
func newHandler(idle time.Duration, library string) (http.Handler, error) {
	sessions := scs.New()
	sessions.IdleTimeout = idle
	sessions.Lifetime = 12 * time.Hour
	// The first page may have no session, and is the only one whose head htmx
	// keeps. pages.html tells the script of those that follow.
	km, err := keepalive.New(sessions, keepalive.Config{Anonymous: true, LoginURL: "/sign-in"})
	if err != nil {
		return nil, err
	}

	show := func(w http.ResponseWriter, r *http.Request, code int, p page) {
		p.User, p.Library, p.Idle = sessions.GetString(r.Context(), "user"), library, idle
		if library == htmxURL {
			p.Hash = htmxHash
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
			// htmx does not show this answer, so what was typed stays where it is; a
			// browser without it gets it back.
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
