package keepalive_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
)

// The whole of a small app. Its last line is the only one that keepalive changes.
func Example() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute
	sessions.Lifetime = 12 * time.Hour

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if err := sessions.RenewToken(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		sessions.Put(r.Context(), "user", r.PostFormValue("user"))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!doctype html><title>App</title><p>User: %q", sessions.GetString(r.Context(), "user"))
	})

	km, err := keepalive.New(sessions, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", km.LoadAndSave(mux))) // was sessions.LoadAndSave(mux)
}

// New reports all problems of a Config at once, each with what to write instead.
func ExampleNew() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute

	_, err := keepalive.New(sessions, keepalive.Config{
		WarnBefore: 5 * time.Second,
		LoginURL:   "login",
	})
	fmt.Println(err)
	// Output:
	// keepalive: Config.WarnBefore is 5s; write at least 20s, which is what people need to react (WCAG 2.2.1), or 0 for no warning
	// keepalive: Config.LoginURL is "login"; write a path such as "/login", or a URL of http or https
}

// OpenLogin sends users to the sign-in, which must check where they want to return to.
func ExampleAfterEnd() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute
	if _, err := keepalive.New(sessions, keepalive.Config{AfterEnd: keepalive.OpenLogin, LoginURL: "/login"}); err != nil {
		log.Fatal(err)
	}

	ownPath := func(next string) string {
		if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\t\r\n") {
			return "/"
		}
		return next
	}
	for _, next := range []string{"/orders?page=2#last", "//evil.example", `/\evil.example`, "https://evil.example/"} {
		fmt.Println(ownPath(next))
	}
	// Output:
	// /orders?page=2#last
	// /
	// /
	// /
}

// LoadAndSave takes the place of scs's. Pages that have a session get the script.
func ExampleManager_LoadAndSave() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "user", "ann")
		fmt.Fprint(w, "<!doctype html><title>App</title>")
	})

	km, err := keepalive.New(sessions, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	handler := km.LoadAndSave(app)

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println("script:", strings.Contains(w.Body.String(), `<script src="/keepalive/keepalive.`))

	ping := httptest.NewRequest(http.MethodPost, "/keepalive/ping", nil)
	ping.AddCookie(w.Result().Cookies()[0])
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, ping)
	fmt.Println("ping:", w.Code, w.Header().Get("Content-Type"))
	// Output:
	// script: true
	// ping: 200 application/json
}

// For an app that must keep the LoadAndSave of scs: the endpoints stand outside
// of it, and Inject around it.
func ExampleManager_Inject() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "user", "ann")
		fmt.Fprint(w, "<!doctype html><title>App</title>")
	})

	km, err := keepalive.New(sessions, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(km.Path(), km.Handler())
	mux.Handle("/", km.Inject(sessions.LoadAndSave(app)))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(strings.Contains(w.Body.String(), `<script src="/keepalive/keepalive.`))
	// Output: true
}

// A ping without a live session answers 401, and never creates one.
func ExampleManager_Handler() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute
	km, err := keepalive.New(sessions, keepalive.Config{Path: "/alive/"})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(km.Path(), km.Handler())

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/alive/ping", nil))
	fmt.Println(w.Code, len(w.Result().Cookies()), "cookies")
	// Output: 401 0 cookies
}

// This is the wrong way round, twice. scs's own LoadAndSave outside writes back
// the session that it read, so a ping undoes a logout that happens meanwhile. And
// a page that is compressed further in can't be changed. The first is reported
// through Config.Logger, the second at debug level.
func Example_wrongMiddlewareOrder() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		zw := gzip.NewWriter(w)
		defer zw.Close()
		fmt.Fprint(zw, "<!doctype html><title>App</title>")
	})

	km, err := keepalive.New(sessions, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	handler := sessions.LoadAndSave(km.LoadAndSave(app)) // wrong; km.LoadAndSave alone, and gzip around it
	log.Fatal(http.ListenAndServe("localhost:8080", handler))
}

// Observer receives what happens to each session, here for an audit log.
func ExampleConfig_observer() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute
	km, err := keepalive.New(sessions, keepalive.Config{
		Identify: func(ctx context.Context) string { return sessions.GetString(ctx, "user") },
		Salt:     "a secret of this app",
		Observer: func(e keepalive.Event) {
			switch e.Kind {
			case keepalive.EventStart, keepalive.EventRenew, keepalive.EventDestroy, keepalive.EventGone:
				fmt.Printf("%s user=%s reason=%s\n", e.Kind, e.User, e.Reason)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) { sessions.Put(r.Context(), "user", "ann") })
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) { _ = sessions.Destroy(r.Context()) })
	handler := km.LoadAndSave(mux)

	login, logout := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/logout", nil)
	handler.ServeHTTP(login, httptest.NewRequest(http.MethodPost, "/login", nil))
	logout.AddCookie(login.Result().Cookies()[0])
	handler.ServeHTTP(httptest.NewRecorder(), logout)
	// Output:
	// start user=ann reason=
	// destroy user=ann reason=logout
}

// Payload renews what open pages need, such as a CSRF token. It comes with the
// answer to each ping.
func ExampleConfig_payload() {
	sessions := scs.New()
	sessions.IdleTimeout = 20 * time.Minute
	km, err := keepalive.New(sessions, keepalive.Config{
		Payload: func(ctx context.Context, r *http.Request) (any, error) {
			return map[string]string{"csrf": sessions.GetString(ctx, "csrf")}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "csrf", "a-token")
	}))

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	ping := httptest.NewRequest(http.MethodPost, "/keepalive/ping", nil)
	ping.AddCookie(w.Result().Cookies()[0])
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, ping)
	var answer struct{ Data map[string]string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Data["csrf"])
	// Output: a-token
}
