// Command htmx is a small app whose links and forms are boosted by htmx: it
// fetches the next page and puts its body in place of the last one.
//
//	go run ./examples/htmx
//
// What htmx needs of the pages is in pages.html. htmx comes from a CDN; -htmx
// names another URL of it.
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

//go:embed pages.html
var pages string

// The hash was computed from the file in the npm package, whose bytes the CDN
// serves.
var htmx = site.Script{
	URL:  "https://cdn.jsdelivr.net/npm/htmx.org@2.0.11/dist/htmx.min.js",
	Hash: "sha384-2OatzQy1H+Zd/IIrjr1TcuDGqLXeHhbooAyJY1KdQMKnr4LZ22k31GBLdYKHmVjg",
}

func main() {
	addr, idle := site.Flags(20 * time.Second)
	flag.Var(&htmx, "htmx", "`URL` of htmx 2")
	flag.Parse()
	handler, err := newHandler(*idle, htmx)
	if err != nil {
		log.Fatal(err)
	}
	site.Run(*addr, handler)
}

func newHandler(idle time.Duration, htmx site.Script) (http.Handler, error) {
	sessions := scs.New()
	sessions.IdleTimeout = idle
	sessions.Lifetime = 12 * time.Hour
	// htmx keeps the head of the first page, which may have no session. So the
	// script must be in that page too.
	km, err := keepalive.New(sessions, keepalive.Config{Anonymous: true, LoginURL: "/sign-in"})
	if err != nil {
		return nil, err
	}

	app := &site.App{Name: "keepalive with htmx", Sessions: sessions, Pages: site.Pages(pages), Script: htmx}
	mux := app.Mux()
	mux.Handle("GET /{$}", app.Page("Home"))
	mux.Handle("GET /about", app.Page("About"))
	app.HandleNote(mux)
	return http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(mux), 32<<10)), nil
}
