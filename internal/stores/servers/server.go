//go:build linux

// Package servers starts real Redis, PostgreSQL and MariaDB servers for tests:
// on loopback, each in a folder of its own. All of it is removed when the test
// ends, or the test process, in whatever way. It needs Linux and the Debian
// packages redis-server, postgresql and mariadb-server (or their programs in
// PATH).
package servers

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to answer. It ends only what hangs: a
// machine with other work may be slow.
const patience = 2 * time.Minute

// Server is a real server process; its methods may be used concurrently.
type Server struct {
	// Addr is where the server listens, as 127.0.0.1:port.
	Addr string
	// Dir holds the server's data and its log.
	Dir string

	tb    testing.TB
	path  string
	args  []string
	cred  *syscall.Credential  // nil: the current user
	death syscall.Signal       // what the server gets when the test process dies
	ready func(net.Conn) error // asks something only a working server answers
	dsn   func(addr string) string
	tidy  func() // removes what the server leaves outside of Dir; may be nil
	guard *guard // removes Dir when the test process dies

	mu     sync.Mutex
	cmd    *exec.Cmd     // nil: not running
	done   chan struct{} // closed when cmd has been waited for
	paused bool
}

// newServer makes the folder; the caller fills in the rest and calls first.
func newServer(tb testing.TB, path string) *Server {
	tb.Helper()
	dir, guard := tempDir(tb)
	s := &Server{Dir: dir, tb: tb, path: path, death: syscall.SIGKILL, guard: guard}
	tb.Cleanup(func() {
		s.Kill()
		if s.tidy != nil {
			s.tidy()
		}
	})
	return s
}

// first starts the server on a free port, on another one if somebody took the
// port in the meantime.
func (s *Server) first(args func(port string) []string) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for range 5 {
		port := freePort(s.tb)
		s.Addr, s.args = "127.0.0.1:"+port, args(port)
		err = s.up()
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			break
		}
	}
	if err != nil {
		s.tb.Fatal(err)
	}
}

// DSN is the data source name that the usual Go driver takes; for Redis it is
// the address.
func (s *Server) DSN() string { return s.dsn(s.Addr) }

// Start starts a killed server again, on its port and folder, and returns when
// it answers. A server that runs is left alone.
func (s *Server) Start() {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.up(); err != nil {
		s.tb.Fatal(err)
	}
}

// Kill ends all processes of the server with SIGKILL and returns when they
// have gone. A paused server can be killed too.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

// Pause stops all processes of the server (SIGSTOP) and returns when they
// stand still; its port still accepts connections, and nothing answers.
func (s *Server) Pause() {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil || s.paused {
		return
	}
	s.paused = true
	if err := s.guard.setStopped(s.death, s.freeze()); err != nil {
		s.tb.Fatal(err)
	}
}

// Resume lets a paused server continue (SIGCONT).
func (s *Server) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil || !s.paused {
		return
	}
	for _, pid := range tree(s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	s.unpause()
}

// unpause is for when no process of the server stands still any more.
func (s *Server) unpause() {
	s.paused = false
	_ = s.guard.setStopped(s.death, nil)
}

func (s *Server) kill() {
	if s.cmd == nil {
		return
	}
	// Stopped first, so that none forks between the listing and the killing.
	pids := s.freeze()
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.done
	for _, pid := range pids {
		for alive(pid) {
			time.Sleep(time.Millisecond)
		}
	}
	s.cmd = nil
	s.unpause()
}

// freeze stops all processes of the server and lists them.
func (s *Server) freeze() []int {
	for {
		select {
		case <-s.done:
			return nil
		default:
		}
		moving := false
		all := processes()
		pids := tree(s.cmd.Process.Pid)
		for _, pid := range pids {
			if p, ok := all[pid]; !ok || !strings.Contains("TtZX", p.state) {
				_ = syscall.Kill(pid, syscall.SIGSTOP)
				moving = true
			}
		}
		if !moving {
			return pids
		}
		time.Sleep(time.Millisecond)
	}
}

// up starts the process unless it runs, and waits until the server answers.
func (s *Server) up() error {
	if s.cmd != nil {
		select {
		case <-s.done: // it ended by itself
			s.kill()
		default:
			return nil
		}
	}
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, done := s.command(s.path, s.args...), make(chan struct{})
	cmd.Stdout, cmd.Stderr = log, log
	if err := start(cmd); err != nil {
		return err
	}
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	s.cmd, s.done = cmd, done

	for end := time.Now().Add(patience); ; {
		err = s.ask()
		select {
		case <-done:
			s.cmd = nil
			return fmt.Errorf("%s ended: %v\n%s", s.path, cmd.ProcessState, s.logTail())
		default:
		}
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			s.kill()
			return fmt.Errorf("%s does not answer: %w\n%s", s.path, err, s.logTail())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *Server) ask() error {
	// An answer proves nothing if somebody else was faster to take the port.
	if !listens(s.cmd.Process.Pid, s.Addr) {
		return errors.New("not listening")
	}
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return s.ready(conn)
}

func (s *Server) logTail() []byte {
	log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return log[max(0, len(log)-4000):]
}

// run runs a program that prepares the folder.
func (s *Server) run(path string, args ...string) {
	s.tb.Helper()
	var out bytes.Buffer
	cmd := s.command(path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		s.tb.Fatalf("%s: %v\n%s", path, err, out.Bytes()[max(0, out.Len()-4000):])
	}
}

func (s *Server) command(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = s.Dir
	// Without the rest of the environment, which has settings for servers too.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "TMPDIR=" + s.Dir, "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: s.death, Credential: s.cred}
	return cmd
}

// starter runs functions on a thread that lives as long as the test process:
// Pdeathsig is sent when the thread that started the child ends.
var starter = sync.OnceValue(func() chan<- func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
})

// StartProcess starts a program that is killed when the test process dies. It
// sets cmd.SysProcAttr.
func StartProcess(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return start(cmd)
}

func start(cmd *exec.Cmd) error {
	err := make(chan error)
	starter() <- func() { err <- cmd.Start() }
	return <-err
}

// find looks for a program where Debian's packages put it.
func find(tb testing.TB, name, debian string) string {
	tb.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/", "/usr/sbin/", "/usr/bin/"} {
		if paths, _ := filepath.Glob(pattern + name); len(paths) > 0 {
			return paths[len(paths)-1]
		}
	}
	tb.Fatalf("%s is missing: it comes with Debian's package %s", name, debian)
	return ""
}

// freePort finds a port below those that the kernel gives to clients (from
// 32768): one of these could be taken by a client while the server is down.
func freePort(tb testing.TB) string {
	tb.Helper()
	for range 1000 {
		port := strconv.Itoa(10000 + rand.IntN(22000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	tb.Fatal("no free port")
	return ""
}
