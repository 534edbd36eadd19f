package keepalive

import (
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/seed4a306b22/keepalive/internal/csp"
)

// unsaid is the reason to leave alone what is no page, or what a writer further
// out decides about. It is not logged.
const unsaid = "-"

// wanted tells whether the page is to have the script: it has a session, or
// every page is to have it.
func (w *writer) wanted() bool {
	if !w.save {
		w.live = w.m.hasCookie(w.Header(), w.r)
	}
	return w.live || w.m.cfg.Anonymous
}

// told logs whether a page got the script, and why.
func (w *writer) told(script bool, reason string) {
	if reason != unsaid && w.plain != unsaid && w.m.tracing(w.r) {
		w.m.trace(w.r, "page", "script", script, "reason", reason)
	}
}

// hasCookie goes by the session cookie that the response sets or deletes, or
// else by the one in the request.
func (m *Manager) hasCookie(h http.Header, r *http.Request) bool {
	lines := h["Set-Cookie"]
	for i := len(lines) - 1; i >= 0; i-- {
		if c, err := http.ParseSetCookie(lines[i]); err == nil && c.Name == m.sm.Cookie.Name {
			return c.Value != "" && c.MaxAge >= 0
		}
	}
	for _, line := range r.Header["Cookie"] { // as r.Cookie does, which allocates
		for pair := range strings.SplitSeq(line, ";") {
			if name, value, _ := strings.Cut(textproto.TrimString(pair), "="); name == m.sm.Cookie.Name {
				return value != ""
			}
		}
	}
	return false
}

// candidate tells by the header alone why the response can't be a page that can
// be changed, "" if it may be one.
func (w *writer) candidate() string {
	h := w.Header()
	types, named := h["Content-Type"]
	switch {
	case !named:
		// net/http sniffs, but not what is encoded in one way or another.
		if h["Content-Encoding"] != nil || h["Transfer-Encoding"] != nil {
			return "no Content-Type, but encoded"
		}
		w.sniff = true
	case len(types) != 1:
		return "not one Content-Type"
	case !isHTML(types[0]):
		if namesHTML(types[0]) {
			return "Content-Type: its charset is not like ASCII, or it can't be read"
		}
		return unsaid
	}
	switch {
	case w.code != 0 && (w.code < 200 || w.code > 999 || w.code >= 300 && w.code < 400),
		w.code == http.StatusNoContent, w.code == http.StatusResetContent, w.code == http.StatusPartialContent:
		return "status"
	}
	for _, coding := range h["Content-Encoding"] {
		if coding != "" && !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return "Content-Encoding: compress outside"
		}
	}
	for _, v := range h["Cache-Control"] {
		if hasToken(v, "no-transform") { // RFC 9111 section 5.2.2.6
			return "Cache-Control: no-transform"
		}
	}
	for _, v := range h["Content-Disposition"] {
		disposition, _, _ := strings.Cut(v, ";")
		if strings.EqualFold(strings.TrimSpace(disposition), "attachment") {
			return "Content-Disposition: attachment"
		}
	}
	if h["Content-Range"] != nil {
		return "Content-Range"
	}
	// RFC 9530, RFC 3230, RFC 1864: the digest of the page as it was.
	if h["Content-Digest"] != nil || h["Repr-Digest"] != nil || h["Digest"] != nil || h["Content-Md5"] != nil {
		return "digest"
	}
	return ""
}

const htmlType = "text/html"

func namesHTML(contentType string) bool {
	return len(contentType) >= len(htmlType) && strings.EqualFold(contentType[:len(htmlType)], htmlType)
}

// isHTML tells whether a Content-Type is text/html in an encoding that keeps
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

// hasToken tells whether a comma-separated list has a token.
func hasToken(list, token string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(item), token) {
			return true
		}
	}
	return false
}

// Header values of a changed page. Shared, as net/http only reads them.
var acceptNoRanges = []string{"none"}

// changed is what a page's header says once its bytes are no more those of the
// file: a strong ETag would promise them, and a client that was cut off would
// go on with a range of them.
func changed(h http.Header) {
	if tags := h["Etag"]; len(tags) == 1 && strings.HasPrefix(tags[0], `"`) {
		h["Etag"] = []string{"W/" + tags[0]}
	}
	h["Accept-Ranges"] = acceptNoRanges
}

// tagFor is the tag for a page with header h, which has a live session or none.
func (m *Manager) tagFor(h http.Header, r *http.Request, live bool) []byte {
	nonce := csp.Nonce(h)
	if h["Content-Security-Policy"] != nil && !m.warnedCSP.Load() {
		self := &url.URL{Host: r.Host, Path: m.cfg.Path}
		if r.TLS != nil { // without, a proxy may still speak https outside
			self.Scheme = "https"
		}
		if directive := csp.Blocks(h, nonce, self, m.frame != nil); directive != "" && !m.warnedCSP.Swap(true) {
			m.log().Warn("keepalive: a page's Content-Security-Policy stops the script, its pings or the frame of Config.NoScript; let it have script-src 'self' or a nonce, connect-src 'self', and frame-src 'self' for the frame", "path", r.URL.Path, "directive", directive)
		}
	}
	if nonce == "" && live {
		return m.plainTag
	}
	return m.tag.with(nonce, live)
}
