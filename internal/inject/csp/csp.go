// Package csp reads the Content-Security-Policy fields of a response, to load a script under them and to say when they
// forbid it. It never changes them. The rules are those of CSP Level 3 (https://www.w3.org/TR/CSP3/).
package csp

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	enforced   = "Content-Security-Policy"
	reportOnly = "Content-Security-Policy-Report-Only"
)

// The fetch directives' fallback lists (section 6.8.3), most specific first.
var (
	scriptDirectives  = []string{"script-src-elem", "script-src", "default-src"}
	connectDirectives = []string{"connect-src", "default-src"}
	frameDirectives   = []string{"frame-src", "child-src", "default-src"}
)

// Nonce returns the nonce with which a script may be loaded under the policies in h, "" when there is none. It consists
// of letters, digits and + / - _ = only.
//
// It is the first nonce, of maxNonces, that every enforced policy accepts or, if there is none such, the first one. Where
// they have none, a nonce of a report-only policy is taken: it blocks nothing, but without the nonce it would report each
// page.
func Nonce(h http.Header) string {
	for _, key := range []string{enforced, reportOnly} {
		if len(h[key]) == 0 {
			continue
		}
		nonces := firstNonces(h[key])
		for _, n := range nonces {
			if blockedScript(h[key], n, nil) == "" {
				return n
			}
		}
		if len(nonces) > 0 {
			return nonces[0]
		}
	}
	return ""
}

// maxNonces bounds the nonces that are tried, as all policies are read again for each.
const maxNonces = 16

func firstNonces(values []string) (nonces []string) {
	for policy := range policies(values) {
		for _, source := range effective(policy, scriptDirectives).sources {
			if n := nonce(source); n != "" {
				nonces = append(nonces, n)
			}
			if len(nonces) == maxNonces {
				return nonces
			}
		}
	}
	return nonces
}

// Blocks names the first directive of an enforced policy that would stop a script from self, loaded with the given nonce
// (which may be ""), or a fetch to self, e.g. "connect-src 'none'". With framed it names also one that would stop a frame
// from self. It returns "" when nothing does.
//
// self is the origin of the page and, for sources with a path, the folder in which the script, the fetched resource and
// the frame lie. Without a scheme (a server behind a proxy may not know it) http and https both match; a nil self is matched by
// 'self' and * only.
func Blocks(h http.Header, nonce string, self *url.URL, framed bool) string {
	if len(h[enforced]) == 0 {
		return ""
	}
	if text := blockedScript(h[enforced], nonce, self); text != "" {
		return text
	}
	for policy := range policies(h[enforced]) {
		if d := effective(policy, connectDirectives); d.text != "" && !d.matches(self) {
			return d.text
		}
		if d := effective(policy, frameDirectives); framed && d.text != "" && !d.matches(self) {
			return d.text
		}
		// Without the second word the page's origin is opaque: a fetch to self is cross-origin then.
		if d := effective(policy, []string{"sandbox"}); d.text != "" && !(d.has("allow-scripts") && d.has("allow-same-origin")) {
			return d.text
		}
	}
	return ""
}

func blockedScript(values []string, nonce string, self *url.URL) string {
	for policy := range policies(values) {
		if d := effective(policy, scriptDirectives); d.text != "" && !d.allowsScript(nonce, self) {
			return d.text
		}
	}
	return ""
}

// policies yields each policy of a field that may come several times and hold several policies (section 2.2.2).
func policies(values []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, value := range values {
			for policy := range strings.SplitSeq(value, ",") {
				if !yield(policy) {
					return
				}
			}
		}
	}
}

type directive struct {
	text    string // as written; "" when there is no such directive
	sources []string
}

// effective returns the directive of policy whose name stands first in names.
func effective(policy string, names []string) directive {
	for _, name := range names {
		for text := range strings.SplitSeq(policy, ";") {
			text = strings.TrimSpace(text)
			if !isASCII(text) { // section 2.2.1: dropped
				continue
			}
			// A second directive of the same name is ignored.
			if words := strings.Fields(text); len(words) > 0 && strings.EqualFold(words[0], name) {
				return directive{text, words[1:]}
			}
		}
	}
	return directive{}
}

func (d directive) has(word string) bool {
	return slices.ContainsFunc(d.sources, func(s string) bool { return strings.EqualFold(s, word) })
}

// allowsScript is "Script directives pre-request check" for a script element in the page's markup.
func (d directive) allowsScript(n string, self *url.URL) bool {
	if n != "" && slices.ContainsFunc(d.sources, func(s string) bool { return nonce(s) == n }) {
		return true
	}
	return !d.has("'strict-dynamic'") && d.matches(self)
}

// matches is "Does url match source list". 'none' and an empty list need no case: nothing in them matches.
func (d directive) matches(self *url.URL) bool {
	return slices.ContainsFunc(d.sources, func(s string) bool {
		return s == "*" || strings.EqualFold(s, "'self'") || self != nil && matchesURL(s, self)
	})
}

// nonce returns the value in a nonce-source, "" for what isn't one by the grammar (section 2.3.1). Its value keeps its case.
func nonce(source string) string {
	const prefix = "'nonce-"
	if len(source) < len(prefix) || !strings.EqualFold(source[:len(prefix)], prefix) {
		return ""
	}
	value, found := strings.CutSuffix(source[len(prefix):], "'")
	digits := strings.TrimRight(value, "=")
	if !found || digits == "" || len(value)-len(digits) > 2 {
		return ""
	}
	for _, c := range []byte(digits) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("+/-_", c) >= 0) {
			return ""
		}
	}
	return value
}

// matchesURL is "Does url match expression in origin with redirect count" for scheme sources and host sources.
func matchesURL(source string, self *url.URL) bool {
	if scheme, found := strings.CutSuffix(source, ":"); found {
		return matchesScheme(scheme, self.Scheme)
	}
	scheme, rest, found := strings.Cut(source, "://")
	if !found {
		rest = source
	} else if !matchesScheme(scheme, self.Scheme) {
		return false
	}
	host, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	port := ""
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host, port = host[:i], host[i+1:]
	}
	return matchesHost(host, self.Hostname()) && matchesPort(port, self) && matchesPath(path, self.Path)
}

func matchesScheme(source, own string) bool {
	source = strings.ToLower(source)
	if own == "" {
		return source == "http" || source == "https"
	}
	return source == own || source == "http" && own == "https"
}

func matchesHost(source, own string) bool {
	source, own = strings.ToLower(strings.Trim(source, "[]")), strings.ToLower(own)
	if suffix, found := strings.CutPrefix(source, "*"); found {
		return suffix == "" || suffix[0] == '.' && strings.HasSuffix(own, suffix)
	}
	return source != "" && source == own
}

// matchesPort lets 80 stand for 443 too: an insecure source allows the secure one.
func matchesPort(source string, self *url.URL) bool {
	standard := []string{"", "80", "443"}
	if self.Scheme == "http" {
		standard = standard[:2]
	}
	own := self.Port()
	return source == "*" || source == own || slices.Contains(standard, source) && slices.Contains(standard, own)
}

// matchesPath knows the folder only. A source that names one file in it is taken for the one that is meant.
func matchesPath(source, folder string) bool {
	if folder == "" || source == "" {
		return true
	}
	if strings.HasSuffix(source, "/") {
		return strings.HasPrefix(folder, source)
	}
	return strings.HasPrefix(source, folder)
}

func isASCII(s string) bool {
	for _, c := range []byte(s) {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
