package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/stretchr/testify/require"
)

var (
	browsersRow = regexp.MustCompile(`(?m)^\| (?:pings|dialogs)\b.*$`)
	version     = regexp.MustCompile(`(\d[\d.]*) \(\w+ 20\d\d\)`)
)

// The oldest browsers that docs/page.md promises to serve parse the scripts: esbuild has nothing to rewrite for them.
func TestSyntaxOfOldestBrowsers(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(clientDir, "../docs/page.md"))
	require.NoError(t, err)
	rows := browsersRow.FindAllString(string(text), -1)
	require.Len(t, rows, 2)
	for _, row := range rows {
		versions := version.FindAllStringSubmatch(row, -1)
		require.Len(t, versions, 3, row)
		engines := []api.Engine{
			{Name: api.EngineChrome, Version: versions[0][1]},
			{Name: api.EngineEdge, Version: versions[0][1]},
			{Name: api.EngineFirefox, Version: versions[1][1]},
			{Name: api.EngineSafari, Version: versions[2][1]},
		}
		for _, b := range bundles {
			for _, engine := range engines {
				code := committed(t, b.file)
				options := api.TransformOptions{Engines: []api.Engine{engine}}
				isSame := print(t, code, options) == print(t, code, api.TransformOptions{Target: api.ESNext})
				require.True(t, isSame, "esbuild rewrites %s for version %s of %s", b.file, engine.Version, row)
			}
		}
	}
}

func print(t *testing.T, code string, options api.TransformOptions) string {
	t.Helper()
	options.Charset = api.CharsetUTF8
	result := api.Transform(code, options)
	require.Empty(t, result.Errors)
	return string(result.Code)
}
