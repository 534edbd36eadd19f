package keepalive

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:generate go run -C client/_generate .

//go:embed client/keepalive.min.js
var scriptSource []byte

//go:embed client/presence.min.js
var presenceSource []byte

//go:embed client/keepalive.debug.js
var debugSource []byte

// script is the page's side: the bytes to serve and the hash in their URL.
type script struct {
	plain, gzip []byte
	hash        string
}

// The scripts are compressed once for all Managers.
var (
	plainScript    = sync.OnceValue(func() script { return newScript(scriptSource) })
	presenceScript = sync.OnceValue(func() script { return newScript(presenceSource) })
)

func newScript(source []byte) script {
	sum := sha256.Sum256(source)
	var zipped bytes.Buffer
	// Writes to a bytes.Buffer can't fail, and the level is a valid one.
	zw, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	_, _ = zw.Write(source)
	_ = zw.Close()
	return script{plain: source, gzip: zipped.Bytes(), hash: base64.RawURLEncoding.EncodeToString(sum[:9])}
}

// scriptFor is the one that cfg needs.
func scriptFor(cfg Config) script {
	if cfg.Presence != PresenceOff {
		return presenceScript()
	}
	return plainScript()
}

// tag is the script element that goes into pages, in two halves around the
// place of a nonce.
type tag struct{ open, end string }

func (s script) tag(cfg Config, idle time.Duration) tag {
	query := "?v=" + s.hash
	if cfg.Debug {
		query = "?debug"
	}
	t := tag{open: `<script src="` + html.EscapeString(cfg.Path) + `keepalive.js` + query + `" defer`}
	ms := func(d time.Duration) string {
		if d <= 0 {
			return ""
		}
		return strconv.FormatInt(d.Milliseconds(), 10)
	}
	blank := ""
	if cfg.BlankExpired {
		blank = "1"
	}
	t.end = attribute("idle", ms(idle)) + attribute("mode", [...]string{"", "visible", "active"}[cfg.Mode]) +
		attribute("max", ms(cfg.MaxUnattended)) + attribute("warn", ms(cfg.WarnBefore)) + attribute("blank", blank) +
		attribute("presence", [...]string{"", "path", "query"}[cfg.Presence]) + `></script>`
	return t
}

// attribute is data-name="value", or nothing where there is no value.
func attribute(name, value string) string {
	if value == "" {
		return ""
	}
	return ` data-` + name + `="` + value + `"`
}

// with is the tag with a nonce, if there is one. Without a live session it says
// so, or the script would take the page's load for a touch and its end for one.
func (t tag) with(nonce string, live bool) []byte {
	b := []byte(t.open)
	if nonce != "" {
		b = append(b, ` nonce="`+html.EscapeString(nonce)+`"`...)
	}
	if !live {
		b = append(b, " data-anonymous"...)
	}
	return append(b, t.end...)
}

// serve answers GET keepalive.js. The URL in the tag names the content by its
// hash, so that browsers need never ask again; any other, as an old page has
// after an update, is checked each time.
func (s script) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Has("debug") {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(debugSource))
		return
	}
	if r.URL.Query().Get("v") == s.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, etag := s.plain, `"`+s.hash+`"`
	if acceptsGzip(r.Header) {
		body, etag = s.gzip, `"`+s.hash+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reads Accept-Encoding by RFC 9110 section 12.5.3.
func acceptsGzip(h http.Header) bool {
	accepted := false
	for _, line := range h["Accept-Encoding"] {
		for item := range strings.SplitSeq(line, ",") {
			coding, weight, _ := strings.Cut(item, ";")
			coding = strings.TrimSpace(coding)
			_, q, hasQ := strings.Cut(strings.ToLower(weight), "q=")
			f, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			wanted := !hasQ || err == nil && f > 0
			switch {
			case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
				return wanted
			case coding == "*":
				accepted = wanted
			}
		}
	}
	return accepted
}
