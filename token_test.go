package keepalive_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// looseStore compares keys as a CHAR column of MySQL may: without spaces at the end
// and without case.
type looseStore struct {
	scs.Store
	asked atomic.Int64
}

func loose(key string) string { return strings.ToLower(strings.TrimRight(key, " ")) }

func (s *looseStore) Find(key string) ([]byte, bool, error) {
	s.asked.Add(1)
	return s.Store.Find(loose(key))
}

func (s *looseStore) Commit(key string, data []byte, expiry time.Time) error {
	s.asked.Add(1)
	return s.Store.Commit(loose(key), data, expiry)
}

func (s *looseStore) Delete(key string) error {
	s.asked.Add(1)
	return s.Store.Delete(loose(key))
}

// No store is asked for what scs cannot have made, so that a session has one name
// only. Of letters, case alone is left to the store.
func TestOnlyTokensOfSCSReachTheStore(t *testing.T) {
	variants := []struct {
		name   string
		cookie func(token string) string
		ok     bool
	}{
		{name: "the token", cookie: func(s string) string { return s }, ok: true},
		{name: "quoted", cookie: func(s string) string { return `"` + s + `"` }, ok: true},
		{name: "a space at the end", cookie: func(s string) string { return `"` + s + ` "` }},
		{name: "many spaces at the end", cookie: func(s string) string { return `"` + s + strings.Repeat(" ", 1000) + `"` }},
		{name: "a space in place of the last", cookie: func(s string) string { return `"` + s[:42] + ` "` }},
		{name: "padded", cookie: func(s string) string { return s + "=" }},
		{name: "too short", cookie: func(s string) string { return s[:42] }},
		{name: "too long", cookie: func(s string) string { return s + "A" }},
		{name: "another alphabet of base64", cookie: func(s string) string { return s[:42] + "+" }},
		{name: "neighbours of the letters", cookie: func(s string) string { return s[:40] + "@[`" }},
		{name: "empty", cookie: func(string) string { return "" }},
	}
	requests := []string{"GET /", "GET /keepalive/ping", "POST /keepalive/ping", "GET /keepalive/frame", "POST /keepalive/here", "POST /keepalive/leave"}
	for _, hashed := range []bool{false, true} {
		for _, v := range variants {
			t.Run(fmt.Sprintf("%s, hashed %t", v.name, hashed), func(t *testing.T) {
				sm := newSessions()
				sm.HashTokenInStore = hashed
				store := &looseStore{Store: sm.Store}
				sm.Store = store
				var named []keepalive.EventKind
				srv := httptest.NewServer(newManager(t, sm, keepalive.Config{
					Presence: keepalive.PresencePath, NoScript: true,
					Observer: func(e keepalive.Event) {
						if e.Session != "" {
							named = append(named, e.Kind)
						}
					},
				}).LoadAndSave(apptest.App(sm)))
				defer srv.Close()
				cookie := "session=" + v.cookie(newToken(t, sm))
				store.asked.Store(0)
				for _, request := range requests {
					method, path, _ := strings.Cut(request, " ")
					r, err := http.NewRequest(method, srv.URL+path, strings.NewReader("tab=a"))
					require.NoError(t, err)
					r.Header.Set("Cookie", cookie)
					res, err := http.DefaultClient.Do(r)
					require.NoError(t, err)
					require.NoError(t, res.Body.Close())
					refused := !v.ok && path != "/" && path != "/keepalive/leave"
					require.Equal(t, refused, res.StatusCode == http.StatusUnauthorized, request)
				}
				require.Equal(t, v.ok, store.asked.Load() > 0)
				require.Equal(t, v.ok, named != nil, "%v", named)
			})
		}
	}
}
