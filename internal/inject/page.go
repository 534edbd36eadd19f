package inject

import (
	"net/http"
	"slices"

	"github.com/seed4a306b22/keepalive/internal/inject/prolog"
)

// maxHold bounds the bytes of a page that are held, with its header, until the
// insertion point is known and Content-Length with it.
const maxHold = 8 << 10

// sniffLen is how many bytes http.DetectContentType looks at.
const sniffLen = 512

// Skip reasons that only the bytes of a page show.
const (
	notWhole   = "not a whole document"
	noBody     = "no body"
	sniffedOut = "no Content-Type, and net/http takes it for something else"
)

// apply goes on with a page of which the scanner has just read p.
func (w *Writer) apply(v prolog.Verdict, p []byte) (int, error) {
	switch {
	case w.insertion == nil && len(p) > 0:
		return w.leave("", p)
	case v == prolog.Insert && w.phase == holding && !w.sniffsHTML(p):
		return w.leave(sniffedOut, p)
	case v == prolog.Insert:
		return w.insert(p)
	case v == prolog.Leave:
		return w.leave(notWhole, p)
	case w.phase == holding && len(w.held)+len(p) <= maxHold:
		w.held = append(w.held, p...)
		if w.header == nil {
			w.holdHeader()
		}
		return len(p), nil
	}
	return len(p), w.sendSafe(p)
}

// sniffsHTML reports whether a page without a type is one for net/http, which
// will look at the same bytes.
func (w *Writer) sniffsHTML(p []byte) bool {
	if !w.sniff {
		return true
	}
	start := w.held
	if len(start) < sniffLen {
		start = append(start[:len(start):len(start)], p[:min(len(p), sniffLen-len(start))]...)
	}
	return isHTML(http.DetectContentType(start))
}

// leave sends what is held, and p, without the tag.
func (w *Writer) leave(reason string, p []byte) (int, error) {
	w.skip(reason)
	if w.phase == holding {
		var edit func(http.Header)
		if w.sniff && w.cacheControl != nil && w.sniffsHTML(p) { // decide has done it where a type was named
			edit = w.setHTMLHeader
		}
		w.sendHeader(edit)
	}
	w.phase = passing
	return w.sendHeld(p)
}

// skip calls Hooks.Skipped, which decide has done where nothing was to be put in.
func (w *Writer) skip(reason string) {
	if w.insertion != nil {
		w.hooks.Skipped(reason)
	}
}

// insert sends the header, the held bytes and p, with the tag in its place.
func (w *Writer) insert(p []byte) (int, error) {
	var tag []byte
	if w.phase == holding {
		w.sendHeader(func(h http.Header) {
			tag = w.tagFor(h)
			w.growLength(h, len(tag)+len(w.insertion.Tail))
			w.markChanged(h)
			w.setHTMLHeader(h)
		})
	} else {
		tag = w.tagFor(w.Header())
	}
	w.phase, w.tail = passing, w.insertion.Tail
	at := int(w.scan.Offset() - w.sent)
	w.sent -= int64(len(tag)) // it is not the page's
	if len(w.held) == 0 && at+len(tag) <= bufferLen {
		return w.insertInCopy(tag, at, p)
	}
	if at <= len(w.held) {
		w.held = slices.Insert(w.held, at, tag...)
		return w.sendHeld(p)
	}
	at -= len(w.held)
	if _, err := w.sendHeld(nil); err != nil {
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

// insertInCopy sends p with the tag in its place, as much of it at once as a buffer
// holds: each write costs net/http more than the copy, and may cost it a chunk.
func (w *Writer) insertInCopy(tag []byte, at int, p []byte) (int, error) {
	buf := buffers.Get().(*[bufferLen]byte)
	defer buffers.Put(buf)
	n := copy(buf[:], p[:at])
	n += copy(buf[n:], tag)
	copied := copy(buf[n:], p[at:])
	n, err := w.write(buf[:n+copied])
	n = min(n, max(at, n-len(tag)))
	if err != nil || n == len(p) {
		return n, err
	}
	k, err := w.write(p[n:])
	return n + k, err
}

// sendSafe sends the header and as much of the held bytes and p as precedes
// every place where the tag may still go in.
func (w *Writer) sendSafe(p []byte) error {
	if w.phase == holding {
		if !w.sniffsHTML(p) { // nor are no bytes at all
			_, err := w.leave(sniffedOut, p)
			return err
		}
		w.sendHeader(func(h http.Header) {
			w.dropLength(h)
			w.setHTMLHeader(h)
		})
		w.phase = scanning
	}
	safe := int(w.scan.Safe() - w.sent)
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

// forward sends bytes that precede the insertion point.
func (w *Writer) forward(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := w.write(p)
	if err != nil {
		w.phase, w.held = passing, nil // a page with a gap has no insertion point
	}
	return err
}

// forwardEmptyWrite passes on that the handler has called Write, which sends a
// header, although it wrote nothing.
func (w *Writer) forwardEmptyWrite() {
	if w.code == 0 {
		_, _ = w.write(nil)
	}
}

// sendHeld sends what is held, and p.
func (w *Writer) sendHeld(p []byte) (int, error) {
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

func (w *Writer) write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.count(int64(n), err)
	return n, err
}

// count adds n bytes to those that were sent. After an error no tail may follow,
// but where a length was promised: then that shows whether the page is whole.
func (w *Writer) count(n int64, err error) {
	w.sent += n
	if err != nil && w.promised == noLength {
		w.tail = nil
	}
}

// end completes the response when the handler has returned.
func (w *Writer) end() {
	wrote := w.phase != fresh
	if !wrote {
		w.decide(0)
	}
	switch {
	case w.phase == holding && w.sent == 0 && len(w.held) == 0:
		w.endEmpty()
		if wrote {
			w.forwardEmptyWrite()
		}
	case w.isScanning():
		_, _ = w.apply(w.scan.Close(), nil) // nobody is left to hear of an error
	}
	if w.cut && w.sent < w.promised {
		// The client of a page without a length would take it for whole.
		panic(http.ErrAbortHandler)
	}
	// Also for HEAD, or its length would not be that of GET. A page that is not
	// as long as its header promised gets no tail: it must not pass for whole.
	if len(w.tail) > 0 && (w.promised == noLength || w.sent == w.promised) {
		_, _ = w.ResponseWriter.Write(w.tail)
	}
}

// endEmpty sends the header of an empty page, or of a HEAD request whose handler
// wrote no body. Nobody can know the length of the page in the latter case.
func (w *Writer) endEmpty() {
	w.skip(noBody)
	if w.head && !w.sniff {
		w.sendHeader(w.dropLength)
	} else {
		w.sendHeader(nil)
	}
}
