package oracle_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed4a306b22/keepalive/internal/inject/prolog"
)

const tag = "<script src=/k.js></script>"

// reason says why a document gets the tag, or why not. It is told by the parser's own tokens, not by the scanner.
type reason string

const (
	headTag  reason = "inserted: after <head>"
	other    reason = "inserted: before the first other token"
	atEnd    reason = "inserted: at the end"
	fragment reason = "left: fragment"
	open     reason = "left: ends in an open comment, doctype or tag"
	overlong reason = "left: overlong character reference"
)

// Few inputs of the corpus name doctype, html or head, so each is tried behind these too.
var prefixes = []string{"", "<!DOCTYPE html>", "<!doctype html>\n<html lang=en>\n", "<html><!-- x --></p>&#32;", "<html><head>", "\xEF\xBB\xBF<!DOCTYPE html>\n"}

func TestDOM(t *testing.T) {
	docs := corpus(t)
	require.GreaterOrEqual(t, len(docs), 1600)
	for _, prefix := range prefixes {
		t.Run(fmt.Sprintf("%q", prefix), func(t *testing.T) {
			count := map[reason]int{}
			inserted := 0
			for _, doc := range docs {
				doc = slices.Concat([]byte(prefix), doc)
				why, err := check(t, doc, true)
				require.NoError(t, err, "%q", doc)
				count[why]++
				if strings.HasPrefix(string(why), "inserted") {
					inserted++
				}
			}
			t.Logf("%d documents: %v", len(docs), count)
			if prefix == "" {
				require.Greater(t, inserted, 400)
			} else {
				require.Greater(t, inserted, len(docs)*95/100)
			}
		})
	}
}

// pieces are what makes a difference in front of head, whole and torn.
var pieces = strings.Split("<!DOCTYPE|<!doctype html>|html|<html|<html>|<head|<head>|</head>|<header>|</html|</body>|</br>|</p|</title>|</|<|>|/|=|'|\"|"+
	"a|a=|a='b'|<!--|-->|--!>|<!-->|<!--->|-|--|!|<!|<!-|<?|?>|<![CDATA[|]]>|</ |</>|</1| |\n|\r|\t|\f|\v|\x00|\u00A0|"+
	"&|&#|&#x|&#32|&#9;|&#x20;|&#X0A|&#0|0|3|2|;|&Tab;|&Tab|&NewLine;|&amp;|<p>|<meta>|<body|<frameset>|<template>|<svg>|<script>|<title>|x|\uFEFF", "|")

func TestRandomProlog(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	count := map[reason]int{}
	for range 50_000 {
		var doc []byte
		for range random.IntN(12) {
			doc = append(doc, pieces[random.IntN(len(pieces))]...)
		}
		doc = append([]byte(prefixes[random.IntN(len(prefixes))]), doc...)
		why, err := check(t, doc, false)
		require.NoError(t, err, "%q", doc)
		count[why]++
	}
	t.Log(count)
	for _, why := range []reason{headTag, other, atEnd, fragment, open} {
		require.Greater(t, count[why], 1000, "%s", why)
	}
}

func FuzzDOM(f *testing.F) {
	for _, doc := range corpus(f) {
		f.Add(doc)
	}
	for _, doc := range []string{
		"<!---><html></a b='>'><head x=\"/>\" y=z/>", "<html>&#x20;&#9&NewLine;&#32", "<html></ x><?x><!x></><head/>",
		"<!doctype html></br>", "<!doctype html><!-- --!>\x00x", "\xEF\xBB\xBF<html a=/ =\"><head>",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if _, err := check(t, doc, false); err != nil {
			t.Skip(err)
		}
	})
}

// TestFrame puts at the end of pages what Config.NoScript adds there. A page gets script and noscript, the latter as body's
// last child, whatever its author has left out.
func TestFrame(t *testing.T) {
	const frame = `<noscript><iframe src="/frame" hidden title="keepalive"></iframe></noscript>`
	docs := []string{
		"<html></html>", "<!doctype html><head></head>",
		"<!doctype html><html><head><title>t</title></head><body><p>x</p></body></html>",
		"<!doctype html><html><head><title>t</title></head><body><p>x</p></body></html>\n\n",
		"<!doctype html><body><p>x</p></body></html><!-- made by x -->\n",
		"<!doctype html><body><p>x</p></body>\n", "<!doctype html><body><div>x</div>\n", "<!doctype html>x",
		"<!doctype html><body><table><tr><td>x</table></html>", "<!doctype html><body><noscript><p>x</p></noscript><script>y</script></html>",
		"<!doctype html><body><svg><path/></svg><template><p></template></html>",
	}
	for _, doc := range docs {
		verdict, offset := scan([]byte(doc))
		require.Equal(t, prolog.Insert, verdict)
		for _, scripting := range []bool{true, false} {
			want, err := parse([]byte(doc), scripting)
			require.NoError(t, err)
			got, err := parse([]byte(doc[:offset]+tag+doc[offset:]+frame), scripting)
			require.NoError(t, err)
			require.True(t, takeScript(got), doc)
			require.True(t, takeFrame(got, scripting), "%s\n%s", doc, dump(got))
			require.Equal(t, dump(want), dump(got), "%q, scripting %v", doc, scripting)
		}
	}
	// Where nothing ends head, or elements are left open, it goes in there; without scripting there is a frame all the same.
	for _, doc := range []string{"<!doctype html>", "<!doctype html><title>t</title>", "<!doctype html><p>x</body></html>", "<!doctype html><main><ul><li><b>x"} {
		got, err := parse([]byte(doc+frame), false)
		require.NoError(t, err)
		frames := 0
		for n := range got.Descendants() {
			if n.DataAtom == atom.Iframe {
				frames++
			}
		}
		require.Equal(t, 1, frames, doc)
	}
}

// takeFrame removes the frame's element, which must be body's last node. With scripting it holds text.
func takeFrame(root *html.Node, scripting bool) bool {
	for n := range root.Descendants() {
		if n.DataAtom != atom.Body {
			continue
		}
		e := n.LastChild
		if e == nil || e.DataAtom != atom.Noscript || e.FirstChild == nil || e.FirstChild != e.LastChild {
			return false
		}
		n.RemoveChild(e)
		return scripting == (e.FirstChild.Type == html.TextNode) && scripting != (e.FirstChild.DataAtom == atom.Iframe)
	}
	return false
}

// check holds the scanner's verdict on doc against the parser. The error is the parser's, which gives up on very deep trees.
func check(t *testing.T, doc []byte, everyCut bool) (reason, error) {
	t.Helper()
	verdict, offset := scan(doc)
	every := make([]int, len(doc))
	for i := range doc {
		every[i] = i
		if everyCut {
			v, o := scan(doc, i)
			require.Equal(t, verdict, v, "%q cut at %d", doc, i)
			require.Equal(t, offset, o, "%q cut at %d", doc, i)
		}
	}
	v, o := scan(doc, every...)
	require.Equal(t, verdict, v, "%q byte by byte", doc)
	require.Equal(t, offset, o, "%q byte by byte", doc)

	// The parser takes text and knows no byte order mark.
	text, mark := bytes.CutPrefix(doc, []byte("\xEF\xBB\xBF"))
	if mark {
		offset -= 3
	}
	why := reference(text)
	if verdict == prolog.Leave {
		switch {
		case why == atEnd && isOpen(t, text):
			why = open
		case why != fragment && zeros.Match(text):
			why = overlong
		}
		require.Contains(t, []reason{fragment, open, overlong}, why, "%q was left alone", doc)
		return why, nil
	}
	require.Equal(t, prolog.Insert, verdict)
	require.NotEqual(t, fragment, why, "%q got a tag", doc)
	for _, scripting := range []bool{true, false} {
		want, err := parse(text, scripting)
		if err != nil {
			return why, err
		}
		got, err := parse(slices.Concat(text[:offset], []byte(tag), text[offset:]), scripting)
		if err != nil {
			return why, err
		}
		require.True(t, takeScript(got), "no script first in head: %q at %d", text, offset)
		require.Equal(t, dump(want), dump(got), "%q at %d, scripting %v", text, offset, scripting)
	}
	return why, nil
}

func scan(doc []byte, cuts ...int) (prolog.Verdict, int64) {
	var s prolog.Scanner
	from := 0
	for _, to := range append(cuts, len(doc)) {
		s.Scan(doc[from:to])
		from = to
	}
	if s.Close() != prolog.Insert {
		return s.Close(), 0
	}
	return prolog.Insert, s.Offset()
}

var zeros = regexp.MustCompile(`&#[xX]?0{10}`)

// reference reads the parser's tokens up to the one that decides.
func reference(doc []byte) reason {
	z := html.NewTokenizer(bytes.NewReader(doc))
	document := false
	decide := func(r reason) reason {
		if !document {
			return fragment
		}
		return r
	}
	for {
		switch z.Next() {
		case html.ErrorToken:
			return decide(atEnd)
		case html.DoctypeToken:
			document = true
		case html.TextToken:
			if len(bytes.Trim(z.Text(), " \t\r\n\f")) > 0 {
				return decide(other)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			switch name, _ := z.TagName(); string(name) {
			case "html":
				document = true
			case "head":
				return headTag
			default:
				return decide(other)
			}
		case html.EndTagToken:
			switch name, _ := z.TagName(); string(name) {
			case "head", "body", "html", "br":
				return decide(other)
			}
		}
	}
}

// isOpen reports whether an element put at the end of doc is swallowed.
func isOpen(t *testing.T, doc []byte) bool {
	t.Helper()
	root, err := parse(slices.Concat(doc, []byte("<i>")), true)
	require.NoError(t, err)
	for n := range root.Descendants() {
		if n.DataAtom == atom.I {
			return false
		}
	}
	return true
}

func parse(doc []byte, scripting bool) (*html.Node, error) {
	return html.ParseWithOptions(bytes.NewReader(doc), html.ParseOptionEnableScripting(scripting))
}

// takeScript removes the tag's element, which must be the first node in head.
func takeScript(root *html.Node) bool {
	for n := range root.Descendants() {
		if n.DataAtom != atom.Head {
			continue
		}
		s := n.FirstChild
		if s == nil || s.DataAtom != atom.Script || s.FirstChild != nil || !slices.Equal(s.Attr, []html.Attribute{{Key: "src", Val: "/k.js"}}) {
			return false
		}
		n.RemoveChild(s)
		return true
	}
	return false
}

// dump writes every node with all that is in it. Rendered HTML would hide a cut between two text nodes.
func dump(root *html.Node) string {
	var b strings.Builder
	var write func(n *html.Node, depth int)
	write = func(n *html.Node, depth int) {
		fmt.Fprintf(&b, "%*s%v %q %q %q\n", depth, "", n.Type, n.Namespace, n.Data, n.Attr)
		for c := range n.ChildNodes() {
			write(c, depth+1)
		}
	}
	write(root, 0)
	return b.String()
}
