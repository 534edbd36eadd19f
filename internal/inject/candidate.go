package inject

import (
	"mime"
	"net/http"
	"strings"
)

// notPage is the skip reason of responses that are not HTML. Hooks.Skipped does
// not receive it.
const notPage = "not HTML"

// Skip reasons that the header shows.
const (
	badStatus      = "status"
	encoded        = "Content-Encoding: compress outside"
	untypedEncoded = "no Content-Type, but encoded"
	manyTypes      = "not one Content-Type"
	badCharset     = "Content-Type: its charset is not like ASCII, or it can't be read"
	noTransform    = "Cache-Control: no-transform"
	attachment     = "Content-Disposition: attachment"
	contentRange   = "Content-Range"
	digest         = "digest"
)

// SkipReasons are all reasons of this package.
var SkipReasons = [...]string{badStatus, encoded, untypedEncoded, manyTypes, badCharset, noTransform, attachment, contentRange, digest,
	notWhole, noBody, sniffedOut}

// cannotInject returns the reason why the response cannot be changed, by its
// type, status and header, or "" if it may be a page.
func (w *Writer) cannotInject() string {
	h := w.Header()
	if reason := w.checkType(h); reason != "" {
		return reason
	}
	if !isPageStatus(w.code) {
		return badStatus
	}
	w.fields = fieldsIn(h)
	if w.fields&restrictions == 0 {
		return ""
	}
	for _, coding := range w.pageCoding(h) {
		if coding != "" && !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return encoded
		}
	}
	return checkHeader(h)
}

// fields are the groups of fields, by what they are for, of which a header has any.
type fields uint8

const (
	restrictions fields = 1 << iota // what cannotInject looks at
	policies                        // what package csp does
	validators                      // what setChangedETag does
	length                          // Content-Length
)

// fieldsIn reads the header in one loop, because most have none of these fields, and
// to look up each of them takes longer.
func fieldsIn(h http.Header) (f fields) {
	for name := range h {
		switch name {
		case "Content-Encoding", "Cache-Control", "Content-Disposition", "Content-Range",
			"Content-Digest", "Repr-Digest", "Digest", "Content-Md5":
			f |= restrictions
		case "Content-Security-Policy", "Content-Security-Policy-Report-Only", "Integrity-Policy":
			f |= policies
		case "Etag", "Last-Modified":
			f |= validators
		case "Content-Length":
			f |= length
		}
	}
	return f
}

// pageCoding returns the page's own Content-Encoding. Some compressors outside
// set theirs before the handler runs, such as those of gorilla/handlers and gin.
func (w *Writer) pageCoding(h http.Header) []string {
	if coding := h["Content-Encoding"]; !isSameSlice(coding, w.outerCoding) {
		return coding
	}
	return nil
}

// checkType sets w.sniff when only the first bytes will tell the type.
func (w *Writer) checkType(h http.Header) (reason string) {
	types, named := h["Content-Type"]
	switch {
	case !named && (w.pageCoding(h) != nil || h["Transfer-Encoding"] != nil):
		return untypedEncoded // net/http does not sniff it then
	case !named:
		w.sniff = true
		return ""
	case len(types) != 1:
		return manyTypes
	case isHTML(types[0]):
		return ""
	case namesHTML(types[0]):
		return badCharset
	}
	return notPage
}

// isPageStatus reports whether a response with this status may have a whole page
// as its body. 0 stands for an implicit 200.
func isPageStatus(code int) bool {
	switch code {
	case 0:
		return true
	case http.StatusNoContent, http.StatusResetContent, http.StatusPartialContent:
		return false
	}
	return code >= 200 && code < 300 || code >= 400 && code <= 999
}

// checkHeader returns the reason why a page with header h must stay as it is.
func checkHeader(h http.Header) (reason string) {
	for _, v := range h["Cache-Control"] {
		if hasToken(v, "no-transform") { // RFC 9111 section 5.2.2.6
			return noTransform
		}
	}
	for _, v := range h["Content-Disposition"] {
		disposition, _, _ := strings.Cut(v, ";")
		if strings.EqualFold(strings.TrimSpace(disposition), "attachment") {
			return attachment
		}
	}
	if h["Content-Range"] != nil {
		return contentRange
	}
	// RFC 9530, RFC 3230, RFC 1864: the digest of the page as it was.
	if h["Content-Digest"] != nil || h["Repr-Digest"] != nil || h["Digest"] != nil || h["Content-Md5"] != nil {
		return digest
	}
	return ""
}

const htmlType = "text/html"

func namesHTML(contentType string) bool {
	if len(contentType) < len(htmlType) {
		return false
	}
	name := contentType[:len(htmlType)]
	return name == htmlType || strings.EqualFold(name, htmlType)
}

// isHTML reports whether a Content-Type is text/html in an encoding that keeps
// ASCII.
func isHTML(contentType string) bool {
	if !namesHTML(contentType) {
		return false
	}
	switch contentType[len(htmlType):] {
	case "", "; charset=utf-8", "; charset=UTF-8", ";charset=utf-8", ";charset=UTF-8":
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != htmlType {
		return false
	}
	charset := strings.ToLower(strings.TrimSpace(params["charset"]))
	// https://encoding.spec.whatwg.org/#names-and-labels: those that are UTF-16,
	// ISO-2022-JP or replacement; and others that no browser knows.
	for _, p := range []string{"utf-16", "utf-32", "utf-7", "ucs-", "unicode", "csunicode", "iso-10646", "iso-2022", "csiso2022", "hz-gb", "replacement", "ebcdic", "ibm", "cp037"} {
		if strings.HasPrefix(charset, p) && charset != "ibm819" && charset != "ibm866" && charset != "unicode-1-1-utf-8" && !strings.HasPrefix(charset, "unicode11utf8") && !strings.HasPrefix(charset, "unicode20utf8") {
			return false
		}
	}
	return true
}

// hasToken reports whether a comma-separated list has a token.
func hasToken(list, token string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(item), token) {
			return true
		}
	}
	return false
}
