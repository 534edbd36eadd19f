package keepalive_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

const doc = "<!doctype html>\n<html lang=en><head><title>t</title></head><body><p>text</body></html>\n"

// comment is a prolog that is longer than what is held.
var comment = "<!--" + strings.Repeat(" -", 8<<10) + "-->"

// scenarios hold for every way in: the protocols and middleware of
// TestScenarios. Each is compared with the same handler without us.
var scenarios = []struct {
	name    string
	method  string // default GET
	header  string // of the request, as lines
	handler http.HandlerFunc
	holds   law
}{
	// What is a page.
	{name: "page", handler: respond(0, doc, html...), holds: tagged},
	{name: "page with WriteHeader", handler: respond(200, doc, html...), holds: tagged},
	{name: "201", handler: respond(201, doc, html...), holds: tagged},
	{name: "error page 404", handler: respond(404, doc, html...), holds: tagged},
	{name: "error page 503", handler: respond(503, doc, html...), holds: tagged},
	{name: "POST", method: "POST", handler: respond(0, doc, html...), holds: tagged},
	{name: "prefetch", header: "Sec-Purpose: prefetch\r\nSec-Fetch-Dest: empty\r\n", handler: respond(0, doc, html...), holds: tagged},
	{name: "htmx request for a whole page", header: "HX-Request: true\r\nX-Requested-With: XMLHttpRequest\r\n", handler: respond(0, doc, html...), holds: tagged},
	{name: "no type, sniffed", handler: respond(0, doc), holds: tagged},
	{name: "no type, sniffed from a longer beginning", handler: respond(0, "<!-- "+strings.Repeat("c", 600)+" -->"+doc), holds: tagged},
	{name: "no type, long prolog", handler: respond(0, comment+doc), holds: tagged},
	{name: "upper case type", handler: respond(0, doc, "Content-Type", "TEXT/HTML"), holds: tagged},
	{name: "charset utf-8", handler: respond(0, doc, "Content-Type", "text/html; charset=utf-8"), holds: tagged},
	{name: "charset quoted", handler: respond(0, doc, "Content-Type", `text/html;charset="UTF-8"`), holds: tagged},
	{name: "charset windows-1252", handler: respond(0, doc, "Content-Type", "text/html; charset=windows-1252"), holds: tagged},
	{name: "charset shift_jis", handler: respond(0, doc, "Content-Type", "text/html; charset=Shift_JIS"), holds: tagged},
	{name: "byte order mark", handler: respond(0, "\xEF\xBB\xBF"+doc, html...), holds: tagged},
	{name: "identity", handler: respond(0, doc, "Content-Type", "text/html", "Content-Encoding", "identity"), holds: tagged},
	{name: "inline", handler: respond(0, doc, "Content-Type", "text/html", "Content-Disposition", "inline; filename=attachment.html"), holds: tagged},
	{name: "no-store", handler: respond(0, doc, "Content-Type", "text/html", "Cache-Control", "no-store, no-transformation"), holds: tagged},
	{name: "head is implied", handler: respond(0, "<!doctype html><title>t</title><p>x", html...), holds: tagged},
	{name: "no head at all", handler: respond(0, "<!doctype html>", html...), holds: tagged},
	{name: "CRLF and many fields", handler: respond(200, strings.ReplaceAll(doc, "\n", "\r\n"), append(html, "A", "1", "B", "2", "C", "3", "D", "4", "E", "5", "F", "6", "G", "7", "H", "8")...), holds: tagged},

	// What is none.
	{name: "nothing at all", handler: func(http.ResponseWriter, *http.Request) {}, holds: same},
	{name: "only WriteHeader", handler: respond(200, "", html...), holds: same},
	{name: "empty page", handler: respond(0, "", html...), holds: same},
	{name: "empty write", handler: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) }, holds: same},
	{name: "JSON", handler: respond(0, `{"page":"<!doctype html><html><head>"}`, "Content-Type", "application/json"), holds: same},
	{name: "JSON, 1 MB", handler: respond(0, `["`+strings.Repeat("<html>", 1<<18)+`"]`, "Content-Type", "application/json"), holds: same},
	{name: "text", handler: respond(0, doc, "Content-Type", "text/plain"), holds: same},
	{name: "text/html-ish", handler: respond(0, doc, "Content-Type", "text/html-x"), holds: same},
	{name: "XHTML", handler: respond(0, doc, "Content-Type", "application/xhtml+xml"), holds: same},
	{name: "no type, text", handler: respond(0, "  <p>text"), holds: same},
	{name: "no type, XML", handler: respond(0, `<?xml version="1.0"?>`+doc), holds: same},
	{name: "no type, byte order mark", handler: respond(0, "\xEF\xBB\xBF"+doc), holds: same},
	{name: "no type, white space then a page", handler: respond(0, strings.Repeat(" ", 600)+doc), holds: same},
	{name: "no type, nothing but white space", handler: respond(0, strings.Repeat(" ", 1<<14)), holds: same},
	{name: "no type, JSON", handler: respond(0, `{"a":1}`), holds: same},
	{name: "no type but encoded", handler: respond(0, doc, "Content-Encoding", "br"), holds: same},
	{name: "no type but identity", handler: respond(0, doc, "Content-Encoding", "identity"), holds: same},
	{name: "nil type", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, doc)
	}, holds: same},
	{name: "two types", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/html", "text/html"}
		_, _ = io.WriteString(w, doc)
	}, holds: same},
	{name: "garbage type", handler: respond(0, doc, "Content-Type", "text/html; charset=;;"), holds: same},
	{name: "charset utf-16", handler: respond(0, doc, "Content-Type", "text/html; charset=UTF-16LE"), holds: same},
	{name: "charset iso-2022-jp", handler: respond(0, doc, "Content-Type", "text/html; charset=iso-2022-jp"), holds: same},
	{name: "charset ebcdic", handler: respond(0, doc, "Content-Type", "text/html; charset=IBM037"), holds: same},
	{name: "encoded", handler: respond(0, doc, "Content-Type", "text/html", "Content-Encoding", "gzip"), holds: same},
	{name: "encoded twice", handler: respond(0, doc, "Content-Type", "text/html", "Content-Encoding", "identity, gzip"), holds: same},
	{name: "attachment", handler: respond(0, doc, "Content-Type", "text/html", "Content-Disposition", `Attachment; filename="a.html"`), holds: same},
	{name: "no-transform", handler: respond(0, doc, "Content-Type", "text/html", "Cache-Control", "public,\tNo-Transform , max-age=1"), holds: same},
	{name: "Content-Digest", handler: respond(0, doc, "Content-Type", "text/html", "Content-Digest", "sha-256=:x:"), holds: same},
	{name: "Repr-Digest", handler: respond(0, doc, "Content-Type", "text/html", "Repr-Digest", "sha-256=:x:"), holds: same},
	{name: "Digest", handler: respond(0, doc, "Content-Type", "text/html", "Digest", "sha-256=x"), holds: same},
	{name: "Content-MD5", handler: respond(0, doc, "Content-Type", "text/html", "Content-MD5", "x"), holds: same},
	{name: "206", handler: respond(206, doc, "Content-Type", "text/html", "Content-Range", "bytes 0-9/10"), holds: same},
	{name: "206 without a range", handler: respond(206, doc, html...), holds: same},
	{name: "Content-Range with 200", handler: respond(200, doc, "Content-Type", "text/html", "Content-Range", "bytes 0-9/10"), holds: same},
	{name: "204", handler: respond(204, doc, html...), holds: same},
	{name: "205", handler: respond(205, doc, html...), holds: same},
	{name: "301", handler: respond(301, doc, "Content-Type", "text/html", "Location", "/x"), holds: same},
	{name: "302 by http.Redirect", handler: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, holds: same},
	{name: "304", handler: respond(304, doc, "Content-Type", "text/html", "ETag", `"x"`), holds: same},
	{name: "399", handler: respond(399, doc, html...), holds: same},
	{name: "http.Error", handler: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, doc, 500) }, holds: same},
	{name: "fragment", handler: respond(200, "<p>text</p>", "Content-Type", "text/html", "ETag", `"x"`, "Accept-Ranges", "bytes", "Content-Length", "11"), holds: same},
	{name: "fragment in a header element", handler: respond(0, "<header><html></header>", html...), holds: same},
	{name: "open comment", handler: respond(0, "<!doctype html><!-- <head>", "Content-Type", "text/html", "Content-Length", "26"), holds: same},
	{name: "open tag", handler: respond(0, `<!doctype html><html lang="<head>`, html...), holds: same},
	{name: "overlong reference", handler: respond(0, "<!doctype html>&#"+strings.Repeat("0", 99)+"32;<head>", html...), holds: same},

	// Header fields.
	{name: "exact length", handler: respond(200, doc, "Content-Type", "text/html", "Content-Length", strconv.Itoa(len(doc))), holds: with(tagged, kept)},
	{name: "exact length, no WriteHeader", handler: respond(0, doc, "Content-Type", "text/html", "Content-Length", strconv.Itoa(len(doc))), holds: with(tagged, kept)},
	{name: "exact length, long page", handler: respond(0, doc+comment, "Content-Type", "text/html", "Content-Length", strconv.Itoa(len(doc+comment))), holds: with(tagged, kept)},
	{name: "exact length, late place", handler: respond(0, comment[:4<<10]+"-->"+doc, "Content-Type", "text/html", "Content-Length", strconv.Itoa(4<<10+3+len(doc))), holds: with(tagged, kept)},
	{name: "length not a number", handler: respond(0, doc, "Content-Type", "text/html", "Content-Length", "many"), holds: mended},
	{name: "negative length", handler: respond(0, doc, "Content-Type", "text/html", "Content-Length", "-5"), holds: mended},
	{name: "length too short", handler: respond(0, doc, "Content-Type", "text/html", "Content-Length", "80"), holds: broken},
	{name: "length too long", handler: respond(0, doc, "Content-Type", "text/html", "Content-Length", "1000"), holds: broken},
	{name: "JSON with a length too long", handler: respond(0, "{}", "Content-Type", "application/json", "Content-Length", "9"), holds: same},
	{name: "strong tag", handler: respond(0, doc, "Content-Type", "text/html", "ETag", `"x"`), holds: tagged},
	{name: "weak tag", handler: respond(0, doc, "Content-Type", "text/html", "ETag", `W/"x"`), holds: tagged},
	{name: "ranges", handler: respond(0, doc, "Content-Type", "text/html", "Accept-Ranges", "bytes"), holds: tagged},
	{name: "set after WriteHeader", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Changed", "before")
		w.Header().Set("Deleted", "before")
		w.Header().Add("Added", "before")
		w.WriteHeader(200)
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", "3")
		w.Header().Set("Changed", "after")
		w.Header().Set("New", "after")
		w.Header().Add("Added", "after")
		w.Header().Del("Deleted")
		_, _ = io.WriteString(w, doc)
	}, holds: tagged},
	{name: "set after the first Write", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, doc[:9])
		w.Header().Set("New", "after")
		w.WriteHeader(500)
		_, _ = io.WriteString(w, doc[9:])
	}, holds: tagged},
	{name: "set after an empty Write", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "")
		w.Header().Set("New", "after")
	}, holds: same},
	{name: "superfluous WriteHeader", handler: func(w http.ResponseWriter, _ *http.Request) {
		respond(404, doc[:9], html...)(w, nil)
		w.WriteHeader(200)
		w.WriteHeader(103)
		respond(500, doc[9:], "New", "after")(w, nil)
		w.WriteHeader(200)
	}, holds: tagged},
	{name: "declared trailers", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Early, Late, Never, Deleted")
		w.Header().Set("Early", "1")
		w.Header().Set("Deleted", "1")
		respond(200, doc, html...)(w, nil)
		w.Header().Set("Early", "2")
		w.Header().Set("Late", "3")
		w.Header().Del("Deleted")
	}, holds: tagged},
	{name: "declared trailers set while held", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Early, Late, Never, Deleted")
		w.Header().Set("Early", "1")
		w.Header().Set("Deleted", "1")
		respond(200, doc[:9], html...)(w, nil)
		w.Header().Set("Early", "2")
		w.Header().Set("Late", "3")
		w.Header().Del("Deleted")
		_, _ = io.WriteString(w, doc[9:])
	}, holds: tagged},
	{name: "trailers that were not declared", handler: func(w http.ResponseWriter, _ *http.Request) {
		respond(0, doc[:20], html...)(w, nil)
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"Sum", "1")
		_, _ = io.WriteString(w, doc[20:])
	}, holds: tagged},
	{name: "early hints", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(103)
		w.WriteHeader(103)
		respond(200, doc, html...)(w, nil)
	}, holds: tagged},
	{name: "early hints, JSON", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(103)
		respond(0, "{}", "Content-Type", "application/json")(w, nil)
	}, holds: same},

	// HEAD.
	{name: "HEAD, body written", method: "HEAD", handler: respond(0, doc, html...), holds: tagged},
	{name: "HEAD, body and length", method: "HEAD", handler: respond(200, doc, "Content-Type", "text/html", "Content-Length", strconv.Itoa(len(doc)), "ETag", `"x"`), holds: with(tagged, kept)},
	{name: "HEAD, length but no body", method: "HEAD", handler: respond(0, "", "Content-Type", "text/html", "Content-Length", strconv.Itoa(len(doc)), "ETag", `"x"`), holds: with(tagged, lengthless)},
	{name: "HEAD, length, WriteHeader but no body", method: "HEAD", handler: respond(200, "", "Content-Type", "text/html", "Content-Length", strconv.Itoa(len(doc))), holds: with(tagged, lengthless)},
	{name: "HEAD, no type, body", method: "HEAD", handler: respond(0, doc), holds: tagged},
	{name: "HEAD, no type, no body", method: "HEAD", handler: respond(200, "", "Content-Length", "10"), holds: same},
	{name: "HEAD, JSON", method: "HEAD", handler: respond(0, "", "Content-Type", "application/json", "Content-Length", "10"), holds: same},

	// Ways to write.
	{name: "byte by byte", handler: pieces(1, write), holds: tagged},
	{name: "WriteString", handler: pieces(7, writeString), holds: tagged},
	{name: "WriteString, long", handler: func(w http.ResponseWriter, _ *http.Request) {
		n, err := io.WriteString(w, doc+comment)
		fine(n == len(doc+comment) && err == nil)
	}, holds: tagged},
	{name: "ReadFrom", handler: pieces(11, readFrom), holds: tagged},
	{name: "ReadFrom a pipe", handler: func(w http.ResponseWriter, _ *http.Request) {
		pr, pw := io.Pipe()
		go func() {
			for _, c := range []byte(doc + comment) {
				_, _ = pw.Write([]byte{c})
			}
			_ = pw.Close()
		}()
		n, err := io.Copy(w, pr)
		fine(n == int64(len(doc+comment)) && err == nil)
	}, holds: tagged},
	{name: "ReadFrom something that breaks", handler: func(w http.ResponseWriter, _ *http.Request) {
		n, err := io.Copy(w, io.MultiReader(strings.NewReader(doc[:20]), brokenReader{}))
		fine(n == 20 && err == io.ErrNoProgress)
		_, _ = io.WriteString(w, doc[20:])
	}, holds: tagged},
	{name: "ReadFrom something that breaks after the place", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", strconv.Itoa(len(doc)))
		write(w, doc[:40])
		n, err := io.Copy(w, io.MultiReader(strings.NewReader(doc[40:50]), brokenReader{}))
		fine(n == 10 && err == io.ErrNoProgress)
		write(w, doc[50:])
	}, holds: with(tagged, kept)},
	{name: "flush first", handler: flushing(0), holds: tagged},
	{name: "flush within the doctype", handler: flushing(5), holds: tagged},
	{name: "flush after the doctype", handler: flushing(16), holds: tagged},
	{name: "flush within a name", handler: flushing(18), holds: tagged},
	{name: "flush before head", handler: flushing(30), holds: tagged},
	{name: "flush after head", handler: flushing(36), holds: tagged},
	{name: "flush at the end", handler: flushing(len(doc)), holds: tagged},
	{name: "flush first, with a length", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(doc)))
		flushing(0)(w, r)
	}, holds: with(tagged, lengthless)},
	{name: "flush first, HEAD", method: "HEAD", handler: flushing(0), holds: tagged},
	{name: "flush first, no type", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, doc)
	}, holds: same},
	{name: "flush within the doctype, no type", handler: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, doc[:5])
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, doc[5:])
	}, holds: same},
	{name: "flush only", handler: func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, holds: same},
	{name: "flush a JSON stream", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for range 5 {
			_, _ = io.WriteString(w, "{}\n")
			w.(http.Flusher).Flush()
		}
	}, holds: same},
	{name: "prolog longer than what is held", handler: respond(0, comment+doc, "Content-Type", "text/html", "Content-Length", strconv.Itoa(len(comment+doc))), holds: with(tagged, kept)},
	{name: "prolog longer than what is held, by bytes", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", strconv.Itoa(len(comment+doc)))
		for _, c := range []byte(comment + doc) {
			_, _ = w.Write([]byte{c})
		}
	}, holds: with(tagged, lengthless)},

	// What a connection can do.
	{name: "hijack", handler: hijacking(func(http.ResponseWriter) {}), holds: same},
	{name: "hijack after WriteHeader, as for CONNECT", handler: hijacking(func(w http.ResponseWriter) { w.WriteHeader(200) }), holds: same},
	{name: "hijack after 101", handler: hijacking(func(w http.ResponseWriter) { w.WriteHeader(101) }), holds: same},
	{name: "hijack after the beginning of a page", handler: hijacking(func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		write(w, "[")
	}), holds: same},
	{name: "deadlines", handler: func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		errs := []error{rc.SetReadDeadline(time.Now().Add(time.Minute)), rc.SetWriteDeadline(time.Now().Add(time.Minute)), rc.EnableFullDuplex()}
		respond(0, doc+fmt.Sprint(errs), html...)(w, nil)
	}, holds: tagged},
	{name: "write deadline in the past", handler: func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Hour))
		respond(0, doc+comment, html...)(w, nil)
	}, holds: same},
	{name: "push", handler: func(w http.ResponseWriter, _ *http.Request) {
		if p, ok := w.(http.Pusher); ok {
			_ = p.Push("/again", nil)
		}
		respond(0, doc, html...)(w, nil)
	}, holds: tagged},

	// Panics. The connection goes the way it goes without us.
	{name: "panic at once", handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, holds: same},
	{name: "panic after WriteHeader", handler: dying(respond(200, "", html...)), holds: same},
	{name: "panic within the prolog", handler: dying(respond(0, doc[:20], html...)), holds: same},
	{name: "panic after the place", handler: dying(respond(0, doc, html...)), holds: same},
	{name: "panic after much was sent", handler: dying(respond(0, doc+comment, html...)), holds: broken},
	{name: "panic after a flush", handler: dying(flushing(18)), holds: broken},
	{name: "panic in JSON", handler: dying(respond(0, strings.Repeat("[", 1<<16), "Content-Type", "application/json")), holds: same},
	{name: "invalid code", handler: func(w http.ResponseWriter, _ *http.Request) {
		defer func() { fine(recover() != nil) }()
		w.WriteHeader(0)
	}, holds: same},
}

var html = []string{"Content-Type", "text/html"}

func respond(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		if code != 0 {
			w.WriteHeader(code)
		}
		if body != "" {
			_, _ = w.Write([]byte(body))
		}
	}
}

// pieces writes doc in pieces of n bytes.
func pieces(n int, write func(http.ResponseWriter, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for s := doc; s != ""; s = s[min(n, len(s)):] {
			write(w, s[:min(n, len(s))])
		}
	}
}

func write(w http.ResponseWriter, s string) {
	n, err := w.Write([]byte(s))
	fine(n == len(s) && err == nil)
}

func writeString(w http.ResponseWriter, s string) {
	n, err := w.(io.StringWriter).WriteString(s)
	fine(n == len(s) && err == nil)
}

func readFrom(w http.ResponseWriter, s string) {
	// A strings.Reader would rather write itself.
	n, err := io.Copy(w, io.LimitReader(strings.NewReader(s), int64(len(s))))
	fine(n == int64(len(s)) && err == nil)
}

// flushing writes doc and flushes after the first n bytes.
func flushing(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if n > 0 {
			write(w, doc[:n])
		}
		fine(http.NewResponseController(w).Flush() == nil)
		if n < len(doc) {
			write(w, doc[n:])
		}
	}
}

func dying(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h(w, r)
		panic(http.ErrAbortHandler)
	}
}

// hijacking answers by hand where that is possible.
func hijacking(before func(http.ResponseWriter)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		before(w)
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_, _ = io.WriteString(w, err.Error())
			return
		}
		defer conn.Close()
		_, err = w.Write([]byte("<!"))
		_, _ = fmt.Fprint(buf, "by hand: ", err)
		_ = buf.Flush()
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

// fine ends the response early when something in a handler is not as it should
// be, which the comparison then shows.
func fine(ok bool) {
	if !ok {
		panic(http.ErrAbortHandler)
	}
}

// law is what must hold of a response, where bare is that of the handler alone.
type law func(t *testing.T, bare, ours reply)

func same(t *testing.T, bare, ours reply) {
	require.Equal(t, withoutChunks(bare), withoutChunks(ours))
}

// withoutChunks drops the raw body of a chunked response: where chunks begin is
// nobody's concern.
func withoutChunks(r reply) reply {
	if head, _, _ := strings.Cut(r.raw, "\r\n\r\n"); strings.Contains(head, "Transfer-Encoding: chunked") {
		r.raw = head
	}
	return r
}

// tagged is the same page with one tag in it, and a header that tells the truth.
func tagged(t *testing.T, bare, ours reply) {
	page, tags := untag(ours.body)
	require.Equal(t, bare.body, page)
	if bare.body != "" {
		require.Equal(t, 1, tags)
		if head := strings.Index(bare.body, "<head>"); head >= 0 {
			require.Equal(t, head+len("<head>"), tagPattern.FindStringIndex(ours.body)[0])
		}
	}
	require.Equal(t, bare.status, ours.status)
	require.Equal(t, bare.trailer, ours.trailer)
	require.Equal(t, bare.cut, ours.cut)
	require.Equal(t, bare.again, ours.again)
	require.Equal(t, bare.informational, ours.informational)
	want := bare.header.Clone()
	want.Set("Accept-Ranges", "none")
	if e := want.Get("ETag"); strings.HasPrefix(e, `"`) {
		want.Set("ETag", "W/"+e)
	}
	for _, h := range []http.Header{want, ours.header} {
		h.Del("Content-Length") // the reader has found it exact; lengths and kept say whether it must be there
	}
	require.Equal(t, want, ours.header)
}

// broken is a response that ends before it should, in both. Over HTTP/1.0 that
// can't be seen without a length.
func broken(t *testing.T, bare, ours reply) {
	require.True(t, bare.cut || strings.HasPrefix(bare.raw, "HTTP/1.0"))
	require.Equal(t, bare.cut, ours.cut)
	require.False(t, ours.again)
	page, _ := untag(ours.body)
	require.True(t, strings.HasPrefix(doc+comment, page))
}

// mended is the whole page although its length can't be read. net/http alone
// sends such a length to clients of HTTP/1.0.
func mended(t *testing.T, _, ours reply) {
	page, tags := untag(ours.body)
	require.Equal(t, doc, page)
	require.Equal(t, 1, tags)
	require.False(t, ours.cut)
}

func with(laws ...law) law {
	return func(t *testing.T, bare, ours reply) {
		for _, l := range laws {
			l(t, bare, ours)
		}
	}
}

// kept and lengthless look at Content-Length.
func kept(t *testing.T, bare, ours reply) {
	require.Equal(t, bare.length+int64(len(tagOf(t))), ours.length)
}

func lengthless(t *testing.T, _, ours reply) { require.EqualValues(t, -1, ours.length) }

var tagPattern = regexp.MustCompile(`<script src="/keepalive/keepalive\.[\w-]{12}\.js" defer[^>]*></script>`)

func untag(body string) (page string, tags int) {
	return tagPattern.ReplaceAllString(body, ""), len(tagPattern.FindAllString(body, -1))
}

// tagOf is the tag of newInjector's pages, for a request that has a session.
func tagOf(t *testing.T) string {
	w := httptest.NewRecorder()
	newManager(t, newSessions(), keepalive.Config{Anonymous: true}).Inject(respond(0, doc, html...)).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	tag := tagPattern.FindString(w.Body.String())
	require.Contains(t, tag, " data-anonymous")
	return strings.Replace(tag, " data-anonymous", "", 1)
}

// reply is what came over the wire, but for the date.
type reply struct {
	raw           string // HTTP/1 only
	informational []int
	status        int
	header        http.Header
	length        int64
	body          string
	trailer       http.Header
	cut           bool // the response ended before its end, or never began
	again         bool // the connection was good for another request
}

// newToken signs a user in without HTTP.
func newToken(t testing.TB, sm *scs.SessionManager) string {
	ctx, err := sm.Load(t.Context(), "")
	require.NoError(t, err)
	sm.Put(ctx, "user", "ann")
	token, _, err := sm.Commit(ctx)
	require.NoError(t, err)
	return token
}

// servers are one handler over all protocols.
type servers struct{ plain, tls *httptest.Server }

func serve(t testing.TB, h http.Handler) servers {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("/again", respond(0, "again"))
	s := servers{httptest.NewUnstartedServer(mux), httptest.NewUnstartedServer(mux)}
	for _, srv := range []*httptest.Server{s.plain, s.tls} {
		srv.Config.ErrorLog = log.New(io.Discard, "", 0) // superfluous calls of WriteHeader, and panics
		t.Cleanup(srv.Close)
	}
	s.plain.Start()
	s.tls.EnableHTTP2 = true
	s.tls.StartTLS()
	return s
}

// fetch sends one request. header is in lines.
func (s servers) fetch(t testing.TB, proto, method, path, header string) reply {
	if proto == "HTTP/2.0" {
		return s.fetch2(t, method, path, header)
	}
	conn, err := net.Dial("tcp", s.plain.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	request := fmt.Sprintf("%s %s %s\r\nHost: example.com\r\n%s\r\n", method, path, proto, header)
	if proto == "HTTP/1.1" {
		request += "GET /again HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
	}
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	got := reply{raw: regexp.MustCompile(`\r\nDate: [^\r]*`).ReplaceAllString(string(all), "")}
	br := bufio.NewReader(strings.NewReader(got.raw))
	var res *http.Response
	for {
		res, err = http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			got.cut = true
			return got
		}
		if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			break
		}
		got.informational = append(got.informational, res.StatusCode)
	}
	got.read(res)
	_, err = http.ReadResponse(br, nil)
	got.again = err == nil
	return got
}

func (s servers) fetch2(t testing.TB, method, path, header string) reply {
	r, err := http.NewRequestWithContext(t.Context(), method, s.tls.URL+path, nil)
	require.NoError(t, err)
	for line := range strings.SplitSeq(strings.TrimSuffix(header, "\r\n"), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		if name != "" {
			r.Header.Add(name, value)
		}
	}
	config := s.tls.Client().Transport.(*http.Transport).TLSClientConfig
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: config.RootCAs}, ForceAttemptHTTP2: true, DisableCompression: true}
	defer tr.CloseIdleConnections()
	res, err := tr.RoundTrip(r)
	if err != nil {
		return reply{cut: true}
	}
	require.Equal(t, 2, res.ProtoMajor)
	res.Header.Del("Date")
	var got reply
	got.read(res)
	return got
}

func (got *reply) read(res *http.Response) {
	got.status, got.header, got.length = res.StatusCode, res.Header, res.ContentLength
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	got.cut, got.body, got.trailer = err != nil, string(b), res.Trailer
}

func TestScenarios(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, _ := strconv.Atoi(r.URL.Path[1:])
		scenarios[i].handler(w, r)
	})
	sm := newSessions()
	cookie := "Cookie: session=" + newToken(t, sm) + "\r\n"
	km, framed := newManager(t, sm, keepalive.Config{}), newManager(t, sm, keepalive.Config{NoScript: true})
	vary := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Cookie") // as scs does
		h(w, r)
	})
	ways := []struct {
		name       string
		bare, ours servers
		framed     bool
	}{
		{name: "Inject", bare: serve(t, h), ours: serve(t, km.Inject(h))},
		{name: "LoadAndSave", bare: serve(t, vary), ours: serve(t, km.LoadAndSave(h))},
		{name: "Inject, NoScript", bare: serve(t, h), ours: serve(t, framed.Inject(h)), framed: true},
		{name: "LoadAndSave, NoScript", bare: serve(t, vary), ours: serve(t, framed.LoadAndSave(h)), framed: true},
	}
	for i, tt := range scenarios {
		t.Run(tt.name, func(t *testing.T) {
			method := tt.method
			if method == "" {
				method = "GET"
			}
			for _, way := range ways {
				for _, proto := range []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0"} {
					t.Run(way.name+" "+proto, func(t *testing.T) {
						path := "/" + strconv.Itoa(i)
						bare := way.bare.fetch(t, proto, method, path, tt.header+cookie)
						ours := way.ours.fetch(t, proto, method, path, tt.header+cookie)
						if way.framed {
							ours = unframe(t, bare, ours)
						}
						tt.holds(t, bare, ours)
						if proto == "HTTP/1.1" { // what has no session is never touched
							same(t, bare, way.ours.fetch(t, proto, method, path, tt.header))
						}
					})
				}
			}
		})
	}
}
