package webdriver

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

const (
	packages = "apt-get install --no-install-recommends chromium chromium-driver firefox-esr webkit2gtk-driver xvfb"
	// startTimeout is for programs that hang: a busy machine takes long.
	startTimeout = 2 * time.Minute
)

// find returns the first program that is there.
func find(t testing.TB, programs ...string) string {
	t.Helper()
	for _, program := range programs {
		if matches, _ := filepath.Glob(program); len(matches) > 0 {
			return matches[0]
		}
		if path, err := exec.LookPath(program); err == nil {
			return path
		}
	}
	t.Fatalf("webdriver: %s is not installed; on Debian: %s", programs[0], packages)
	return ""
}

// spawn runs a program until the test ends. The environment is made anew, so that nothing of the user's own browser or
// desktop shows.
func (b *Browser) spawn(env []string, program string, args ...string) {
	b.t.Helper()
	log, err := os.Create(filepath.Join(b.folder.Path, filepath.Base(program)+".log"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + b.folder.Path, "TMPDIR=" + b.folder.Path,
	}, env...)
	cmd.Dir = b.folder.Path
	cmd.Stdout, cmd.Stderr = log, log
	if err := b.folder.Start(cmd); err != nil {
		b.t.Fatal(err)
	}
}

// await waits until a file that another process writes matches, and returns the first submatch.
func (b *Browser) await(file, expression string) string {
	b.t.Helper()
	re := regexp.MustCompile(expression)
	for start := time.Now(); time.Since(start) < startTimeout; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(b.folder.Path, file))
		if match := re.FindSubmatch(text); match != nil {
			return string(match[1])
		}
	}
	b.t.Fatalf("%s: no %s in %s within %v%s", b.Engine, expression, file, startTimeout, b.logs())
	return ""
}
