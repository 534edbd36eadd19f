package keepalive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

func TestPayload(t *testing.T) {
	sm := newSessions()
	calls := 0
	cfg := keepalive.Config{Payload: func(ctx context.Context, r *http.Request) (any, error) {
		calls++
		return map[string]string{"ctx": sm.GetString(ctx, "user"), "r": sm.GetString(r.Context(), "user"), "path": r.URL.Path}, nil
	}}
	const data = `^\{"idleMs":\d+,"lifetimeMs":\d+,"data":\{"ctx":"ann","path":"/keepalive/ping","r":"ann"\}\}$`
	ours := serve(t, newManager(t, sm, cfg).LoadAndSave(apptest.App(sm)))
	cookie := "Cookie: session=" + newToken(t, sm) + "\r\n"
	tests := []struct {
		name, method, header string
		status               int
		want                 string
	}{
		{name: "ping", method: "POST", header: cookie, status: 200, want: data},
		{name: "look", method: "GET", header: cookie, status: 200, want: data},
		{name: "no session", method: "POST", status: 401, want: "^Unauthorized\n$"},
		{name: "look without a session", method: "GET", header: "Cookie: session=forged\r\n", status: 401, want: "^Unauthorized\n$"},
		{name: "another origin", method: "POST", header: cookie + "Sec-Fetch-Site: cross-site\r\n", status: 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls = 0
			got := ours.fetch(t, "HTTP/1.1", tt.method, "/keepalive/ping", tt.header)
			require.Equal(t, tt.status, got.status)
			require.Regexp(t, tt.want, got.body)
			require.Equal(t, tt.status == 200, calls == 1)
			require.Equal(t, "no-store", got.header.Get("Cache-Control"))
		})
	}
}

// An error costs the data, not the ping.
func TestPayloadErrors(t *testing.T) {
	failure := errors.New("no tokens left")
	tests := []struct {
		name    string
		payload func(context.Context, *http.Request) (any, error)
		is      string
	}{
		{name: "error", payload: func(context.Context, *http.Request) (any, error) { return "dropped", failure }, is: failure.Error()},
		{name: "no JSON", payload: func(context.Context, *http.Request) (any, error) { return func() {}, nil }, is: "unsupported type"},
		{name: "no JSON after a while", payload: func(context.Context, *http.Request) (any, error) { return []any{"x", func() {}}, nil }, is: "unsupported type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			var errs []keepalive.Event
			sm := newSessions()
			cfg := keepalive.Config{Payload: tt.payload, Logger: slog.New(slog.NewTextHandler(&log, nil)), Observer: func(e keepalive.Event) {
				if e.Kind == keepalive.EventError {
					errs = append(errs, e)
				}
			}}
			c := &apptest.Client{Handler: newManager(t, sm, cfg).LoadAndSave(apptest.App(sm))}
			c.Get("/login")
			for _, method := range []string{"POST", "GET"} {
				res := c.Do(method, "/keepalive/ping", t.Context(), "")
				require.Equal(t, http.StatusOK, res.StatusCode)
				require.Regexp(t, `^\{"idleMs":\d+,"lifetimeMs":\d+\}$`, body(t, res))
			}
			require.Len(t, errs, 2)
			require.ErrorContains(t, errs[0].Err, tt.is)
			require.NotEmpty(t, errs[0].Session)
			require.Equal(t, 2, strings.Count(log.String(), "level=ERROR"), log.String())
			require.Contains(t, log.String(), "session="+errs[0].Session)
		})
	}
}

// Nothing at all is data too, and null in JSON.
func TestPayloadOfNothing(t *testing.T) {
	sm := newSessions()
	c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{Payload: func(context.Context, *http.Request) (any, error) { return nil, nil }}).LoadAndSave(apptest.App(sm))}
	c.Get("/login")
	var a struct{ Data json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(body(t, c.Ping())), &a))
	require.Equal(t, "null", string(a.Data))
}

// What Payload writes is dropped, and said once. Beside scs's LoadAndSave too,
// where a session counts as modified from the start.
func TestPayloadThatWrites(t *testing.T) {
	for _, writes := range []bool{true, false} {
		t.Run(fmt.Sprint(writes), func(t *testing.T) {
			var log bytes.Buffer
			sm := newSessions()
			km := newManager(t, sm, keepalive.Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Payload: func(ctx context.Context, _ *http.Request) (any, error) {
				if writes {
					sm.Put(ctx, "user", "eve")
				}
				return sm.GetString(ctx, "user"), nil
			}})
			c := &apptest.Client{Handler: km.LoadAndSave(apptest.App(sm))}
			c.Get("/login")
			for range 3 {
				require.Contains(t, body(t, c.Ping()), `"data":"`)
			}
			_, values, _ := apptest.Stored(t, sm, c.Token)
			require.Equal(t, "ann", values["user"])
			require.Equal(t, writes, strings.Count(log.String(), "Config.Payload modified") == 1, log.String())

			log.Reset()
			mux := apptest.App(sm)
			mux.Handle(km.Path(), km.Handler())
			inside := &apptest.Client{Handler: sm.LoadAndSave(mux), Token: c.Token}
			require.Equal(t, http.StatusOK, inside.Ping().StatusCode)
			require.NotContains(t, log.String(), "Config.Payload modified")
		})
	}
}

// vanishing is a store whose sessions end, or which fails, between a touch and
// a read.
type vanishing struct {
	keepalive.Store
	err error
}

func (s vanishing) Find(string) ([]byte, bool, error) { return nil, false, s.err }

func (s vanishing) FindCtx(context.Context, string) ([]byte, bool, error) { return s.Find("") }

func TestPayloadOfASessionThatEnds(t *testing.T) {
	tests := []struct {
		name   string
		store  func(keepalive.Store) keepalive.Store
		status int
		kind   keepalive.EventKind
	}{
		{name: "gone", store: func(s keepalive.Store) keepalive.Store { return vanishing{Store: s} }, status: 401, kind: keepalive.EventGone},
		{name: "failing", store: func(s keepalive.Store) keepalive.Store { return vanishing{s, io.ErrUnexpectedEOF} }, status: 503, kind: keepalive.EventError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			newManager(t, sm, keepalive.Config{}) // makes the store a Store
			c := &apptest.Client{Token: newToken(t, sm)}
			sm.Store = tt.store(sm.Store.(keepalive.Store))
			var last keepalive.EventKind
			c.Handler = newManager(t, sm, keepalive.Config{
				Observer: func(e keepalive.Event) { last = e.Kind },
				Payload:  func(context.Context, *http.Request) (any, error) { panic("without a session") },
			}).LoadAndSave(apptest.App(sm))
			res := c.Ping()
			require.Equal(t, tt.status, res.StatusCode)
			require.Equal(t, tt.kind, last)
			require.Equal(t, tt.status == 503, res.Header.Get("Retry-After") != "")
		})
	}
}
