// Package inject puts an element into HTML pages while their handlers write them.
// Hooks supply the element and receive the result.
//
// A Writer holds the header and the first bytes of a page until the insertion
// point is known. Content-Length then stays exact, and everything behind that
// point passes through uncopied. Package prolog finds the insertion point,
// package csp reads the page's Content-Security-Policy.
package inject

import (
	"html"
	"maps"
	"net/http"
	"strings"

	"github.com/seed4a306b22/keepalive/internal/inject/csp"
)

// Insertion is what goes into a page, made by NewInsertion. A Writer only reads
// it.
type Insertion struct {
	// Tag is the element that becomes the first one in head.
	Tag []byte
	// AttributesAt is the place in Tag for the attributes that the page's header
	// asks for: a nonce (Content-Security-Policy) and Integrity (Integrity-Policy).
	AttributesAt int
	// Integrity is written only where the page's Integrity-Policy would block the
	// tag without it. Everywhere else it would break a page whose script comes from
	// an instance with another version. Empty for none.
	Integrity string
	// IntegrityElements precede Tag there: script elements with integrity of what the
	// script would import without them. All run in this order when the page has been
	// read (HTML standard, section 13.2.7), so the script finds what they leave.
	IntegrityElements []string
	// Tail follows the last byte of the page. Empty for nothing.
	Tail []byte

	hash string // of all that, for ETag
}

// Hooks supply what goes into one response, and receive the result. They are called
// in the goroutine that writes it.
type Hooks interface {
	// BeforeHeader is called once, before the header goes out, and may change it.
	// status is that of the response, 0 for an implicit 200, or for a connection that
	// is handed over. After an error the handler's response is dropped.
	BeforeHeader(w http.ResponseWriter, status int) error

	// AnswerError answers in the handler's place after an error of BeforeHeader.
	AnswerError(w http.ResponseWriter, err error)

	// Insertion returns what goes into a page with header h, or nil and the
	// reason why nothing does. It is called after BeforeHeader, at most once, and
	// only for a response that may be a page.
	Insertion(h http.Header) (ins *Insertion, skipReason string)

	// Inserted is called when the insertion point was found. h is the header that
	// goes out, and nonce the one for which the tag was written, if any.
	Inserted(h http.Header, nonce string)

	// Skipped is called with the reason when a response that may be HTML, by its type
	// or for lack of one, gets nothing.
	Skipped(reason string)
}

// tagFor returns the tag for a page with header h, and calls Hooks.Inserted.
func (w *Writer) tagFor(h http.Header) []byte {
	ins := w.insertion
	if w.fields&policies == 0 {
		w.hooks.Inserted(h, "")
		return ins.Tag
	}
	nonce, attributes := csp.Nonce(h), ""
	if nonce != "" {
		attributes = ` nonce="` + html.EscapeString(nonce) + `"`
	}
	w.hooks.Inserted(h, nonce)
	if ins.Integrity != "" && csp.RequiresIntegrity(h) {
		var tags []byte
		for _, element := range ins.IntegrityElements {
			tags = append(tags, insertAt([]byte(element), len("<script"), attributes)...)
		}
		return append(tags, insertAt(ins.Tag, ins.AttributesAt, attributes+` integrity="`+ins.Integrity+`" crossorigin="anonymous"`)...)
	}
	if attributes == "" {
		return ins.Tag
	}
	return insertAt(ins.Tag, ins.AttributesAt, attributes)
}

// insertAt returns element with attributes at the given place.
func insertAt(element []byte, at int, attributes string) []byte {
	return []byte(string(element[:at]) + attributes + string(element[at:]))
}

// Find reports whether a Writer below w, or w itself, has hooks that match.
// Writers that cannot be unwrapped hide what is below them.
func Find(w http.ResponseWriter, match func(Hooks) bool) bool {
	for {
		if iw, ok := w.(*Writer); ok && match(iw.hooks) {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}

// Prepare returns r as the handler is to get it, and whether Accept-Encoding was
// taken away.
//
// A request for HTML loses it, so that a page which is fetched or compressed
// further in arrives readable; not with skip, where nothing goes into the page.
// The tags that a client has of changed pages become those of the handler.
// expected returns what would go into the page as far as is known, nil for
// nothing. It is called for conditional requests for HTML only.
//
// It changes a copy, because middleware outside may still read the original, also
// from another goroutine. isCopy reports that r itself is such a copy already; its
// header is copied all the same.
func (w *Writer) Prepare(r *http.Request, isCopy, skip bool, expected func() *Insertion) (prepared *http.Request, uncompressed bool) {
	uncompressed = !skip && r.Header["Accept-Encoding"] != nil && acceptsHTML(r.Header)
	conditional := isConditional(r.Header)
	if !uncompressed && !conditional {
		return r, false
	}
	if !isCopy {
		w.request = *r
		r = &w.request
	}
	r.Header = maps.Clone(r.Header)
	if uncompressed {
		delete(r.Header, "Accept-Encoding")
	}
	if conditional {
		w.conditions = editConditions(r.Method, r.Header, expected)
	}
	return r, uncompressed
}

func acceptsHTML(h http.Header) bool {
	for _, v := range h["Accept"] {
		if strings.HasPrefix(v, htmlType) || strings.Contains(v, htmlType) { // browsers send it first
			return true
		}
	}
	return false
}
