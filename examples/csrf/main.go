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
	"flag"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/justinas/nosurf"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
)

//go:embed pages.html
var pages string

func main() {
	addr, idle := site.Flags(20 * time.Second)
	flag.Parse()
	handler, err := newHandler(*idle)
	if err != nil {
		log.Fatal(err)
	}
	site.Run(*addr, handler)
}

// hiddenField is what each form needs to be accepted.
type hiddenField struct{ Field, Token string }

func newHandler(idle time.Duration) (http.Handler, error) {
	sessions := scs.New()
	sessions.IdleTimeout = idle
	sessions.Lifetime = 12 * time.Hour
	km, err := keepalive.New(sessions, keepalive.Config{
		// A form that was refused because its session had ended needs a token too,
		// when the user comes back from signing in.
		Anonymous: true,
		LoginURL:  "/sign-in",
		// A token that matches the cookie that this request brought, or is given.
		Payload: func(_ context.Context, r *http.Request) (any, error) { return nosurf.Token(r), nil },
	})
	if err != nil {
		return nil, err
	}

	app := &site.App{
		Name:     "keepalive with CSRF tokens",
		Sessions: sessions,
		Pages:    site.Pages(pages),
		Data:     func(r *http.Request) any { return hiddenField{nosurf.FormFieldName, nosurf.Token(r)} },
	}
	mux := app.Mux()
	mux.Handle("GET /{$}", app.Page("Home"))
	mux.Handle("GET /about", app.Page("About"))
	app.HandleNote(mux)

	// nosurf stands outside, so that it has read its cookie when Payload asks.
	csrf := nosurf.New(km.LoadAndSave(mux))
	// Without a path, a cookie that a ping sets would be for /keepalive only.
	csrf.SetBaseCookie(http.Cookie{Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	csrf.SetIsTLSFunc(func(r *http.Request) bool { return r.TLS != nil })
	// Pings carry no token. keepalive itself refuses those from other origins.
	csrf.ExemptPath(km.Path() + "ping")
	csrf.SetFailureHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "This form is out of date. Go back, copy what you wrote, and load the page again.", http.StatusBadRequest)
	}))

	app.OnSignIn = func(w http.ResponseWriter, r *http.Request) { csrf.RegenerateToken(w, r) }
	limited, endpoints := http.MaxBytesHandler(csrf, 32<<10), km.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, km.Path()+"keepalive.") {
			// The script is the same for all users, and caches keep it: the response
			// must not bring the cookie of one browser to others.
			endpoints.ServeHTTP(w, r)
			return
		}
		limited.ServeHTTP(w, r)
	}), nil
}
