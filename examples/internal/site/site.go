// Package site is what the example programs share: the start of the server, the
// frame of the pages, signing in and out, and a note that lives in the session.
// It is for the examples alone. Copy from it what you like; do not import it.
package site

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
)

var (
	//go:embed site.html
	frame string
	//go:embed site.css
	style []byte

	framePages = template.Must(template.New("").Parse(frame))
)

// Pages parses the templates of an example, which use those of site.html. It panics
// if they are wrong.
func Pages(source string) *template.Template {
	return template.Must(template.Must(framePages.Clone()).Parse(source))
}

// App shows the pages of an example to people who sign in under any name.
type App struct {
	// Name stands in the title of each page.
	Name     string
	Sessions *scs.SessionManager
	// Pages comes from the function of that name. It has a template for each
	// title that is given to Page.
	Pages *template.Template
	// Script is loaded by each page. The zero value loads none.
	Script Script
	// Data returns what the templates of the example find as .Data. Nil for none.
	Data func(*http.Request) any
	// OnSignIn is called when a user has signed in, before the response is
	// written. Nil for nothing to do.
	OnSignIn func(http.ResponseWriter, *http.Request)
}

// page is what a template gets.
type page struct {
	Title   string // also the name of the template
	Name    string // of the example
	User    string // "" for nobody
	Idle    time.Duration
	Script  Script
	Note    string
	Problem string // what the user has to put right, "" for nothing
	Data    any
}

// Mux returns a new mux that lets people sign in and out, and serves the style
// sheet. The example adds its own pages.
func (a *App) Mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /site.css", Stylesheet)
	mux.Handle("GET /sign-in", a.Page("Sign in"))
	mux.HandleFunc("POST /sign-in", a.signIn)
	mux.HandleFunc("POST /sign-out", a.signOut)
	return mux
}

// HandleNote adds the page on which a user writes a note into the session.
func (a *App) HandleNote(mux *http.ServeMux) {
	mux.Handle("GET /note", a.RequireUser(a.Page("Note")))
	mux.HandleFunc("POST /note", a.saveNote)
}

// Page returns the handler of the page with that title.
func (a *App) Page(title string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.show(w, r, http.StatusOK, page{Title: title, Note: a.Sessions.GetString(r.Context(), "note")})
	})
}

// RequireUser sends visitors who have not signed in to the page where they can.
func (a *App) RequireUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.Sessions.Exists(r.Context(), "user") {
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *App) signIn(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSpace(r.PostFormValue("name"))
	if name == "" {
		a.show(w, r, http.StatusUnprocessableEntity, page{Title: "Sign in", Problem: "Please write a name."})
		return
	}
	if err := SignIn(r.Context(), a.Sessions, name); err != nil {
		http.Error(w, "The session could not be started.", http.StatusInternalServerError)
		return
	}
	if a.OnSignIn != nil {
		a.OnSignIn(w, r)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// SignIn starts a new session for a user. Nothing of the session before it
// remains: its token may be known to others, and its data may be another user's.
func SignIn(ctx context.Context, sessions *scs.SessionManager, name string) error {
	if err := errors.Join(sessions.RenewToken(ctx), sessions.Clear(ctx)); err != nil {
		return err
	}
	sessions.Put(ctx, "user", name)
	return nil
}

func (a *App) signOut(w http.ResponseWriter, r *http.Request) {
	if err := a.Sessions.Destroy(r.Context()); err != nil {
		http.Error(w, "The session could not be ended.", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *App) saveNote(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	note := r.PostForm.Get("note")
	if !a.Sessions.Exists(r.Context(), "user") {
		// With the text, which would be lost where this page replaces the one before.
		a.show(w, r, http.StatusUnauthorized, page{Title: "Note", Note: note, Problem: "Not saved: your session has ended."})
		return
	}
	a.Sessions.Put(r.Context(), "note", note)
	http.Redirect(w, r, "/note", http.StatusSeeOther)
}

func (a *App) show(w http.ResponseWriter, r *http.Request, code int, p page) {
	p.Name, p.Script, p.Idle = a.Name, a.Script, a.Sessions.IdleTimeout
	p.User = a.Sessions.GetString(r.Context(), "user")
	if a.Data != nil {
		p.Data = a.Data(r)
	}
	Render(w, code, a.Pages, p.Title, p)
}

// Render writes a template as a response that no cache keeps, or status 500 if the
// template fails.
func Render(w http.ResponseWriter, code int, pages *template.Template, name string, data any) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, data); err != nil {
		http.Error(w, "The page could not be rendered: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = body.WriteTo(w) // the client may have disconnected
}

// Stylesheet serves the style of the examples.
func Stylesheet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(style) // the client may have disconnected
}
