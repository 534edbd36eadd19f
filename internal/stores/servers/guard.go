//go:build linux

package servers

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// guard is a shell that cleans up when the test process ends without running its
// clean-up functions: it was killed, it panicked or ran into its time limit. The
// shell reads a pipe whose other end only the test process has, so it learns of
// every kind of end.
type guard struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// guardScript keeps the last line that it reads, a signal and the processes to
// end with it, and removes the folder $0, where a test may have mounted something.
// A process that is just ending may still write there, so rm may have to try
// again.
const guardScript = `
while read -r s p; do signal=$s pids=$p; done
if test -n "$pids"; then kill "-$signal" $pids; kill -CONT $pids; fi
umount -l "$0" 2>/dev/null
for i in $(seq 600); do rm -rf "$0" && break; sleep 0.1; done`

func startGuard(dir string) (*guard, error) {
	cmd := exec.Command("/bin/sh", "-c", guardScript, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &guard{cmd, in}, nil
}

// setStopped records which processes stand still. The signal that they get at the
// death of the test process would not end them while they do.
func (g *guard) setStopped(death syscall.Signal, pids []int) error {
	line := fmt.Sprint(int(death))
	for _, pid := range pids {
		line += fmt.Sprint(" ", pid)
	}
	_, err := io.WriteString(g.in, line+"\n")
	return err
}

// dismiss ends the guard without any clean-up.
func (g *guard) dismiss() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
}

// TempDir is tb.TempDir with a short path, and is also removed when the test
// process is killed.
func TempDir(tb testing.TB) string {
	tb.Helper()
	dir, _ := tempDir(tb)
	return dir
}

// tempDir makes a folder directly in /tmp: the path of tb.TempDir may be too long
// for a Unix socket, and its parents are closed to the user that PostgreSQL runs
// as.
func tempDir(tb testing.TB) (string, *guard) {
	tb.Helper()
	dir, err := os.MkdirTemp("/tmp", "servers-")
	if err != nil {
		tb.Fatal(err)
	}
	g, err := startGuard(dir)
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		g.dismiss()
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir, g
}
