//go:build linux

package servers

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

type process struct {
	parent int
	state  string // one letter, see proc(5)
}

func processes() map[int]process {
	all := map[int]process{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		if p, ok := readProcess(pid); ok {
			all[pid] = p
		}
	}
	return all
}

func readProcess(pid int) (process, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The name, in brackets, may have brackets and spaces itself.
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if err != nil || len(f) < 2 {
		return process{}, false
	}
	parent, _ := strconv.Atoi(f[1])
	return process{parent, f[0]}, true
}

func alive(pid int) bool {
	p, ok := readProcess(pid)
	return ok && p.state != "Z" && p.state != "X"
}

// tree lists a process and its descendants. The process group would not do:
// each child of PostgreSQL has a session of its own.
func tree(root int) []int {
	all := processes()
	if _, ok := all[root]; !ok {
		return nil
	}
	pids := []int{root}
	for i := 0; i < len(pids); i++ {
		for pid, p := range all {
			if p.parent == pids[i] {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// listens reports whether the process itself has the port of addr.
func listens(pid int, addr string) bool {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	suffix := fmt.Sprintf(":%04X", n)
	table, _ := os.ReadFile("/proc/net/tcp")
	sockets := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		// 1: local address, 3: state (0A: listening), 9: inode
		if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], suffix) {
			sockets["socket:["+f[9]+"]"] = true
		}
	}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); sockets[to] {
			return true
		}
	}
	return false
}
