package keepalive

import (
	"bufio"
	"cmp"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/seed4a306b22/keepalive/internal/prolog"
)

// maxHold bounds the bytes of a page that are held, with its header, until the
// insertion point is known and Content-Length with it.
const maxHold = 8 << 10

// sniffLen is how many bytes http.DetectContentType looks at.
const sniffLen = 512

// writer is the one response writer. It saves the session before the header
// goes out, and puts the tag into a page while its first bytes pass.
//
// It is not pooled: a handler may keep it.
type writer struct {
	http.ResponseWriter
	m     *Manager
	r     *http.Request
	token string // with save: the token the session was loaded with
	plain string // why nothing is to be put in, "" for no reason
	save  bool   // the session is ours to save
	saved bool
	live  bool // with saved: the page has a session
	// passive is set for a request that must not extend its session.
	passive bool

	phase  phase
	sniff  bool // the handler named no type: the first bytes tell
	framed bool // the frame is to follow the page
	code   int  // what WriteHeader was called with, 0 if it was not
	err    error
	scan   prolog.Scanner
	passed int64  // bytes of the page that went on; those of held come next
	due    int64  // how many its Content-Length promised, 0 if it had none
	held   []byte // read by scan, not passed on

	// The header as it was when it would have gone out, while it is held. The
	// array spares most pages an allocation.
	header  []field
	headers [6]field

	length [1]string // the changed Content-Length, in a slice of our own
}

// phase is how far a response is.
type phase uint8

const (
	fresh   phase = iota // nothing was written
	holding              // a page whose header is held
	open                 // a page whose header went out before its insertion point was found
	passing              // everything goes through
	broken               // the session could not be saved and Config.ErrorFunc has answered
)

// begin is where it is decided, once, what becomes of a response: on the first
// of Write, WriteHeader, Flush, ReadFrom, or the handler's return. code is what
// WriteHeader was called with, 0 if it was not.
func (w *writer) begin(code int) {
	if err := w.saveOnce(); err != nil {
		w.phase, w.err = broken, err
		w.m.failed(w.r, w.m.key(w.token), "the store could not save a session", err)
		w.Header().Del("Content-Length") // of the answer that is dropped
		w.m.cfg.ErrorFunc(w.ResponseWriter, w.r, err)
		return
	}
	w.code = code
	reason := cmp.Or(w.candidate(), w.plain)
	if reason == "" {
		if w.wanted() {
			w.phase = holding
			return
		}
		reason = "no session"
	}
	w.told(false, reason)
	w.pass()
}

// saveOnce saves the session if that is still to be done.
func (w *writer) saveOnce() (err error) {
	if w.save && !w.saved {
		w.saved = true
		w.live, err = w.m.save(w.ResponseWriter, w.r, w.token, w.passive)
	}
	return err
}

// pass lets the rest of the response through.
func (w *writer) pass() {
	w.phase = passing
	if w.code != 0 {
		w.ResponseWriter.WriteHeader(w.code)
	}
}

func (w *writer) WriteHeader(code int) {
	switch {
	case w.phase == fresh && code != http.StatusSwitchingProtocols && (code < 200 || code > 999):
		// Informational, and the final one is still to come; or no code at all,
		// over which net/http panics.
		w.ResponseWriter.WriteHeader(code)
	case w.phase == fresh:
		if w.begin(code); w.phase == holding {
			w.keepHeader()
		}
	case w.phase == passing:
		w.ResponseWriter.WriteHeader(code) // net/http says what is wrong with that
	}
}

func (w *writer) Write(p []byte) (int, error) {
	if w.phase == fresh {
		w.begin(0)
	}
	switch w.phase {
	case passing:
		return w.write(p)
	case broken:
		return 0, w.err
	}
	return w.scanned(p, w.scan.Scan(p))
}

// WriteString spares a long string the copy that Write would need.
func (w *writer) WriteString(s string) (n int, err error) {
	if w.phase == fresh {
		w.begin(0)
	}
	if w.phase == holding || w.phase == open {
		buf := buffers.Get().(*[bufferLen]byte)
		defer buffers.Put(buf)
		for w.phase == holding || w.phase == open {
			k, err := w.Write(buf[:copy(buf[:], s[n:])])
			if n += k; err != nil || n == len(s) {
				return n, err
			}
		}
	}
	if w.phase == broken {
		return n, w.err
	}
	k, err := io.WriteString(w.ResponseWriter, s[n:])
	w.count(int64(k), err)
	return n + k, err
}

// ReadFrom hands src over to the writer below as soon as the insertion point is
// found, so that a file still goes out by sendfile.
func (w *writer) ReadFrom(src io.Reader) (n int64, err error) {
	if w.phase == fresh {
		w.begin(0)
	}
	if w.phase == holding || w.phase == open {
		buf := buffers.Get().(*[bufferLen]byte)
		defer buffers.Put(buf)
		for w.phase == holding || w.phase == open {
			k, rerr := src.Read(buf[:])
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
	if w.phase == broken {
		return n, w.err
	}
	k, err := io.Copy(w.ResponseWriter, src)
	w.count(k, err)
	return n + k, err
}

// buffers are for the first bytes of a page that does not come in by Write.
const bufferLen = 2 << 10

var buffers = sync.Pool{New: func() any { return new([bufferLen]byte) }}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError sends what it can: a page whose insertion point is not known yet
// goes on without a Content-Length.
func (w *writer) FlushError() error {
	if w.phase == fresh {
		w.begin(0)
	}
	if w.phase == broken {
		return w.err
	}
	if w.phase == holding {
		if err := w.release(nil); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack saves the session and hands the connection over.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.saveOnce(); err != nil {
		w.m.failed(w.r, w.m.key(w.token), "the store could not save a session", err)
		return nil, nil, err
	}
	if w.phase == holding { // an answer to CONNECT, say, goes out before the connection is handed over
		if err := w.release(nil); err != nil {
			return nil, nil, err
		}
	}
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.phase, w.framed = passing, false // nothing of ours may follow
	}
	return conn, buf, err
}

// Push implements http.Pusher where the writer below does.
func (w *writer) Push(target string, opts *http.PushOptions) error {
	if p, ok := w.ResponseWriter.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// finish ends the response when the handler has returned.
func (w *writer) finish() {
	if w.phase == fresh {
		w.begin(0)
	}
	switch {
	case w.phase == holding && w.passed == 0 && len(w.held) == 0:
		// An empty body, or a HEAD request whose handler wrote none: then
		// nobody can know the length of the page.
		w.told(false, "no body")
		if w.r.Method == http.MethodHead && !w.sniff {
			w.sendHeader(withoutLength)
		} else {
			w.sendHeader(nil)
		}
	case w.phase == holding, w.phase == open:
		_, _ = w.scanned(nil, w.scan.Close()) // nobody is left to hear of an error
	}
	// Also for HEAD, or its length would not be that of GET. A page that is not
	// as long as its header said gets no frame: it must not pass for whole.
	if w.framed && (w.due == 0 || w.passed == w.due) {
		_, _ = w.ResponseWriter.Write(w.m.frame)
	}
}

// scanned goes on with a page of which p was just read by the scanner.
func (w *writer) scanned(p []byte, v prolog.Verdict) (int, error) {
	reason := "not a whole document"
	if v == prolog.Insert && w.phase == holding && !w.isHTML(p) {
		v, reason = prolog.Leave, sniffed
	}
	switch v {
	case prolog.Insert:
		return w.insert(p)
	case prolog.Leave:
		w.told(false, reason)
		if w.phase == holding {
			w.sendHeader(nil)
		}
		w.phase = passing
		return w.send(p)
	}
	if w.phase == holding && len(w.held)+len(p) <= maxHold {
		w.held = append(w.held, p...)
		if w.header == nil {
			w.keepHeader()
		}
		return len(p), nil
	}
	return len(p), w.release(p)
}

// sniffed is a reason.
const sniffed = "no Content-Type, and net/http takes it for something else"

// isHTML tells whether a page without a type is one for net/http, which will
// look at the same bytes.
func (w *writer) isHTML(p []byte) bool {
	if !w.sniff {
		return true
	}
	head := w.held
	if len(head) < sniffLen {
		head = append(head[:len(head):len(head)], p[:min(len(p), sniffLen-len(head))]...)
	}
	return isHTML(http.DetectContentType(head))
}

// release sends the header and as much of the held bytes and p as lies before
// every place where the tag may still go in.
func (w *writer) release(p []byte) error {
	if w.phase == holding {
		if !w.isHTML(p) { // nor are no bytes at all
			w.told(false, sniffed)
			w.sendHeader(nil)
			_, err := w.send(p)
			return err
		}
		w.sendHeader(withoutLength)
		w.phase = open
	}
	safe := int(w.scan.Safe() - w.passed)
	n := min(safe, len(w.held))
	if err := w.forward(w.held[:n]); err != nil {
		return err
	}
	w.held = w.held[:copy(w.held, w.held[n:])]
	if err := w.forward(p[:safe-n]); err != nil {
		return err
	}
	w.held = append(w.held, p[safe-n:]...)
	return nil
}

// forward passes on bytes that precede the insertion point.
func (w *writer) forward(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := w.write(p)
	if err != nil {
		w.phase, w.held = passing, nil // a page with a gap has no insertion point
	}
	return err
}

// write passes p on.
func (w *writer) write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.count(int64(n), err)
	return n, err
}

// count notes that n bytes went on. After an error none may follow at the end,
// but where a length was promised: then that tells whether the page is whole.
func (w *writer) count(n int64, err error) {
	w.passed += n
	if err != nil && w.due == 0 {
		w.framed = false
	}
}

// insert sends the header, the held bytes and p, with the tag in its place. The
// frame follows when the handler has returned.
func (w *writer) insert(p []byte) (int, error) {
	if w.live {
		w.told(true, "session")
	} else {
		w.told(true, "Config.Anonymous")
	}
	w.framed = w.live && w.m.frame != nil
	var tag []byte
	if w.phase == holding {
		w.sendHeader(func(h http.Header) {
			tag = w.m.tagFor(h, w.r, w.live)
			if w.framed {
				w.grow(h, len(tag)+len(w.m.frame))
			} else {
				w.grow(h, len(tag))
			}
			changed(h)
		})
	} else {
		tag = w.m.tagFor(w.Header(), w.r, w.live)
	}
	w.phase = passing
	at := int(w.scan.Offset() - w.passed)
	w.passed -= int64(len(tag)) // is none of the page's
	if at <= len(w.held) {
		w.held = slices.Insert(w.held, at, tag...)
		return w.send(p)
	}
	at -= len(w.held)
	if _, err := w.send(nil); err != nil {
		return 0, err
	}
	n, err := w.write(p[:at])
	if err == nil {
		_, err = w.write(tag)
	}
	if err != nil || n == len(p) {
		return n, err
	}
	k, err := w.write(p[at:])
	return n + k, err
}

// send passes on what is held, and p.
func (w *writer) send(p []byte) (int, error) {
	if len(w.held) > 0 {
		held := w.held
		w.held = nil
		if _, err := w.write(held); err != nil {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	return w.write(p)
}
