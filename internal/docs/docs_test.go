// Package docs tests what README.md and the pages in docs say: that their code
// compiles, their links lead somewhere, and they are complete.
package docs

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// root is the repository, seen from this package.
const root = "../.."

// pages returns the text of each page in the root and in docs by its path below
// the root.
func pages(t *testing.T) map[string]string {
	paths, err := filepath.Glob(root + "/docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	above, err := filepath.Glob(root + "/*.md")
	require.NoError(t, err)
	texts := make(map[string]string)
	for _, path := range append(paths, above...) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		name, err := filepath.Rel(root, path)
		require.NoError(t, err)
		texts[name] = string(text)
	}
	return texts
}

// block is a fenced code block of a page.
type block struct {
	page string // path below the root
	line int    // number of its first line in the page
	code string
}

var fence = regexp.MustCompile("(?ms)^( *)```(\\w*)\n(.*?)^ *```$")

// blocks returns the code blocks of all pages in one language.
func blocks(t *testing.T, language string) (found []block) {
	for page, text := range pages(t) {
		for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
			if text[m[4]:m[5]] != language {
				continue
			}
			indent, code := text[m[2]:m[3]], text[m[6]:m[7]]
			found = append(found, block{
				page: page,
				line: strings.Count(text[:m[6]], "\n") + 1,
				code: strings.ReplaceAll("\n"+code, "\n"+indent, "\n")[1:],
			})
		}
	}
	require.NotEmpty(t, found)
	return found
}

// prose returns a page without its code blocks.
func prose(text string) string { return fence.ReplaceAllString(text, "") }

func TestReadmeIsShort(t *testing.T) {
	require.LessOrEqual(t, strings.Count(pages(t)["README.md"], "\n"), 180, "what does not fit belongs into docs/")
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors returns the names by which GitHub links to the headings of a page:
// in lower case, without punctuation, with hyphens for spaces.
func anchors(text string) (names []string) {
	for _, m := range heading.FindAllStringSubmatch(prose(text), -1) {
		names = append(names, strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return names
}

func TestLinks(t *testing.T) {
	for page, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(prose(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, hasAnchor := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
				_, err := os.Stat(filepath.Join(root, target)) // a file or a directory
				require.NoError(t, err, "linked from %s", page)
			}
			if hasAnchor {
				text, err := os.ReadFile(filepath.Join(root, target)) // any page, CONTRIBUTING.md too
				require.NoError(t, err)
				require.Contains(t, anchors(string(text)), anchor, "linked from %s to %s", page, target)
			}
		}
	}
}

func TestIndexIsComplete(t *testing.T) {
	index := pages(t)["docs/README.md"]
	for page := range pages(t) {
		if name, found := strings.CutPrefix(page, "docs/"); found && name != "README.md" {
			require.True(t, strings.Contains(index, "]("+name+")"), "docs/README.md has no link to %s", name)
		}
	}
}

func TestConfigurationIsComplete(t *testing.T) {
	text := pages(t)["docs/configuration.md"]
	for _, field := range reflect.VisibleFields(reflect.TypeFor[keepalive.Config]()) {
		if field.IsExported() {
			require.True(t, strings.Contains(text, "\n| `"+field.Name+"` | "), "the table has no row for %s", field.Name)
		}
	}
}
