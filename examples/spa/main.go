// Command spa is a small single-page app: one page, which signs in and out by
// fetch and is never loaded again. What keepalive needs of it is in page/app.js.
//
//	go run ./examples/spa
package main

import (
	"embed"
	"encoding/json"
	"flag"
	"io/fs"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
)

const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'"

//go:embed page
var files embed.FS

func main() {
	addr, idle := site.Flags(20 * time.Second)
	flag.Parse()
	handler, err := newHandler(*idle)
	if err != nil {
		log.Fatal(err)
	}
	site.Run(*addr, handler)
}

func newHandler(idle time.Duration) (http.Handler, error) {
	sessions := scs.New()
	sessions.IdleTimeout = idle
	sessions.Lifetime = 12 * time.Hour
	// The page is loaded before the user signs in, and needs the script even so.
	km, err := keepalive.New(sessions, keepalive.Config{Anonymous: true, LoginURL: "/"})
	if err != nil {
		return nil, err
	}
	page, err := fs.Sub(files, "page")
	if err != nil {
		return nil, err
	}

	api := &api{sessions}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.HandleFunc("GET /site.css", site.Stylesheet)
	mux.HandleFunc("GET /api/me", api.answer) // 200 without a user too: browsers log errors
	mux.HandleFunc("POST /api/login", api.login)
	mux.HandleFunc("POST /api/note", api.saveNote)
	mux.HandleFunc("POST /api/logout", api.logout)

	protected := http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(mux), 32<<10))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		// The page says whether there is a session, in the tag that keepalive inserts.
		w.Header().Set("Cache-Control", "no-store")
		protected.ServeHTTP(w, r)
	}), nil
}

// api is what the page calls. Each endpoint answers with the state after the call.
type api struct{ sessions *scs.SessionManager }

// state is what the page knows of the user, and what it sends.
type state struct {
	User string `json:"user"` // "" for nobody
	Note string `json:"note"`
}

func (a *api) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(state{ // the client may have disconnected
		User: a.sessions.GetString(r.Context(), "user"),
		Note: a.sessions.GetString(r.Context(), "note"),
	})
}

func (a *api) login(w http.ResponseWriter, r *http.Request) {
	var request state
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil || strings.TrimSpace(request.User) == "" {
		http.Error(w, "user must be a name", http.StatusUnprocessableEntity)
		return
	}
	if err := site.SignIn(r.Context(), a.sessions, strings.TrimSpace(request.User)); err != nil {
		http.Error(w, "the session could not be started", http.StatusInternalServerError)
		return
	}
	a.answer(w, r)
}

func (a *api) saveNote(w http.ResponseWriter, r *http.Request) {
	var request state
	switch err := json.NewDecoder(r.Body).Decode(&request); {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case !a.sessions.Exists(r.Context(), "user"):
		http.Error(w, "the session has ended", http.StatusUnauthorized)
	default:
		a.sessions.Put(r.Context(), "note", request.Note)
		a.answer(w, r)
	}
}

func (a *api) logout(w http.ResponseWriter, r *http.Request) {
	if err := a.sessions.Destroy(r.Context()); err != nil {
		http.Error(w, "the session could not be ended", http.StatusInternalServerError)
		return
	}
	a.answer(w, r)
}
