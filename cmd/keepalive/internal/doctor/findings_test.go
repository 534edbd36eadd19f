package doctor

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The table of the documents is this one.
func TestDocumentedKinds(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/doctor.md")
	require.NoError(t, err)
	var rows strings.Builder
	for _, k := range kinds {
		rows.WriteString(k.row())
	}
	_, table, _ := strings.Cut(string(page), "|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	require.Equal(t, rows.String(), table+"\n")
}

// KindNames returns the names of all kinds.
func KindNames() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}
