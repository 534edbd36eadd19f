//go:build linux

package servers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Redis starts a Redis server that keeps nothing on disk. The args are added
// to its command line, so "--appendonly", "yes" makes it keep its data.
func Redis(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := newServer(tb, find(tb, "redis-server", "redis-server"))
	s.dsn = func(addr string) string { return addr }
	s.ready = func(conn net.Conn) error {
		reply, err := redisDo(conn, "PING")
		// One that wants a password works as well.
		if err == nil && reply != "+PONG" && !strings.HasPrefix(reply, "-NOAUTH") {
			err = fmt.Errorf("redis answers %s", reply)
		}
		return err
	}
	s.first(func(port string) []string {
		all := []string{"--port", port, "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--appendonly", "no"}
		for _, arg := range args {
			if arg == clusterPort {
				arg = freePort(tb)
			}
			all = append(all, arg)
		}
		return all
	})
	return s
}

// clusterPort stands for a port in the args that has to be free as well.
const clusterPort = "a free port"

// RedisCluster starts a Redis Cluster of masters without replicas, with the
// slots spread evenly, and returns when every node sees all of it. A node that
// is killed and started again answers at once, but refuses commands for about
// two seconds (CLUSTERDOWN), until it has joined the others.
func RedisCluster(tb testing.TB, masters int) []*Server {
	tb.Helper()
	const slots = 16384
	do := func(s *Server, args ...string) string {
		tb.Helper()
		conn, err := net.DialTimeout("tcp", s.Addr, patience)
		if err != nil {
			tb.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		reply, err := redisDo(conn, args...)
		if err == nil && strings.HasPrefix(reply, "-") {
			err = fmt.Errorf("%v: %s", args, reply)
		}
		if err != nil {
			tb.Fatal(err)
		}
		return reply
	}
	nodes := make([]*Server, masters)
	for i := range nodes {
		nodes[i] = Redis(tb, "--cluster-enabled", "yes", "--cluster-port", clusterPort,
			"--cluster-node-timeout", "60000")
		from, to := slots*i/masters, slots*(i+1)/masters-1
		do(nodes[i], "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to))
		do(nodes[i], "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	for _, node := range nodes[1:] {
		host, port, _ := net.SplitHostPort(node.Addr)
		bus := do(node, "CONFIG", "GET", "cluster-port")
		do(nodes[0], "CLUSTER", "MEET", host, port, bus[strings.LastIndexByte(bus, '\n')+1:])
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ready := 0
		for _, node := range nodes {
			info := do(node, "CLUSTER", "INFO")
			if strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, "cluster_slots_ok:16384\r") &&
				strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", masters)) {
				ready++
			}
		}
		if ready == masters {
			return nodes
		}
		if time.Now().After(end) {
			tb.Fatalf("the cluster does not form\n%s", nodes[0].logTail())
		}
	}
}

// redisDo sends one command and returns the reply as it came: with its type
// for a single line, without for a string, an element a line for an array.
func redisDo(conn net.Conn, args ...string) (string, error) {
	cmd := fmt.Sprintf("*%d\r\n", len(args))
	for _, arg := range args {
		cmd += fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(conn, cmd); err != nil {
		return "", err
	}
	return redisReply(bufio.NewReader(conn))
}

func redisReply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	line = strings.TrimSuffix(line, "\r\n")
	if err != nil || line == "" {
		return line, err
	}
	n, _ := strconv.Atoi(line[1:])
	switch line[0] {
	case '$':
		if n < 0 {
			return "", nil
		}
		b := make([]byte, n+2)
		_, err = io.ReadFull(r, b)
		return string(b[:len(b)-2]), err
	case '*':
		items := make([]string, max(n, 0))
		for i := range items {
			if items[i], err = redisReply(r); err != nil {
				return "", err
			}
		}
		return strings.Join(items, "\n"), nil
	}
	return line, nil
}
