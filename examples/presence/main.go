// Command presence is a small app with a board that shows live who is on which
// page.
//
//	go run ./examples/presence
//
// Sign in with two browsers, under two names, and watch the board in one of them.
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
	"github.com/seed4a306b22/keepalive/presence"
)

//go:embed pages.html
var source string

var pages = template.Must(template.New("").Parse(source))

// places are the pages that one can be on, by path.
var places = map[string]string{"/": "Home", "/orders": "Orders", "/stock": "Stock", "/board": "Who is where"}

func main() {
	addr := flag.String("addr", "localhost:8080", "`host:port` to listen on")
	idle := flag.Duration("idle", 20*time.Minute, "idle timeout")
	flag.Parse()

	handler, stop, err := newHandler(*idle)
	if err != nil {
		log.Fatal(err)
	}
	defer stop()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatalf("%v; give another address with -addr", err)
	}
	fmt.Printf("Open http://%s (Ctrl-C stops)\n", ln.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(ln))
}

func newHandler(idle time.Duration) (h http.Handler, stop func(), err error) {
	sessions := scs.New()
	sessions.IdleTimeout = idle
	sessions.Lifetime = 12 * time.Hour

	tracker, err := presence.New(presence.Config{
		Identify: func(r *http.Request) (string, any) { return sessions.GetString(r.Context(), "user"), nil },
		Grace:    3 * time.Second, // one sees it happen
	})
	if err != nil {
		return nil, nil, err
	}
	km, err := keepalive.New(sessions, keepalive.Config{
		Presence: keepalive.PresencePath,
		LoginURL: "/sign-in",
		// Whoever watches the board keeps a session by its page, not by its stream.
		Passive:  func(r *http.Request) bool { return r.URL.Path == "/who" },
		Observer: tracker.Observe,
	})
	if err != nil {
		return nil, nil, err
	}

	show := func(w http.ResponseWriter, code int, name string, data map[string]any) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		_ = pages.ExecuteTemplate(w, name, data) // the browser may have gone
	}
	// signedIn is the authorization of this app: whoever has signed in may see all.
	signedIn := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sessions.Exists(r.Context(), "user") {
				next.ServeHTTP(w, r)
				return
			}
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		})
	}
	mux := http.NewServeMux()
	for path, title := range places {
		if path == "/" {
			path = "/{$}"
		}
		mux.Handle("GET "+path, signedIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			show(w, http.StatusOK, "page", map[string]any{
				"Title": title, "Path": r.URL.Path, "Places": places, "User": sessions.GetString(r.Context(), "user"),
			})
		})))
	}
	mux.Handle("GET /who", signedIn(tracker.Handler()))
	mux.HandleFunc("GET /sign-in", func(w http.ResponseWriter, _ *http.Request) {
		show(w, http.StatusOK, "sign-in", map[string]any{"Title": "Sign in"})
	})
	mux.HandleFunc("POST /sign-in", func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimSpace(r.PostFormValue("name"))
		if name == "" {
			show(w, http.StatusUnprocessableEntity, "sign-in", map[string]any{"Title": "Sign in", "Problem": "Please write a name."})
			return
		}
		if err := errors.Join(sessions.RenewToken(r.Context()), sessions.Clear(r.Context())); err != nil {
			http.Error(w, "The session could not be begun.", http.StatusInternalServerError)
			return
		}
		sessions.Put(r.Context(), "user", name)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /sign-out", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Destroy(r.Context()); err != nil {
			http.Error(w, "The session could not be ended.", http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	})
	return http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(mux), 32<<10)), tracker.Close, nil
}
