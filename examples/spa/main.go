// Command spa is a small single-page app: one page, which signs in and out by
// fetch and never loads anew. Its script is page/app.js.
//
//	go run ./examples/spa
package main

import (
	"embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
)

const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'"

//go:embed page
var files embed.FS

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

// state is what the page knows of the user, and what it sends.
type state struct {
	User string `json:"user"` // "" for nobody
	Note string `json:"note"`
}

func newHandler(idle time.Duration) (http.Handler, error) {
	sessions := scs.New()
	sessions.IdleTimeout = idle
	sessions.Lifetime = 12 * time.Hour
	// The page is loaded before anybody has signed in.
	km, err := keepalive.New(sessions, keepalive.Config{Anonymous: true, LoginURL: "/"})
	if err != nil {
		return nil, err
	}
	page, err := fs.Sub(files, "page")
	if err != nil {
		return nil, err
	}

	// Each endpoint answers with the state that it leaves behind.
	answer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(state{ // the browser may have gone
			User: sessions.GetString(r.Context(), "user"),
			Note: sessions.GetString(r.Context(), "note"),
		})
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.HandleFunc("GET /api/me", answer) // no error where there is nobody: browsers log those
	mux.HandleFunc("POST /api/login", func(w http.ResponseWriter, r *http.Request) {
		var sent state
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || strings.TrimSpace(sent.User) == "" {
			http.Error(w, "user must be a name", http.StatusUnprocessableEntity)
			return
		}
		// Neither a token that others may know nor what somebody else left stays.
		if err := errors.Join(sessions.RenewToken(r.Context()), sessions.Clear(r.Context())); err != nil {
			http.Error(w, "the session could not be begun", http.StatusInternalServerError)
			return
		}
		sessions.Put(r.Context(), "user", strings.TrimSpace(sent.User))
		answer(w, r)
	})
	mux.HandleFunc("POST /api/note", func(w http.ResponseWriter, r *http.Request) {
		var sent state
		switch err := json.NewDecoder(r.Body).Decode(&sent); {
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		case !sessions.Exists(r.Context(), "user"):
			http.Error(w, "the session has ended", http.StatusUnauthorized)
		default:
			sessions.Put(r.Context(), "note", sent.Note)
			answer(w, r)
		}
	})
	mux.HandleFunc("POST /api/logout", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.Destroy(r.Context()); err != nil {
			http.Error(w, "the session could not be ended", http.StatusInternalServerError)
			return
		}
		answer(w, r)
	})

	guarded := http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(mux), 32<<10))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		// Whether the page has a session stands in the tag that is put into it.
		w.Header().Set("Cache-Control", "no-store")
		guarded.ServeHTTP(w, r)
	}), nil
}
