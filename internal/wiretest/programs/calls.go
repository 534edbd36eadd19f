package programs

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

func setHeader(name, value string) call {
	return call{text: fmt.Sprintf("w.Header().Set(%q, %q)", name, value), do: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(name, value)
	}}
}

func addHeader(name, value string) call {
	return call{text: fmt.Sprintf("w.Header().Add(%q, %q)", name, value), do: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add(name, value)
	}}
}

func deleteHeader(name string) call {
	return call{text: fmt.Sprintf("w.Header().Del(%q)", name), do: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Del(name)
	}}
}

// suppressHeader makes a field one that net/http does not add by itself.
func suppressHeader(name string) call {
	name = http.CanonicalHeaderKey(name)
	return call{text: fmt.Sprintf("w.Header()[%q] = nil", name), do: func(w http.ResponseWriter, _ *http.Request) {
		w.Header()[name] = nil
	}}
}

func writeHeader(code int) call {
	return call{text: fmt.Sprintf("w.WriteHeader(%d)", code), do: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
	}}
}

func write(s string) call {
	return call{text: fmt.Sprintf("w.Write([]byte(%s))", quote(s)), do: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(s))
	}}
}

func writeString(s string) call {
	return call{text: fmt.Sprintf("io.WriteString(w, %s)", quote(s)), do: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, s)
	}}
}

func fprint(s string) call {
	return call{text: fmt.Sprintf("fmt.Fprint(w, %s)", quote(s)), do: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, s)
	}}
}

func copyString(s string) call {
	return call{text: fmt.Sprintf("strings.NewReader(%s).WriteTo(w)", quote(s)), do: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = strings.NewReader(s).WriteTo(w)
	}}
}

// onlyReader hides WriterTo, so that io.Copy calls ReadFrom.
type onlyReader struct{ io.Reader }

func readFrom(s string) call {
	return call{
		text:   fmt.Sprintf("io.Copy(w, onlyReader{strings.NewReader(%s)})", quote(s)),
		traits: traits{copies: true},
		do: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, onlyReader{strings.NewReader(s)})
		},
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("failing") }

// copyNothing copies from a reader that has nothing, or fails.
func copyNothing(fails bool) call {
	var src io.Reader = onlyReader{strings.NewReader("")}
	text := "io.Copy(w, onlyReader{strings.NewReader(\"\")})"
	if fails {
		src, text = failingReader{}, "io.Copy(w, failingReader{})"
	}
	return call{text: text, traits: traits{copies: true}, do: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, src)
	}}
}

func flush(old bool) call {
	if old {
		return call{text: "if f, ok := w.(http.Flusher); ok {\n\tf.Flush()\n}", traits: traits{flushes: true}, do: func(w http.ResponseWriter, _ *http.Request) {
			if f, ok := w.(http.Flusher); ok {
				f.Flush()
			}
		}}
	}
	return call{text: "http.NewResponseController(w).Flush()", traits: traits{flushes: true}, do: func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
	}}
}

func hijack() call {
	const text = `if conn, buf, err := http.NewResponseController(w).Hijack(); err == nil {
	fmt.Fprint(buf, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<!doctype html><head>by hand")
	buf.Flush()
	conn.Close()
}`
	return call{text: text, traits: traits{hijacks: true}, do: func(w http.ResponseWriter, _ *http.Request) {
		if conn, buf, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = fmt.Fprint(buf, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<!doctype html><head>by hand")
			_ = buf.Flush()
			_ = conn.Close()
		}
	}}
}

func panics(what string) call {
	return call{text: fmt.Sprintf("panic(%s)", what), traits: traits{panics: true}, do: func(http.ResponseWriter, *http.Request) {
		if what == "http.ErrAbortHandler" {
			panic(http.ErrAbortHandler)
		}
		panic(what)
	}}
}

func httpError(code int) call {
	return call{text: fmt.Sprintf("http.Error(w, \"sorry\", %d)", code), do: func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "sorry", code)
	}}
}

func notFound() call {
	return call{text: "http.NotFound(w, r)", do: http.NotFound}
}

func redirect(code int) call {
	return call{text: fmt.Sprintf("http.Redirect(w, r, \"/elsewhere\", %d)", code), do: func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", code)
	}}
}

func serveContent(s string) call {
	return call{
		text:   fmt.Sprintf("http.ServeContent(w, r, \"a.html\", time.Unix(1e9, 0), strings.NewReader(%s))", quote(s)),
		traits: traits{copies: true, declares: true},
		do: func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "a.html", time.Unix(1e9, 0), strings.NewReader(s))
		},
	}
}

// quote returns s as Go, but for the middle of a long one.
func quote(s string) string {
	if len(s) > 200 {
		return fmt.Sprintf("%q + ⟨%d bytes⟩ + %q", s[:80], len(s)-160, s[len(s)-80:])
	}
	return fmt.Sprintf("%q", s)
}
