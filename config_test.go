package keepalive_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// New reports all that is wrong with a Config in one error.
func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name string
		cfg  keepalive.Config
		edit func(*scs.SessionManager)
		want []string
	}{
		{name: "no leading slash", cfg: keepalive.Config{Path: "x/"}, want: []string{`Config.Path is "x/"`}},
		{name: "no trailing slash", cfg: keepalive.Config{Path: "/x"}, want: []string{`Config.Path is "/x"`}},
		{name: "root", cfg: keepalive.Config{Path: "/"}, want: []string{`Config.Path is "/"`}},
		{name: "dots", cfg: keepalive.Config{Path: "/a/../b/"}, want: []string{"Config.Path"}},
		{name: "empty part", cfg: keepalive.Config{Path: "/a//b/"}, want: []string{"Config.Path"}},
		{name: "markup", cfg: keepalive.Config{Path: `/"><b>/`}, want: []string{"Config.Path"}},
		{name: "query", cfg: keepalive.Config{Path: "/a/?b/"}, want: []string{"Config.Path"}},
		{name: "public path that is a URL", cfg: keepalive.Config{PublicPath: "https://example.com/keepalive/"}, want: []string{"Config.PublicPath"}},
		{name: "public path without a slash", cfg: keepalive.Config{PublicPath: "/app/keepalive"}, want: []string{`Config.PublicPath is "/app/keepalive"`}},
		{name: "warning too short", cfg: keepalive.Config{WarnBefore: 19 * time.Second}, want: []string{"WarnBefore is 19s", "at least 20s", "WCAG 2.2.1"}},
		{name: "warning negative", cfg: keepalive.Config{WarnBefore: -time.Hour}, want: []string{"WarnBefore is -1h0m0s"}},
		{name: "mode too low", cfg: keepalive.Config{Mode: -1}, want: []string{"Config.Mode is -1"}},
		{name: "presence too low", cfg: keepalive.Config{Presence: -1}, want: []string{"Config.Presence is -1"}},
		{name: "presence too high", cfg: keepalive.Config{Presence: keepalive.PresenceIdle << 1}, want: []string{"Config.Presence is 16"}},
		{name: "mode too high", cfg: keepalive.Config{Mode: keepalive.UserActive + 1}, want: []string{"Config.Mode is 3"}},
		{name: "end too low", cfg: keepalive.Config{AfterEnd: -1}, want: []string{"Config.AfterEnd is -1"}},
		{name: "end too high", cfg: keepalive.Config{AfterEnd: keepalive.KeepPageWithoutBar + 1}, want: []string{"Config.AfterEnd is 4"}},
		{name: "sign-in by itself to nowhere", cfg: keepalive.Config{AfterEnd: keepalive.OpenLogin}, want: []string{"Config.AfterEnd is OpenLogin, but Config.LoginURL is empty"}},
		{name: "unattended negative", cfg: keepalive.Config{MaxUnattended: -time.Hour}, want: []string{"MaxUnattended is -1h0m0s"}},
		{name: "unattended by activity", cfg: keepalive.Config{MaxUnattended: time.Hour, Mode: keepalive.UserActive}, want: []string{"MaxUnattended is set with UserActive"}},
		{name: "frame of visible pages", cfg: keepalive.Config{NoScript: true, Mode: keepalive.PageVisible}, want: []string{"Config.NoScript"}},
		{name: "frame of active users", cfg: keepalive.Config{NoScript: true, Mode: keepalive.UserActive}, want: []string{"Config.NoScript"}},
		{name: "frame for some time", cfg: keepalive.Config{NoScript: true, MaxUnattended: time.Hour}, want: []string{"Config.NoScript"}},
		{name: "login by script", cfg: keepalive.Config{LoginURL: "javascript:alert(1)"}, want: []string{`Config.LoginURL is "javascript:alert(1)"`}},
		{name: "login by script with a path", cfg: keepalive.Config{LoginURL: "javascript://x/%0aalert(1)"}, want: []string{"Config.LoginURL"}},
		{name: "login by mail", cfg: keepalive.Config{LoginURL: "mailto:x"}, want: []string{"Config.LoginURL"}},
		{name: "login relative to each page", cfg: keepalive.Config{LoginURL: "login"}, want: []string{"Config.LoginURL"}},
		{name: "login without a host", cfg: keepalive.Config{LoginURL: "https://:443/in"}, want: []string{"Config.LoginURL"}},
		{name: "login that is no URL", cfg: keepalive.Config{LoginURL: "http://%zz"}, want: []string{"Config.LoginURL"}},
		{name: "logout by script", cfg: keepalive.Config{LogoutURL: "JavaScript:alert(1)"}, want: []string{"Config.LogoutURL"}},
		{name: "logout as data", cfg: keepalive.Config{LogoutURL: "data:text/html,x"}, want: []string{"Config.LogoutURL"}},
		{name: "logout without a host", cfg: keepalive.Config{LogoutURL: "https:x"}, want: []string{"Config.LogoutURL"}},
		{name: "logout that is no URL", cfg: keepalive.Config{LogoutURL: "http://%zz"}, want: []string{"Config.LogoutURL"}},
		{name: "users without a salt", cfg: keepalive.Config{Identify: func(context.Context) string { return "" }}, want: []string{"Config.Identify is set without Config.Salt"}},
		{name: "no store", edit: func(sm *scs.SessionManager) { sm.Store = nil }, want: []string{"Store is nil"}},
		{
			name: "everything at once", cfg: keepalive.Config{Path: "x", WarnBefore: 1, Mode: 9, LoginURL: ":"},
			edit: func(sm *scs.SessionManager) { sm.Codec = nil },
			want: []string{"Config.Path", "WarnBefore", "Config.Mode", "Config.LoginURL", "Codec is nil"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			if tt.edit != nil {
				tt.edit(sm)
			}
			km, err := keepalive.New(sm, tt.cfg)
			require.Nil(t, km)
			require.Error(t, err)
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
	_, err := keepalive.New(nil, keepalive.Config{})
	require.ErrorContains(t, err, "nil")
}

func TestNewAccepts(t *testing.T) {
	for name, cfg := range map[string]keepalive.Config{
		"limit":             {MaxUnattended: time.Hour},
		"visible and limit": {Mode: keepalive.PageVisible, MaxUnattended: time.Hour},
		"active":            {Mode: keepalive.UserActive, WarnBefore: 20 * time.Second},
		"frame":             {NoScript: true, Mode: keepalive.PageOpen},
		"paths":             {LoginURL: "/login?next=%2F", LogoutURL: "/logout"},
		"URLs":              {LoginURL: "https://id.example/login#x", LogoutURL: "HTTP://localhost:8080/logout"},
		"blank":             {AfterEnd: keepalive.BlankPage},
		"no bar":            {AfterEnd: keepalive.KeepPageWithoutBar},
		"sign-in by itself": {AfterEnd: keepalive.OpenLogin, LoginURL: "/login"},
		"sign-in elsewhere": {AfterEnd: keepalive.OpenLogin, LoginURL: "https://id.example/login?client=1"},
		"host":              {LoginURL: "//id.example/login"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := keepalive.New(newSessions(), cfg)
			require.NoError(t, err)
		})
	}
}

// The fields of the session manager are checked at the first request, because
// programs set them after New. What is wrong is logged once.
func TestFirstRequestChecksTheSessionManager(t *testing.T) {
	tests := []struct {
		name     string
		cfg      keepalive.Config
		edit     func(*scs.SessionManager)
		want     string // in the log, "" for nothing
		noScript bool
	}{
		{name: "all is well"},
		{name: "no idle timeout", edit: func(sm *scs.SessionManager) { sm.IdleTimeout = 0 }, want: "IdleTimeout is not set", noScript: true},
		{name: "short idle timeout", edit: func(sm *scs.SessionManager) { sm.IdleTimeout = 2 * time.Minute }, want: "IdleTimeout is short"},
		{name: "lifetime below the idle timeout", edit: func(sm *scs.SessionManager) { sm.Lifetime = 10 * time.Minute }, want: "Lifetime is below IdleTimeout"},
		{name: "warning not below the idle timeout", cfg: keepalive.Config{WarnBefore: 20 * time.Minute}, want: "WarnBefore is not below"},
		{name: "no cookie path", edit: func(sm *scs.SessionManager) { sm.Cookie.Path = "" }, want: "Cookie.Path is empty", noScript: true},
		{name: "other cookie path", edit: func(sm *scs.SessionManager) { sm.Cookie.Path = "/app" }, want: "not below SessionManager.Cookie.Path", noScript: true},
		{name: "cookie path that is only a prefix", edit: func(sm *scs.SessionManager) { sm.Cookie.Path = "/keep" }, want: "not below SessionManager.Cookie.Path", noScript: true},
		{name: "public path below the cookie's", cfg: keepalive.Config{PublicPath: "/app/keepalive/"}, edit: func(sm *scs.SessionManager) { sm.Cookie.Path = "/app" }},
		{name: "public path not below the cookie's", cfg: keepalive.Config{Path: "/app/keepalive/", PublicPath: "/keepalive/"}, edit: func(sm *scs.SessionManager) { sm.Cookie.Path = "/app" }, want: "not below SessionManager.Cookie.Path", noScript: true},
		{name: "path below the cookie's", cfg: keepalive.Config{Path: "/app/keepalive/"}, edit: func(sm *scs.SessionManager) { sm.Cookie.Path = "/app" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			sm := newSessions()
			tt.cfg.Logger = logTo(&log)
			c := newClient(t, sm, tt.cfg)
			require.Empty(t, log.String(), "New does not check them")
			if tt.edit != nil {
				tt.edit(sm)
			}
			for range 3 {
				require.Equal(t, http.StatusOK, c.Get("/login").StatusCode)
			}
			shownPage := body(t, c.Get("/"))
			require.Equal(t, !tt.noScript, strings.Contains(shownPage, "<script"))
			require.NotContains(t, shownPage, "data-warn", "a warning that would always show is left out")
			if tt.want == "" {
				require.Empty(t, log.String())
				return
			}
			require.Contains(t, log.String(), tt.want)
			require.Equal(t, 1, strings.Count(log.String(), "\n"), "logged once")
		})
	}
}
