// Command turbo is a small app with Turbo Drive, which fetches the next page and
// puts it in place of the last one, so that the window never loads another.
//
//	go run ./examples/turbo
//
// Turbo comes from a CDN; -turbo names another URL of it.
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
)

// The hash was computed from the file in the npm package, whose bytes the CDN
// serves.
var turbo = site.Script{
	URL:  "https://cdn.jsdelivr.net/npm/@hotwired/turbo@8.0.23/dist/turbo.es2017-umd.js",
	Hash: "sha384-2ePXINFSJiSCWUJkjFJGYdr2kyM132s7uBi9k+JISp4P+AjN9DXn4H/1enWEHu36",
}

//go:embed pages.html
var pages string

func main() {
	addr, idle := site.Flags(20 * time.Second)
	flag.Var(&turbo, "turbo", "`URL` of the UMD build of Turbo")
	flag.Parse()
	handler, err := newHandler(*idle, turbo)
	if err != nil {
		log.Fatal(err)
	}
	site.Run(*addr, handler)
}

func newHandler(idle time.Duration, turbo site.Script) (http.Handler, error) {
	sessions := scs.New()
	sessions.IdleTimeout = idle
	sessions.Lifetime = 12 * time.Hour
	km, err := keepalive.New(sessions, keepalive.Config{
		// All that Turbo needs. It runs the script again for each page that has it,
		// so the script must be in pages without a session too: there it learns that
		// the user has signed out.
		Anonymous: true,
		LoginURL:  "/sign-in",
	})
	if err != nil {
		return nil, err
	}

	app := &site.App{Name: "keepalive with Turbo", Sessions: sessions, Pages: site.Pages(pages), Script: turbo}
	mux := app.Mux()
	mux.Handle("GET /{$}", app.Page("Home"))
	mux.Handle("GET /about", app.Page("About"))
	app.HandleNote(mux)
	return http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(mux), 32<<10)), nil
}
