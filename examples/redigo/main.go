// Command redigo is a small app whose sessions are in Redis, by the client redigo, so
// that several instances on any number of machines share them:
//
//	cd examples/redigo && go run . -redis redis://localhost:6379/0
//	cd examples/redigo && go run . -redis redis://localhost:6379/0 -addr localhost:8081 # in a second terminal
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
	"github.com/gomodule/redigo/redis"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
	"github.com/seed4a306b22/keepalive/redisstore"
)

func main() {
	addr, idle := site.Flags(20 * time.Minute)
	// No defaults here, as -help would print a password in the environment.
	url := flag.String("redis", "", "`URL` of the server (default $REDIS_URL, else redis://localhost:6379/0)")
	flag.Parse()

	address := cmp.Or(*url, os.Getenv("REDIS_URL"), "redis://localhost:6379/0")
	pool := &redis.Pool{
		MaxIdle:     10,
		IdleTimeout: 4 * time.Minute, // servers and proxies close idle connections
		DialContext: func(ctx context.Context) (redis.Conn, error) { return redis.DialURLContext(ctx, address) },
	}
	defer pool.Close()
	check, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pool.GetContext(check)
	if err != nil {
		log.Fatalf("the server can't be reached: %v; start one or give another with -redis", err)
	}
	if _, err := redis.DoContext(conn, check, "PING"); err != nil {
		log.Fatalf("the server does not answer: %v; start one or give another with -redis", err)
	}
	if err := conn.Close(); err != nil {
		log.Fatal(err)
	}

	sessions := scs.New()
	sessions.Store = redisstore.New(pool)
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
