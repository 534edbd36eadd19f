package keepalive_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// frame is what ends a page with Config.NoScript.
const frame = `<noscript><iframe src="/keepalive/frame" hidden title="keepalive"></iframe></noscript>`

// unframe takes the frame out of a page: it is at the end where there is a tag,
// and nowhere else. What did not end well has none.
func unframe(t *testing.T, bare, got reply) reply {
	page, framed := strings.CutSuffix(got.body, frame)
	require.NotContains(t, page, frame)
	_, tags := untag(page)
	switch {
	case got.cut:
		require.False(t, framed)
	case !strings.HasPrefix(got.raw, "HTTP/1.0"): // where a panic looks like an end
		require.Equal(t, tags == 1, framed, got.body)
	}
	if got.length >= 0 && (framed || bare.body == "" && got.length > bare.length) { // HEAD
		got.length -= int64(len(frame))
	}
	got.body = page
	return got
}

func TestFrame(t *testing.T) {
	var pings int
	sm := newSessions()
	h := newManager(t, sm, keepalive.Config{NoScript: true, Observer: func(e keepalive.Event) {
		if e.Kind == keepalive.EventPing {
			pings++
		}
	}}).LoadAndSave(apptest.App(sm))
	in := &apptest.Client{Handler: h}
	in.Get("/login")
	tests := []struct {
		name, method, token string
		site, dest          string // Sec-Fetch-…
		status              int
	}{
		{name: "iframe", token: in.Token, site: "same-origin", dest: "iframe", status: 200},
		{name: "frame", token: in.Token, site: "same-origin", dest: "frame", status: 200},
		{name: "browser that does not say", token: in.Token, status: 200},
		{name: "HEAD", method: "HEAD", token: in.Token, status: 200},
		{name: "no cookie", status: 401},
		{name: "unknown token", token: "forged", site: "same-origin", dest: "iframe", status: 401},
		{name: "framed by another site", token: in.Token, site: "cross-site", dest: "iframe", status: 403},
		{name: "framed by another origin", token: in.Token, site: "same-site", dest: "iframe", status: 403},
		{name: "opened by hand", token: in.Token, site: "none", dest: "document", status: 403},
		{name: "as a page", token: in.Token, site: "same-origin", dest: "document", status: 403},
		{name: "as an image", token: in.Token, site: "same-origin", dest: "image", status: 403},
		{name: "by fetch", token: in.Token, site: "same-origin", dest: "empty", status: 403},
		{name: "POST", method: "POST", token: in.Token, status: 405},
	}
	outside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Frame-Options", "DENY")
		w.Header().Set("Content-Security-Policy", "frame-ancestors 'none'")
		h.ServeHTTP(w, r)
	})
	srv := serve(t, outside)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.method == "" {
				tt.method = "GET"
			}
			header := "Cookie: session=" + tt.token + "\r\n"
			if tt.site != "" {
				header += "Sec-Fetch-Site: " + tt.site + "\r\nSec-Fetch-Dest: " + tt.dest + "\r\n"
			}
			for _, proto := range protocols {
				pings = 0
				got := srv.fetch(t, proto, tt.method, "/keepalive/frame", header)
				require.Equal(t, tt.status, got.status)
				require.Equal(t, []string{"no-store"}, got.header["Cache-Control"])
				require.Equal(t, []string{"SAMEORIGIN"}, got.header["X-Frame-Options"])
				require.Equal(t, []string{"default-src 'none'; frame-ancestors 'self'"}, got.header["Content-Security-Policy"])
				require.Equal(t, "require-corp", got.header.Get("Cross-Origin-Embedder-Policy"))
				require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
				require.Empty(t, got.header["Set-Cookie"])
				if tt.status == 200 {
					require.Equal(t, "400", got.header.Get("Refresh"))
					require.Equal(t, 1, pings)
				} else {
					require.Empty(t, got.header["Refresh"])
					require.Zero(t, pings)
				}
				if tt.status == 405 {
					require.Equal(t, "GET, HEAD", got.header.Get("Allow"))
					continue
				}
				require.Equal(t, "text/html; charset=utf-8", got.header.Get("Content-Type"))
				require.Equal(t, tt.method != "HEAD", strings.HasPrefix(got.body, "<!doctype html><html lang="), "a browser shows a page of its own for an empty one")
			}
		})
	}
}

// A frame that reloads itself as it is told to keeps the session to its
// lifetime, and then stops.
func TestFrameKeepsASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone int
		sm := newSessions()
		c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{NoScript: true, Observer: func(e keepalive.Event) {
			if e.Kind == keepalive.EventGone {
				gone++
			}
		}}).LoadAndSave(apptest.App(sm))}
		c.Get("/login")
		began := time.Now()
		reloads := 0
		for res := c.Get("/keepalive/frame"); res.StatusCode != http.StatusUnauthorized; res = c.Get("/keepalive/frame") {
			seconds, err := strconv.Atoi(res.Header.Get("Refresh"))
			require.NoError(t, err)
			time.Sleep(time.Duration(seconds) * time.Second)
			reloads++
		}
		require.Equal(t, 12*time.Hour, time.Since(began))
		require.Equal(t, 36*3, reloads)
		require.Equal(t, 1, gone)
		require.Empty(t, c.Get("/keepalive/frame").Header["Refresh"])
	})
}

func TestFrameOfAShortTimeout(t *testing.T) {
	sm := newSessions()
	sm.IdleTimeout = 2 * time.Second
	c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{NoScript: true}).LoadAndSave(apptest.App(sm))}
	c.Get("/login")
	require.Equal(t, "1", c.Get("/keepalive/frame").Header.Get("Refresh"))
}

// By hand, beside scs's LoadAndSave, a frame sends the cookie again as pings do.
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

// A frame that meets a failing store asks again.
func TestFrameOfAFailingStore(t *testing.T) {
	var log bytes.Buffer
	sm := newSessions()
	s := &countingStore{Store: sm.Store}
	sm.Store = s
	c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{NoScript: true, Logger: slog.New(slog.NewTextHandler(&log, nil))}).LoadAndSave(apptest.App(sm))}
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
		nobody bool // without a session
		page   bool // has the frame
		status int  // of the frame
	}{
		{name: "session", cfg: keepalive.Config{NoScript: true}, idle: time.Hour, page: true, status: 200},
		{name: "elsewhere", cfg: keepalive.Config{NoScript: true, Path: "/a/b/"}, idle: time.Hour, page: true, status: 200},
		{name: "not asked for", idle: time.Hour, status: 404},
		{name: "nothing to extend", cfg: keepalive.Config{NoScript: true}, status: 404},
		{name: "anonymous", cfg: keepalive.Config{NoScript: true, Anonymous: true}, idle: time.Hour, nobody: true, status: 401},
		{name: "passive", cfg: keepalive.Config{NoScript: true, Passive: func(*http.Request) bool { return true }}, idle: time.Hour, status: 200},
		{name: "skipped", cfg: keepalive.Config{NoScript: true, Skip: func(*http.Request) bool { return true }}, idle: time.Hour, status: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			sm.IdleTimeout = tt.idle
			km := newManager(t, sm, tt.cfg)
			c := &apptest.Client{Handler: km.LoadAndSave(apptest.App(sm))}
			if !tt.nobody {
				c.Token = newToken(t, sm)
			}
			shown := body(t, c.Get("/"))
			element := strings.ReplaceAll(frame, "/keepalive/", km.Path())
			require.Equal(t, tt.page, strings.HasSuffix(shown, element))
			require.Equal(t, tt.page, strings.Contains(shown, "<noscript>"))
			require.Equal(t, tt.status, c.Get(km.Path()+"frame").StatusCode)
		})
	}
}

// After a page, a connection that was handed over is nobody's business of ours.
func TestNoFrameAfterHijack(t *testing.T) {
	var complaints bytes.Buffer
	srv := serve(t, everywhereWith(t, keepalive.Config{NoScript: true}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		flushing(len(doc))(w, r)
		conn, buf, err := http.NewResponseController(w).Hijack()
		fine(err == nil)
		defer conn.Close()
		_, _ = buf.WriteString("by hand")
		_ = buf.Flush()
	})))
	srv.plain.Config.ErrorLog = log.New(&complaints, "", 0)
	got := srv.fetch(t, "HTTP/1.1", "GET", "/", "")
	require.True(t, strings.HasSuffix(got.raw, "by hand"))
	require.NotContains(t, got.raw, "<noscript>")
	srv.plain.Close() // which waits for the handler
	require.Empty(t, complaints.String(), "of a write after the handover")
}

// stumbling fails to write once.
type stumbling struct {
	*httptest.ResponseRecorder
	fails bool
}

func (w *stumbling) Write(p []byte) (int, error) {
	if w.fails {
		w.fails = false
		return 0, io.ErrShortWrite
	}
	return w.ResponseRecorder.Write(p)
}

func (w *stumbling) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// A page with a gap gets no frame: it must not look whole.
func TestNoFrameAfterAGap(t *testing.T) {
	for name, again := range map[string]func(http.ResponseWriter){
		"Write":       func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) },
		"WriteString": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") },
		"ReadFrom":    func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")) },
	} {
		for _, length := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", with length"}[length], func(t *testing.T) {
				w := &stumbling{ResponseRecorder: httptest.NewRecorder()}
				everywhereWith(t, keepalive.Config{NoScript: true}, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Type", "text/html")
					if length {
						rw.Header().Set("Content-Length", strconv.Itoa(len(doc)+2))
					}
					write(rw, doc)
					w.fails = true
					again(rw)
					again(rw)
				})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				page, tags := untag(w.Body.String())
				require.Equal(t, doc+"x", page)
				require.Equal(t, 1, tags)
			})
		}
	}
}
