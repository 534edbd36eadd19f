package presence_test

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
)

// Show administrators who is online, and free what a user held when they have gone.
func ExampleNew() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute

	tracker, err := presence.New(presence.Config{
		Identify: func(r *http.Request) (string, any) {
			return sessions.GetString(r.Context(), "user"), nil
		},
		OnGone: func(g presence.Gone) {
			log.Printf("no page of session %s of %s is open; unlock what it edited", g.Session, g.User)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	km, err := keepalive.New(sessions, keepalive.Config{
		Presence: keepalive.PresencePath,
		Passive:  func(r *http.Request) bool { return r.URL.Path == "/online" },
		Observer: tracker.Observe,
	})
	if err != nil {
		log.Fatal(err)
	}

	adminsOnly := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sessions.GetString(r.Context(), "role") != "admin" {
				http.Error(w, "administrators only", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("GET /online", adminsOnly(tracker.Handler()))
	log.Fatal(http.ListenAndServe("localhost:8080", km.LoadAndSave(mux)))
}

// Log who comes and goes, until the program is interrupted.
func ExampleTracker_Subscribe() {
	var tracker *presence.Tracker // of presence.New
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for ctx.Err() == nil {
		online, events, err := tracker.Subscribe(ctx)
		if err != nil {
			return
		}
		log.Printf("%d users are online", len(online))
		for e := range events {
			switch {
			case e.Kind == presence.Join && e.Tabs == 1:
				log.Printf("%s has come", e.User)
			case e.Kind == presence.Leave && e.Tabs == 0:
				log.Printf("%s has gone", e.User)
			}
		}
		// The loop was too slow, or ctx has ended: begin again with what is true now.
	}
}
