package keepalive_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

type answer struct{ IdleMs, LifetimeMs int64 }

func readAnswer(t testing.TB, res *http.Response) (idle, lifetime time.Duration) {
	var a answer
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, json.NewDecoder(res.Body).Decode(&a))
	return time.Duration(a.IdleMs) * time.Millisecond, time.Duration(a.LifetimeMs) * time.Millisecond
}

func TestPingsKeepASessionToItsLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
		c.Get("/login")
		began := time.Now()
		for time.Since(began) < 12*time.Hour-10*time.Minute {
			time.Sleep(10 * time.Minute)
			idle, lifetime := readAnswer(t, c.Ping())
			left := 12*time.Hour - time.Since(began)
			require.Equal(t, min(20*time.Minute, left), idle)
			require.Equal(t, left, lifetime)
		}
		require.Equal(t, 12*time.Hour-10*time.Minute, time.Since(began))
		time.Sleep(10*time.Minute - time.Nanosecond)
		_, _, found := apptest.Stored(t, sm, c.Token)
		require.True(t, found, "the session must live until its deadline")
		time.Sleep(time.Nanosecond)
		require.Equal(t, http.StatusUnauthorized, c.Ping().StatusCode)
		_, _, found = apptest.Stored(t, sm, c.Token)
		require.False(t, found)
	})
}

func TestSessionEndsOnTime(t *testing.T) {
	tests := []struct {
		name string
		open time.Duration // for how long pings come, every 10 minutes
		ends time.Duration // after sign-in
	}{
		{name: "no ping", open: 0, ends: 20 * time.Minute},
		{name: "page closed after a ping", open: 10 * time.Minute, ends: 30 * time.Minute},
		{name: "page closed after four hours", open: 4 * time.Hour, ends: 4*time.Hour + 20*time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sm := newSessions()
				c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
				c.Get("/login")
				began := time.Now()
				for time.Since(began) < tt.open {
					time.Sleep(10 * time.Minute)
					c.Ping()
				}
				time.Sleep(tt.ends - time.Since(began) - time.Nanosecond)
				_, _, found := apptest.Stored(t, sm, c.Token)
				require.True(t, found)
				time.Sleep(2 * time.Nanosecond) // memstore keeps a session to its last nanosecond
				_, _, found = apptest.Stored(t, sm, c.Token)
				require.False(t, found)
				require.Equal(t, http.StatusUnauthorized, c.Ping().StatusCode)
			})
		})
	}
}

func TestLookExtendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
		c.Get("/login")
		for left := 20 * time.Minute; left > 0; left -= time.Minute {
			idle, _ := readAnswer(t, c.Get("/keepalive/ping"))
			require.Equal(t, left, idle)
			time.Sleep(time.Minute)
		}
		require.Equal(t, http.StatusUnauthorized, c.Get("/keepalive/ping").StatusCode)
	})
}

func TestInactiveShortensAPing(t *testing.T) {
	tests := []struct {
		name, body string
		wait       time.Duration
		left       time.Duration
	}{
		{name: "none", body: "", wait: 10 * time.Minute, left: 20 * time.Minute},
		{name: "other fields", body: "path=/x", wait: 10 * time.Minute, left: 20 * time.Minute},
		{name: "five minutes", body: "inactive=300000", wait: 10 * time.Minute, left: 15 * time.Minute},
		{name: "never backwards", body: "inactive=900000", wait: 10 * time.Minute, left: 10 * time.Minute},
		{name: "longer than the idle timeout", body: "inactive=86400000", wait: 10 * time.Minute, left: 10 * time.Minute},
		{name: "longer than any number of nanoseconds", body: "inactive=9223372036854775807", wait: 10 * time.Minute, left: 10 * time.Minute},
		{name: "never beyond now", body: "inactive=-86400000", wait: 10 * time.Minute, left: 20 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sm := newSessions()
				c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
				c.Get("/login")
				time.Sleep(tt.wait)
				idle, _ := readAnswer(t, c.Do(http.MethodPost, "/keepalive/ping", t.Context(), tt.body))
				require.Equal(t, tt.left, idle)
			})
		})
	}
}

func TestReadOnlyRequestsShareOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		counted := &countingStore{Store: sm.Store}
		sm.Store = counted
		c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
		c.Get("/login")
		require.Equal(t, int64(1), counted.commits.Load())

		time.Sleep(59 * time.Second)
		for range 31 {
			c.Get("/")
		}
		require.Equal(t, int64(1), counted.commits.Load(), "less than a minute to gain is not worth a write")
		time.Sleep(time.Second)
		for range 31 {
			require.Empty(t, c.Get("/").Header["Set-Cookie"], "a touch needs no cookie")
		}
		require.Equal(t, int64(2), counted.commits.Load())
		idle, _ := readAnswer(t, c.Get("/keepalive/ping"))
		require.Equal(t, 20*time.Minute, idle)
	})
}

func TestPassiveRequestsExtendNothing(t *testing.T) {
	for _, target := range []string{"/", "/put?v=x"} {
		t.Run(target, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sm := newSessions()
				c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{
					Passive: func(r *http.Request) bool { return r.Header.Get("X-Requested-By") == "" && r.URL.Path != "/login" },
				}).LoadAndSave(apptest.App(sm))}
				c.Get("/login")
				for range 19 {
					time.Sleep(time.Minute)
					c.Get(target)
				}
				_, values, found := apptest.Stored(t, sm, c.Token)
				require.True(t, found)
				if target != "/" {
					require.Equal(t, "x", values["v"], "what a passive request writes is kept")
				}
				time.Sleep(time.Minute + time.Nanosecond)
				_, _, found = apptest.Stored(t, sm, c.Token)
				require.False(t, found)
			})
		})
	}
}
