package keepalive

import (
	"html"
	"net/http"
	"strconv"
	"time"
)

// framePage is all that the frame shows, whatever its status. It is never
// empty, or browsers would put an error page of their own in its place, without
// Refresh.
const framePage = `<!doctype html><html lang="en"><title>keepalive</title></html>` + "\n"

// frame is the element that loads the frame. It belongs at the end of a page:
// in head, where the script is, a parser without scripting ends head at an
// iframe. After </html> it goes on in body (HTML standard, section 13.2.6.4.22).
func frame(path string) []byte {
	return []byte(`<noscript><iframe src="` + html.EscapeString(path) + `frame" hidden title="keepalive"></iframe></noscript>`)
}

// serveFrame answers GET frame, the document that stands for the script in
// browsers without JavaScript: it extends the session as a ping does, and
// reloads itself for as long as there is one.
func (m *Manager) serveFrame(w http.ResponseWriter, r *http.Request, resend bool) {
	if m.frame == nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	// In place of what middleware outside may say for the app's pages, which
	// often is that nobody may frame them.
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'self'")
	// A page that asks this of what it embeds asks it of frames of its own
	// origin too; this one embeds nothing.
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	if !allowed(w, r, "GET, HEAD") {
		return
	}
	status := http.StatusForbidden
	if framed(r.Header) {
		if _, _, status = m.sight(w, r, true, m.sm.IdleTimeout, resend); status != http.StatusUnauthorized {
			h.Set("Refresh", strconv.FormatInt(int64(max(m.sm.IdleTimeout/3/time.Second, 1)), 10))
		}
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(framePage)) // the client has gone, or the answer is out
}

// framed tells whether a browser wants the frame for a page of the app, so that
// no page of another origin keeps its visitors' sessions alive. Old browsers,
// and all over plain HTTP but for loopback, don't say: they pass, because any
// page of the app that is framed there extends the session just as well.
func framed(h http.Header) bool {
	site, dest := h.Get("Sec-Fetch-Site"), h.Get("Sec-Fetch-Dest")
	return (site == "" || site == "same-origin") && (dest == "" || dest == "iframe" || dest == "frame")
}
