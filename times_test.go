package keepalive_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// Pings keep a session alive until its deadline, and not a nanosecond longer.
func TestPingsKeepASessionToItsLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		c := newClient(t, sm, keepalive.Config{})
		c.Get("/login")
		start := time.Now()
		for time.Since(start) < 12*time.Hour-10*time.Minute {
			time.Sleep(10 * time.Minute)
			idle, lifetime := readTimes(t, c.Ping())
			left := 12*time.Hour - time.Since(start)
			require.Equal(t, min(20*time.Minute, left), idle)
			require.Equal(t, left, lifetime)
		}
		require.Equal(t, 12*time.Hour-10*time.Minute, time.Since(start))
		time.Sleep(10*time.Minute - time.Nanosecond)
		_, _, found := apptest.Stored(t, sm, c.Token)
		require.True(t, found, "the session lives until its deadline")
		time.Sleep(time.Nanosecond)
		require.Equal(t, http.StatusUnauthorized, c.Ping().StatusCode)
		_, _, found = apptest.Stored(t, sm, c.Token)
		require.False(t, found)
	})
}

// Without pings a session ends with its idle timeout.
func TestSessionEndsOnTime(t *testing.T) {
	tests := []struct {
		name string
		open time.Duration // pings come for so long, every 10 minutes
		ends time.Duration // so long after sign-in
	}{
		{name: "no ping", open: 0, ends: 20 * time.Minute},
		{name: "page closed after a ping", open: 10 * time.Minute, ends: 30 * time.Minute},
		{name: "page closed after four hours", open: 4 * time.Hour, ends: 4*time.Hour + 20*time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sm := newSessions()
				c := newClient(t, sm, keepalive.Config{})
				c.Get("/login")
				start := time.Now()
				for time.Since(start) < tt.open {
					time.Sleep(10 * time.Minute)
					c.Ping()
				}
				time.Sleep(tt.ends - time.Since(start) - time.Nanosecond)
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

func TestGETExtendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		c := newClient(t, sm, keepalive.Config{})
		c.Get("/login")
		for left := 20 * time.Minute; left > 0; left -= time.Minute {
			idle, _ := readTimes(t, c.Get("/keepalive/ping"))
			require.Equal(t, left, idle)
			time.Sleep(time.Minute)
		}
		require.Equal(t, http.StatusUnauthorized, c.Get("/keepalive/ping").StatusCode)
	})
}

func TestReadOnlyRequestsShareOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sm := newSessions()
		counted := &countingStore{Store: sm.Store}
		sm.Store = counted
		c := newClient(t, sm, keepalive.Config{})
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
		idle, _ := readTimes(t, c.Get("/keepalive/ping"))
		require.Equal(t, 20*time.Minute, idle)
	})
}

func TestPassiveRequestsExtendNothing(t *testing.T) {
	tests := []struct {
		name, target string
		mode         keepalive.Mode
	}{
		{name: "read", target: "/"},
		{name: "write", target: "/put?v=x"},
		{name: "page with the script", target: "/", mode: keepalive.UserActive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sm := newSessions()
				c := newClient(t, sm, keepalive.Config{
					Mode:    tt.mode,
					Passive: func(r *http.Request) bool { return r.URL.Path != "/login" },
				})
				c.Get("/login")
				for range 19 {
					time.Sleep(time.Minute)
					_, scripts := removeScript(body(t, c.Get(tt.target)))
					require.Equal(t, tt.mode == keepalive.UserActive, scripts == 1)
				}
				_, values, found := apptest.Stored(t, sm, c.Token)
				require.True(t, found)
				if tt.target != "/" {
					require.Equal(t, "x", values["v"], "what a passive request writes is kept")
				}
				time.Sleep(time.Minute + time.Nanosecond)
				_, _, found = apptest.Stored(t, sm, c.Token)
				require.False(t, found)
			})
		})
	}
}
