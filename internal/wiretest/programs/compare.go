package programs

import (
	"mime"
	"net/http"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive/internal/inject/prolog"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// Compare requires that wrapped answers the program's request as bare does, but for
// element in pages that qualify, none of them if it is "". Both serve the program at
// path. normalise takes away what else may differ, by the middleware around.
func (p *Program) Compare(t testing.TB, path, element string, bare, wrapped wiretest.Servers, normalise func(*wiretest.Response)) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Log(p)
		}
	}()
	want := bare.Fetch(t, p.Proto, p.Method, path, p.RequestHeader+p.Condition)
	got := wrapped.Fetch(t, p.Proto, p.Method, path, p.RequestHeader+p.Condition)
	if want.Status == http.StatusNotModified && got.Status != want.Status {
		// The client has the page without the element, which counts as outdated.
		want = bare.Fetch(t, p.Proto, p.Method, path, p.RequestHeader)
	}
	normalise(&want)
	normalise(&got)
	p.requireSame(t, element, want, got)
}

// requireSame compares two whole responses, or leaves it to requireSameCut.
func (p *Program) requireSame(t testing.TB, element string, bare, got wiretest.Response) {
	t.Helper()
	if bare.Truncated || got.Truncated || p.Panics() && p.Proto == "HTTP/1.0" {
		p.requireSameCut(t, element, bare, got)
		return
	}
	// The header may go out before it is known whether the page has a place, and then
	// without a length.
	early := p.flushes() || p.Hijacks() || len(bare.Body) > maxHold
	if p.declares() && bare.Length >= 0 && p.Method != http.MethodHead && !early {
		require.GreaterOrEqual(t, got.Length, int64(0), "the length is gone")
	}
	p.leaveOpen(&bare, &got)
	at, mayBePage := insertionPoint(bare)
	if element == "" {
		at, mayBePage = -1, false
	}
	early = early || p.Method == http.MethodHead // the bytes that tell are not on the wire
	switch {
	case at >= 0:
		require.Equal(t, bare.Body[:at]+element+bare.Body[at:], got.Body)
		got.Body = bare.Body
		fallthrough
	case early && mayBePage && got.Header.Get("Accept-Ranges") == "none":
		wiretest.RequireChangedHeader(t, bare.Header, got.Header)
		got.Header = bare.Header
	}
	require.Equal(t, bare, got)
}

// maxHold is how much of a page is held, with its header, at most.
const maxHold = 8 << 10

// requireSameCut compares responses of which one ended too early. How much of a
// body is on the wire by then depends on the buffers of net/http.
func (p *Program) requireSameCut(t testing.TB, element string, bare, got wiretest.Response) {
	t.Helper()
	switch {
	case p.Panics():
		// It may have sent its whole body, with the length that it had declared. A
		// flush in the prolog takes that length away.
	case p.Proto == "HTTP/1.0" && got.Length < 0:
		// A flush has taken the length away, and nothing else shows the end.
	case p.Proto == "HTTP/2.0" && bare.Truncated && int64(len(bare.Body)) == bare.Length:
		// net/http has sent more than was declared, which clients refuse.
	default:
		require.Equal(t, bare.Truncated, got.Truncated)
	}
	if bare.Status != 0 && got.Status != 0 {
		require.Equal(t, bare.Status, got.Status)
	}
	sent := strings.Replace(got.Body, element, "", 1)
	if len(sent) > len(bare.Body) {
		sent = sent[:len(bare.Body)] // also where it ends within the element
	}
	if !strings.HasPrefix(bare.Body, sent) { // it ends within the element
		sent = sent[:len(sent)-beginning(sent, element)]
	}
	require.True(t, strings.HasPrefix(bare.Body, sent), "%q\n%q", bare.Body, got.Body)
}

// beginning returns how many of the last bytes of s begin element.
func beginning(s, element string) int {
	for n := min(len(s), len(element)); n > 0; n-- {
		if strings.HasSuffix(s, element[:n]) {
			return n
		}
	}
	return 0
}

// leaveOpen takes away what net/http decides by the size of the pieces in which a
// body arrives.
func (p *Program) leaveOpen(bare, got *wiretest.Response) {
	if (bare.Length < 0) != (got.Length < 0) { // HTTP/1.1 has no trailers behind a Content-Length
		got.Trailer = bare.Trailer
		bare.Header.Del("Trailer")
		got.Header.Del("Trailer")
	}
	if p.declares() && !bare.Reusable {
		got.Reusable = false // net/http has refused what exceeds the length, and closes
	}
	for _, r := range []*wiretest.Response{bare, got} {
		r.Raw, r.Length = "", -1
		r.Header.Del("Content-Length") // or else chunks
	}
}

// insertionPoint returns where the element belongs in a body. ok is false for what
// is no page by its header.
func insertionPoint(r wiretest.Response) (at int, ok bool) {
	switch {
	case r.Status < 200, r.Status >= 300 && r.Status < 400, r.Status == 204, r.Status == 205, r.Status == 206:
		return -1, false
	}
	media, params, err := mime.ParseMediaType(strings.Join(r.Header["Content-Type"], ","))
	if err != nil || media != "text/html" || params["charset"] == "utf-16" {
		return -1, false
	}
	h := r.Header
	if coding := h.Get("Content-Encoding"); coding != "" && coding != "identity" ||
		strings.Contains(strings.Join(h["Cache-Control"], ","), "no-transform") ||
		h.Get("Content-Disposition") != "" || h.Get("Content-Range") != "" || h.Get("Digest") != "" {
		return -1, false
	}
	var scan prolog.Scanner
	verdict := scan.Scan([]byte(r.Body))
	if verdict == prolog.Undecided {
		verdict = scan.Close()
	}
	if r.Body == "" || verdict != prolog.Insert {
		return -1, true
	}
	return int(scan.Offset()), true
}
