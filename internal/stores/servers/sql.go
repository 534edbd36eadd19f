//go:build linux

package servers

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Postgres starts a PostgreSQL server with the database postgres and the user
// postgres, who needs no password. The settings (name=value) go to its command
// line; without any it is as durable as PostgreSQL is.
func Postgres(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	initdb := find(tb, "initdb", "postgresql")
	// From one folder, as both have to be of one version.
	if real, err := filepath.EvalSymlinks(initdb); err == nil {
		initdb = real
	}
	s := newServer(tb, filepath.Join(filepath.Dir(initdb), "postgres"))
	s.dsn = func(addr string) string { return "postgres://postgres@" + addr + "/postgres?sslmode=disable" }
	s.ready = postgresReady
	// An immediate shutdown, as after SIGKILL a segment of shared memory stays.
	s.death = syscall.SIGQUIT
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		s.cred = credential(tb, "postgres", "nobody")
		if err := os.Chown(s.Dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			tb.Fatal(err)
		}
	}
	data := filepath.Join(s.Dir, "data")
	s.tidy = func() {
		pid, _ := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		if lines := strings.Split(string(pid), "\n"); len(lines) > 6 {
			if f := strings.Fields(lines[6]); len(f) == 2 { // key and id
				_ = exec.Command("ipcrm", "-m", f[1]).Run()
			}
		}
	}
	s.run(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	s.first(func(port string) []string {
		args := []string{"-D", data, "-p", port}
		// Dynamic shared memory in the folder, not in /dev/shm, where it would stay.
		for _, setting := range append([]string{"listen_addresses=127.0.0.1",
			"unix_socket_directories=" + s.Dir, "dynamic_shared_memory_type=mmap"}, settings...) {
			args = append(args, "-c", setting)
		}
		return args
	})
	return s
}

// MariaDB starts a MariaDB server with the database test and the user root,
// who needs no password. The args are added to its command line; without any
// it is as durable as MariaDB is, with a small buffer pool and log to start fast.
func MariaDB(tb testing.TB, args ...string) *Server {
	tb.Helper()
	install := find(tb, "mariadb-install-db", "mariadb-server")
	s := newServer(tb, find(tb, "mariadbd", "mariadb-server"))
	s.dsn = func(addr string) string { return "root@tcp(" + addr + ")/test" }
	s.ready = mariadbReady
	common := []string{"--no-defaults", "--datadir=" + filepath.Join(s.Dir, "data"),
		"--innodb-log-file-size=16M", "--innodb-buffer-pool-size=32M"}
	if os.Geteuid() == 0 {
		common = append(common, "--user=root")
	}
	// Nothing to lose yet, so nothing has to reach the disk.
	s.run(install, append(common, "--auth-root-authentication-method=normal",
		"--skip-name-resolve", "--innodb-flush-method=nosync")...)
	s.first(func(port string) []string {
		all := append([]string{}, common...)
		all = append(all, "--port="+port, "--bind-address=127.0.0.1", "--skip-name-resolve",
			"--socket="+filepath.Join(s.Dir, "s"), "--pid-file="+filepath.Join(s.Dir, "pid"))
		return append(all, args...)
	})
	return s
}

// credential is that of the first of the users that exists.
func credential(tb testing.TB, names ...string) *syscall.Credential {
	tb.Helper()
	for _, name := range names {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	tb.Fatalf("none of the users %v exists", names)
	return nil
}

// postgresReady logs in, which a server that is still recovering refuses.
func postgresReady(conn net.Conn) error {
	params := "user\x00postgres\x00database\x00postgres\x00\x00"
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(params)))
	b = binary.BigEndian.AppendUint32(b, 3<<16) // protocol 3.0
	if _, err := conn.Write(append(b, params...)); err != nil {
		return err
	}
	r := bufio.NewReader(conn)
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(r, head); err != nil {
			return err
		}
		body := make([]byte, max(4, binary.BigEndian.Uint32(head[1:])&0xffff)-4)
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		switch head[0] {
		case 'E':
			return fmt.Errorf("postgres answers %q", body)
		case 'Z': // ready for a query
			_, err := conn.Write([]byte{'X', 0, 0, 0, 4})
			return err
		}
	}
}

// mariadbReady logs in with the database test.
func mariadbReady(conn net.Conn) error {
	r := bufio.NewReader(conn)
	packet := func() ([]byte, error) {
		head := make([]byte, 4)
		if _, err := io.ReadFull(r, head); err != nil {
			return nil, err
		}
		body := make([]byte, max(1, int(head[0])|int(head[1])<<8))
		_, err := io.ReadFull(r, body)
		return body, err
	}
	if hello, err := packet(); err != nil || hello[0] != 10 {
		return fmt.Errorf("mariadb greets with %q: %v", hello, err)
	}
	const caps = 1<<3 | 1<<9 | 1<<15 | 1<<19 // database, 4.1, secure, plugin
	b := binary.LittleEndian.AppendUint32(nil, caps)
	b = binary.LittleEndian.AppendUint32(b, 1<<24-1)
	b = append(b, 45) // utf8mb4
	b = append(b, make([]byte, 23)...)
	b = append(b, "root\x00\x00test\x00mysql_native_password\x00"...)
	if _, err := conn.Write(append([]byte{byte(len(b)), 0, 0, 1}, b...)); err != nil {
		return err
	}
	if reply, err := packet(); err != nil || reply[0] != 0 {
		return fmt.Errorf("mariadb answers %q: %v", reply, err)
	}
	_, err := conn.Write([]byte{1, 0, 0, 0, 1}) // quit
	return err
}
