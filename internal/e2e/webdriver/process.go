package webdriver

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

const (
	packages     = "apt-get install --no-install-recommends chromium chromium-driver firefox-esr webkit2gtk-driver xvfb"
	startTimeout = 60 * time.Second
)

// guard runs a program. When the pipe on descriptor 3 closes it ends the program's process group and removes $0: clean-up
// functions do not run when the test binary is killed, is interrupted or times out.
const guard = `(trap "" TERM; cat <&3; kill 0; sleep 2; rm -rf "$0"; kill -KILL 0) & exec "$@" 3<&-`

// tempDir is t.TempDir with a short path, since browsers put sockets there, and with patience: processes that were
// killed may write for a moment longer.
func tempDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := os.RemoveAll(dir)
		for start := time.Now(); err != nil && time.Since(start) < 10*time.Second; err = os.RemoveAll(dir) {
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return dir
}

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

// spawn runs a program in a process group of its own until the test ends. The environment is made anew, so that nothing
// of the user's own browser or desktop shows.
func (b *Browser) spawn(env []string, program string, args ...string) {
	b.t.Helper()
	log, err := os.Create(filepath.Join(b.dir, filepath.Base(program)+".log"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	guarded, alive, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	defer guarded.Close()

	cmd := exec.Command("/bin/sh", append([]string{"-c", guard, b.dir, program}, args...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + b.dir, "TMPDIR=" + b.dir}, env...)
	cmd.Dir = b.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{guarded}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	b.t.Cleanup(func() {
		defer alive.Close()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // Xvfb removes its lock, crash handlers go with their browser
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	})
}

// await waits until a file that another process writes matches, and returns the first submatch.
func (b *Browser) await(file, expression string) string {
	b.t.Helper()
	re := regexp.MustCompile(expression)
	for start := time.Now(); time.Since(start) < startTimeout; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(b.dir, file))
		if match := re.FindSubmatch(text); match != nil {
			return string(match[1])
		}
	}
	b.t.Fatalf("%s: no %s in %s within %v%s", b.Engine, expression, file, startTimeout, b.logs())
	return ""
}
