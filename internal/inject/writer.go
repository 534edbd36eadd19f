package inject

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/seed4a306b22/keepalive/internal/inject/prolog"
)

// Writer is the response writer that puts an Insertion into a page while its
// first bytes pass. Init must be called first. It is used like any
// http.ResponseWriter, and must not be pooled: a handler may keep it.
type Writer struct {
	http.ResponseWriter
	hooks     Hooks
	insertion *Insertion

	phase  phase
	ready  bool   // BeforeHeader was called
	sniff  bool   // the handler named no type: the first bytes tell
	head   bool   // the request is a HEAD request
	cut    bool   // the page's Content-Length was dropped: the bytes must show whether it is whole
	fields fields // of the header, where the response may be a page
	code   int    // what WriteHeader was called with, 0 if it was not
	err    error  // of BeforeHeader

	scan     prolog.Scanner
	held     []byte // read by scan, not yet sent
	sent     int64  // bytes of the page that were sent; those of held come next
	written  int64  // bytes of the page that the handler wrote, also those that were refused
	promised int64  // the page's Content-Length before it grew, noLength if it had none
	tail     []byte // what is to follow the page

	conditions *conditions // of a conditional request, else nil

	// cacheControl and serverTiming are for a response that is HTML, nil to leave them,
	// unless the handler replaces what was there at the time: it may go on after a
	// Hijack that fails.
	cacheControl, priorCacheControl []string
	serverTiming, priorServerTiming []string

	// outerCoding is the Content-Encoding that was there before the handler ran:
	// that of a compressor outside, and not the page's.
	outerCoding []string

	// header is the header as it was when it would have gone out, while it is held.
	header []field

	// lengthValue is the new Content-Length, as a slice of our own, and request the copy
	// that Prepare makes. They spare an allocation each.
	lengthValue [1]string
	request     http.Request
}

// phase is how far a response is.
type phase uint8

const (
	fresh    phase = iota // nothing was written
	holding               // a page whose header is held
	scanning              // a page whose header went out before the insertion point was found
	passing               // everything passes through
	failed                // BeforeHeader failed and AnswerError has answered
)

// Init makes w a writer of one response, above the given one.
func (w *Writer) Init(below http.ResponseWriter, hooks Hooks) {
	w.ResponseWriter, w.hooks = below, hooks
	w.outerCoding = below.Header()["Content-Encoding"]
}

// Serve runs the handler with w as its writer, and ends the response.
func (w *Writer) Serve(next http.Handler, r *http.Request) {
	w.head = r.Method == http.MethodHead
	next.ServeHTTP(w, r)
	w.end() // not deferred: a panic must not send half a page as a whole one
}

// SetIfHTML sets these fields of the response if that turns out to be HTML, or a 304
// for a page that was changed. serverTiming may be nil for none. Hooks.BeforeHeader may
// call it. The values are only read.
func (w *Writer) SetIfHTML(cacheControl, serverTiming []string) {
	h := w.Header()
	w.cacheControl, w.priorCacheControl = cacheControl, h["Cache-Control"]
	w.serverTiming, w.priorServerTiming = serverTiming, h["Server-Timing"]
}

// setHTMLHeader does what SetIfHTML has asked for.
func (w *Writer) setHTMLHeader(h http.Header) {
	if w.cacheControl == nil || !isSameSlice(h["Cache-Control"], w.priorCacheControl) {
		return
	}
	h["Cache-Control"] = w.cacheControl
	if w.serverTiming != nil && isSameSlice(h["Server-Timing"], w.priorServerTiming) {
		h["Server-Timing"] = w.serverTiming
	}
}

// Unwrap is for http.ResponseController.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// decide calls BeforeHeader and chooses whether to inject. It runs once, on the
// first of Write, WriteHeader, Flush, ReadFrom, or the handler's return. code is
// what WriteHeader was called with, 0 if it was not.
func (w *Writer) decide(code int) {
	if w.beforeHeader(code) != nil {
		return
	}
	w.code = code
	isHTML := w.cacheControl != nil && slices.ContainsFunc(w.Header()["Content-Type"], namesHTML)
	if code == http.StatusNotModified && w.conditions != nil {
		isHTML = w.conditions.setNotModified(w.Header()) || isHTML
	}
	if isHTML {
		w.setHTMLHeader(w.Header())
	}
	reason := w.cannotInject()
	if reason == "" {
		if w.insertion, reason = w.hooks.Insertion(w.Header()); w.insertion != nil {
			w.phase, w.promised = holding, w.contentLength(w.Header())
			return
		}
	}
	if reason != notPage {
		w.hooks.Skipped(reason)
	}
	if w.sniff && w.cacheControl != nil {
		w.phase = holding // the header alone: the first bytes tell whether this is HTML
		return
	}
	w.pass()
}

// beforeHeader calls the hook, once. After an error the response is that of
// AnswerError.
func (w *Writer) beforeHeader(status int) error {
	if w.ready {
		return w.err
	}
	w.ready = true
	if w.err = w.hooks.BeforeHeader(w.ResponseWriter, status); w.err != nil {
		w.phase = failed
		w.Header().Del("Content-Length") // of the response that is dropped
		w.hooks.AnswerError(w.ResponseWriter, w.err)
	}
	return w.err
}

// pass lets the rest of the response through.
func (w *Writer) pass() {
	w.phase = passing
	if w.code != 0 {
		w.ResponseWriter.WriteHeader(w.code)
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *Writer) WriteHeader(code int) {
	switch {
	case w.phase == fresh && code != http.StatusSwitchingProtocols && (code < 200 || code > 999):
		// An informational response, before the final one; or no code at all, over
		// which net/http panics.
		w.ResponseWriter.WriteHeader(code)
	case w.phase == fresh:
		if w.decide(code); w.phase == holding {
			w.holdHeader()
		}
	case w.phase == passing:
		w.ResponseWriter.WriteHeader(code) // net/http logs what is wrong with that
	}
}

// Write implements http.ResponseWriter.
func (w *Writer) Write(p []byte) (int, error) {
	if w.phase == fresh {
		w.decide(0)
	}
	switch {
	case w.phase == failed:
		return 0, w.err
	case w.refuses(len(p)):
		return 0, http.ErrContentLength
	case w.phase == passing:
		return w.write(p)
	}
	return w.apply(w.scan.Scan(p), p)
}

// refuses reports whether n more bytes are more than the page's Content-Length
// promised. net/http refuses what exceeds it; below us, what is put in counts, and
// what was held comes at once.
func (w *Writer) refuses(n int) bool {
	if w.insertion == nil || w.promised == noLength {
		return false
	}
	w.written += int64(n)
	if w.written <= w.promised {
		return false
	}
	if w.phase == holding && w.header == nil {
		w.holdHeader() // a Write that is refused has sent the header all the same
	}
	return true
}

// WriteString spares a long string the copy that Write would need.
func (w *Writer) WriteString(s string) (n int, err error) {
	if w.phase == fresh {
		w.decide(0)
	}
	switch {
	case w.phase == failed:
		return 0, w.err
	case w.refuses(len(s)):
		return 0, http.ErrContentLength
	}
	if w.isScanning() {
		buf := buffers.Get().(*[bufferLen]byte)
		defer buffers.Put(buf)
		for w.isScanning() {
			piece := buf[:copy(buf[:], s[n:])]
			k, err := w.apply(w.scan.Scan(piece), piece)
			if n += k; err != nil || n == len(s) {
				return n, err
			}
		}
	}
	k, err := io.WriteString(w.ResponseWriter, s[n:])
	w.count(int64(k), err)
	return n + k, err
}

// ReadFrom hands src over to the writer below as soon as the insertion point is
// found, so that a file still goes out by sendfile. Like that of net/http, it
// decides nothing while src gives no bytes.
func (w *Writer) ReadFrom(src io.Reader) (n int64, err error) {
	if w.phase == fresh || w.isScanning() {
		buf := buffers.Get().(*[bufferLen]byte)
		defer buffers.Put(buf)
		for w.phase == fresh || w.isScanning() {
			k, rerr := src.Read(buf[:readLen])
			if k > 0 {
				k, err = w.Write(buf[:k])
				n += int64(k)
			}
			if err == nil && rerr != io.EOF {
				err = rerr
			}
			if err != nil || rerr != nil {
				return n, err
			}
		}
	}
	if w.phase == failed {
		return n, w.err
	}
	k, err := io.Copy(w.ResponseWriter, src)
	w.written += k
	w.count(k, err)
	return n + k, err
}

// isScanning reports whether the insertion point is still to be found.
func (w *Writer) isScanning() bool { return w.phase == holding || w.phase == scanning }

// buffers are for the first bytes of a page. Of a file fewer are read, because they
// do not go out by sendfile.
const (
	bufferLen = 4 << 10
	readLen   = 2 << 10
)

var buffers = sync.Pool{New: func() any { return new([bufferLen]byte) }}

// Flush implements http.Flusher.
func (w *Writer) Flush() { _ = w.FlushError() }

// FlushError sends what it can. A page whose insertion point is not known yet
// goes on without a Content-Length.
func (w *Writer) FlushError() error {
	if w.phase == fresh {
		w.decide(0)
	}
	if w.phase == failed {
		return w.err
	}
	if w.phase == holding {
		if err := w.sendSafe(nil); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack hands the connection over, after BeforeHeader.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.beforeHeader(0); err != nil {
		return nil, nil, err
	}
	if w.phase == holding { // an answer to CONNECT, say, goes out before the connection is handed over
		if err := w.sendSafe(nil); err != nil {
			return nil, nil, err
		}
		w.forwardEmptyWrite()
	}
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.phase, w.tail = passing, nil // nothing of ours may follow
	}
	return conn, buf, err
}

// Push implements http.Pusher where the writer below does.
func (w *Writer) Push(target string, opts *http.PushOptions) error {
	if p, ok := w.ResponseWriter.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}
