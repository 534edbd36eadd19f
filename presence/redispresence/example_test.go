package redispresence_test

import (
	"log"
	"net/http"
	"os"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/seed4a306b22/keepalive/presence/redispresence"
)

// Each instance of the app runs this, and knows who is online at any of them. The
// sessions must be in a store that the instances share, too.
func ExampleNew() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute

	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	tracker, err := presence.New(presence.Config{
		Identify: func(r *http.Request) (string, any) {
			return sessions.GetString(r.Context(), "user"), nil
		},
		Log: redispresence.New(client, redispresence.Options{}),
	})
	if err != nil {
		log.Fatal(err)
	}
	km, err := keepalive.New(sessions, keepalive.Config{
		Presence: keepalive.PresencePath,
		Salt:     os.Getenv("KEEPALIVE_SALT"), // the same for all instances
		Observer: tracker.Observe,
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", km.LoadAndSave(http.NewServeMux())))
}
