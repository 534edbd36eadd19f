package keepalive

import (
	"net/http"
	"slices"
	"strconv"
)

type field struct {
	name   string
	values []string
}

// keepHeader notes the header as it is now: what the handler changes after
// WriteHeader, or after its first Write, is too late.
func (w *writer) keepHeader() {
	w.header = w.headers[:0]
	for name, values := range w.Header() {
		w.header = append(w.header, field{name, values})
	}
}

// sendHeader lets the header go, as keepHeader noted it and edit changed it.
// What the handler has set since is put back afterwards: it may be trailers.
func (w *writer) sendHeader(edit func(http.Header)) {
	h := w.Header()
	var late []field // values is nil for what was deleted
	if w.header != nil {
		for name, values := range h {
			if !slices.ContainsFunc(w.header, func(f field) bool { return f.name == name && same(f.values, values) }) {
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
		if late != nil && w.code == 0 {
			w.code = http.StatusOK // or the first Write would take what is late with it
		}
	}
	if edit != nil {
		edit(h)
	}
	w.pass()
	for _, f := range late {
		if f.values == nil {
			delete(h, f.name)
		} else {
			h[f.name] = f.values
		}
	}
}

// same tells whether a header field was left alone: http.Header makes a new
// slice, or a longer one, whenever it changes a field.
func same(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// withoutLength is the header of a page whose tag may or may not come.
func withoutLength(h http.Header) {
	delete(h, "Content-Length")
	changed(h)
}

// grow adds n to Content-Length, and notes what it was. One that can't be read
// is removed.
func (w *writer) grow(h http.Header, n int) {
	if values := h["Content-Length"]; len(values) > 0 {
		length, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil || length < 0 || len(values) > 1 {
			delete(h, "Content-Length")
			return
		}
		w.due = length
		w.length[0] = strconv.FormatInt(length+int64(n), 10)
		h["Content-Length"] = w.length[:]
	}
}
