package watchdog_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/watchdog"
	"github.com/stretchr/testify/require"
)

// holder is set in the process that TestKilledProcess kills: the file into which it writes what it has started.
const holder = "KEEPALIVE_WATCHDOG_HOLDER"

// stubborn is a program with a child, both of which ignore SIGTERM and write into the folder all the time.
const stubborn = `trap "" TERM; echo $$ >pid; (while :; do date >written; sleep 0.01; done) & wait`

func startStubborn(t *testing.T) (path string, pid int) {
	f := watchdog.New(t)
	cmd := exec.Command("/bin/sh", "-c", stubborn)
	cmd.Dir = f.Path
	require.NoError(t, f.Start(cmd))
	waitFor(t, func() bool {
		_, err := os.Stat(filepath.Join(f.Path, "written"))
		return err == nil
	})
	return f.Path, cmd.Process.Pid
}

func TestEndOfTest(t *testing.T) {
	var path string
	var pid int
	t.Run("test", func(t *testing.T) { path, pid = startStubborn(t) })
	require.NoDirExists(t, path)
	waitFor(t, func() bool { return groupHasEnded(pid) })
	require.NoDirExists(t, path)
}

func TestRun(t *testing.T) {
	f := watchdog.New(t)
	var out strings.Builder
	cmd := exec.Command("/bin/sh", "-c", "echo done; exit 3")
	cmd.Stdout = &out
	var exit *exec.ExitError
	require.ErrorAs(t, f.Run(cmd), &exit)
	require.Equal(t, 3, exit.ExitCode())
	require.Equal(t, "done\n", out.String())
	require.ErrorIs(t, f.Run(exec.Command("/no/such/program")), os.ErrNotExist)
}

// Whichever way the process dies, the folder and the programs go.
func TestKilledProcess(t *testing.T) {
	if file := os.Getenv(holder); file != "" {
		path, pid := startStubborn(t)
		require.NoError(t, os.WriteFile(file+".part", []byte(path+"\n"+strconv.Itoa(pid)), 0o600))
		require.NoError(t, os.Rename(file+".part", file))
		select {} // until it is killed
	}
	for _, test := range []struct {
		name   string
		signal syscall.Signal
	}{
		{"kill -9", syscall.SIGKILL},
		{"interrupt", syscall.SIGINT},
		{"timeout", syscall.SIGQUIT},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "started")
			process := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
			process.Env = append(os.Environ(), holder+"="+file)
			process.Stderr = io.Discard
			require.NoError(t, process.Start())
			defer func() { _ = process.Process.Kill() }()
			waitFor(t, func() bool {
				_, err := os.Stat(file)
				return err == nil
			})
			started, err := os.ReadFile(file)
			require.NoError(t, err)
			path, number, _ := strings.Cut(string(started), "\n")
			pid, err := strconv.Atoi(number)
			require.NoError(t, err)
			require.DirExists(t, path)
			require.False(t, groupHasEnded(pid))

			require.NoError(t, process.Process.Signal(test.signal))
			_ = process.Wait() // it was killed
			waitFor(t, func() bool { return groupHasEnded(pid) })
			waitFor(t, func() bool {
				_, err := os.Stat(path)
				return errors.Is(err, os.ErrNotExist)
			})
		})
	}
}

func groupHasEnded(pid int) bool { return syscall.Kill(-pid, 0) == syscall.ESRCH }

// waitFor waits for what happens sooner or later.
func waitFor(t *testing.T, happened func() bool) {
	t.Helper()
	for start := time.Now(); !happened(); time.Sleep(10 * time.Millisecond) {
		require.Less(t, time.Since(start), time.Minute)
	}
}
