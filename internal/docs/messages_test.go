package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	firstCell = regexp.MustCompile(`(?m)^\| ([^|]*) \|`)
	codeSpan  = regexp.MustCompile("`([^`]+)`")
	// A message is put together from what stands between these: … is for a
	// value, and the browser's console adds the space after the colon.
	joint = regexp.MustCompile(`…|: (connect-src|403)`)
)

// Whoever searches for a message finds it in docs/troubleshooting.md only if it
// stands there as the code writes it.
func TestMessagesAreThoseOfTheCode(t *testing.T) {
	code := sources(t)
	text := pages(t)["docs/troubleshooting.md"]
	checked := 0
	for _, title := range []string{"A page has no script", "Errors of New", "Messages in the log", "Messages in the browser's console"} {
		_, section, found := strings.Cut(text, "\n## "+title+"\n")
		require.True(t, found, title)
		section, _, _ = strings.Cut(section, "\n## ")
		for _, cell := range firstCell.FindAllStringSubmatch(section, -1) {
			for _, span := range codeSpan.FindAllStringSubmatch(cell[1], -1) {
				for _, part := range joint.Split(span[1], -1) {
					require.True(t, strings.Contains(code, part), "no code says %q, of %q", part, span[1])
					checked++
				}
			}
		}
	}
	require.Greater(t, checked, 40)
}

// sources returns all code of the library, the script included.
func sources(t *testing.T) string {
	var code strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := d.Name(); {
		case d.IsDir() && slices.Contains([]string{".git", "node_modules", "docs", "examples", "e2e"}, name):
			return fs.SkipDir
		case strings.HasSuffix(name, "_test.go"), strings.HasSuffix(name, ".min.js"):
		case filepath.Ext(name) == ".go", filepath.Ext(name) == ".js":
			text, err := os.ReadFile(path)
			code.Write(text)
			return err
		}
		return nil
	})
	require.NoError(t, err)
	return code.String()
}
