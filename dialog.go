package keepalive

import (
	"bytes"
	_ "embed"
	"html"
	"html/template"
	"net/http"
	"strings"
)

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
	texts = texts.complete(r.Header.Values("Accept-Language"))
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
