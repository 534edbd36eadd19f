package inject

import (
	"net/http"
	"slices"
	"strconv"
)

// field is one field of a header. Its values are nil where it was deleted.
type field struct {
	name   string
	values []string
}

// holdHeader stores the header as it is now. Changes that the handler makes
// after WriteHeader, or after its first Write, come too late for it.
func (w *Writer) holdHeader() {
	h := w.Header()
	w.header = make([]field, 0, len(h))
	for name, values := range h {
		w.header = append(w.header, field{name, values})
	}
}

// sendHeader sends the header that holdHeader stored, after edit has changed it.
// What the handler has changed since then is put back afterwards, because it may
// be trailers (RFC 9110 section 6.5.1 says which fields cannot be).
func (w *Writer) sendHeader(edit func(http.Header)) {
	h := w.Header()
	late := w.takeLateFields(h)
	if late != nil && w.code == 0 {
		w.code = http.StatusOK // an implicit WriteHeader would come after the late fields are back
	}
	if edit != nil {
		edit(h)
	}
	w.pass()
	for _, f := range late {
		if isFraming(f.name) {
			continue // a writer below that sends its header later would take it
		}
		if f.values == nil {
			delete(h, f.name)
		} else {
			h[f.name] = f.values
		}
	}
}

// isFraming reports whether a field describes the body as it is sent. Such a field
// cannot be a trailer.
func isFraming(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Content-Encoding", "Content-Type":
		return true
	}
	return false
}

// takeLateFields makes h the stored header again, and returns what the handler
// has changed in it since.
func (w *Writer) takeLateFields(h http.Header) (late []field) {
	if w.header == nil {
		return nil
	}
	for name, values := range h {
		if !slices.ContainsFunc(w.header, func(f field) bool { return f.name == name && isSameSlice(f.values, values) }) {
			late = append(late, field{name, values})
		}
	}
	for _, f := range w.header {
		if _, ok := h[f.name]; !ok {
			late = append(late, field{name: f.name})
		}
	}
	for _, f := range late {
		delete(h, f.name)
	}
	for _, f := range w.header {
		h[f.name] = f.values
	}
	return late
}

// isSameSlice reports whether a header field was left alone. http.Header makes a
// new slice, or a longer one, whenever it changes a field.
func isSameSlice(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// dropLength prepares the header of a page whose tag may or may not come.
func (w *Writer) dropLength(h http.Header) {
	w.cut = w.promised != noLength && !w.head
	delete(h, "Content-Length")
	w.markChanged(h)
}

// growLength adds n to Content-Length. One that cannot be read is removed.
func (w *Writer) growLength(h http.Header, n int) {
	switch {
	case w.fields&length == 0:
		return
	case w.promised == noLength:
		delete(h, "Content-Length")
		return
	}
	w.lengthValue[0] = strconv.FormatInt(w.promised+int64(n), 10)
	h["Content-Length"] = w.lengthValue[:]
}

// noLength stands for a Content-Length that is absent or cannot be read.
const noLength = -1

// contentLength reads Content-Length.
func (w *Writer) contentLength(h http.Header) int64 {
	if w.fields&length == 0 {
		return noLength
	}
	if values := h["Content-Length"]; len(values) == 1 {
		if n, err := strconv.ParseInt(values[0], 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	return noLength
}

// acceptNoRanges is a header value of changed pages. It is shared, because
// net/http only reads it.
var acceptNoRanges = []string{"none"}

// markChanged edits the header of a page whose bytes are no longer those of the
// file. A client that was cut off must not go on with a range of the file.
func (w *Writer) markChanged(h http.Header) {
	if w.fields&validators != 0 {
		setChangedETag(h, w.insertion)
	}
	h["Accept-Ranges"] = acceptNoRanges
}
