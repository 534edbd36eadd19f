package inject_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestPagesGetTheTag(t *testing.T) {
	runScenarios(t, []scenario{
		{name: "page", handler: respondHTML(0, page), check: inserted},
		{name: "page with WriteHeader", handler: respondHTML(200, page), check: inserted},
		{name: "201", handler: respondHTML(201, page), check: inserted},
		{name: "error page 404", handler: respondHTML(404, page), check: inserted},
		{name: "error page 503", handler: respondHTML(503, page), check: inserted},
		{name: "POST", method: "POST", handler: respondHTML(0, page), check: inserted},
		{name: "prefetch", header: "Sec-Purpose: prefetch\r\nSec-Fetch-Dest: empty\r\n", handler: respondHTML(0, page), check: inserted},
		{name: "htmx request for a whole page", header: "HX-Request: true\r\nX-Requested-With: XMLHttpRequest\r\n", handler: respondHTML(0, page), check: inserted},
		{name: "no type, sniffed", handler: respond(0, page), check: inserted},
		{name: "no type, sniffed from a longer beginning", handler: respond(0, "<!-- "+strings.Repeat("c", 600)+" -->"+page), check: inserted},
		{name: "no type, long prolog", handler: respond(0, longComment+page), check: inserted},
		{name: "upper case type", handler: respond(0, page, "Content-Type", "TEXT/HTML"), check: inserted},
		{name: "charset utf-8", handler: respond(0, page, "Content-Type", "text/html; charset=utf-8"), check: inserted},
		{name: "charset quoted", handler: respond(0, page, "Content-Type", `text/html;charset="UTF-8"`), check: inserted},
		{name: "charset windows-1252", handler: respond(0, page, "Content-Type", "text/html; charset=windows-1252"), check: inserted},
		{name: "charset shift_jis", handler: respond(0, page, "Content-Type", "text/html; charset=Shift_JIS"), check: inserted},
		{name: "byte order mark", handler: respondHTML(0, "\xEF\xBB\xBF"+page), check: inserted},
		{name: "identity", handler: respondHTML(0, page, "Content-Encoding", "identity"), check: inserted},
		{name: "inline", handler: respondHTML(0, page, "Content-Disposition", "inline; filename=attachment.html"), check: inserted},
		{name: "no-store", handler: respondHTML(0, page, "Cache-Control", "no-store, no-transformation"), check: inserted},
		{name: "head is implied", handler: respondHTML(0, "<!doctype html><title>t</title><p>x"), check: inserted},
		{name: "no head at all", handler: respondHTML(0, "<!doctype html>"), check: inserted},
		{name: "CRLF and many fields", handler: respondHTML(200, strings.ReplaceAll(page, "\n", "\r\n"), "A", "1", "B", "2", "C", "3", "D", "4", "E", "5", "F", "6", "G", "7", "H", "8"), check: inserted},
	})
}

func TestOtherResponsesAreUnchanged(t *testing.T) {
	runScenarios(t, []scenario{
		{name: "nothing at all", handler: func(http.ResponseWriter, *http.Request) {}, check: unchanged},
		{name: "only WriteHeader", handler: respondHTML(200, ""), check: unchanged},
		{name: "empty page", handler: respondHTML(0, ""), check: unchanged},
		{name: "empty write", handler: func(w http.ResponseWriter, _ *http.Request) { mustWrite(w, "") }, check: unchanged},
		{name: "JSON", handler: respond(0, `{"page":"<!doctype html><html><head>"}`, "Content-Type", "application/json"), check: unchanged},
		{name: "JSON, 1 MB", handler: respond(0, `["`+strings.Repeat("<html>", 1<<18)+`"]`, "Content-Type", "application/json"), check: unchanged},
		{name: "text", handler: respond(0, page, "Content-Type", "text/plain"), check: unchanged},
		{name: "text/html-ish", handler: respond(0, page, "Content-Type", "text/html-x"), check: unchanged},
		{name: "XHTML", handler: respond(0, page, "Content-Type", "application/xhtml+xml"), check: unchanged},
		{name: "no type, text", handler: respond(0, "  <p>text"), check: unchanged},
		{name: "no type, XML", handler: respond(0, `<?xml version="1.0"?>`+page), check: unchanged},
		{name: "no type, byte order mark", handler: respond(0, "\xEF\xBB\xBF"+page), check: unchanged},
		{name: "no type, white space then a page", handler: respond(0, strings.Repeat(" ", 600)+page), check: unchanged},
		{name: "no type, nothing but white space", handler: respond(0, strings.Repeat(" ", 1<<14)), check: unchanged},
		{name: "no type, JSON", handler: respond(0, `{"a":1}`), check: unchanged},
		{name: "no type but encoded", handler: respond(0, page, "Content-Encoding", "br"), check: unchanged},
		{name: "no type but identity", handler: respond(0, page, "Content-Encoding", "identity"), check: unchanged},
		{name: "nil type", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			mustWrite(w, page)
		}, check: unchanged},
		{name: "two types", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{"text/html", "text/html"}
			mustWrite(w, page)
		}, check: unchanged},
		{name: "garbage type", handler: respond(0, page, "Content-Type", "text/html; charset=;;"), check: unchanged},
		{name: "charset utf-16", handler: respond(0, page, "Content-Type", "text/html; charset=UTF-16LE"), check: unchanged},
		{name: "charset iso-2022-jp", handler: respond(0, page, "Content-Type", "text/html; charset=iso-2022-jp"), check: unchanged},
		{name: "charset ebcdic", handler: respond(0, page, "Content-Type", "text/html; charset=IBM037"), check: unchanged},
		{name: "encoded", handler: respondHTML(0, page, "Content-Encoding", "gzip"), check: unchanged},
		{name: "encoded twice", handler: respondHTML(0, page, "Content-Encoding", "identity, gzip"), check: unchanged},
		{name: "attachment", handler: respondHTML(0, page, "Content-Disposition", `Attachment; filename="a.html"`), check: unchanged},
		{name: "no-transform", handler: respondHTML(0, page, "Cache-Control", "public,\tNo-Transform , max-age=1"), check: unchanged},
		{name: "Content-Digest", handler: respondHTML(0, page, "Content-Digest", "sha-256=:x:"), check: unchanged},
		{name: "Repr-Digest", handler: respondHTML(0, page, "Repr-Digest", "sha-256=:x:"), check: unchanged},
		{name: "Digest", handler: respondHTML(0, page, "Digest", "sha-256=x"), check: unchanged},
		{name: "Content-MD5", handler: respondHTML(0, page, "Content-MD5", "x"), check: unchanged},
		{name: "206", handler: respondHTML(206, page, "Content-Range", "bytes 0-9/10"), check: unchanged},
		{name: "206 without a range", handler: respondHTML(206, page), check: unchanged},
		{name: "Content-Range with 200", handler: respondHTML(200, page, "Content-Range", "bytes 0-9/10"), check: unchanged},
		{name: "204", handler: respondHTML(204, page), check: unchanged},
		{name: "205", handler: respondHTML(205, page), check: unchanged},
		{name: "301", handler: respondHTML(301, page, "Location", "/x"), check: unchanged},
		{name: "302 by http.Redirect", handler: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, check: unchanged},
		{name: "304", handler: respondHTML(304, page, "ETag", `"x"`), check: unchanged},
		{name: "399", handler: respondHTML(399, page), check: unchanged},
		{name: "http.Error", handler: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, page, 500) }, check: unchanged},
		{name: "fragment", handler: respondHTML(200, "<p>text</p>", "ETag", `"x"`, "Accept-Ranges", "bytes", "Content-Length", "11"), check: unchanged},
		{name: "fragment in a header element", handler: respondHTML(0, "<header><html></header>"), check: unchanged},
		{name: "open comment", handler: respondHTML(0, "<!doctype html><!-- <head>", "Content-Length", "26"), check: unchanged},
		{name: "open tag", handler: respondHTML(0, `<!doctype html><html lang="<head>`), check: unchanged},
		{name: "overlong reference", handler: respondHTML(0, "<!doctype html>&#"+strings.Repeat("0", 99)+"32;<head>"), check: unchanged},
	})
}
