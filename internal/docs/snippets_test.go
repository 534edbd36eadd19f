package docs

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/stretchr/testify/require"
)

// imports are the packages that fragments of Go use without importing them.
var imports = map[string]string{
	"context":       "context",
	"http":          "net/http",
	"json":          "encoding/json",
	"log":           "log",
	"os":            "os",
	"slog":          "log/slog",
	"sql":           "database/sql",
	"strings":       "strings",
	"testing":       "testing",
	"time":          "time",
	"redis":         "github.com/redis/go-redis/v9",
	"scs":           "github.com/alexedwards/scs/v2",
	"csrf":          "github.com/gorilla/csrf",
	"httputil":      "net/http/httputil",
	"nosurf":        "github.com/justinas/nosurf",
	"otel":          "github.com/seed4a306b22/keepalive/otel",
	"prometheus":    "github.com/seed4a306b22/keepalive/prometheus",
	"websocket":     "github.com/coder/websocket",
	"keepalive":     "github.com/seed4a306b22/keepalive",
	"goredisstore":  "github.com/seed4a306b22/keepalive/goredisstore",
	"mysqlstore":    "github.com/seed4a306b22/keepalive/mysqlstore",
	"pgxstore":      "github.com/seed4a306b22/keepalive/pgxstore",
	"postgresstore": "github.com/seed4a306b22/keepalive/postgresstore",
	"presence":      "github.com/seed4a306b22/keepalive/presence",
	"redisstore":    "github.com/seed4a306b22/keepalive/redisstore",
	"redispresence": "github.com/seed4a306b22/keepalive/presence/redispresence",
	"sqlite3store":  "github.com/seed4a306b22/keepalive/sqlite3store",
	"storetest":     "github.com/seed4a306b22/keepalive/storetest",
	"warmup":        "github.com/seed4a306b22/keepalive/warmup",
}

// Each block of Go becomes a package of a module in a temporary directory,
// which has the requirements of this one. The go command builds and vets them
// all at once. Its errors name the line of the page.
func TestGoSnippets(t *testing.T) {
	dir := t.TempDir()
	absolute, err := filepath.Abs(root)
	require.NoError(t, err)
	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	write(t, filepath.Join(dir, "go.mod"), strings.ReplaceAll(string(mod), "=> ../..", "=> "+absolute))
	sum, err := os.ReadFile("go.sum")
	require.NoError(t, err)
	write(t, filepath.Join(dir, "go.sum"), string(sum))
	assumed, err := os.ReadFile("snippet/snippet.go")
	require.NoError(t, err)

	for i, b := range blocks(t, "go") {
		pkg := filepath.Join(dir, fmt.Sprintf("block%d", i))
		require.NoError(t, os.Mkdir(pkg, 0o777))
		source, fragment := goFile(t, b, absolute)
		write(t, filepath.Join(pkg, "block.go"), source)
		if fragment {
			write(t, filepath.Join(pkg, "snippet.go"), string(assumed))
		}
	}
	for _, command := range []string{"build", "vet"} {
		cmd := exec.Command("go", command, "./...")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s:\n%s", command, out)
	}
}

// goFile returns a block as a file. A whole program stays as it is. A fragment
// joins the package snippet: declarations as they are, statements in a function.
func goFile(t *testing.T, b block, root string) (source string, fragment bool) {
	// What follows is at this line of the page, for the compiler's errors.
	code := fmt.Sprintf("//line %s:%d\n%s", filepath.Join(root, b.page), b.line, b.code)
	if parses("", b.code) {
		return code, false
	}
	if parses("package snippet\n", b.code) {
		return "package snippet\n" + importsOf(t, b.code) + code, true
	}
	function := "func _() {\n" + code
	for _, name := range variables(t, b.code) {
		function += "_ = " + name + "\n" // a fragment may end before it uses one
	}
	function += "}\n"
	return "package snippet\n" + importsOf(t, function) + function, true
}

func parses(header, code string) bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", header+code, parser.SkipObjectResolution)
	return err == nil
}

// importsOf returns declarations for the packages whose names the code uses.
func importsOf(t *testing.T, code string) string {
	file := parse(t, code)
	used := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && imports[x.Name] != "" {
				used[x.Name] = true
			}
		}
		return true
	})
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(used)) {
		fmt.Fprintf(&text, "import %s %q\n", name, imports[name])
	}
	return text.String()
}

// variables returns the names that statements declare by := or var in their
// outermost block.
func variables(t *testing.T, statements string) (names []string) {
	body := parse(t, "func _() {\n"+statements+"\n}").Decls[0].(*ast.FuncDecl).Body
	for _, statement := range body.List {
		switch s := statement.(type) {
		case *ast.AssignStmt:
			for _, left := range s.Lhs {
				if s.Tok == token.DEFINE {
					names = append(names, left.(*ast.Ident).Name)
				}
			}
		case *ast.DeclStmt:
			for _, spec := range s.Decl.(*ast.GenDecl).Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

func parse(t *testing.T, code string) *ast.File {
	file, err := parser.ParseFile(token.NewFileSet(), "", "package snippet\n"+code, parser.SkipObjectResolution)
	require.NoError(t, err, code)
	return file
}

func write(t *testing.T, path, text string) {
	require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
}

// Readers copy what stands there, so it looks as gofmt makes it.
func TestGoSnippetsAreFormatted(t *testing.T) {
	for _, b := range blocks(t, "go") {
		formatted, err := format.Source([]byte(b.code))
		require.NoError(t, err, "%s:%d", b.page, b.line)
		require.Equal(t, string(formatted), b.code, "%s:%d", b.page, b.line)
	}
}

func TestWebSnippets(t *testing.T) {
	for language, loader := range map[string]api.Loader{"js": api.LoaderJS, "css": api.LoaderCSS, "json": api.LoaderJSON} {
		for _, b := range blocks(t, language) {
			result := api.Transform(b.code, api.TransformOptions{Loader: loader})
			require.Empty(t, result.Errors, "%s:%d", b.page, b.line)
			require.Empty(t, result.Warnings, "%s:%d", b.page, b.line)
		}
	}
}
