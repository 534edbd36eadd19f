package keepalive_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// Sessions have the idle timeout of their own role, for touches, pings, frames
// and in pages. It may become longer or shorter by what a request does.
func TestIdleTimeoutOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions() // 20 minutes
		timeouts := map[string]time.Duration{"kiosk": 5 * time.Minute, "admin": 10 * time.Minute, "remembered": 2 * time.Hour, "negative": -1}
		km := newManager(t, sm, keepalive.Config{
			IdleTimeout: func(ctx context.Context) time.Duration { return timeouts[sm.GetString(ctx, "role")] },
			WarnBefore:  6 * time.Minute,
			NoScript:    true,
		})
		app := apptest.App(sm)
		app.HandleFunc("/role", func(w http.ResponseWriter, r *http.Request) {
			sm.Put(r.Context(), "role", r.URL.Query().Get("role"))
			_, _ = w.Write([]byte(apptest.Page))
		})
		h := km.LoadAndSave(app)
		for _, tt := range []struct {
			role, attributes string
			idle             time.Duration
		}{
			{"", `data-idle="1200000" data-warn="360000"`, 20 * time.Minute},
			{"negative", `data-idle="1200000" data-warn="360000"`, 20 * time.Minute},
			{"kiosk", `data-idle="300000"></script>`, 5 * time.Minute}, // no warning: it would come at once
			{"admin", `data-idle="600000" data-warn="360000"`, 10 * time.Minute},
			{"remembered", `data-idle="7200000" data-warn="360000"`, 2 * time.Hour},
		} {
			c := &apptest.Client{Handler: h}
			c.Get("/login")
			require.Contains(t, body(t, c.Get("/role?role="+tt.role)), tt.attributes, "of the role that it has set")
			expiry := func() time.Duration {
				e, found, err := sm.Store.(keepalive.Store).Expiry(t.Context(), c.Token)
				require.NoError(t, err)
				require.True(t, found)
				return time.Until(e)
			}
			require.Equal(t, tt.idle, expiry())
			time.Sleep(2 * time.Minute)
			require.Contains(t, body(t, c.Get("/")), tt.attributes)
			require.Equal(t, tt.idle, expiry(), "after a touch")
			time.Sleep(2 * time.Minute)
			idle, _ := readTimes(t, c.Ping())
			require.Equal(t, tt.idle, idle)
			require.Equal(t, tt.idle, expiry(), "after a ping")
			time.Sleep(time.Minute)
			frame := c.Get("/keepalive/frame")
			require.Equal(t, http.StatusOK, frame.StatusCode)
			require.Equal(t, tt.idle, expiry(), "after a frame")
			idle, _ = readTimes(t, c.Do(http.MethodPost, "/keepalive/ping", t.Context(), "inactive=60000"))
			require.Equal(t, tt.idle, idle, "a client's inactivity shortens nothing that is stored")
			time.Sleep(tt.idle)
			require.Equal(t, http.StatusUnauthorized, c.Ping().StatusCode)
		}
	})
}

// After a restart nobody knows when a session of a kiosk ends. It gets its own
// idle timeout at most, and not that of the session manager.
func TestIdleTimeoutAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedStore{memstore.NewWithCleanupInterval(0)}
		kiosk := keepalive.Config{IdleTimeout: func(context.Context) time.Duration { return 5 * time.Minute }}
		for _, touch := range []func(c *apptest.Client){
			func(c *apptest.Client) { c.Get("/") },
			func(c *apptest.Client) { c.Ping() },
			func(c *apptest.Client) { c.Do(http.MethodPost, "/keepalive/ping", t.Context(), "inactive=60000") },
		} {
			_, before := newInstance(t, store, 20*time.Minute, kiosk)
			c := &apptest.Client{Handler: before}
			c.Get("/login")
			_, c.Handler = newInstance(t, store, 20*time.Minute, kiosk)
			touch(c)
			time.Sleep(5*time.Minute + time.Second)
			require.Equal(t, http.StatusUnauthorized, c.Ping().StatusCode)
		}
	})
}

// The deadline holds whatever an app says.
func TestIdleTimeoutBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		km := newManager(t, sm, keepalive.Config{IdleTimeout: func(context.Context) time.Duration { return 1000 * time.Hour }})
		c := &apptest.Client{Handler: km.LoadAndSave(apptest.App(sm))}
		c.Get("/login")
		c.Get("/deadline") // a minute from now
		for range 3 {
			c.Ping()
			c.Get("/")
		}
		time.Sleep(time.Minute)
		require.Equal(t, http.StatusUnauthorized, c.Ping().StatusCode)
	})
}

// Pages carry a stamp of their user, which is the same in all instances with the
// same salt, and tells nothing without that.
func TestUserStamp(t *testing.T) {
	const salt = "a secret"
	mac := hmac.New(sha256.New, []byte(salt))
	mac.Write([]byte("user\x00ann"))
	ann := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))[:12]

	var log bytes.Buffer
	sm := newSessions()
	calls := 0
	var here []string
	km := newManager(t, sm, keepalive.Config{
		Salt:     salt,
		Identify: func(ctx context.Context) string { calls++; return sm.GetString(ctx, "user") },
		Presence: keepalive.PresencePath, Anonymous: true, AfterEnd: keepalive.BlankPage,
		Logger: logTo(&log),
		Observer: func(e keepalive.Event) {
			if e.Kind == keepalive.EventHere {
				here = append(here, e.User)
			}
		},
	})
	app := apptest.App(sm)
	app.HandleFunc("/json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	})
	c := &apptest.Client{Handler: km.LoadAndSave(app)}
	anonymous := body(t, c.Get("/"))
	require.Contains(t, anonymous, " data-anonymous")
	require.NotContains(t, anonymous, "data-user", "there is no session")
	guest := body(t, c.Get("/put?v=x"))
	require.Contains(t, guest, ` data-user=""></script>`)
	require.NotContains(t, guest, "data-blank", "a guest's page stays")
	user := body(t, c.Get("/login"))
	require.Contains(t, user, ` data-user="`+ann+`"></script>`, "as the handler left it")
	require.Contains(t, user, ` data-blank="1"`)
	require.Contains(t, body(t, c.Get("/renew")), ` data-user="`+ann+`"></script>`, "the same user")
	require.Equal(t, 6, calls, "once for each page, and for the events of each write")
	c.Get("/json")
	require.Equal(t, 6, calls, "no page")
	require.Equal(t, http.StatusNoContent, c.Do(http.MethodPost, "/keepalive/here", t.Context(), "tab=1&page=/").StatusCode)
	require.Equal(t, []string{"ann"}, here)

	// Beside scs's LoadAndSave there is no session to ask.
	calls = 0
	c.Handler = km.Inject(sm.LoadAndSave(app))
	for range 2 {
		require.NotContains(t, body(t, c.Get("/")), "data-user")
	}
	require.Zero(t, calls)
	require.Equal(t, 1, strings.Count(log.String(), "Config.Identify is not called"), log.String())
}
