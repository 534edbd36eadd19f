package keepalive

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/textproto"
	"strings"
)

// token returns the session token that the request brings, "" for none. What scs
// cannot have made is none, and no store is asked for it: some compare keys loosely
// (MySQL ignores spaces at the end), which would give one session many names.
func (s *sessions) token(r *http.Request) string {
	value, found := s.cookieValue(r.Header)
	if !found || isToken(value) {
		return value
	}
	if c, err := r.Cookie(s.manager.Cookie.Name); err == nil && isToken(c.Value) { // in quotes, or behind a broken one
		return c.Value
	}
	return ""
}

// cookieValue returns the value of the first session cookie in a request's header, as it
// stands there. It allocates nothing.
func (s *sessions) cookieValue(h http.Header) (value string, found bool) {
	for _, line := range h["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			name, value, _ := strings.Cut(pair, "=")
			if textproto.TrimString(name) == s.manager.Cookie.Name {
				return textproto.TrimString(value), true
			}
		}
	}
	return "", false
}

// isToken reports whether s has the form of scs's tokens: base64url of 32 bytes,
// without padding.
func isToken(s string) bool {
	if len(s) != 43 {
		return false
	}
	for i := range len(s) {
		if !inTokens[s[i]] {
			return false
		}
	}
	return true
}

// inTokens tells of each byte whether it can stand in a token.
var inTokens = func() (in [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		in[c] = true
	}
	return in
}()

// key returns the name under which the store keeps a token's session.
func (s *sessions) key(token string) string {
	if token == "" || !s.manager.HashTokenInStore {
		return token
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
