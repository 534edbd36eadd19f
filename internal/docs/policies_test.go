package docs

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

var clauseLine = regexp.MustCompile(`(?m)^  (.+) \((SHALL|SHOULD)\) is .*; needed: (.+)$`)

// docs/policies.md has a row for each clause that is checked, and no other.
func TestClausesAreThoseOfTheCode(t *testing.T) {
	sm := scs.New()
	sm.IdleTimeout, sm.Lifetime = 5*time.Minute, 12*time.Hour
	sm.Cookie.Name, sm.Cookie.Secure = "__Host-id", true
	km, err := keepalive.New(sm, keepalive.Config{
		Mode: keepalive.UserActive, WarnBefore: time.Minute, AfterEnd: keepalive.BlankPage,
		Policy: keepalive.WCAG22<<1 - 1, // all
	})
	require.NoError(t, err)
	checked := make(map[string]bool)
	for _, m := range clauseLine.FindAllStringSubmatch(km.Statement(), -1) {
		checked["| "+strings.Join(m[1:], " | ")+" |"] = true
	}
	described := make(map[string]bool)
	for line := range strings.Lines(pages(t)["docs/policies.md"]) {
		if strings.Contains(line, "| SHALL |") || strings.Contains(line, "| SHOULD |") {
			described[strings.TrimSpace(line)] = true
		}
	}
	require.Equal(t, checked, described)
}
