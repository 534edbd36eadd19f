package keepalive_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// The parts together, over real servers: what a handler answers by itself, and
// what becomes of it in Inject and in LoadAndSave. internal/inject has the whole
// table of responses.
func TestResponses(t *testing.T) {
	script := scriptElement(t)
	inserted := func(t *testing.T, bare, got wiretest.Response) { wiretest.RequireInserted(t, script, bare, got) }
	exactLength := func(t *testing.T, bare, got wiretest.Response) {
		inserted(t, bare, got)
		require.Equal(t, bare.Length+int64(len(script)), got.Length)
	}
	unchanged := func(t *testing.T, bare, got wiretest.Response) { wiretest.RequireUnchanged(t, bare, got) }
	length := strconv.Itoa(len(page))
	tests := []struct {
		name    string
		method  string // default GET
		handler http.HandlerFunc
		check   func(t *testing.T, bare, got wiretest.Response)
	}{
		{name: "page by Write", handler: wiretest.RespondHTML(0, page), check: inserted},
		{name: "page by ReadFrom", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader(page), 1<<20)) // a strings.Reader alone would write itself
		}, check: inserted},
		{name: "page by WriteString, no type", handler: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }, check: inserted},
		{name: "error page", handler: wiretest.RespondHTML(404, page, "ETag", `"x"`), check: inserted},
		{name: "Content-Length", handler: wiretest.RespondHTML(200, page, "Content-Length", length), check: exactLength},
		{name: "HEAD", method: "HEAD", handler: wiretest.RespondHTML(200, page, "Content-Length", length), check: exactLength},
		{name: "flush first", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, page)
		}, check: inserted},
		{name: "early hints", handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			wiretest.RespondHTML(200, page)(w, r)
		}, check: inserted},
		{name: "304", handler: wiretest.RespondHTML(304, "", "ETag", `"x"`), check: unchanged},
		{name: "redirect with a cookie", handler: func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "other", Value: "1"})
			http.Redirect(w, r, "/x", http.StatusFound)
		}, check: unchanged},
		{name: "fragment", handler: wiretest.RespondHTML(200, "<p>text</p>", "Content-Length", "11"), check: unchanged},
		{name: "JSON", handler: wiretest.Respond(0, `{"page":"<!doctype html><html><head>"}`, "Content-Type", "application/json"), check: unchanged},
		{name: "nothing", handler: func(http.ResponseWriter, *http.Request) {}, check: unchanged},
		{name: "hijack", handler: answerByHand, check: unchanged},
		{name: "panic at once", handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, check: unchanged},
		{name: "panic after a page", handler: func(w http.ResponseWriter, r *http.Request) {
			wiretest.RespondHTML(0, page)(w, r)
			panic(http.ErrAbortHandler)
		}, check: unchanged},
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, _ := strconv.Atoi(r.URL.Path[1:])
		tests[i].handler(w, r)
	})
	varying := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Cookie") // as LoadAndSave does, that of scs too
		h(w, r)
	})
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{})
	cookie := "Cookie: session=" + newToken(t, sm) + "\r\n"
	ways := []struct {
		name      string
		bare, got wiretest.Servers
	}{
		{name: "Inject", bare: wiretest.Serve(t, h), got: wiretest.Serve(t, km.Inject(h))},
		{name: "LoadAndSave", bare: wiretest.Serve(t, varying), got: wiretest.Serve(t, km.LoadAndSave(h))},
	}
	for i, tt := range tests {
		path := "/" + strconv.Itoa(i)
		method := tt.method
		if method == "" {
			method = "GET"
		}
		for _, way := range ways {
			for _, proto := range wiretest.Protocols {
				t.Run(tt.name+"/"+way.name+" "+proto, func(t *testing.T) {
					bare, got := way.bare.Fetch(t, proto, method, path, cookie), way.got.Fetch(t, proto, method, path, cookie)
					// As TestCacheControl shows. net/http sends no type with a 304.
					isHTML := strings.HasPrefix(bare.Header.Get("Content-Type"), "text/html") || tt.name == "304"
					if way.name == "LoadAndSave" && isHTML {
						require.Equal(t, []string{privatePage}, got.Header["Cache-Control"])
						got.Header.Del("Cache-Control")
						got.Raw = strings.Replace(got.Raw, "\r\nCache-Control: "+privatePage, "", 1)
						require.Regexp(t, timingPattern, takeTiming(&got)) // as TestServerTiming shows
					}
					tt.check(t, bare, got)
				})
			}
			t.Run(tt.name+"/"+way.name+" without a session", func(t *testing.T) {
				bare, got := way.bare.Fetch(t, "HTTP/1.1", method, path, ""), way.got.Fetch(t, "HTTP/1.1", method, path, "")
				if way.name == "LoadAndSave" && tt.name == "304" {
					require.Equal(t, noTiming, takeTiming(&got))
				}
				unchanged(t, bare, got)
			})
		}
	}
}

// scriptElement returns what a page with a session gets by the default Config.
func scriptElement(t *testing.T) string {
	script := scriptPattern.FindString(signedInPage(t, keepalive.Config{}))
	require.NotEmpty(t, script)
	return script
}

// answerByHand takes the connection over, where the protocol can.
func answerByHand(w http.ResponseWriter, _ *http.Request) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_, _ = io.WriteString(w, err.Error())
		return
	}
	defer conn.Close()
	_, _ = fmt.Fprint(buf, "by hand")
	_ = buf.Flush()
}
