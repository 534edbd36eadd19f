package inject_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func TestWaysToWrite(t *testing.T) {
	runScenarios(t, []scenario{
		{name: "byte by byte", handler: inPieces(1, mustWrite), check: inserted},
		{name: "WriteString", handler: inPieces(7, mustWriteString), check: inserted},
		{name: "WriteString, long", handler: func(w http.ResponseWriter, _ *http.Request) {
			n, err := io.WriteString(w, page+longComment)
			abortUnless(n == len(page+longComment) && err == nil)
		}, check: inserted},
		{name: "ReadFrom", handler: inPieces(11, mustReadFrom), check: inserted},
		{name: "ReadFrom a pipe", handler: func(w http.ResponseWriter, _ *http.Request) {
			pr, pw := io.Pipe()
			go func() {
				for _, c := range []byte(page + longComment) {
					_, _ = pw.Write([]byte{c})
				}
				_ = pw.Close()
			}()
			n, err := io.Copy(w, pr)
			abortUnless(n == int64(len(page+longComment)) && err == nil)
		}, check: inserted},
		{name: "ReadFrom a reader that fails", handler: func(w http.ResponseWriter, _ *http.Request) {
			n, err := io.Copy(w, io.MultiReader(strings.NewReader(page[:20]), brokenReader{}))
			abortUnless(n == 20 && err == io.ErrNoProgress)
			mustWrite(w, page[20:])
		}, check: inserted},
		{name: "ReadFrom a reader that fails after the insertion point", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", pageLength)
			mustWrite(w, page[:40])
			n, err := io.Copy(w, io.MultiReader(strings.NewReader(page[40:50]), brokenReader{}))
			abortUnless(n == 10 && err == io.ErrNoProgress)
			mustWrite(w, page[50:])
		}, check: all(inserted, exactLength)},
	})
}

func TestFlush(t *testing.T) {
	runScenarios(t, []scenario{
		{name: "flush first", handler: flushAfter(0), check: inserted},
		{name: "flush within the doctype", handler: flushAfter(5), check: inserted},
		{name: "flush after the doctype", handler: flushAfter(16), check: inserted},
		{name: "flush within a name", handler: flushAfter(18), check: inserted},
		{name: "flush before head", handler: flushAfter(30), check: inserted},
		{name: "flush after head", handler: flushAfter(36), check: inserted},
		{name: "flush at the end", handler: flushAfter(len(page)), check: inserted},
		{name: "flush first, with a length", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", pageLength)
			flushAfter(0)(w, r)
		}, check: all(inserted, noLength)},
		{name: "flush first, HEAD", method: "HEAD", handler: flushAfter(0), check: inserted},
		{name: "flush first, no type", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			mustWrite(w, page)
		}, check: unchanged},
		{name: "flush within the doctype, no type", handler: func(w http.ResponseWriter, _ *http.Request) {
			mustWrite(w, page[:5])
			w.(http.Flusher).Flush()
			mustWrite(w, page[5:])
		}, check: unchanged},
		{name: "flush only", handler: func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, check: unchanged},
		{name: "flush a JSON stream", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-ndjson")
			for range 5 {
				mustWrite(w, "{}\n")
				w.(http.Flusher).Flush()
			}
		}, check: unchanged},
	})
}

// A page keeps its Content-Length as long as all before the insertion point can
// be held.
func TestHold(t *testing.T) {
	const maxHold = 8 << 10
	// upTo is a page whose insertion point shows after n bytes and one more.
	upTo := func(n int) string {
		const start, head = "<!doctype html><!--", "--><head"
		return start + strings.Repeat("-", n-len(start)-len(head)) + head + ">rest"
	}
	runScenarios(t, []scenario{
		{name: "prolog longer than what is held", handler: respondHTML(0, longComment+page, "Content-Length", strconv.Itoa(len(longComment+page))), check: all(inserted, exactLength)},
		{name: "prolog longer than what is held, by bytes", handler: byteByByte(longComment + page), check: all(inserted, noLength)},
		{name: "as much as is held, by bytes", handler: byteByByte(upTo(maxHold)), check: all(inserted, exactLength)},
		{name: "a byte more than is held, by bytes", handler: byteByByte(upTo(maxHold + 1)), check: all(inserted, noLength)},
	})
}
