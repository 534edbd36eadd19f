//go:build linux

package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// redisCommand dials and sends one Redis command.
func redisCommand(addr string, args ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	return redisDo(conn, args...)
}

func want(t *testing.T, addr, reply string, args ...string) {
	t.Helper()
	if got, err := redisCommand(addr, args...); err != nil || got != reply {
		t.Fatalf("%v: %q, %v; want %q", args, got, err, reply)
	}
}

// testLife takes a server through what all kinds have in common.
func testLife(t *testing.T, s *Server) {
	t.Helper()
	limit := patience
	ready := func() error {
		conn, err := net.DialTimeout("tcp", s.Addr, limit)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(limit))
		return s.ready(conn)
	}
	if err := ready(); err != nil {
		t.Fatal(err)
	}

	s.Pause()
	limit = 300 * time.Millisecond
	var timeout net.Error
	if err := ready(); !errors.As(err, &timeout) && !strings.Contains(fmt.Sprint(err), "timeout") {
		t.Errorf("paused: %v", err)
	}
	limit = patience
	s.Pause()
	s.Resume()
	if err := ready(); err != nil {
		t.Errorf("resumed: %v", err)
	}

	for _, paused := range []bool{false, true} {
		if paused {
			s.Pause()
		}
		pids := tree(s.cmd.Process.Pid)
		s.Kill()
		for _, pid := range pids {
			if alive(pid) {
				t.Errorf("%d of %v is alive", pid, pids)
			}
		}
		if err := ready(); err == nil {
			t.Error("answers after Kill")
		}
		s.Kill()
		s.Resume()
		addr, begin := s.Addr, time.Now()
		s.Start()
		t.Logf("again after %v", time.Since(begin))
		s.Start()
		if err := ready(); err != nil || s.Addr != addr {
			t.Errorf("started again at %s, was at %s: %v", s.Addr, addr, err)
		}
	}

	var wg sync.WaitGroup
	for _, f := range []func(){s.Pause, s.Kill, s.Resume, s.Start, s.Kill, s.Pause, s.Start} {
		wg.Go(f)
	}
	wg.Wait()
	s.Resume()
	s.Start()
	if err := ready(); err != nil {
		t.Errorf("after all at once: %v", err)
	}
}

func TestServers(t *testing.T) {
	kinds := map[string]func(testing.TB) *Server{
		"redis":    func(tb testing.TB) *Server { return Redis(tb) },
		"postgres": func(tb testing.TB) *Server { return Postgres(tb, "max_connections=20") },
		"mariadb":  func(tb testing.TB) *Server { return MariaDB(tb, "--max-connections=20") },
	}
	for name, kind := range kinds {
		var dir string
		var pids []int
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			s := kind(t)
			t.Logf("%s after %v", s.DSN(), time.Since(begin))
			testLife(t, s)
			dir, pids = s.Dir, tree(s.cmd.Process.Pid)
		})
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: %s is left: %v", name, dir, err)
		}
		for _, pid := range pids {
			if alive(pid) {
				t.Errorf("%s: %d is left", name, pid)
			}
		}
	}
}

func TestRedisArgs(t *testing.T) {
	s := Redis(t, "--appendonly", "yes", "--appendfsync", "always")
	want(t, s.Addr, "+OK", "SET", "k", "v")
	s.Kill()
	s.Start()
	want(t, s.Addr, "v", "GET", "k")

	want(t, Redis(t, "--requirepass", "x").Addr, "-NOAUTH Authentication required.", "GET", "k")
}

func TestRedisCluster(t *testing.T) {
	begin := time.Now()
	nodes := RedisCluster(t, 3)
	t.Logf("3 nodes after %v", time.Since(begin))
	// foo is in slot 12182, which the third has.
	want(t, nodes[2].Addr, "+OK", "SET", "foo", "bar")
	want(t, nodes[0].Addr, "-MOVED 12182 "+nodes[2].Addr, "GET", "foo")
	nodes[2].Kill()
	nodes[2].Start()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if got, err := redisCommand(nodes[2].Addr, "SET", "foo", "bar"); got == "+OK" {
			break
		} else if time.Now().After(end) {
			t.Fatal(got, err)
		}
	}
}

func TestProxy(t *testing.T) {
	one, two := Redis(t), Redis(t)
	want(t, one.Addr, "+OK", "SET", "k", "one")
	want(t, two.Addr, "+OK", "SET", "k", "two")
	p := NewProxy(t, one.Addr)

	var counter Counter
	conn, err := counter.Dial(context.Background(), "tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	get := func() string {
		t.Helper()
		got, err := redisDo(conn, "GET", "k")
		if err != nil {
			return err.Error()
		}
		return got
	}
	if got := get(); got != "one" {
		t.Fatal(got)
	}
	get()
	if trips, out, in := counter.Counts(); trips != 2 || out != 2*20 || in != 2*9 {
		t.Errorf("%d round trips, %d out, %d in", trips, out, in)
	}
	// Two writes, then one answer read in three pieces: one round trip more.
	for _, part := range []string{"*1\r\n$4", "\r\nPING\r\n"} {
		if _, err := io.WriteString(conn, part); err != nil {
			t.Fatal(err)
		}
	}
	for _, piece := range []string{"+P", "ONG", "\r\n"} {
		b := make([]byte, len(piece))
		if _, err := io.ReadFull(conn, b); err != nil || string(b) != piece {
			t.Fatalf("%q, %v", b, err)
		}
	}
	if trips, _, _ := counter.Counts(); trips != 3 {
		t.Errorf("%d round trips", trips)
	}

	p.Delay(200 * time.Millisecond)
	begin := time.Now()
	if got, took := get(), time.Since(begin); got != "one" || took < 200*time.Millisecond {
		t.Errorf("%q after %v", got, took)
	}
	p.Delay(0)

	if p.Open() != 1 || p.Accepted() != 1 {
		t.Errorf("%d open, %d accepted", p.Open(), p.Accepted())
	}
	p.Cut()
	if got := get(); got == "one" || p.Open() != 0 {
		t.Errorf("cut: %q, %d open", got, p.Open())
	}
	want(t, p.Addr, "one", "GET", "k")

	p.Refuse(true)
	if got, err := redisCommand(p.Addr, "GET", "k"); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("refused: %q, %v", got, err)
	}
	p.Refuse(false)
	want(t, p.Addr, "one", "GET", "k")

	idle, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if got, err := redisDo(idle, "GET", "k"); got != "one" {
		t.Fatal(got, err)
	}
	p.Retarget(two.Addr)
	_ = idle.SetDeadline(time.Now().Add(patience))
	if n, err := idle.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("retargeted: %d, %v", n, err)
	}
	want(t, p.Addr, "two", "GET", "k")

	two.Kill()
	if got, err := redisCommand(p.Addr, "GET", "k"); err == nil {
		t.Errorf("no server: %q", got)
	}
}

// TestPort has the port taken between the choice of it and the start.
func TestPort(t *testing.T) {
	other := Redis(t)
	s := newServer(t, find(t, "redis-server", "redis-server"))
	s.ready = other.ready
	_, port, _ := net.SplitHostPort(other.Addr)
	s.mu.Lock()
	s.Addr, s.args = other.Addr, []string{"--port", port, "--bind", "127.0.0.1"}
	err := s.up()
	s.mu.Unlock()
	if err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("started on %s, which is taken: %v", other.Addr, err)
	}
}

// A test process may end without its clean-up functions, its servers running or
// paused.
func TestDeath(t *testing.T) {
	if how := os.Getenv("SERVERS_CHILD"); how != "" {
		die(t, how)
	}
	// The orphans become ours, as in a container whose first process started the
	// tests. Otherwise the kernel wakes the stopped ones itself (setpgid(2), on
	// orphaned process groups), and nobody sees whether the guard does.
	const setChildSubreaper = 36 // prctl(2)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
	for _, how := range []string{"killed", "killed while paused", "panic"} {
		t.Run(how, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestDeath$")
			cmd.Env = append(os.Environ(), "SERVERS_CHILD="+how)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			pids, dirs := readChild(out)
			if len(pids) < 10 || len(dirs) != 7 {
				t.Errorf("not all servers run: processes %v, folders %v", pids, dirs)
			}
			if how == "panic" {
				_ = cmd.Process.Signal(syscall.SIGUSR1)
			} else {
				_ = cmd.Process.Kill()
			}
			_ = cmd.Wait()

			begin := time.Now()
			wait := func(what any, there func() bool) {
				for there() {
					if time.Since(begin) > patience {
						t.Fatalf("%v is left", what)
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
			for _, pid := range pids {
				wait(pid, func() bool { return alive(pid) })
			}
			for _, dir := range dirs {
				wait(dir, func() bool { _, err := os.Stat(dir); return err == nil })
			}
			t.Logf("%d processes and %d folders gone after %v", len(pids), len(dirs), time.Since(begin))
		})
	}
}

// die starts servers, prints what they have, and waits to be killed; SIGUSR1
// makes it panic, where no clean-up function runs.
func die(t *testing.T, how string) {
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, syscall.SIGUSR1)
	fmt.Println("DIR", TempDir(t))
	for _, s := range []*Server{Redis(t), Postgres(t), MariaDB(t), Redis(t), Postgres(t), MariaDB(t)} {
		fmt.Println("DIR", s.Dir)
		for _, pid := range tree(s.cmd.Process.Pid) {
			fmt.Println("PID", pid)
		}
		if how == "killed while paused" {
			s.Pause()
		}
	}
	fmt.Println("READY")
	go func() {
		<-usr1
		panic("as a test may")
	}()
	select {}
}

// readChild reads what die prints, and returns which of it is there.
func readChild(out io.Reader) (pids []int, dirs []string) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		what, value, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "PID":
			if pid, _ := strconv.Atoi(value); alive(pid) {
				pids = append(pids, pid)
			}
		case "DIR":
			dirs = append(dirs, value)
		case "READY":
			return pids, dirs
		}
	}
	return nil, nil
}
