package apptest

import (
	"bufio"
	"bytes"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// Wire is an HTTP client for benchmarks that costs next to nothing and allocates
// nothing: one connection, one request.
type Wire struct {
	conn    net.Conn
	br      *bufio.Reader
	request []byte
}

// Dial connects to a server. The header's lines end with CRLF.
func Dial(tb testing.TB, addr, header string) *Wire {
	conn, err := net.Dial("tcp", addr)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close() })
	return &Wire{conn: conn, br: bufio.NewReaderSize(conn, 64<<10), request: []byte("GET / HTTP/1.1\r\nHost: example.com\r\n" + header + "\r\n")}
}

// Get sends the request and returns the size of the body. first, if any, is called at its first byte.
func (c *Wire) Get(first func()) (n int, err error) {
	if _, err = c.conn.Write(c.request); err != nil {
		return 0, err
	}
	length := -1
	for {
		line, err := c.line()
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length = number(v, 10)
		}
	}
	if first != nil {
		if _, err = c.br.Peek(1); err != nil {
			return 0, err
		}
		first()
	}
	if length >= 0 {
		return c.br.Discard(length)
	}
	for {
		line, err := c.line()
		if err != nil {
			return n, err
		}
		size := number(line, 16)
		if _, err = c.br.Discard(size + len("\r\n")); err != nil || size == 0 {
			return n, err
		}
		n += size
	}
}

func (c *Wire) line() ([]byte, error) {
	line, err := c.br.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

func number(b []byte, base int) (n int) {
	for _, c := range b {
		d := int(c - '0')
		if c >= 'a' {
			d = int(c-'a') + 10
		}
		n = n*base + d
	}
	return n
}
