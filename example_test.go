package keepalive_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// Stand-ins for what an app has of its own.
var (
	addr           = "localhost:8080"
	mux            = http.NewServeMux()
	sessionManager = shared
	compress       = func(next http.Handler) http.Handler { return next }
)

func Example() {
	sessionManager := scs.New()
	sessionManager.IdleTimeout = 20 * time.Minute
	sessionManager.Lifetime = 12 * time.Hour

	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		sessionManager.Put(r.Context(), "user", "ann")
		fmt.Fprint(w, "<!doctype html><title>Hello</title>")
	})

	km, err := keepalive.New(sessionManager, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	handler := km.LoadAndSave(mux) // was sessionManager.LoadAndSave(mux)

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(strings.Contains(w.Body.String(), `<script src="/keepalive/keepalive.`))
	// Output: true
}

func Example_middlewareOrder() {
	km, err := keepalive.New(sessionManager, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	// Right: the compressor stands outside, LoadAndSave takes scs's place.
	handler := compress(km.LoadAndSave(mux))
	log.Fatal(http.ListenAndServe(addr, handler))
}

// This is the wrong way round, twice: scs's own LoadAndSave outside writes back
// the session that it read, so a ping undoes a logout that happens meanwhile;
// and a page that is compressed further in can't be changed. The first is
// reported through Config.Logger.
func Example_wrongMiddlewareOrder() {
	km, err := keepalive.New(sessionManager, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	handler := sessionManager.LoadAndSave(km.LoadAndSave(compress(mux))) // wrong
	log.Fatal(http.ListenAndServe(addr, handler))
}

// For programs that must keep the LoadAndSave of scs.
func ExampleManager_Inject() {
	km, err := keepalive.New(sessionManager, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	outer := http.NewServeMux()
	outer.Handle(km.Path(), km.Handler()) // outside of LoadAndSave
	outer.Handle("/", km.Inject(sessionManager.LoadAndSave(mux)))
	log.Fatal(http.ListenAndServe(addr, outer))
}

// The app's own polling must not count as use.
func ExampleConfig_passive() {
	km, err := keepalive.New(sessionManager, keepalive.Config{
		Passive: func(r *http.Request) bool { return r.URL.Path == "/notifications" },
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(addr, km.LoadAndSave(mux)))
}

// Every extension of a session leaves a line in the log.
func ExampleConfig_observer() {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	km, err := keepalive.New(sessionManager, keepalive.Config{
		Observer: func(e keepalive.Event) {
			logger.Info("session", "event", e.Kind, "id", e.Session, "expiry", e.Expiry, "deadline", e.Deadline, "error", e.Err)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(addr, km.LoadAndSave(mux)))
}

// The dialogs in the page's language.
func ExampleConfig_texts() {
	km, err := keepalive.New(sessionManager, keepalive.Config{
		WarnBefore: 2 * time.Minute,
		LoginURL:   "/login",
		Texts: func(r *http.Request) keepalive.Texts {
			if strings.HasPrefix(r.Header.Get("Accept-Language"), "de") {
				return keepalive.Texts{Lang: "de", Warning: "Ihre Sitzung endet gleich", Stay: "Angemeldet bleiben"} // and so on
			}
			return keepalive.Texts{} // English
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(addr, km.LoadAndSave(mux)))
}

// A CSRF token that is kept in the session comes with each answer.
func ExampleConfig_payload() {
	km, err := keepalive.New(sessionManager, keepalive.Config{
		Payload: func(ctx context.Context, r *http.Request) (any, error) {
			return map[string]string{"csrf": sessionManager.GetString(ctx, "csrf")}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(addr, km.LoadAndSave(mux)))
}

// Every Go program of the README is one that is compiled here.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	sources := ""
	for _, name := range []string{"example_test.go", "examples/minimal/main.go", "internal/stores/example_test.go", "warmup/example_test.go", "presence/example_test.go"} {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		sources += squeeze(string(b))
	}
	blocks := strings.Split(string(readme), "```go\n")
	require.Greater(t, len(blocks), 3)
	for _, block := range blocks[1:] {
		code, _, _ := strings.Cut(block, "```")
		require.Contains(t, sources, squeeze(code))
	}
}

// squeeze removes what differs by indentation only.
func squeeze(code string) string { return strings.Join(strings.Fields(code), " ") }
