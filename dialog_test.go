package keepalive_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// The dialogs have the texts for the language of the request, as plain text.
func TestDialogs(t *testing.T) {
	srv := wiretest.Serve(t, newManager(t, newSessions(), keepalive.Config{
		LoginURL: "/in?a=1&b=2", LogoutURL: "/out",
		Texts: func(r *http.Request) keepalive.Texts {
			if !strings.HasPrefix(r.Header.Get("Accept-Language"), "de") {
				return keepalive.Texts{}
			}
			return keepalive.Texts{Lang: "de-AT", Warning: `"Gleich" & <b>`, Idle: "Noch {time}<i>.", SignIn: "Anmelden"}
		},
	}).LoadAndSave(wiretest.RespondHTML(0, page)))
	const german, english = "&#34;Gleich&#34; &amp; &lt;b&gt;", "Your session is about to end"
	tests := []struct{ name, query, header, want string }{
		{name: "default", want: english},
		{name: "a language without words", header: "Accept-Language: eo\r\n", want: english},
		{name: "the browser's language", header: "Accept-Language: de-AT, en\r\n", want: german},
		{name: "the page's language", query: "?de", header: "Accept-Language: en\r\n", want: german},
		{name: "the page's language alone", query: "?de-CH", want: german},
		{name: "the page's language comes first", query: "?en", header: "Accept-Language: de\r\n", want: english},
		{name: "a query that is no language", query: "?de;q=1", header: "Accept-Language: en\r\n", want: english},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := srv.Fetch(t, "HTTP/1.1", "GET", "/keepalive/dialog"+tt.query, tt.header)
			require.Equal(t, 200, got.Status)
			require.Equal(t, "text/html; charset=utf-8", got.Header.Get("Content-Type"))
			require.Equal(t, "Accept-Language", got.Header.Get("Vary"))
			require.Contains(t, got.Body, tt.want)
			require.Contains(t, got.Body, `href="/in?a=1&amp;b=2"`)
			require.Contains(t, got.Body, `action="/out"`)
			if tt.want == german {
				require.Contains(t, got.Body, `<html lang="de-AT"`)
				require.Contains(t, got.Body, "Angemeldet bleiben", "texts that are not given are built in")
				require.Contains(t, got.Body, `Noch <time part="time"></time>&lt;i&gt;.`)
				require.Contains(t, got.Body, ">Anmelden</a>")
			}
		})
	}
	require.Equal(t, 405, srv.Fetch(t, "HTTP/1.1", "POST", "/keepalive/dialog", "").Status)
}

// The document of the dialogs says what pages do after the end, and promises nothing of a
// page that loses its content.
func TestDialogsAfterTheEnd(t *testing.T) {
	tests := []struct {
		name     string
		afterEnd keepalive.AfterEnd
		mark     string
		keeps    bool // what was typed, so that dialogs can be closed
	}{
		{name: "default", keeps: true},
		{name: "blank", afterEnd: keepalive.BlankPage, mark: "blank"},
		{name: "sign-in by itself", afterEnd: keepalive.OpenLogin, mark: "login", keeps: true},
		{name: "no bar", afterEnd: keepalive.KeepPageWithoutBar, mark: "nobar", keeps: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, newSessions(), keepalive.Config{LoginURL: "/in", AfterEnd: tt.afterEnd})
			got := body(t, c.Get("/keepalive/dialog"))
			require.Contains(t, got, ` data-after="`+tt.mark+`">`)
			require.Equal(t, tt.keeps, strings.Contains(got, "What you have typed is still here."))
			_, gone, _ := strings.Cut(got, `<dialog id="gone"`)
			gone, _, _ = strings.Cut(gone, "</dialog>")
			require.Equal(t, tt.keeps, strings.Contains(gone, "Close</button>"))
			require.NotContains(t, got, "{{")
		})
	}
}
