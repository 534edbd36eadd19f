package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	scenario = regexp.MustCompile(`(?m)^\| .* \| (Test\w+)(?:/([^|]+))? \|$`)
	testFunc = regexp.MustCompile(`(?ms)^func (Test\w+)\(t \*testing\.T\) \{$.*?^\}$`)
)

// Each row of "What happens when" in docs/page.md names a test that is here.
func TestScenarios(t *testing.T) {
	text, err := os.ReadFile("../../docs/page.md")
	require.NoError(t, err)
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	tests := make(map[string]string) // their source by their names
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, f := range testFunc.FindAllStringSubmatch(string(source), -1) {
			tests[f[1]] = f[0]
		}
	}
	_, table, found := strings.Cut(string(text), "\n## What happens when\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n## ")
	rows := scenario.FindAllStringSubmatch(table, -1)
	require.Len(t, rows, strings.Count(table, "\n|")-2, "a row has no test")
	for _, row := range rows {
		require.Contains(t, tests, row[1])
		if row[2] != "" {
			require.Contains(t, tests[row[1]], `{name: "`+row[2]+`", `)
		}
	}
}
