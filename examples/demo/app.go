package main

import (
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
)

// minIdle leaves the script time for more than one attempt to ping: it waits a
// second between two.
const minIdle = 5 * time.Second

const maxName = 40

// timelineCookie names the cookie with the id of the visitor's timeline. In the
// sessions the id would be lost with them, and a page could not show how they
// ended. The id is random, never in an address, and scripts can't read the cookie:
// only this browser gets the timeline, until somebody signs in or out there.
const timelineCookie = "demo_timeline"

// policy is a strict Content-Security-Policy, which keepalive's script works under.
const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

//go:embed pages static
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{"span": span, "words": words}).ParseFS(files, "pages/*.html"))

// side is one of the two sessions that a visitor has, and the page that belongs to
// it. Browsers send both cookies with each request; the LoadAndSave that a request
// goes through decides which session it uses.
type side struct {
	Name string // "with" or "without": its path and cookie
	sm   *scs.SessionManager
	km   *keepalive.Manager
}

type app struct {
	options
	with, without *side
	timelines     *timelines
}

// newHandler returns the whole app. The session managers are the caller's, so
// that tests choose their stores.
func newHandler(with, without *scs.SessionManager, opt options) (http.Handler, error) {
	a := &app{options: opt, timelines: newTimelines(opt.lifetime)}
	var err error
	if a.with, err = a.newSide("with", with); err != nil {
		return nil, err
	}
	if a.without, err = a.newSide("without", without); err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	for _, s := range []*side{a.with, a.without} {
		form := http.NewServeMux()
		form.HandleFunc("GET /"+s.Name+"/{$}", a.form(s))
		form.HandleFunc("POST /"+s.Name+"/{$}", a.submit(s))
		mux.Handle("/"+s.Name+"/", s.km.LoadAndSave(form))
	}
	// Users sign in to both sessions at once, and out of both.
	both := func(h http.HandlerFunc) http.Handler { return a.with.km.LoadAndSave(a.without.km.LoadAndSave(h)) }
	mux.Handle("GET /{$}", both(a.home))
	mux.Handle("POST /sign-in", both(a.signIn))
	mux.Handle("POST /sign-out", both(a.signOut))
	mux.HandleFunc("GET /timeline", a.timeline) // loads no session, so it extends none
	mux.Handle("GET /static/", http.FileServerFS(files))

	protected := http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(mux, 64<<10))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		protected.ServeHTTP(w, r)
	}), nil
}

func (a *app) newSide(name string, sm *scs.SessionManager) (*side, error) {
	sm.IdleTimeout, sm.Lifetime = a.idle, a.lifetime
	sm.Cookie.Name = "demo_" + name
	cfg := keepalive.Config{
		Path:     "/" + name + "/keepalive/",
		Observer: a.timelines.observer(name, sm),
		// keepalive logs a warning about an idle timeout as short as this one. It is
		// meant here, and the page explains what it leads to.
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	cfg.LoginURL, cfg.LogoutURL = "/", "/sign-out"
	if name == "without" {
		cfg.Skip = func(*http.Request) bool { return true }
	}
	if warn := 20 * time.Second; a.idle > warn { // the library allows no less
		cfg.WarnBefore = warn
	}
	km, err := keepalive.New(sm, cfg)
	return &side{Name: name, sm: sm, km: km}, err
}

// side returns the side of that name, or the one with keepalive.
func (a *app) side(name string) *side {
	if name == a.without.Name {
		return a.without
	}
	return a.with
}

// user returns the name of who is signed in, "" for nobody.
func (s *side) user(r *http.Request) string { return s.sm.GetString(r.Context(), "user") }

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	next := r.URL.Query().Get("next")
	if s := a.side(next); s.user(r) != "" {
		http.Redirect(w, r, "/"+s.Name+"/", http.StatusSeeOther)
		return
	}
	a.signInPage(w, http.StatusOK, next, "")
}

func (a *app) signInPage(w http.ResponseWriter, code int, next, problem string) {
	site.Render(w, code, pages, "sign-in.html", map[string]any{
		"Next": next, "Problem": problem, "Idle": a.idle, "Lifetime": a.lifetime, "MaxName": maxName,
	})
}

// signIn starts both sessions at once, so that they can be compared.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	next := r.PostFormValue("next")
	name := strings.TrimSpace(r.PostFormValue("name"))
	if name == "" || utf8.RuneCountInString(name) > maxName {
		a.signInPage(w, http.StatusUnprocessableEntity, next, fmt.Sprintf("Write a name of 1 to %d characters; any will do.", maxName))
		return
	}
	a.timelines.remove(timelineID(r))
	id := a.timelines.add()
	setTimelineCookie(w, id, int((a.lifetime + keepTimeline).Seconds()))
	for _, s := range []*side{a.with, a.without} {
		// The token from before the login may be known to others.
		if err := s.sm.RenewToken(r.Context()); err != nil {
			http.Error(w, "The session could not be renewed.", http.StatusInternalServerError)
			return
		}
		s.sm.Put(r.Context(), "user", name)
		s.sm.Put(r.Context(), "since", time.Now().Unix())
		s.sm.Put(r.Context(), "timeline", id)
	}
	http.Redirect(w, r, "/"+a.side(next).Name+"/", http.StatusSeeOther)
}

func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	for _, s := range []*side{a.with, a.without} {
		if err := s.sm.Destroy(r.Context()); err != nil {
			http.Error(w, "The session could not be ended.", http.StatusInternalServerError)
			return
		}
	}
	a.timelines.remove(timelineID(r))
	setTimelineCookie(w, "", -1)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) form(s *side) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user := s.user(r)
		if user == "" {
			http.Redirect(w, r, "/?next="+s.Name, http.StatusSeeOther)
			return
		}
		site.Render(w, http.StatusOK, pages, "form.html", map[string]any{
			"Side": s.Name, "User": user, "Idle": a.idle, "Lifetime": a.lifetime,
			// Browsers wake hidden pages once a minute.
			"InView":   a.idle < 3*time.Minute,
			"Received": s.sm.PopString(r.Context(), "received"),
		})
	}
}

func (a *app) submit(s *side) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		length := words(len(strings.Fields(r.PostFormValue("story"))))
		if s.user(r) == "" {
			site.Render(w, http.StatusUnauthorized, pages, "ended.html", map[string]any{
				"Side": s.Name, "Length": length, "Idle": a.idle, "Lifetime": a.lifetime,
			})
			return
		}
		took := time.Since(time.Unix(s.sm.GetInt64(r.Context(), "since"), 0))
		received := fmt.Sprintf("Your claim of %s has arrived, %s after you signed in.", length, span(took))
		if s == a.with && took > a.idle {
			received += fmt.Sprintf(" Without keepalive you would have been signed out after %s.", span(a.idle))
		}
		s.sm.Put(r.Context(), "received", received)
		http.Redirect(w, r, "/"+s.Name+"/", http.StatusSeeOther)
	}
}

// timeline answers with the two sessions of this visitor, also after their end.
func (a *app) timeline(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	body := a.timelines.get(timelineID(r))
	if body == nil {
		w.WriteHeader(http.StatusNoContent) // not an error: browsers would log one each second
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client may have disconnected
}

// timelineID returns the id that the visitor's browser sends, "" if it has none.
func timelineID(r *http.Request) string {
	c, err := r.Cookie(timelineCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

// setTimelineCookie gives the browser an id for maxAge seconds.
func setTimelineCookie(w http.ResponseWriter, id string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: timelineCookie, Value: id, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// span formats a duration for people: 20 s, 3 min, 1 min 48 s.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	minutes, seconds := d/time.Minute, d%time.Minute/time.Second
	switch {
	case minutes == 0:
		return fmt.Sprintf("%d\u00a0s", seconds)
	case seconds == 0:
		return fmt.Sprintf("%d\u00a0min", minutes)
	}
	return fmt.Sprintf("%d\u00a0min %d\u00a0s", minutes, seconds)
}

// words returns a number of words: 1 word, 2 words.
func words(n int) string {
	if n == 1 {
		return "1 word"
	}
	return fmt.Sprintf("%d words", n)
}
