package site_test

import (
	"flag"
	"html"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
	"github.com/seed4a306b22/keepalive/examples/internal/site/sitetest"
	"github.com/stretchr/testify/require"
)

// The hash is of the file at the default URL, and must not stay for another one.
func TestScript(t *testing.T) {
	sessions := scs.New()
	page := func(script site.Script) string {
		app := &site.App{Sessions: sessions, Pages: site.Pages(""), Script: script}
		return sitetest.Open(t, sessions.LoadAndSave(app.Mux())).Get("/sign-in")
	}
	script := site.Script{URL: "https://cdn.example/lib.js", Hash: "sha384-x+y"}
	require.Contains(t, html.UnescapeString(page(script)),
		`<script src="https://cdn.example/lib.js" integrity="sha384-x+y" crossorigin="anonymous" defer>`)

	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Var(&script, "lib", "")
	require.NoError(t, flags.Parse([]string{"-lib", `http://127.0.0.1:1/lib.js?"><b>`}))
	require.Contains(t, page(script), `<script src="http://127.0.0.1:1/lib.js?%22%3e%3cb%3e" defer>`)
	require.NotContains(t, page(site.Script{}), " defer>")
}

func TestTemplateError(t *testing.T) {
	sessions := scs.New()
	app := &site.App{Sessions: sessions, Pages: site.Pages(`{{define "Broken"}}<p>{{.Missing}}{{end}}`)}
	b := sitetest.Open(t, sessions.LoadAndSave(app.Page("Broken")))
	_, body := b.Send(http.StatusInternalServerError, b.Request("GET", "/", ""))
	require.NotContains(t, body, "<p>", "no half page")
}

// Two instances with one store show the same session.
func TestStoreApp(t *testing.T) {
	sessions := scs.New()
	instance := func(addr string) http.Handler {
		return sessions.LoadAndSave(site.NewStoreApp("Redis", addr, sessions))
	}
	first, second := sitetest.Open(t, instance("a:1")), sitetest.Open(t, instance("b:2"))
	first.Post(http.StatusOK, "/sign-in", url.Values{"name": {"Ann"}})
	first.Post(http.StatusOK, "/note", url.Values{"note": {"A text"}})
	second.SetCookies(first.Cookies())
	page := second.Get("/")
	require.Contains(t, page, ">A text</textarea>")
	require.Contains(t, page, "Your session is in Redis. This page is from the instance at b:2.")
}
