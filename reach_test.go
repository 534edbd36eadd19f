package keepalive_test

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// Pages whose pings never come are reported once, with the line to write. A few
// pages, or a short time, show nothing.
func TestUnreachableEndpointsAreReported(t *testing.T) {
	tests := []struct {
		name              string
		pages, sessions   int
		wait              time.Duration
		ask               string
		mounted, reported bool
	}{
		{name: "endpoints not mounted", pages: 20, sessions: 3, wait: 20 * time.Minute, reported: true},
		{name: "many more pages", pages: 200, sessions: 50, wait: time.Hour, reported: true},
		{name: "few pages", pages: 19, sessions: 3, wait: 20 * time.Minute},
		{name: "few sessions", pages: 100, sessions: 2, wait: 20 * time.Minute},
		{name: "too early", pages: 100, sessions: 50, wait: 19 * time.Minute},
		{name: "a ping came", pages: 100, sessions: 50, wait: 20 * time.Minute, ask: "ping", mounted: true},
		{name: "the script was asked for", pages: 100, sessions: 50, wait: 20 * time.Minute, ask: "keepalive.js", mounted: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				sm := newSessions()
				km := newManager(t, sm, keepalive.Config{Logger: logTo(&log)})
				mux := http.NewServeMux()
				for _, route := range []string{"/{$}", "/login"} {
					mux.Handle("GET "+route, km.LoadAndSave(apptest.App(sm)))
				}
				if tt.mounted {
					mux.Handle(km.Path(), km.Handler())
				}
				clients := make([]*apptest.Client, tt.sessions)
				for i := range clients {
					clients[i] = &apptest.Client{Handler: mux}
					clients[i].Token = newToken(t, sm)
				}
				for i := range tt.pages - 1 {
					clients[i%len(clients)].Get("/")
				}
				if tt.ask != "" {
					clients[0].Get(km.Path() + tt.ask)
				}
				time.Sleep(tt.wait)
				for range 3 {
					c := &apptest.Client{Handler: mux, Token: newToken(t, sm)}
					if tt.sessions < 3 || tt.pages < 20 {
						c.Token = clients[0].Token // no further session
					}
					c.Get("/")
					if tt.pages < 20 {
						break
					}
				}
				want := 0
				if tt.reported {
					want = 1
				}
				require.Equal(t, want, strings.Count(log.String(), "mux.Handle(km.Path(), km.Handler())"), log.String())
				require.NotContains(t, log.String(), "level=ERROR")
			})
		})
	}
}

// Of two Managers with one path the inner one says that its session is never
// extended. With two paths each works.
func TestNestedManagers(t *testing.T) {
	for _, path := range []string{"/keepalive/", "/inner/"} {
		t.Run(path, func(t *testing.T) {
			var log bytes.Buffer
			outerSM, innerSM := newSessions(), newSessions()
			innerSM.Cookie.Name = "inner"
			outer := newManager(t, outerSM, keepalive.Config{Anonymous: true})
			inner := newManager(t, innerSM, keepalive.Config{Path: path, Anonymous: true, Logger: logTo(&log)})
			c := &apptest.Client{Handler: outer.LoadAndSave(inner.LoadAndSave(apptest.App(innerSM)))}
			for range 3 {
				require.Equal(t, 2, strings.Count(body(t, c.Get("/")), "<script src="))
			}
			want := 0
			if path == "/keepalive/" {
				want = 1
			}
			require.Equal(t, want, strings.Count(log.String(), "another Manager with the same Config.Path"), log.String())
		})
	}
}

var moduleTag = regexp.MustCompile(`<script nonce="abc" type="module" src="(/keepalive/(\w+)\.[\w-]{12}\.js)" integrity="sha256-([^"]+)" crossorigin="anonymous"></script>`)

// Where a page blocks scripts without integrity metadata, the tag has it, and those of the modules that the script would import.
func TestIntegrityPolicy(t *testing.T) {
	for _, debug := range []bool{false, true} {
		sm := newSessions()
		km := newManager(t, sm, keepalive.Config{Anonymous: true, Debug: debug})
		policy := ""
		c := &apptest.Client{Handler: km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if policy != "" {
				w.Header().Set("Integrity-Policy", policy)
				w.Header().Set("Content-Security-Policy", "script-src 'nonce-abc'")
			}
			_, _ = w.Write([]byte(page))
		}))}
		require.NotContains(t, body(t, c.Get("/")), "integrity")
		policy = "blocked-destinations=(script)"
		tag := body(t, c.Get("/"))
		_, src, _ := strings.Cut(tag, `<script src="`)
		src, rest, _ := strings.Cut(src, `"`)
		require.Regexp(t, `^ defer nonce="abc" integrity="sha256-[\w+/]{43}=" crossorigin="anonymous" data-anonymous`, rest)
		_, integrity, _ := strings.Cut(rest, `integrity="`)
		integrity, _, _ = strings.Cut(integrity, `"`)
		require.Equal(t, sha256Base64(body(t, c.Get(src))), strings.TrimPrefix(integrity, "sha256-"))

		modules := moduleTag.FindAllStringSubmatch(tag, -1)
		require.Len(t, modules, 2)
		for i, name := range []string{"dialog", "extras"} {
			require.Equal(t, name, modules[i][2])
			require.Equal(t, sha256Base64(body(t, c.Get(modules[i][1]))), modules[i][3])
		}
		require.Less(t, strings.LastIndex(tag, `type="module"`), strings.Index(tag, `<script src=`), "the script finds what they leave")
	}
}
