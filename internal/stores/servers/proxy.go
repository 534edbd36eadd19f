package servers

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Proxy is a TCP proxy in front of a server, to cut, slow and count
// connections; its methods may be used concurrently.
type Proxy struct {
	// Addr is where the proxy listens, as 127.0.0.1:port.
	Addr string

	accepted atomic.Int64
	delay    atomic.Int64
	wg       sync.WaitGroup

	mu     sync.Mutex
	target string
	refuse bool
	open   map[*link]bool
}

// link is one connection of a client, with the one to the server.
type link struct {
	client *net.TCPConn
	server net.Conn // nil while dialling
	done   context.Context
	cancel context.CancelFunc
}

// NewProxy starts a proxy in front of target; the end of the test ends it.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, open: map[*link]bool{}}
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				p.accepted.Add(1)
				p.wg.Go(func() { p.serve(conn.(*net.TCPConn)) })
			}
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		p.Refuse(true)
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// Cut closes all connections that are open, with a reset.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *Proxy) cut() {
	for c := range p.open {
		c.cancel()
		_ = c.client.SetLinger(0)
		_ = c.client.Close()
		if c.server != nil {
			_ = c.server.Close()
		}
		delete(p.open, c)
	}
}

// Refuse closes new connections at once while it is on.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Delay holds each chunk from the server for d before the client gets it.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Retarget sends new connections to addr and cuts those that are open.
func (p *Proxy) Retarget(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
	p.cut()
}

// Accepted is the number of connections that clients have made, those refused
// included.
func (p *Proxy) Accepted() int { return int(p.accepted.Load()) }

// Open is the number of connections that are open now.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

func (p *Proxy) serve(client *net.TCPConn) {
	defer client.Close()
	c := &link{client: client}
	c.done, c.cancel = context.WithCancel(context.Background())
	defer c.cancel()

	p.mu.Lock()
	if p.refuse {
		_ = client.SetLinger(0)
		p.mu.Unlock()
		return
	}
	target := p.target
	p.open[c] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.open, c)
		p.mu.Unlock()
	}()

	var d net.Dialer
	server, err := d.DialContext(c.done, "tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	c.server = server
	p.mu.Unlock()
	if c.done.Err() != nil { // cut before it could see the server
		return
	}
	p.wg.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	p.answers(c)
}

// answers copies from the server to the client.
func (p *Proxy) answers(c *link) {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.server.Read(buf)
		if d := time.Duration(p.delay.Load()); d > 0 && n > 0 {
			select {
			case <-time.After(d):
			case <-c.done.Done():
				return
			}
		}
		if _, werr := c.client.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

// Counter counts what goes over the connections it makes, for benchmarks. Its
// zero value is ready, and its methods may be used concurrently.
type Counter struct {
	trips, out, in atomic.Int64
}

// Dial connects like a net.Dialer, and counts what goes over the connection.
func (c *Counter) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn, counter: c}, nil
}

// Counts returns the round trips, and the bytes sent and received, so far. A
// round trip is a read that follows a write on the same connection, however
// many writes and reads there are in a row.
func (c *Counter) Counts() (trips, out, in int64) {
	return c.trips.Load(), c.out.Load(), c.in.Load()
}

type countedConn struct {
	net.Conn
	counter *Counter
	wrote   atomic.Bool
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.wrote.Store(true) // before, as the answer may be faster than we are
	n, err := c.Conn.Write(b)
	c.counter.out.Add(int64(n))
	return n, err
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.counter.in.Add(int64(n))
		if c.wrote.Swap(false) {
			c.counter.trips.Add(1)
		}
	}
	return n, err
}

// SyscallConn lets drivers look whether an idle connection is still open, as
// they do without the Counter.
func (c *countedConn) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
