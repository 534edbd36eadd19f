package csp

import (
	"net/http"
	"slices"
	"strings"
)

// RequiresIntegrity reports whether an enforced Integrity-Policy blocks scripts
// without integrity metadata (https://w3c.github.io/webappsec-subresource-integrity/#integrity-policy-section).
func RequiresIntegrity(h http.Header) bool {
	for member := range members(h["Integrity-Policy"]) {
		name, list, _ := strings.Cut(member, "=")
		if strings.TrimSpace(name) != "blocked-destinations" {
			continue
		}
		list, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(list), "("), ")")
		if slices.Contains(strings.Fields(list), "script") {
			return true
		}
	}
	return false
}

// members yields the members of a dictionary (RFC 9651 section 3.2). Commas in
// inner lists and strings do not end one.
func members(values []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, value := range values {
			start, depth, quoted := 0, 0, false
			for i, c := range []byte(value) {
				switch {
				case c == '"':
					quoted = !quoted
				case quoted:
				case c == '(':
					depth++
				case c == ')':
					depth--
				case c == ',' && depth == 0:
					if !yield(value[start:i]) {
						return
					}
					start = i + 1
				}
			}
			if !yield(value[start:]) {
				return
			}
		}
	}
}
