// Package observetest has a running program to which one of everything happens that
// keepalive observes, for tests of what counts it.
package observetest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// Step is something that happens.
type Step struct {
	Name string
	Do   func()
}

// program is two instances of an app that share their sessions.
type program struct {
	t       *testing.T
	manager *scs.SessionManager
	urls    [2]string
	saved   atomic.Pointer[keepalive.Event] // the latest EventSave
}

// Steps starts a program whose events observe receives, and returns what happens to it,
// in this order. wrap stands outside of keepalive's middleware.
func Steps(t *testing.T, observe func(keepalive.Event), wrap func(http.Handler) http.Handler) []Step {
	p := &program{t: t, manager: scs.New()}
	p.manager.IdleTimeout = 20 * time.Minute
	for i := range p.urls {
		srv := httptest.NewServer(wrap(p.handler(observe)))
		t.Cleanup(srv.Close)
		p.urls[i] = srv.URL
	}
	ann := p.newVisitor()
	return []Step{
		{"login", func() { ann.do("GET", "/login", "", 200) }},
		{"page", func() { ann.do("GET", "/", "", 200) }},
		{"request to another instance", func() { ann.on(p.urls[1]).do("GET", "/json", "", 200) }},
		{"ping", func() { ann.do("POST", "/keepalive/ping", "", 200) }},
		{"ping without its payload", func() { ann.do("POST", "/keepalive/ping", "", 200, "Fail", "1") }},
		{"write", func() { ann.do("GET", "/put?v=1", "", 200) }},
		{"writes at the same time", func() { ann.do("GET", "/late?after=/put?v=2", "", 200) }},
		{"renewal", func() { ann.do("GET", "/renew", "", 200) }},
		{"logout during a write", func() { ann.do("GET", "/late?after=/logout", "", 200) }},
		{"ping after that", func() { ann.do("POST", "/keepalive/ping", "", 401) }},
		{"made-up cookie", func() {
			p.newVisitor().do("GET", "/keepalive/ping", "", 401, "Cookie", "session="+strings.Repeat("A", 43))
		}},
		{"idle session", func() { p.endAfter("/login?idle=100ms") }},
		{"session past its deadline", func() { p.endAfter("/login?deadline=100ms") }},
		{"refusals", func() {
			ann.do("PUT", "/keepalive/ping", "", 405)
			ann.do("POST", "/keepalive/ping", "", 403, "Sec-Fetch-Site", "cross-site")
			ann.do("POST", "/keepalive/ping", "inactive=x", 400)
			ann.do("GET", "/keepalive/other", "", 404)
		}},
		{"no pages", func() {
			p.newVisitor().do("GET", "/", "", 200)
			p.newVisitor().do("GET", "/redirect", "", 302)
		}},
		{"open page", func() {
			bob := p.newVisitor()
			bob.do("GET", "/login", "", 200)
			bob.do("POST", "/keepalive/here", "tab=1&page=/", 204)
		}},
	}
}

// handler returns an instance.
func (p *program) handler(observe func(keepalive.Event)) http.Handler {
	sm := p.manager
	km, err := keepalive.New(sm, keepalive.Config{
		Presence: keepalive.PresencePath,
		Salt:     "salt",
		Logger:   slog.New(slog.DiscardHandler),
		Identify: func(ctx context.Context) string { return sm.GetString(ctx, "user") },
		IdleTimeout: func(ctx context.Context) time.Duration {
			idle, _ := time.ParseDuration(sm.GetString(ctx, "idle")) // 0 for most
			return idle
		},
		Payload: func(_ context.Context, r *http.Request) (any, error) {
			if r.Header.Get("Fail") != "" {
				return nil, errors.New("no payload")
			}
			return "payload", nil
		},
		Observer: func(e keepalive.Event) {
			if e.Kind == keepalive.EventSave {
				p.saved.Store(&e)
			}
			observe(e)
		},
	})
	require.NoError(p.t, err)
	return km.LoadAndSave(p.app())
}

func (p *program) app() http.Handler {
	sm := p.manager
	mux := http.NewServeMux()
	answer := func(path, contentType, text string, do func(ctx context.Context, r *http.Request)) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			do(r.Context(), r)
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, text)
		})
	}
	answerJSON := func(path string, do func(ctx context.Context, r *http.Request)) {
		answer(path, "application/json", "{}", do)
	}
	answer("/", "text/html", "<!doctype html><title>page</title>", func(context.Context, *http.Request) {})
	answerJSON("/json", func(context.Context, *http.Request) {})
	answerJSON("/login", func(ctx context.Context, r *http.Request) {
		sm.Put(ctx, "user", "ann")
		sm.Put(ctx, "idle", r.FormValue("idle"))
		if d, err := time.ParseDuration(r.FormValue("deadline")); err == nil {
			sm.SetDeadline(ctx, time.Now().Add(d))
		}
	})
	answerJSON("/put", func(ctx context.Context, r *http.Request) { sm.Put(ctx, "v", r.FormValue("v")) })
	answerJSON("/renew", func(ctx context.Context, _ *http.Request) { _ = sm.RenewToken(ctx) })
	answerJSON("/logout", func(ctx context.Context, _ *http.Request) { _ = sm.Destroy(ctx) })
	answerJSON("/late", func(ctx context.Context, r *http.Request) {
		p.newVisitor().do("GET", r.FormValue("after"), "", 200, "Cookie", r.Header.Get("Cookie"))
		sm.Put(ctx, "v", "late")
	})
	mux.Handle("/redirect", http.RedirectHandler("/", http.StatusFound))
	return mux
}

// visitor has cookies of its own.
type visitor struct {
	p      *program
	client http.Client
	url    string // of the instance to which its requests go
}

func (p *program) newVisitor() *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(p.t, err)
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &visitor{p, http.Client{Jar: jar, CheckRedirect: stay}, p.urls[0]}
}

// on returns the visitor at another instance, with the same cookies.
func (v *visitor) on(url string) *visitor { return &visitor{v.p, v.client, url} }

// do sends a request, and requires that it is answered with this status.
func (v *visitor) do(method, path, body string, status int, header ...string) {
	r, err := http.NewRequest(method, v.url+path, strings.NewReader(body))
	require.NoError(v.p.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := v.client.Do(r)
	require.NoError(v.p.t, err)
	require.NoError(v.p.t, res.Body.Close())
	require.Equal(v.p.t, status, res.StatusCode, path)
}

// endAfter signs somebody in, waits until their session has ended, and pings.
func (p *program) endAfter(login string) {
	v := p.newVisitor()
	v.do("GET", login, "", 200)
	time.Sleep(time.Until(p.saved.Load().Expiry) + time.Millisecond)
	v.do("POST", "/keepalive/ping", "", 401)
}
