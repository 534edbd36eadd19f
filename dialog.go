package keepalive

import (
	"bytes"
	_ "embed"
	"html"
	"html/template"
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
	// Offline follows these while the server does not answer: "The server can’t
	// be reached."
	Offline string
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
}

var english = Texts{
	Lang:             "en",
	Warning:          "Your session is about to end",
	Idle:             "You will be signed out in {time}.",
	Lifetime:         "You will be signed out in {time}, whatever you do. Please save your work.",
	Offline:          "The server can’t be reached.",
	Stay:             "Stay signed in",
	SignOut:          "Sign out",
	Close:            "Close",
	Expired:          "You have been signed out",
	ExpiredIdle:      "This page was not used for too long.",
	ExpiredLifetime:  "Your session has reached its time limit.",
	ExpiredElsewhere: "Your session was ended elsewhere.",
	Kept:             "What you have typed is still here.",
	SignIn:           "Sign in in a new tab",
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

//go:embed client/dialog.html
var dialogSource string

var dialogPage = template.Must(template.New("").Funcs(template.FuncMap{
	// timed puts an element in the place of the time that is left.
	"timed": func(text string) template.HTML {
		before, after, found := strings.Cut(text, "{time}")
		clock := "<time></time>"
		if !found {
			clock = "<time hidden></time>" // the script looks for it
		}
		return template.HTML(html.EscapeString(before) + clock + html.EscapeString(after))
	},
}).Parse(dialogSource))

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
	texts = texts.orEnglish()
	var page bytes.Buffer
	err := dialogPage.Execute(&page, struct {
		Texts
		Gone             map[string]string
		Login, Logout    string
		Blank, OpenLogin bool
	}{
		Texts: texts,
		Gone:  map[string]string{"gone": texts.ExpiredElsewhere, "goneidle": texts.ExpiredIdle, "gonelifetime": texts.ExpiredLifetime},
		Login: d.loginURL, Logout: d.logoutURL, Blank: d.afterEnd == BlankPage, OpenLogin: d.afterEnd == OpenLogin,
	})
	if err != nil { // a fault of the template, which the tests execute
		panic(err)
	}
	h := w.Header()
	h.Set("Cache-Control", "private, max-age=300")
	h.Add("Vary", "Accept-Language")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK) // a router outside may have preset another
	_, _ = page.WriteTo(w)       // the client has gone
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
