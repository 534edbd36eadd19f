package programs

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
)

// generator draws the calls of one program.
type generator struct {
	*rand.Rand
	tame      bool
	http2     bool
	mayExceed bool // write more than was declared

	headerSent bool // as far as the calls drawn so far tell
	tooShort   bool // a Content-Length may be less than the body
}

// one returns one of several values.
func one[T any](g *generator, values ...T) T { return values[g.IntN(len(values))] }

// oneIn reports true once in n times.
func (g *generator) oneIn(n int) bool { return g.IntN(n) == 0 }

const (
	page     = "<!doctype html>\n<html lang=en><head><title>t</title></head><body><p>text</body></html>\n"
	headless = "<!doctype html><title>t</title><p>text\n"
	fragment = "<p>part of a page</p>\n"
)

// bodies are what programs answer. The long ones exceed each buffer on the way:
// 512 and 2,048 bytes, and the 8 KB that a Writer holds.
var bodies = []string{
	page, page, page, headless, fragment,
	"", `{"a":"<head>"}`, "text\n", "\x89PNG\r\n\x1a\n<html>",
	"<!-- " + strings.Repeat("- ", 400) + "-->" + page,
	"<!-- " + strings.Repeat("- ", 5000) + "-->" + page,
	strings.TrimSuffix(page, "</html>\n") + strings.Repeat("<p>more", 1000),
	strings.Repeat(fragment, 200),
	"<!doctype html><!-- not closed " + strings.Repeat("x", 30),
}

var types = []string{
	"text/html", "text/html", "text/html; charset=utf-8", "text/html; charset=utf-16",
	"application/json", "text/plain", "application/xhtml+xml", "",
}

// program draws a whole program: mostly one that answers with a body, else one of
// net/http's own answers, or calls without any order.
func (g *generator) program() (calls []call) {
	if g.tame {
		calls = append(calls, setHeader("Content-Type", one(g, types[:len(types)-1]...)))
	}
	for g.oneIn(3) {
		calls = append(calls, g.noise())
	}
	switch g.IntN(8) {
	case 0:
		calls = append(calls, g.wholeAnswer())
	case 1:
		for range g.IntN(12) {
			calls = append(calls, g.anything())
		}
	default:
		calls = append(calls, g.answer()...)
	}
	if g.oneIn(12) && !g.tame {
		calls = append(calls, g.wholeAnswer()) // as an error after the answer has begun
	}
	if g.oneIn(10) {
		calls = append(calls, g.panics())
	}
	return calls
}

// answer draws a header, a body that is written in pieces, and trailers.
func (g *generator) answer() (calls []call) {
	body := one(g, bodies...)
	if g.oneIn(8) {
		body = body[:g.IntN(len(body)+1)]
	}
	if t := one(g, types...); t != "" && !g.tame {
		calls = append(calls, setHeader("Content-Type", t))
	}
	if g.oneIn(2) {
		calls = append(calls, g.length(len(body)))
	}
	for g.oneIn(3) {
		calls = append(calls, g.changeHeader())
	}
	trailer := g.oneIn(8)
	if trailer {
		calls = append(calls, setHeader("Trailer", "Sum"))
	}
	if g.oneIn(2) {
		calls = append(calls, g.writeHeader())
	}
	for _, piece := range g.cut(body) {
		calls = append(calls, g.write(piece))
		for g.oneIn(6) {
			calls = append(calls, g.noise())
		}
	}
	if trailer {
		calls = append(calls, setHeader("Sum", "1"))
	}
	if g.oneIn(10) {
		calls = append(calls, setHeader("Trailer:Late", "2"))
	}
	return calls
}

// cut cuts a body into pieces, of which some may be empty.
func (g *generator) cut(body string) (pieces []string) {
	for g.oneIn(2) && len(pieces) < 6 {
		n := g.IntN(len(body) + 1)
		if g.oneIn(2) {
			n = min(n, 40) // within the prolog
		}
		pieces, body = append(pieces, body[:n]), body[n:]
	}
	if body != "" {
		pieces = append(pieces, body)
	}
	return pieces
}

// length declares a Content-Length that is mostly the body's.
func (g *generator) length(n int) call {
	if g.oneIn(8) && !g.tame {
		wrong := []int{n + 1 + g.IntN(50)}
		if g.mayExceed {
			wrong = append(wrong, n/2, 0)
		}
		declared := one(g, wrong...)
		g.tooShort = declared < n
		n = declared
	}
	value := strconv.Itoa(n)
	c := setHeader("Content-Length", value)
	c.declares = true
	return c
}

// noise draws a call that mostly leaves the answer open.
func (g *generator) noise() call {
	n := g.IntN(9)
	switch {
	case g.tame && g.headerSent:
		n = g.IntN(4)
	case g.tame:
		n = 3 + g.IntN(4) // what leaves the header open
	}
	switch n {
	case 0, 1:
		g.headerSent = true
		return flush(g.oneIn(2))
	case 2:
		return g.write("")
	case 3:
		return copyNothing(g.oneIn(2))
	case 4, 5, 6:
		return g.changeHeader()
	case 7:
		return g.informational()
	default:
		return g.writeHeader()
	}
}

func (g *generator) anything() call {
	switch g.IntN(10) {
	case 0, 1, 2:
		return g.noise()
	case 3, 4, 5:
		body := one(g, bodies...)
		return g.write(body[:g.IntN(len(body)+1)])
	case 6:
		if g.headerSent { // how much is on the wire depends on the buffers of net/http
			return g.noise()
		}
		return hijack()
	case 7:
		if g.tame && g.headerSent {
			return g.noise()
		}
		return g.wholeAnswer()
	case 8:
		if g.tame {
			return g.noise()
		}
		if !g.mayExceed {
			return g.length(1 << 20)
		}
		g.tooShort = true
		return g.length(g.IntN(100))
	default:
		return g.changeHeader()
	}
}

// write draws one of the ways to write a piece of a body.
func (g *generator) write(piece string) call {
	g.headerSent = true
	if g.tooShort { // ReadFrom of net/http sends what exceeds the length
		return one(g, write, writeString)(piece)
	}
	return one(g, write, writeString, fprint, readFrom, copyString)(piece)
}

func (g *generator) writeHeader() call {
	g.headerSent = true
	codes := []int{200, 200, 200, 200, 201, 204, 205, 206, 301, 304, 400, 404, 422, 500, 503, 999}
	if !g.http2 { // which has no 101 (RFC 9113 section 8.6)
		codes = append(codes, http.StatusSwitchingProtocols)
	}
	return writeHeader(one(g, codes...))
}

func (g *generator) informational() call { return writeHeader(one(g, 102, 103, 103, 100)) }

// removable are fields whose absence, or explicit nil, matters.
var removable = []string{"Content-Type", "Content-Length", "Content-Encoding", "ETag", "Accept-Ranges"}

func (g *generator) changeHeader() call {
	if g.tame && g.headerSent {
		return g.write("")
	}
	if name := one(g, removable...); g.oneIn(5) && !g.tame {
		return one(g, deleteHeader, suppressHeader)(name)
	}
	name, value, _ := strings.Cut(one(g, fields...), ": ")
	if g.excludes(name) {
		name = "X-" + name
	}
	return one(g, setHeader, setHeader, addHeader)(name, value)
}

func (g *generator) excludes(name string) bool {
	switch name {
	case "Content-Type", "Content-Encoding":
		return g.tame
	case "Transfer-Encoding":
		return g.tame || g.http2 // RFC 9113 section 8.2.2
	}
	return false
}

// fields are header fields that matter to what may be inserted, and some that do
// not.
var fields = []string{
	"X-App: 1", "X-App: 2", "Link: </a.css>; rel=preload", "Set-Cookie: a=b", "Vary: Accept",
	"Content-Security-Policy: default-src 'self'", "X-Content-Type-Options: nosniff",
	"Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT", "Server-Timing: app;dur=1",
	"Connection: close", "Date: Sun, 09 Sep 2001 01:46:40 GMT",
	`ETag: "tag"`, `ETag: W/"tag"`, "Accept-Ranges: bytes",
	"Cache-Control: no-transform", "Cache-Control: no-store", "Content-Disposition: attachment",
	"Content-Type: text/html", "Content-Type: text/plain", "Content-Encoding: identity", "Content-Encoding: br",
	"Content-Range: bytes 0-9/10", "Digest: sha-256=x", "Transfer-Encoding: chunked",
}

func (g *generator) panics() call {
	return panics(one(g, "http.ErrAbortHandler", `"of the program"`))
}

// wholeAnswer draws one of the functions of net/http that answer by themselves.
// Once the header is sent, it is one that does not look at it: fields that
// describe the body are not there any more if they were set too late.
func (g *generator) wholeAnswer() call {
	if g.headerSent {
		return one(g, httpError(404), httpError(502), notFound())
	}
	g.headerSent = true
	return one(g, httpError(404), httpError(502), redirect(302), redirect(303), redirect(308), serveContent(page), serveContent("{}"), notFound())
}
