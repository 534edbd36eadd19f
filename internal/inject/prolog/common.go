package prolog

import "bytes"

// commonHead returns the insertion point of a document that begins as most do: a doctype, html with attributes, head.
// It is 0 for any other, which the states must read byte by byte.
func commonHead(p []byte) int {
	rest, ok := cut(skip(p, isSpace), "<!doctype html>")
	if !ok {
		rest, ok = cut(rest, "<!DOCTYPE html>")
	}
	if ok {
		rest, ok = cut(skip(rest, isSpace), "<html")
	}
	for ok && len(rest) > 0 && isSpace(rest[0]) {
		rest, ok = cutAttribute(skip(rest, isSpace))
	}
	if ok {
		rest, ok = cut(rest, ">")
	}
	if ok {
		rest, ok = cut(skip(rest, isSpace), "<head>")
	}
	if !ok {
		return 0
	}
	return len(p) - len(rest)
}

// cutAttribute cuts an attribute off, with its value in double quotes, in none, or without one.
func cutAttribute(p []byte) (rest []byte, ok bool) {
	if rest = skip(p, isNameByte); len(rest) == len(p) {
		return p, false
	}
	p, hasValue := cut(rest, "=")
	if !hasValue {
		return rest, true
	}
	if len(p) > 0 && p[0] == '"' {
		n := bytes.IndexByte(p[1:], '"')
		return p[n+2:], n >= 0
	}
	rest = skip(p, isNameByte)
	return rest, len(rest) < len(p)
}

func isNameByte(c byte) bool { return isLetter(c) || '0' <= c && c <= '9' || c == '-' }

func cut(p []byte, prefix string) (rest []byte, ok bool) {
	if len(p) < len(prefix) || string(p[:len(prefix)]) != prefix {
		return p, false
	}
	return p[len(prefix):], true
}

func skip(p []byte, is func(byte) bool) []byte {
	for len(p) > 0 && is(p[0]) {
		p = p[1:]
	}
	return p
}
