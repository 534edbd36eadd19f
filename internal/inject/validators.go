package inject

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A changed page needs an ETag of its own, or caches would take it for the
// handler's page, and a page from before a sign-in for the one after it. It is
//
//	W/"<the handler's tag>;k<hash><kind>"
//
// where the hash is that of the Insertion, and the kind tells how to undo it on
// the way in: s for a strong tag, w for a weak one, m for one that was made of
// Last-Modified. It is weak because the nonce is not part of the hash
// (RFC 9110 section 8.8.3).
const (
	kindStrong = 's'
	kindWeak   = 'w'
	kindMade   = 'm'

	hashLen   = 8
	suffixLen = len(";k") + hashLen + 1
)

// NewInsertion returns what puts tag, with further attributes at attributesAt, and
// tail into pages.
func NewInsertion(tag []byte, attributesAt int, tail []byte) *Insertion {
	sum := sha256.Sum256(slices.Concat(tag, []byte{0}, tail))
	return &Insertion{Tag: tag, AttributesAt: attributesAt, Tail: tail, hash: base64.RawURLEncoding.EncodeToString(sum[:])[:hashLen]}
}

// entityTag is an ETag (RFC 9110 section 8.8.3).
type entityTag struct {
	opaque string // without quotes
	weak   bool
}

func (t entityTag) String() string {
	if t.weak {
		return `W/"` + t.opaque + `"`
	}
	return `"` + t.opaque + `"`
}

// changed returns the tag of a page that has changed from one with tag t.
func (t entityTag) changed(ins *Insertion) string {
	kind := kindStrong
	if t.weak {
		kind = kindWeak
	}
	return ins.entityTag(t.opaque, kind)
}

func (ins *Insertion) entityTag(opaque string, kind rune) string {
	return `W/"` + opaque + ";k" + ins.hash + string(kind) + `"`
}

// original returns the handler's tag for one that changed has made, with the hash
// of the Insertion and the kind. ok is false for any other tag.
func (t entityTag) original() (o entityTag, hash string, kind byte, ok bool) {
	at := len(t.opaque) - suffixLen
	if at < 0 || t.opaque[at:at+2] != ";k" {
		return t, "", 0, false
	}
	hash, kind = t.opaque[at+2:at+2+hashLen], t.opaque[len(t.opaque)-1]
	if kind != kindStrong && kind != kindWeak && kind != kindMade {
		return t, "", 0, false
	}
	return entityTag{opaque: t.opaque[:at], weak: kind != kindStrong}, hash, kind, true
}

// cutEntityTag returns the first tag in s, and what follows it.
func cutEntityTag(s string) (t entityTag, rest string, ok bool) {
	s, t.weak = strings.CutPrefix(s, "W/")
	if !strings.HasPrefix(s, `"`) {
		return t, s, false
	}
	t.opaque, rest, ok = strings.Cut(s[1:], `"`)
	return t, rest, ok
}

// entityTags reads a list of tags. Commas may stand in tags, so it cannot be
// split at these. ok is false for what is no list of tags.
func entityTags(lines []string) (tags []entityTag, ok bool) {
	for _, s := range lines {
		for s = strings.TrimLeft(s, " \t,"); s != ""; s = strings.TrimLeft(s, " \t,") {
			t, rest, ok := cutEntityTag(s)
			if !ok {
				return nil, false
			}
			tags, s = append(tags, t), rest
		}
	}
	return tags, true
}

// setChangedETag gives a changed page its ETag.
func setChangedETag(h http.Header, ins *Insertion) {
	switch lines := h["Etag"]; len(lines) {
	case 0:
		date := h["Last-Modified"]
		if len(date) == 0 { // ParseTime would allocate its error
			return
		}
		if modified, err := http.ParseTime(date[0]); err == nil {
			h["Etag"] = []string{ins.entityTag(strconv.FormatInt(modified.Unix(), 36), kindMade)}
		}
	case 1:
		if t, rest, ok := cutEntityTag(lines[0]); ok && rest == "" {
			h["Etag"] = []string{t.changed(ins)}
		}
	}
}

// conditions is what editConditions took from the tags of a conditional request.
type conditions struct {
	expected *Insertion
	opaque   []string // of the tags that lost the suffix of expected
	made     string   // the made tag with the suffix of expected
}

// editConditions undoes setChangedETag in the conditions of a request for a page.
// getExpected returns what would go into that, nil for nothing.
func editConditions(method string, h http.Header, getExpected func() *Insertion) *conditions {
	editIfMatch(h)
	if method != http.MethodGet && method != http.MethodHead || !acceptsHTML(h) {
		return nil
	}
	expected := getExpected()
	c := &conditions{expected: expected}
	lines, named := h["If-None-Match"]
	if len(lines) == 1 && strings.TrimSpace(lines[0]) == "*" {
		return c
	}
	tags, ok := entityTags(lines)
	outdated := !ok || !named && expected != nil
	var kept []string
	for _, t := range tags {
		original, hash, kind, ours := t.original()
		switch {
		case !ours && expected == nil:
			kept = append(kept, t.String())
		case !ours || expected == nil || hash != expected.hash:
			outdated = true // the page in the cache has another tag in it
		case kind == kindMade:
			c.made = t.String()
		default:
			kept = append(kept, original.String())
			c.opaque = append(c.opaque, original.opaque)
		}
	}
	if named {
		delete(h, "If-None-Match")
		if kept != nil {
			h["If-None-Match"] = []string{strings.Join(kept, ", ")}
		}
	}
	if outdated {
		delete(h, "If-Modified-Since")
	}
	return c
}

// editIfMatch gives the handler back its own tags. None is ever removed: a write
// that is guarded by one must not become an unguarded one.
func editIfMatch(h http.Header) {
	tags, ok := entityTags(h["If-Match"])
	if !ok || len(tags) == 0 {
		return
	}
	list := make([]string, len(tags))
	for i, t := range tags {
		if original, _, kind, ours := t.original(); ours && kind != kindMade {
			t = original
		}
		list[i] = t.String()
	}
	h["If-Match"] = []string{strings.Join(list, ", ")}
}

// setNotModified gives a 304 the ETag of the changed page, where it answers a tag
// of that, and reports whether it does.
func (c *conditions) setNotModified(h http.Header) bool {
	lines := h["Etag"]
	if len(lines) == 0 && c.made != "" {
		h["Etag"] = []string{c.made}
		return true
	}
	if len(lines) != 1 {
		return false
	}
	t, rest, ok := cutEntityTag(lines[0])
	if !ok || rest != "" || !slices.Contains(c.opaque, t.opaque) {
		return false
	}
	h["Etag"] = []string{t.changed(c.expected)}
	return true
}

// isConditional reports whether editConditions has anything to look at.
func isConditional(h http.Header) bool {
	return h["If-None-Match"] != nil || h["If-Modified-Since"] != nil || h["If-Match"] != nil
}
