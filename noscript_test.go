package keepalive_test

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// frame is what ends a page with Config.NoScript.
const frame = `<noscript><iframe src="/keepalive/frame" hidden title="keepalive"></iframe></noscript>`

// The frame extends the session only for pages of its own origin.
func TestFrame(t *testing.T) {
	var pings int
	sm := newSessions()
	signedIn := newClient(t, sm, keepalive.Config{NoScript: true, Observer: func(e keepalive.Event) {
		if e.Kind == keepalive.EventPing {
			pings++
		}
	}})
	signedIn.Get("/login")
	tests := []struct {
		name, method, token string
		site, dest          string // Sec-Fetch-…
		status              int
	}{
		{name: "iframe", token: signedIn.Token, site: "same-origin", dest: "iframe", status: 200},
		{name: "frame", token: signedIn.Token, site: "same-origin", dest: "frame", status: 200},
		{name: "browser without Fetch Metadata", token: signedIn.Token, status: 200},
		{name: "HEAD", method: "HEAD", token: signedIn.Token, status: 200},
		{name: "no cookie", status: 401},
		{name: "unknown token", token: unknownToken, site: "same-origin", dest: "iframe", status: 401},
		{name: "framed by another site", token: signedIn.Token, site: "cross-site", dest: "iframe", status: 403},
		{name: "framed by another origin", token: signedIn.Token, site: "same-site", dest: "iframe", status: 403},
		{name: "opened by hand", token: signedIn.Token, site: "none", dest: "document", status: 403},
		{name: "as a page", token: signedIn.Token, site: "same-origin", dest: "document", status: 403},
		{name: "as an image", token: signedIn.Token, site: "same-origin", dest: "image", status: 403},
		{name: "by fetch", token: signedIn.Token, site: "same-origin", dest: "empty", status: 403},
		{name: "POST", method: "POST", token: signedIn.Token, status: 405},
	}
	srv := wiretest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Frame-Options", "DENY") // as for the pages of the app
		w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
		signedIn.Handler.ServeHTTP(w, r)
	}))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.method == "" {
				tt.method = "GET"
			}
			header := "Cookie: session=" + tt.token + "\r\n"
			if tt.site != "" {
				header += "Sec-Fetch-Site: " + tt.site + "\r\nSec-Fetch-Dest: " + tt.dest + "\r\n"
			}
			for _, proto := range wiretest.Protocols {
				pings = 0
				got := srv.Fetch(t, proto, tt.method, "/keepalive/frame", header)
				require.Equal(t, tt.status, got.Status)
				require.Equal(t, []string{"no-store"}, got.Header["Cache-Control"])
				require.Equal(t, []string{"SAMEORIGIN"}, got.Header["X-Frame-Options"])
				require.Equal(t, []string{"default-src 'none'; frame-ancestors 'self'"}, got.Header["Content-Security-Policy"])
				require.Equal(t, "require-corp", got.Header.Get("Cross-Origin-Embedder-Policy"))
				require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
				require.Empty(t, got.Header["Set-Cookie"])
				if tt.status == 200 {
					require.Equal(t, "400", got.Header.Get("Refresh"))
					require.Equal(t, 1, pings)
				} else {
					require.Empty(t, got.Header["Refresh"])
					require.Zero(t, pings)
				}
				if tt.status == 405 {
					require.Equal(t, "GET, HEAD", got.Header.Get("Allow"))
					continue
				}
				require.Equal(t, "text/html; charset=utf-8", got.Header.Get("Content-Type"))
				require.Equal(t, tt.method != "HEAD", strings.HasPrefix(got.Body, "<!doctype html><html lang="), "a browser shows a page of its own for an empty one")
			}
		})
	}
}

// A frame that follows Refresh keeps the session for its lifetime, and then stops.
func TestFrameKeepsASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone int
		sm := newSessions()
		c := newClient(t, sm, keepalive.Config{NoScript: true, Observer: func(e keepalive.Event) {
			if e.Kind == keepalive.EventGone {
				gone++
			}
		}})
		c.Get("/login")
		start := time.Now()
		reloads := 0
		for res := c.Get("/keepalive/frame"); res.StatusCode != http.StatusUnauthorized; res = c.Get("/keepalive/frame") {
			seconds, err := strconv.Atoi(res.Header.Get("Refresh"))
			require.NoError(t, err)
			time.Sleep(time.Duration(seconds) * time.Second)
			reloads++
		}
		require.Equal(t, 12*time.Hour, time.Since(start))
		require.Equal(t, 36*3, reloads)
		require.Equal(t, 1, gone)
		require.Empty(t, c.Get("/keepalive/frame").Header["Refresh"])
	})
}

func TestFrameOfAShortTimeout(t *testing.T) {
	sm := newSessions()
	sm.IdleTimeout = 2 * time.Second
	c := newClient(t, sm, keepalive.Config{NoScript: true})
	c.Get("/login")
	require.Equal(t, "1", c.Get("/keepalive/frame").Header.Get("Refresh"))
}

// Where scs's LoadAndSave is kept, a frame sends the cookie again, as pings do.
func TestFrameBesideSCS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		km := newManager(t, sm, keepalive.Config{NoScript: true})
		mux := http.NewServeMux()
		mux.Handle(km.Path(), km.Handler())
		mux.Handle("/", km.Inject(sm.LoadAndSave(apptest.App(sm))))
		c := &apptest.Client{Handler: mux}
		c.Get("/login")
		require.Contains(t, body(t, c.Get("/")), frame)
		for range 6 {
			time.Sleep(15 * time.Minute)
			res := c.Get("/keepalive/frame")
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Greater(t, res.Cookies()[0].MaxAge, int((15 * time.Minute).Seconds()))
			require.Equal(t, []string{"no-store"}, res.Header["Cache-Control"])
		}
	})
}

// After an error of the store the frame reloads itself all the same.
func TestFrameOfAFailingStore(t *testing.T) {
	var log bytes.Buffer
	sm := newSessions()
	s := &countingStore{Store: sm.Store}
	sm.Store = s
	c := newClient(t, sm, keepalive.Config{NoScript: true, Logger: logTo(&log)})
	c.Get("/login")
	s.fail(errors.New("no route to the store"))
	res := c.Get("/keepalive/frame")
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Equal(t, "5", res.Header.Get("Retry-After"))
	require.Equal(t, "400", res.Header.Get("Refresh"))
	require.NotEmpty(t, body(t, res))
	require.Contains(t, log.String(), "no route to the store")
}

func TestWhoGetsTheFrame(t *testing.T) {
	tests := []struct {
		name   string
		cfg    keepalive.Config
		idle   time.Duration
		guest  bool // without a session
		framed bool // the page has the frame
		status int  // of the frame
	}{
		{name: "session", cfg: keepalive.Config{NoScript: true}, idle: time.Hour, framed: true, status: 200},
		{name: "another path", cfg: keepalive.Config{NoScript: true, Path: "/a/b/"}, idle: time.Hour, framed: true, status: 200},
		{name: "not configured", idle: time.Hour, status: 404},
		{name: "nothing to extend", cfg: keepalive.Config{NoScript: true}, status: 404},
		{name: "anonymous", cfg: keepalive.Config{NoScript: true, Anonymous: true}, idle: time.Hour, guest: true, status: 401},
		{name: "passive", cfg: keepalive.Config{NoScript: true, Passive: func(*http.Request) bool { return true }}, idle: time.Hour, status: 200},
		{name: "skipped", cfg: keepalive.Config{NoScript: true, Skip: func(*http.Request) bool { return true }}, idle: time.Hour, status: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			sm.IdleTimeout = tt.idle
			km := newManager(t, sm, tt.cfg)
			c := &apptest.Client{Handler: km.LoadAndSave(apptest.App(sm))}
			if !tt.guest {
				c.Token = newToken(t, sm)
			}
			shownPage := body(t, c.Get("/"))
			element := strings.ReplaceAll(frame, "/keepalive/", km.Path())
			require.Equal(t, tt.framed, strings.HasSuffix(shownPage, element))
			require.Equal(t, tt.framed, strings.Contains(shownPage, "<noscript>"))
			require.Equal(t, tt.status, c.Get(km.Path()+"frame").StatusCode)
		})
	}
}
