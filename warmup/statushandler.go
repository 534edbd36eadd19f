package warmup

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed status.html
var statusHTML string

//go:embed status.css
var statusCSS string

var (
	statusPage = template.Must(template.New("").Funcs(template.FuncMap{
		"css":  func() template.CSS { return template.CSS(statusCSS) },
		"time": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).Parse(statusHTML))

	// statusPolicy allows the page's own style and nothing else.
	statusPolicy = "default-src 'none'; style-src 'sha256-" + sha256Base64(statusCSS) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

func sha256Base64(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// StatusHandler returns a handler that shows the state of the Pinger, the last
// result of each target and the kept results. It answers GET and HEAD with HTML, or
// with JSON if the Accept header prefers application/json (RFC 9110 section 12.5.1)
// or the query is format=json. The page needs no script, and its
// Content-Security-Policy allows its own style alone. It is safe for concurrent use.
//
// It shows URLs and errors of the app: mount it where only operators can reach it.
func (p *Pinger) StatusHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Accept")
		h.Set("X-Content-Type-Options", "nosniff")
		if !requireGetOrHead(w, r) {
			return
		}
		var body bytes.Buffer
		var err error
		switch statusFormat(r) {
		case "json":
			h.Set("Content-Type", "application/json")
			err = p.writeStatusJSON(&body)
		case "html":
			h.Set("Content-Type", "text/html; charset=utf-8")
			h.Set("Content-Security-Policy", statusPolicy)
			h.Set("Referrer-Policy", "no-referrer")
			err = statusPage.Execute(&body, p.newStatusView())
		default:
			http.Error(w, "format is html or json", http.StatusBadRequest)
			return
		}
		if err != nil {
			p.log().Error("warmup: the status can't be shown", "error", err)
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(body.Bytes()) // an error means that the client has gone
	})
}

func (p *Pinger) writeStatusJSON(body *bytes.Buffer) error {
	enc := json.NewEncoder(body)
	enc.SetIndent("", "  ")
	return enc.Encode(p.newStatusView())
}

// statusFormat returns the format that the query asks for, unchecked, or else the one
// that the Accept header prefers.
func statusFormat(r *http.Request) string {
	if format := r.URL.Query().Get("format"); format != "" {
		return format
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if acceptQuality(accept, "application", "json") > acceptQuality(accept, "text", "html") {
		return "json"
	}
	return "html"
}

// acceptQuality returns the weight that an Accept header gives to a media type: that
// of the most specific range that matches, 0 if none does. An empty header accepts
// everything.
func acceptQuality(accept, major, minor string) float64 {
	if strings.TrimSpace(accept) == "" {
		return 1
	}
	quality, bestRank := 0.0, 0
	for part := range strings.SplitSeq(accept, ",") {
		mediaRange, params, _ := strings.Cut(part, ";")
		rank := 0
		switch strings.ToLower(strings.TrimSpace(mediaRange)) {
		case major + "/" + minor:
			rank = 3
		case major + "/*":
			rank = 2
		case "*/*":
			rank = 1
		}
		if rank > bestRank {
			quality, bestRank = weight(params), rank
		}
	}
	return quality
}

// weight returns the parameter q of a media range, 1 without one. An unreadable one
// is 0: the range is refused.
func weight(params string) float64 {
	q := 1.0
	for param := range strings.SplitSeq(params, ";") {
		if name, value, _ := strings.Cut(strings.TrimSpace(param), "="); strings.EqualFold(name, "q") {
			q, _ = strconv.ParseFloat(value, 64)
		}
	}
	return q
}
