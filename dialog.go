package keepalive

import (
	_ "embed"
	"html"
	"io"
	"net/http"
	"reflect"
	"strings"
)

// Texts are the words of the dialogs. Fields that are empty are English, as
// given with each. They are plain text, not HTML.
type Texts struct {
	// Lang is the language of the other fields, as a BCP 47 tag. It is the
	// dialog's lang, for screen readers, and writes the time that is left. Which
	// way the words run follows from the words. "en".
	Lang string

	// Warning is the title before the end: "Your session is about to end".
	Warning string
	// Idle is the text before the idle end, with {time} where the time that is
	// left goes: "You will be signed out in {time}."
	Idle string
	// Lifetime is the text before the lifetime's end, which nothing can put off:
	// "You will be signed out in {time}, whatever you do. Please save your work."
	Lifetime string
	// Unknown stands in their place once that time is over and the server has not
	// answered: "Your session may have ended. The server has not answered yet."
	Unknown string
	// Offline follows these while the server does not answer: "The server can’t
	// be reached. Trying again."
	Offline string
	// Wait follows them while a button waits for the server: "One moment, please."
	Wait string
	// Stay is the button that extends the session: "Stay signed in".
	Stay string
	// SignOut is the button that ends it: "Sign out".
	SignOut string
	// Close is the button of what can only be read: "Close".
	Close string

	// Expired is the title after the end: "You have been signed out".
	Expired string
	// ExpiredIdle says why: "This page was not used for too long."
	ExpiredIdle string
	// ExpiredLifetime says why: "Your session has reached its time limit."
	ExpiredLifetime string
	// ExpiredElsewhere says why: "Your session was ended elsewhere."
	ExpiredElsewhere string
	// Kept follows these where the page stays: "What you have typed is still
	// here."
	Kept string
	// SignIn is the link to Config.LoginURL: "Sign in in a new tab".
	SignIn string
	// SignedOut is the bar that stays when the dialog is closed: "You are signed
	// out. What you type here can’t be saved."
	SignedOut string

	// OtherUser is the title when another user has signed in, in another tab:
	// "You are now signed in as somebody else".
	OtherUser string
	// OtherUserText says what that means: "What you send from this page would be
	// sent in their name."
	OtherUserText string
	// Reload is the button that loads the page again: "Reload the page".
	Reload string
}

var english = Texts{
	Lang:             "en",
	Warning:          "Your session is about to end",
	Idle:             "You will be signed out in {time}.",
	Lifetime:         "You will be signed out in {time}, whatever you do. Please save your work.",
	Unknown:          "Your session may have ended. The server has not answered yet.",
	Offline:          "The server can’t be reached. Trying again.",
	Wait:             "One moment, please.",
	Stay:             "Stay signed in",
	SignOut:          "Sign out",
	Close:            "Close",
	Expired:          "You have been signed out",
	ExpiredIdle:      "This page was not used for too long.",
	ExpiredLifetime:  "Your session has reached its time limit.",
	ExpiredElsewhere: "Your session was ended elsewhere.",
	Kept:             "What you have typed is still here.",
	SignIn:           "Sign in in a new tab",
	SignedOut:        "You are signed out. What you type here can’t be saved.",
	OtherUser:        "You are now signed in as somebody else",
	OtherUserText:    "What you send from this page would be sent in their name.",
	Reload:           "Reload the page",
}

// orEnglish returns t with English in the place of empty fields.
func (t Texts) orEnglish() Texts {
	fields, defaults := reflect.ValueOf(&t).Elem(), reflect.ValueOf(english)
	for i := range fields.NumField() {
		if fields.Field(i).IsZero() {
			fields.Field(i).Set(defaults.Field(i))
		}
	}
	return t
}

// dialogSource is the document of the dialogs, with {{names}} that document
// replaces. The style is a data block, because policies stop style elements there
// too. The script adopts it.
//
//go:embed client/dialog.html
var dialogSource string

// dialog is what the document of the dialogs is made of.
type dialog struct {
	texts               func(*http.Request) Texts // nil for English
	loginURL, logoutURL string
	afterEnd            AfterEnd
}

// serve answers with the dialogs as a document, which the script loads when it
// needs one. The query is the language that the page itself is in. It comes
// first in Accept-Language, so that Config.Texts has to read one thing only.
func (d dialog) serve(w http.ResponseWriter, r *http.Request) {
	var texts Texts
	if d.texts != nil {
		texts = d.texts(preferLanguage(r, r.URL.RawQuery))
	}
	h := w.Header()
	h.Set("Cache-Control", "private, max-age=300")
	h.Add("Vary", "Accept-Language")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)                            // a router outside may have preset another
	_, _ = io.WriteString(w, d.document(texts.orEnglish())) // or the client has gone
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
		signOut = `<form method="post" action="` + text(d.logoutURL) + `"><button part="signout">` + text(t.SignOut) + `</button></form>`
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

// preferLanguage returns a copy of r that accepts lang before all others, or r
// itself where lang is no language.
func preferLanguage(r *http.Request, lang string) *http.Request {
	if !isLanguage(lang) {
		return r
	}
	r = r.Clone(r.Context())
	if others := r.Header.Values("Accept-Language"); len(others) > 0 {
		lang += ", " + strings.Join(others, ", ")
	}
	r.Header.Set("Accept-Language", lang)
	return r
}

// isLanguage reports whether s has the form of a BCP 47 tag.
func isLanguage(s string) bool {
	return len(s) >= 2 && len(s) <= 35 && strings.Trim(s, "-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}
