package keepalive

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What a page says of itself is cut to these lengths. The longest paths that
// browsers show are a little longer.
const (
	maxTab  = 32
	maxPage = 2000
)

// presence answers POST here and POST leave, which tell Config.Observer where a
// user is, and extend nothing.
func (m *Manager) presence(w http.ResponseWriter, r *http.Request, kind EventKind) {
	if m.cfg.Presence == PresenceOff {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h["Cache-Control"] = noStore
	if !allowed(w, r, http.MethodPost) {
		return
	}
	said, ok := m.said(w, r)
	if !ok {
		return
	}
	tab := said.Get("tab")
	if tab == "" || len(tab) > maxTab || !utf8.ValidString(tab) {
		http.Error(w, "tab must be 1 to 32 bytes of UTF-8", http.StatusBadRequest)
		return
	}
	key := m.key(m.token(r))
	e := Event{Kind: kind, Request: r, Tab: tab}
	e.Sent, _ = strconv.ParseInt(said.Get("sent"), 10, 64) // 0 for what is no number
	if kind == EventHere {
		m.insideSCS(r)
		ctx, token, err := m.load(r)
		status := 0
		switch {
		case err != nil:
			status = m.unavailable(w, r, key, err)
		case token == "":
			status = m.gone(r, key)
		}
		if status != 0 {
			http.Error(w, http.StatusText(status), status)
			return
		}
		// Observers may look at the session to see whose it is.
		e.Request, e.Page = r.WithContext(ctx), cut(said.Get("page"))
	}
	// A page that is left needs no session, only its name: a logout must not hide
	// that it was left.
	if key != "" {
		m.observe(e, key)
	}
	w.WriteHeader(http.StatusNoContent)
}

// cut makes s valid UTF-8 of no more than maxPage bytes.
func cut(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxPage)], "")
}
