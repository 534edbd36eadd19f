package doctor

import (
	"bytes"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// document is what a page holds of interest here.
type document struct {
	scripts []element
	bases   []element
	frames  []element // of Config.NoScript
	metas   []string  // policies in <meta>
}

// element is a start tag.
type element struct {
	attr  map[string]string
	order int // among the elements of the page
}

// scriptName is the last part of the script's path.
var scriptName = regexp.MustCompile(`^keepalive\.([\w-]{12}|debug)\.js$`)

func readDocument(page []byte) (d document) {
	z := html.NewTokenizer(bytes.NewReader(page))
	inNoscript := false
	for order := 0; ; order++ {
		switch z.Next() {
		case html.ErrorToken: // the end
			return d
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			d.add(token, order)
			inNoscript = token.Data == "noscript"
		case html.TextToken:
			if inNoscript { // all of it is one text for the tokenizer
				d.frames = append(d.frames, readDocument(z.Text()).frames...)
			}
		}
	}
}

func (d *document) add(token html.Token, order int) {
	e := element{map[string]string{}, order}
	for _, a := range token.Attr {
		if _, twice := e.attr[a.Key]; !twice {
			e.attr[a.Key] = a.Val
		}
	}
	switch token.Data {
	case "script":
		if scriptName.MatchString(path.Base(e.path("src"))) {
			d.scripts = append(d.scripts, e)
		}
	case "base":
		if _, ok := e.attr["href"]; ok {
			d.bases = append(d.bases, e)
		}
	case "iframe":
		if e.attr["title"] == "keepalive" {
			d.frames = append(d.frames, e)
		}
	case "meta":
		if strings.EqualFold(e.attr["http-equiv"], "Content-Security-Policy") {
			d.metas = append(d.metas, e.attr["content"])
		}
	}
}

// path returns the path of a URL attribute, "" if it has none.
func (e element) path(name string) string {
	u, err := url.Parse(e.attr[name])
	if err != nil {
		return ""
	}
	return u.Path
}

// duration returns an attribute of milliseconds, 0 if it has none.
func (e element) duration(name string) time.Duration {
	ms, _ := strconv.ParseInt(e.attr[name], 10, 64)
	return time.Duration(ms) * time.Millisecond
}

// folder returns the path of the endpoints that the script's tag names.
func (e element) folder() string {
	p := e.path("src")
	return p[:strings.LastIndexByte(p, '/')+1]
}

// isOfSession reports whether the script's tag is that of a page with a session.
func (e element) isOfSession() bool {
	_, anonymous := e.attr["data-anonymous"]
	return e.attr["data-idle"] != "" && !anonymous
}
