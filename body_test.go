package keepalive_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// What needs no body is answered before one arrives.
func TestAnsweredBeforeTheBody(t *testing.T) {
	sm := newSessions()
	srv := wiretest.Serve(t, newManager(t, sm, keepalive.Config{Presence: keepalive.PresencePath}).LoadAndSave(apptest.App(sm)))
	cookie := "session=" + newToken(t, sm)
	tests := []struct {
		name, method, path, cookie, site string
		status                           int
	}{
		{name: "ping without a cookie", path: "ping", status: 401},
		{name: "ping with what is no token", path: "ping", cookie: "session=forged", status: 401},
		{name: "here without a cookie", path: "here", status: 401},
		{name: "leave without a cookie", path: "leave", status: 204},
		{name: "another origin", path: "ping", cookie: cookie, site: "cross-site", status: 403},
		{name: "another method", method: "PUT", path: "ping", cookie: cookie, status: 405},
		{name: "GET", method: "GET", path: "ping", cookie: cookie, status: 200},
		{name: "script", path: "keepalive.js", cookie: cookie, status: 405},
		{name: "unknown", path: "x", cookie: cookie, status: 404},
	}
	for _, tt := range tests {
		for _, body := range []string{"Content-Length: 10", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
			t.Run(tt.name+"/HTTP/1.1, "+body, func(t *testing.T) {
				conn, err := net.Dial("tcp", srv.Plain.Listener.Addr().String())
				require.NoError(t, err)
				defer conn.Close()
				require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second))) // less than the server waits for a body
				_, err = fmt.Fprintf(conn, "%s /keepalive/%s HTTP/1.1\r\nHost: app.example\r\nCookie: %s\r\nSec-Fetch-Site: %s\r\n%s\r\n\r\n",
					or(tt.method, "POST"), tt.path, tt.cookie, or(tt.site, "same-origin"), body)
				require.NoError(t, err)
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.Equal(t, tt.status, res.StatusCode)
				require.True(t, res.Close, "what comes late must not be taken for another request")
			})
		}
		t.Run(tt.name+"/HTTP/2", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			body, _ := io.Pipe()
			r, err := http.NewRequestWithContext(ctx, or(tt.method, "POST"), srv.TLS.URL+"/keepalive/"+tt.path, body)
			require.NoError(t, err)
			r.Header = http.Header{"Cookie": {tt.cookie}, "Sec-Fetch-Site": {or(tt.site, "same-origin")}}
			res, err := srv.TLS.Client().Do(r)
			require.NoError(t, err)
			require.Equal(t, 2, res.ProtoMajor)
			require.Equal(t, tt.status, res.StatusCode)
			require.NoError(t, res.Body.Close())
		})
	}
}

func or(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// pipeListener accepts connections in memory, so that a server can run in a synctest
// bubble.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	if conn, ok := <-l; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (l pipeListener) Close() error   { close(l); return nil }
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// deadlineWriter notes the read deadlines that are set, as times from now.
type deadlineWriter struct {
	http.ResponseWriter
	noted *[]time.Duration
}

func (w deadlineWriter) SetReadDeadline(at time.Time) error {
	left := time.Duration(0) // none
	if !at.IsZero() {
		left = time.Until(at)
	}
	*w.noted = append(*w.noted, left)
	return http.NewResponseController(w.ResponseWriter).SetReadDeadline(at)
}

// A body that stalls is given up after 10 seconds. One that comes in time leaves no
// deadline behind.
func TestStalledBody(t *testing.T) {
	tests := []struct {
		name, body string // of 10 bytes
		status     int
		noted      []time.Duration
	}{
		{name: "nothing comes", status: 408, noted: []time.Duration{10 * time.Second}},
		{name: "half of it comes", body: "inact", status: 408, noted: []time.Duration{10 * time.Second}},
		{name: "all of it comes", body: "inactive=5", status: 200, noted: []time.Duration{10 * time.Second, 0}},
	}
	for _, tt := range tests {
		for _, version := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/HTTP %d", tt.name, version), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sm := newSessions()
					var noted []time.Duration
					var refused []keepalive.Reason
					h := newManager(t, sm, keepalive.Config{
						Payload: func(ctx context.Context, _ *http.Request) (any, error) {
							time.Sleep(time.Minute) // longer than a body may take
							return nil, ctx.Err()
						},
						Observer: func(e keepalive.Event) {
							if e.Kind == keepalive.EventRefused {
								refused = append(refused, e.Reason)
							}
						},
					}).LoadAndSave(apptest.App(sm))
					protocols := new(http.Protocols)
					protocols.SetHTTP1(version == 1)
					protocols.SetUnencryptedHTTP2(version == 2)
					srv := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						h.ServeHTTP(deadlineWriter{w, &noted}, r)
					})}
					listener, dials := make(pipeListener), 0
					go func() { _ = srv.Serve(listener) }()
					defer srv.Close()
					client := &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn, error) {
						client, server := net.Pipe()
						listener <- server
						dials++
						return client, nil
					}}
					defer client.CloseIdleConnections()
					ping := func(length int64, body io.Reader) *http.Response {
						r, err := http.NewRequest(http.MethodPost, "http://app.example/keepalive/ping", body)
						require.NoError(t, err)
						r.ContentLength = length
						r.Header.Set("Cookie", "session="+newToken(t, sm))
						res, err := client.RoundTrip(r)
						require.NoError(t, err)
						return res
					}
					rest, end := io.Pipe()
					if len(tt.body) == 10 {
						end.Close()
					}
					start := time.Now()
					res := ping(10, io.MultiReader(strings.NewReader(tt.body), rest))
					require.Equal(t, tt.status, res.StatusCode)
					require.Equal(t, tt.noted, noted)
					answer, err := io.ReadAll(res.Body)
					require.NoError(t, err)
					end.Close()
					if tt.status == http.StatusRequestTimeout {
						require.Equal(t, 10*time.Second, time.Since(start))
						require.Equal(t, "Request Timeout\n", string(answer))
						require.Equal(t, []keepalive.Reason{keepalive.ReasonTimeout}, refused)
						require.Equal(t, version == 1, res.Close)
						return
					}
					require.Contains(t, string(answer), `"data":null`, "the context has not ended")
					time.Sleep(time.Minute)
					res = ping(0, nil)
					require.Equal(t, http.StatusOK, res.StatusCode)
					body(t, res)
					require.Equal(t, 1, dials, "the connection goes on")
				})
			})
		}
	}
}

// A connection goes on after each request whose body was read, and after those
// without one.
func TestConnectionIsKept(t *testing.T) {
	sm := newSessions()
	srv := wiretest.Serve(t, newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm)))
	cookie := "Cookie: session=" + newToken(t, sm) + "\r\n"
	tests := []struct {
		name, method, header string // a body follows the header, and "\r\n" is the end of it
		kept                 bool
	}{
		{name: "body", method: "POST", header: cookie + "Content-Length: 12\r\n\r\ninactive=5", kept: true},
		{name: "body that is refused", method: "POST", header: cookie + "Content-Length: 12\r\n\r\ninactive=x", kept: true},
		{name: "no body", method: "POST", header: cookie + "Content-Length: 0\r\n", kept: true},
		{name: "no cookie, no body", method: "POST", header: "Content-Length: 0\r\n", kept: true},
		{name: "GET", method: "GET", header: cookie, kept: true},
		{name: "no cookie", method: "POST", header: "Content-Length: 12\r\n\r\ninactive=5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := srv.Fetch(t, "HTTP/1.1", tt.method, "/keepalive/ping", tt.header)
			require.Equal(t, tt.kept, got.Reusable, got.Raw)
		})
	}
	t.Run("over HTTP/2", func(t *testing.T) {
		client := srv.TLS.Client()
		for i := range 3 {
			var reused bool
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }})
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.TLS.URL+"/keepalive/ping", strings.NewReader("inactive=5"))
			require.NoError(t, err)
			res, err := client.Do(r)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusUnauthorized, res.StatusCode)
			require.Equal(t, i > 0, reused)
		}
	})
}
