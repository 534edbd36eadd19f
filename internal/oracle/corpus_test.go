package oracle_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// corpus returns the input of every html5lib tree-construction test that parses a document, not a fragment.
func corpus(t testing.TB) [][]byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/net").Output()
	require.NoError(t, err)
	root := filepath.Join(strings.TrimSpace(string(dir)), "html", "testdata")
	var docs [][]byte
	for _, pattern := range []string{"html5lib-tests/tree-construction/*.dat", "html5lib-tests/tree-construction/scripted/*.dat", "go/*.dat"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, "no test files match %s in %s", pattern, root)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			docs = append(docs, inputs(data)...)
		}
	}
	return docs
}

// inputs reads one file. Its format: each test begins with a line "#data" and its input, which ends in front of the line
// "#errors"; a test of a fragment has a line "#document-fragment" later on.
func inputs(data []byte) [][]byte {
	var docs [][]byte
	for _, test := range bytes.Split(append([]byte("\n"), data...), []byte("\n#data\n"))[1:] {
		doc, rest, found := bytes.Cut(append([]byte("\n"), test...), []byte("\n#errors"))
		if found && !bytes.Contains(rest, []byte("\n#document-fragment\n")) {
			docs = append(docs, bytes.TrimPrefix(doc, []byte("\n")))
		}
	}
	return docs
}
