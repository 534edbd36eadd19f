// Package watchdog removes what a test has started: a folder, and the programs that work in it. It does so when the test
// ends, and also when the test's process is killed, times out or panics, which skips clean-up functions.
//
// It needs /bin/sh and process groups, so it works on Linux and the like.
package watchdog

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// script runs until its input ends, which is when the test's process closes the pipe or dies. Each line of the input is a
// process group. Groups get SIGTERM first, so that they can remove what they keep elsewhere, and SIGKILL after two seconds
// at the latest. The folder is last, when nobody is left to write into it.
const script = `
groups=
while read -r group; do groups="$groups $group"; done
signal() { found=1; for group in $groups; do kill -"$1" "-$group" 2>/dev/null && found=0; done; return $found; }
signal TERM
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do signal 0 || break; sleep 0.1; done
signal KILL
exec rm -rf -- "$0"
`

// A Folder is a temporary folder with a watchdog, a shell that outlives the test's process. Use it from one goroutine.
type Folder struct {
	// Path is short enough for Unix sockets in the folder. Only the current user can read the folder.
	Path string

	groups   io.Writer // the watchdog's input
	programs sync.WaitGroup
}

// New makes a folder that is removed when the test has ended, after the programs that Start started in it.
func New(t testing.TB) *Folder {
	t.Helper()
	path, err := os.MkdirTemp("", "keepalive-")
	if err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("/bin/sh", "-c", script, path)
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C in a terminal must not end it
	pipe, err := shell.StdinPipe()
	if err == nil {
		err = shell.Start()
	}
	if err != nil {
		_ = os.RemoveAll(path)
		t.Fatal(err)
	}
	f := &Folder{Path: path, groups: pipe}
	t.Cleanup(func() {
		_ = pipe.Close()
		if err := shell.Wait(); err != nil {
			t.Errorf("%s was not removed: %v", path, err)
		}
		f.programs.Wait() // what they wrote may go to t
	})
	return f
}

// Start starts a program in a process group of its own. The program and its children, but for those that leave the group,
// are ended when the test ends. The caller sets up cmd, and must not wait for it.
func (f *Folder) Start(cmd *exec.Cmd) error {
	if err := f.start(cmd); err != nil {
		return err
	}
	f.programs.Go(func() { _ = cmd.Wait() }) // its status is of no interest
	return nil
}

// Run is Start for a program that ends by itself. It returns what [exec.Cmd.Run] does.
func (f *Folder) Run(cmd *exec.Cmd) error {
	if err := f.start(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

func (f *Folder) start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(f.groups, cmd.Process.Pid)
	return err
}
