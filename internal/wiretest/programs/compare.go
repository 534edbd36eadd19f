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

// RequireSame requires that a wrapper answered as the program alone did, but for
// element in pages that qualify.
func (p *Program) RequireSame(t testing.TB, element string, bare, got wiretest.Response) {
	t.Helper()
	if bare.Truncated || got.Truncated || p.panics() && p.Proto == "HTTP/1.0" {
		p.requireSameCut(t, element, bare, got)
		return
	}
	p.leaveOpen(&bare)
	p.leaveOpen(&got)
	at, ok := insertionPoint(bare)
	switch {
	case p.Method == http.MethodHead && ok && got.Header.Get("Accept-Ranges") == "none":
		wiretest.RequireInserted(t, element, bare, got) // the bytes that tell are not on the wire
	case p.Method != http.MethodHead && ok && at >= 0:
		wiretest.RequireInserted(t, element, bare, got)
		require.Equal(t, at, strings.Index(got.Body, element))
	case ok && (p.flushes() || len(bare.Body) > maxHold) && got.Header.Get("Accept-Ranges") == "none":
		// The header went out before it was known that the page has no place.
		wiretest.RequireChangedHeader(t, bare.Header, got.Header)
		got.Header = bare.Header
		require.Equal(t, bare, got)
	default:
		require.Equal(t, bare, got)
	}
}

// maxHold is how much of a page is held, with its header, at most.
const maxHold = 8 << 10

// requireSameCut compares responses of which one ended too early. How much of a
// body is on the wire by then depends on the buffers of net/http.
func (p *Program) requireSameCut(t testing.TB, element string, bare, got wiretest.Response) {
	t.Helper()
	// A program that panics may have sent its whole body, with the length that it
	// had declared. A flush in the prolog takes that length away.
	require.True(t, bare.Truncated == got.Truncated || p.panics(), "only one of them is cut")
	if bare.Status != 0 && got.Status != 0 {
		require.Equal(t, bare.Status, got.Status)
	}
	rest := strings.Replace(got.Body, element, "", 1)
	if i := longestSuffixThatBegins(rest, element); !strings.HasPrefix(bare.Body, rest) && len(rest) > len(bare.Body) {
		rest = rest[:len(rest)-i] // it was cut within the element
	}
	require.True(t, strings.HasPrefix(bare.Body, rest) || strings.HasPrefix(rest, bare.Body), "%q\n%q", bare.Body, got.Body)
}

// longestSuffixThatBegins returns how many of the last bytes of s begin element.
func longestSuffixThatBegins(s, element string) int {
	for n := min(len(s), len(element)); n > 0; n-- {
		if strings.HasSuffix(s, element[:n]) {
			return n
		}
	}
	return 0
}

// leaveOpen takes away what net/http decides by the size of the pieces in which a
// body arrives: chunks, and a Content-Length where the program sets none.
func (p *Program) leaveOpen(r *wiretest.Response) {
	r.Raw = ""
	if !p.declares() || p.copies() || p.flushes() || r.Length < 0 {
		r.Length = -1
	}
	r.Header.Del("Content-Length")
	r.Header.Del("Transfer-Encoding")
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
