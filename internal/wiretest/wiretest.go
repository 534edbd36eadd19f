// Package wiretest serves a handler over each protocol and returns exactly what
// came over the wire. Tests use it to compare a handler with the same one inside
// a wrapper: a recorder would hide wrong lengths, and the bodies of HEAD and 304.
package wiretest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Protocols are those that Fetch speaks.
var Protocols = []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0"}

// Response is what came over the wire, but for the date.
type Response struct {
	Raw           string // for HTTP/1 only
	Informational []int  // the 1xx statuses before the final one
	Status        int
	Header        http.Header
	Length        int64 // Content-Length, -1 for none
	Body          string
	Trailer       http.Header
	Truncated     bool // it ended too early, or did not begin
	Reusable      bool // HTTP/1.1 answered another request on the same connection
}

// Servers serve one handler over all protocols.
type Servers struct {
	Plain *httptest.Server // HTTP/1.0 and HTTP/1.1
	TLS   *httptest.Server // HTTP/2
	http2 *http.Transport  // to TLS
}

// Serve starts servers that run until the test ends. They log nothing of
// handlers that panic or call WriteHeader twice.
func Serve(t testing.TB, h http.Handler) Servers {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("/again", Respond(0, "again"))
	s := Servers{Plain: httptest.NewUnstartedServer(mux), TLS: httptest.NewUnstartedServer(mux)}
	for _, srv := range []*httptest.Server{s.Plain, s.TLS} {
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(srv.Close)
	}
	s.Plain.Start()
	s.TLS.EnableHTTP2 = true
	s.TLS.StartTLS()
	roots := s.TLS.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	s.http2 = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(s.http2.CloseIdleConnections)
	return s
}

// Fetch sends one request. header is in lines that end with "\r\n".
func (s Servers) Fetch(t testing.TB, proto, method, path, header string) Response {
	if proto == "HTTP/2.0" {
		return s.fetchHTTP2(t, method, path, header)
	}
	all := s.exchange(t, proto, method, path, header)
	got := Response{Raw: regexp.MustCompile(`\r\nDate: [^\r]*`).ReplaceAllString(all, "")}
	br := bufio.NewReader(strings.NewReader(got.Raw))
	for {
		res, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			got.Truncated = true
			return got
		}
		if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			got.read(res)
			_, err = http.ReadResponse(br, nil)
			got.Reusable = err == nil
			return got
		}
		got.Informational = append(got.Informational, res.StatusCode)
	}
}

// exchange sends one request by hand, with HTTP/1.1 a second one after it, and
// returns all that comes back until the connection is closed.
func (s Servers) exchange(t testing.TB, proto, method, path, header string) string {
	conn, err := net.Dial("tcp", s.Plain.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute))) // only when something hangs
	request := fmt.Sprintf("%s %s %s\r\nHost: example.com\r\n%s\r\n", method, path, proto, header)
	if proto == "HTTP/1.1" {
		request += "GET /again HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
	}
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(all)
}

func (s Servers) fetchHTTP2(t testing.TB, method, path, header string) (got Response) {
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			got.Informational = append(got.Informational, code)
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, method, s.TLS.URL+path, nil)
	require.NoError(t, err)
	for line := range strings.SplitSeq(strings.TrimSuffix(header, "\r\n"), "\r\n") {
		if name, value, _ := strings.Cut(line, ": "); name != "" {
			r.Header.Add(name, value)
		}
	}
	res, err := s.http2.RoundTrip(r)
	if err != nil {
		return Response{Truncated: true}
	}
	require.Equal(t, 2, res.ProtoMajor)
	res.Header.Del("Date")
	got.read(res)
	return got
}

func (got *Response) read(res *http.Response) {
	got.Status, got.Header, got.Length = res.StatusCode, res.Header, res.ContentLength
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	got.Truncated, got.Body, got.Trailer = err != nil, string(b), res.Trailer
}

// RequireUnchanged requires the same response. Where the chunks of a body begin is
// the server's choice.
func RequireUnchanged(t testing.TB, bare, got Response) {
	t.Helper()
	require.Equal(t, withoutChunks(bare), withoutChunks(got))
}

func withoutChunks(r Response) Response {
	if head, _, _ := strings.Cut(r.Raw, "\r\n\r\n"); strings.Contains(head, "Transfer-Encoding: chunked") {
		r.Raw = head
	}
	return r
}

// RequireInserted requires that got is the page bare with element as the first
// in its head, and with a header that is true of the new bytes.
func RequireInserted(t testing.TB, element string, bare, got Response) {
	t.Helper()
	if bare.Body != "" {
		require.Equal(t, 1, strings.Count(got.Body, element), got.Body)
		if before, _, found := strings.Cut(bare.Body, "<head>"); found {
			require.Equal(t, len(before+"<head>"), strings.Index(got.Body, element))
		}
	}
	require.Equal(t, bare.Body, strings.Replace(got.Body, element, "", 1))
	require.Equal(t, bare.Status, got.Status)
	require.Equal(t, bare.Trailer, got.Trailer)
	require.Equal(t, bare.Truncated, got.Truncated)
	require.Equal(t, bare.Reusable, got.Reusable)
	require.Equal(t, bare.Informational, got.Informational)
	RequireChangedHeader(t, bare.Header, got.Header)
}

// RequireChangedHeader requires that got is the header bare, made true of a page
// that has changed.
func RequireChangedHeader(t testing.TB, bare, got http.Header) {
	t.Helper()
	requireChangedTag(t, bare, got)
	require.Equal(t, changedHeader(bare), withoutValidator(got))
}

// requireChangedTag requires that a changed page has a weak tag of its own, made
// of the one that it had, or of its date.
func requireChangedTag(t testing.TB, bare, got http.Header) {
	t.Helper()
	opaque, found := strings.CutPrefix(strings.TrimPrefix(bare.Get("ETag"), "W/"), `"`)
	opaque, closed := strings.CutSuffix(opaque, `"`)
	switch {
	case found && closed && len(bare["Etag"]) == 1:
		require.Regexp(t, `^W/"`+regexp.QuoteMeta(opaque)+`;k[\w-]{8}[sw]"$`, got.Get("ETag"))
	case bare.Get("ETag") == "" && bare.Get("Last-Modified") != "":
		require.Regexp(t, `^W/"\w+;k[\w-]{8}m"$`, got.Get("ETag"))
	default:
		require.Equal(t, bare.Get("ETag"), got.Get("ETag"))
	}
}

// changedHeader returns the header that a page has after something was inserted,
// without its tag.
func changedHeader(bare http.Header) http.Header {
	h := withoutValidator(bare)
	h.Set("Accept-Ranges", "none")
	return h
}

// withoutValidator returns h without ETag and Content-Length.
func withoutValidator(h http.Header) http.Header {
	h = withoutLength(h)
	h.Del("ETag")
	return h
}

// withoutLength returns h without Content-Length. A wrong one shows as a response
// that is truncated or leaves the connection unusable.
func withoutLength(h http.Header) http.Header {
	h = h.Clone()
	h.Del("Content-Length")
	return h
}
