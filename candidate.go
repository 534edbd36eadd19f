package keepalive

import (
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/seed4a306b22/keepalive/internal/csp"
)

// wanted tells whether the page is to have the script: it has a session, or
// every page is to have it.
func (w *writer) wanted() bool {
	if !w.save {
		w.live = w.m.hasCookie(w.Header(), w.r)
	}
	return w.live || w.m.cfg.Anonymous
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

// candidate tells by the header alone whether the response may be a page that
// can be changed.
func (w *writer) candidate() bool {
	h := w.Header()
	switch {
	case w.code != 0 && (w.code < 200 || w.code > 999 || w.code >= 300 && w.code < 400):
		return false
	case w.code == http.StatusNoContent, w.code == http.StatusResetContent, w.code == http.StatusPartialContent:
		return false
	}
	types, named := h["Content-Type"]
	switch {
	case !named:
		// net/http sniffs, but not what is encoded in one way or another.
		if h["Content-Encoding"] != nil || h["Transfer-Encoding"] != nil {
			return false
		}
		w.sniff = true
	case len(types) != 1 || !isHTML(types[0]):
		return false
	}
	for _, coding := range h["Content-Encoding"] {
		if coding != "" && !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			return false
		}
	}
	for _, v := range h["Cache-Control"] {
		if hasToken(v, "no-transform") { // RFC 9111 section 5.2.2.6
			return false
		}
	}
	for _, v := range h["Content-Disposition"] {
		disposition, _, _ := strings.Cut(v, ";")
		if strings.EqualFold(strings.TrimSpace(disposition), "attachment") {
			return false
		}
	}
	if h["Content-Range"] != nil {
		return false
	}
	// RFC 9530, RFC 3230, RFC 1864: the digest of the page as it was.
	if h["Content-Digest"] != nil || h["Repr-Digest"] != nil || h["Digest"] != nil || h["Content-Md5"] != nil {
		return false
	}
	return true
}

// isHTML tells whether a Content-Type is text/html in an encoding that keeps
// ASCII.
func isHTML(contentType string) bool {
	const html = "text/html"
	if len(contentType) < len(html) || !strings.EqualFold(contentType[:len(html)], html) {
		return false
	}
	switch contentType[len(html):] {
	case "", "; charset=utf-8", "; charset=UTF-8", ";charset=utf-8", ";charset=UTF-8":
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != html {
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
		if directive := csp.Blocks(h, nonce, self); directive != "" && !m.warnedCSP.Swap(true) {
			m.log().Warn("keepalive: a page's Content-Security-Policy stops the script or its pings; let it have script-src 'self' or a nonce, and connect-src 'self'", "path", r.URL.Path, "directive", directive)
		}
	}
	if nonce == "" && live {
		return m.plainTag
	}
	return m.tag.with(nonce, live)
}
