//go:build linux

package main

import (
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"
)

// roleVariable says to a process of this program what it is.
const roleVariable = "KEEPALIVE_LOAD_ROLE"

// role does what the name says until the parent ends, and reports whether there is
// such a role.
func role(name string) bool {
	switch name {
	case "server":
		serveCalls(&Server{})
	case "client":
		serveCalls(&Client{})
	}
	return name != ""
}

// pipes is a connection from the input and the output of a process.
type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipes) Close() error {
	_ = p.ReadCloser.Close()
	return p.WriteCloser.Close()
}

func serveCalls(methods any) {
	s := rpc.NewServer()
	if err := s.RegisterName("Child", methods); err != nil {
		panic(err)
	}
	s.ServeConn(pipes{os.Stdin, os.Stdout}) // until the parent closes it, by its own end too
}

// child is another process of this program.
type child struct {
	cmd *exec.Cmd
	rpc *rpc.Client
}

func startChild(role string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(exe)}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.rpc = rpc.NewClient(pipes{out, in})
	return c, nil
}

func (c *child) call(method string, args, reply any) error {
	if err := c.rpc.Call("Child."+method, args, reply); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// end waits for the process, which ends as its input does.
func (c *child) end() {
	_ = c.rpc.Close()
	_ = c.cmd.Wait()
}

// startRedis starts a Redis server that listens on a Unix socket, and ends when its
// shell loses this process.
func startRedis() (socket string, stop func(), err error) {
	dir, err := os.MkdirTemp("/tmp", "keepalive-load-")
	if err != nil {
		return "", nil, err
	}
	socket = filepath.Join(dir, "redis")
	cmd := exec.Command("/bin/sh", "-c", `redis-server --port 0 --unixsocket "$0/redis" --save "" --appendonly no --maxclients 1000 >"$0/log" &
read -r line; kill $!; wait; rm -r "$0"`, dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	client := newRedis(socket)
	defer client.Close()
	for range 1000 {
		if err = client.Ping(ctx).Err(); err == nil {
			return socket, stop, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	return "", nil, fmt.Errorf("redis-server does not answer: %w", err)
}

func newRedis(socket string) *redis.Client {
	return redis.NewClient(&redis.Options{Network: "unix", Addr: socket, ContextTimeoutEnabled: true})
}
