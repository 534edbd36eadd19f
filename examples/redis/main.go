// Command redis is a small app whose sessions are in Redis, so that
// several instances on any number of machines share them:
//
//	cd examples/redis && go run . -redis redis://localhost:6379/0
//	cd examples/redis && go run . -redis redis://localhost:6379/0 -addr localhost:8081 # in a second terminal
//
// Sign in at http://localhost:8080, then open http://localhost:8081. Cookies are
// per host, not per port, so one browser has the same session at both.
package main

import (
	"cmp"
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
	"github.com/seed4a306b22/keepalive/goredisstore"
)

func main() {
	addr, idle := site.Flags(20 * time.Minute)
	// No defaults here, as -help would print a password in the environment.
	url := flag.String("redis", "", "`URL` of the server (default $REDIS_URL, else redis://localhost:6379/0)")
	flag.Parse()

	options, err := redis.ParseURL(cmp.Or(*url, os.Getenv("REDIS_URL"), "redis://localhost:6379/0"))
	if err != nil {
		log.Fatalf("%v; give another URL with -redis", err)
	}
	options.ContextTimeoutEnabled = true // a call then needs no goroutine to end with its context
	client := redis.NewClient(options)
	defer client.Close()
	check, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := client.Ping(check).Err(); err != nil {
		log.Fatalf("the server at %s does not answer: %v; start one or give another with -redis", options.Addr, err)
	}

	sessions := scs.New()
	sessions.Store = goredisstore.New(client)
	sessions.IdleTimeout = *idle
	sessions.Lifetime = 12 * time.Hour
	// sessions.Cookie.Secure = true // if the app is served by HTTPS only
	km, err := keepalive.New(sessions, keepalive.Config{LoginURL: "/sign-in"})
	if err != nil {
		log.Fatal(err)
	}

	app := site.NewStoreApp("Redis", *addr, sessions)
	site.Run(*addr, http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(km.LoadAndSave(app), 32<<10)))
}
