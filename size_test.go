package keepalive_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program that changes from scs's LoadAndSave to this one must not grow by more.
func TestProgramSize(t *testing.T) {
	const limit = 1_200_000
	grown := programSize(t, `"github.com/seed4a306b22/keepalive"`, `m, err := keepalive.New(sm, keepalive.Config{}); if err != nil { panic(err) }`) -
		programSize(t, "", "m := sm")
	t.Logf("stripped, it grows by %d bytes", grown)
	require.Less(t, grown, int64(limit))
}

// programSize returns the size of a stripped program, in which setup declares m.
func programSize(t *testing.T, imports, setup string) int64 {
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	text := `package main
import (
	"net/http"
	"github.com/alexedwards/scs/v2"
	` + imports + `
)
func main() {
	sm := scs.New()
	` + setup + `
	_ = http.ListenAndServe("", m.LoadAndSave(http.NotFoundHandler()))
}`
	require.NoError(t, os.WriteFile(source, []byte(text), 0o600))
	out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, source).CombinedOutput()
	require.NoError(t, err, "%s", out)
	info, err := os.Stat(program)
	require.NoError(t, err)
	return info.Size()
}
