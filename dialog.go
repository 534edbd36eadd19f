package keepalive

import (
	_ "embed"
	"html"
	"io"
	"net/http"
	"strings"
)

// dialogSource is the document of the dialogs, with {{names}} that document
// replaces. The style is a data block, because policies stop style elements there
// too. The script adopts it.
//
//go:embed client/dialog.html
var dialogSource string

// dialog is what the document of the dialogs is made of.
type dialog struct {
	texts               func(*http.Request) Texts // nil for the built-in texts
	loginURL, logoutURL string
	afterEnd            AfterEnd
}

// serve answers with the dialogs as a document, which the script loads when it
// needs one. The query is the language that the page itself is in. It comes
// first in Accept-Language, so that Config.Texts has to read one thing only.
func (d dialog) serve(w http.ResponseWriter, r *http.Request) {
	r = preferLanguage(r, r.URL.RawQuery)
	var texts Texts
	if d.texts != nil {
		texts = d.texts(r)
	}
	h := w.Header()
	h.Set("Cache-Control", "private, max-age=300")
	h.Add("Vary", "Accept-Language")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK) // a router outside may have preset another
	page := d.document(texts.complete(r.Header.Values("Accept-Language")))
	_, _ = io.WriteString(w, page) // or the client has gone
}

// document returns the dialogs in the words of t.
func (d dialog) document(t Texts) string {
	text := html.EscapeString
	button := func(name, words string) string {
		return `<button name="` + name + `" part="` + name + `">` + text(words) + `</button>`
	}
	kept, closeGone := " "+text(t.Kept), button("close", t.Close)
	if d.afterEnd == BlankPage {
		kept, closeGone = "", "" // the page has nothing to go on with
	}
	signIn, signOut := "", ""
	if d.loginURL != "" {
		signIn = `<a href="` + text(d.loginURL) + `" target="_blank" part="signin">` + text(t.SignIn) + `</a>`
	}
	if d.logoutURL != "" {
		signOut = `<form method="post" target="_self" action="` + text(d.logoutURL) + `"><button part="signout">` + text(t.SignOut) + `</button></form>`
	}
	return strings.NewReplacer(
		"{{dialog}}", ` lang="`+text(t.Lang)+`" dir="auto" role="alertdialog" tabindex="-1" autofocus aria-labelledby="title" aria-describedby="text" part="dialog"`,
		"{{after}}", [...]string{KeepPage: "", BlankPage: "blank", OpenLogin: "login", KeepPageWithoutBar: "nobar"}[d.afterEnd],
		"{{lang}}", text(t.Lang),
		"{{warning}}", text(t.Warning),
		"{{idle}}", withTime(t.Idle),
		"{{lifetime}}", withTime(t.Lifetime),
		"{{unknown}}", text(t.Unknown),
		"{{wait}}", text(t.Wait),
		"{{offline}}", text(t.Offline),
		"{{stay}}", button("stay", t.Stay),
		"{{signout}}", signOut,
		"{{close}}", button("close", t.Close),
		"{{expired}}", text(t.Expired),
		"{{elsewhere}}", text(t.ExpiredElsewhere),
		"{{expiredidle}}", text(t.ExpiredIdle),
		"{{expiredlifetime}}", text(t.ExpiredLifetime),
		"{{kept}}", kept,
		"{{signin}}", signIn,
		"{{closegone}}", closeGone,
		"{{otheruser}}", text(t.OtherUser),
		"{{otherusertext}}", text(t.OtherUserText),
		"{{reload}}", button("reload", t.Reload),
		"{{signedout}}", text(t.SignedOut),
	).Replace(dialogSource)
}

// withTime returns text with an element in the place of the time that is left. The
// script looks for it, so it is also there where text has no place for it.
func withTime(text string) string {
	before, after, found := strings.Cut(text, "{time}")
	clock := `<time part="time"></time>`
	if !found {
		clock = `<time hidden></time>`
	}
	return html.EscapeString(before) + clock + html.EscapeString(after)
}
