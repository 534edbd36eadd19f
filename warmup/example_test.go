package warmup_test

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
)

// The app warms two pages of its own handler, and is ready for traffic when both are
// warm.
func Example() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /report", func(http.ResponseWriter, *http.Request) {})

	warm, err := warmup.New(warmup.Config{
		Handler: mux,
		Settings: warmup.Settings{
			Targets:  []warmup.Target{{URL: "/"}, {URL: "/report"}},
			Interval: 10 * time.Minute,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux.Handle("GET /readyz", warm.ReadyHandler())

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() {
		if err := warm.Run(ctx); err != nil {
			log.Print(err)
		}
	}()
	log.Print(http.ListenAndServe("localhost:8080", mux))
}

// The settings come from a file, which the app reads again on SIGHUP.
func ExamplePinger_Reload() {
	readSettings := func() (s warmup.Settings, err error) {
		b, err := os.ReadFile("warmup.json") // {"origin": "http://localhost:8080", "interval": "5m", "targets": ["/", "/report"]}
		if err == nil {
			err = json.Unmarshal(b, &s)
		}
		return s, err
	}
	settings, err := readSettings()
	if err != nil {
		log.Fatal(err)
	}
	warm, err := warmup.New(warmup.Config{Settings: settings})
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = warm.Run(context.Background()) }()

	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	for range hangup {
		if settings, err = readSettings(); err == nil {
			err = warm.Reload(settings)
		}
		if err != nil {
			log.Print(err) // the old settings remain in use
		}
	}
}
