package site

import (
	"net/http"

	"github.com/alexedwards/scs/v2"
)

const storePages = `
{{define "nav"}}<a href="/note"{{if eq .Title "Note"}} aria-current="page"{{end}}>Note</a>
{{end}}
{{define "footer"}}<footer><p>Your session is in {{.Data.Storage}}. This page is from the instance at {{.Data.Addr}}.</p></footer>
{{end}}`

// NewStoreApp returns the app of the examples that keep sessions in a shared
// store: a note, which each instance of the program shows. Pages name the storage
// and the address of their instance.
func NewStoreApp(storage, addr string, sessions *scs.SessionManager) http.Handler {
	app := &App{
		Name:     "keepalive with " + storage,
		Sessions: sessions,
		Pages:    Pages(storePages),
		Data:     func(*http.Request) any { return map[string]string{"Storage": storage, "Addr": addr} },
	}
	mux := app.Mux()
	mux.Handle("GET /{$}", http.RedirectHandler("/note", http.StatusSeeOther))
	app.HandleNote(mux)
	return mux
}
