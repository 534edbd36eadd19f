package keepalive

import (
	"html"
	"net/http"
	"strconv"
	"time"
)

// frameElement returns the element that loads the frame of Config.NoScript. It
// belongs at the end of a page: in head, where the script is, a parser without
// scripting ends head at an iframe. After </html> it goes on in body (HTML
// standard, section 13.2.6.4.22).
func frameElement(path string) []byte {
	return []byte(`<noscript><iframe src="` + html.EscapeString(path) + `frame" hidden title="keepalive"></iframe></noscript>`)
}

// frameReloads is how often the frame reloads in each idle timeout, so that one
// reload that fails does not end the session.
const frameReloads = 3

// framePage is all that the frame shows, whatever its status. It is never empty,
// because browsers would show an error page of their own in its place, without
// Refresh.
const framePage = `<!doctype html><html lang="en"><title>keepalive</title></html>` + "\n"

// setFrameHeader sets the fields that every answer of the frame has.
func setFrameHeader(h http.Header) {
	h["Cache-Control"] = noStore
	h.Set("X-Content-Type-Options", "nosniff")
	// In place of what middleware outside may set for the app's pages, which often
	// is that nobody may frame them.
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'self'")
	// A page that asks this of what it embeds asks it of frames of its own origin
	// too. This one embeds nothing.
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
}

// writeFrame answers with the frame's document, which reloads itself after
// refresh, or never if that is 0.
func writeFrame(w http.ResponseWriter, status int, refresh time.Duration) {
	if refresh > 0 {
		w.Header().Set("Refresh", strconv.FormatInt(int64(max(refresh/time.Second, 1)), 10))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(framePage)) // the client has gone, or the answer is out
}

// isFramed reports whether a browser wants the frame for a page of the app, so
// that no page of another origin keeps its visitors' sessions alive. Old browsers,
// and all over plain HTTP but for loopback, do not say. They pass, because any
// page of the app that is framed there extends the session just as well.
func isFramed(h http.Header) bool {
	site, dest := h.Get("Sec-Fetch-Site"), h.Get("Sec-Fetch-Dest")
	return (site == "" || site == "same-origin") && (dest == "" || dest == "iframe" || dest == "frame")
}
