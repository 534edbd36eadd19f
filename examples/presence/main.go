// Command presence is a small app with a board that shows live who is on which
// page.
//
//	go run ./examples/presence
//
// Sign in with two browsers, under two names, and watch the board in one of them.
package main

import (
	_ "embed"
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
	"github.com/seed4a306b22/keepalive/presence"
)

//go:embed pages.html
var pages string

// titles are those of the pages that users visit, by path.
var titles = map[string]string{"/": "Home", "/orders": "Orders", "/stock": "Stock", "/board": "Who is where"}

func main() {
	addr, idle := site.Flags(20 * time.Minute)
	flag.Parse()
	handler, stop, err := newHandler(*idle)
	if err != nil {
		log.Fatal(err)
	}
	site.Run(*addr, handler, stop) // the server would wait for the streams, which stop ends
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
		Presence: keepalive.PresencePath | keepalive.PresenceIdle,
		LoginURL: "/sign-in",
		// Whoever watches the board keeps a session by its page, not by its stream.
		Passive:  func(r *http.Request) bool { return r.URL.Path == "/who" },
		Observer: tracker.Observe,
	})
	if err != nil {
		return nil, nil, err
	}

	app := &site.App{
		Name:     "keepalive presence",
		Sessions: sessions,
		Pages:    site.Pages(pages),
		Data:     func(*http.Request) any { return titles },
	}
	mux := app.Mux()
	for path, title := range titles {
		if path == "/" {
			path = "/{$}"
		}
		mux.Handle("GET "+path, app.RequireUser(app.Page(title)))
	}
	// This app lets all users see all. Yours may check more here than that somebody
	// has signed in.
	mux.Handle("GET /who", app.RequireUser(tracker.Handler()))
	return http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(mux), 32<<10)), tracker.Close, nil
}
