//go:build linux

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"
)

// pingsOfHour is what a page sends in an hour with an idle timeout of about three
// minutes.
const pingsOfHour = 40

// connectionKinds are what a page finds when its ping is due.
var connectionKinds = []struct {
	name    string
	renew   bool // each ping has a connection of its own
	tickets bool
}{
	{name: "kept"},
	{name: "resumed", renew: true, tickets: true},
	{name: "full", renew: true},
}

// printHour measures what the pings of a page cost the server in an hour, by the kind of
// connection. All is done for that many pages, one after another.
func printHour(w io.Writer, pages int) error {
	for _, protocol := range []string{"http1", "https1", "http2"} {
		for _, kind := range connectionKinds {
			if protocol == "http1" && kind.tickets {
				continue
			}
			used, err := hours(protocol, kind.renew, kind.tickets, pages)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", protocol, kind.name, err)
			}
			fmt.Fprintf(w, "BenchmarkHour/%s/%s %d %d ns/op\n", protocol, kind.name, pages, used.Nanoseconds()/int64(pages))
		}
	}
	return nil
}

// hours returns the time that the server has used for the pings of all pages. What
// opens a page is not counted.
func hours(protocol string, renew, resume bool, pages int) (used time.Duration, err error) {
	server, err := startChild("server")
	if err != nil {
		return 0, err
	}
	defer server.end()
	cfg := ServerConfig{Addr: "127.0.0.1:0", Protocol: protocol, Idle: 20 * time.Minute}
	if cfg.Certificate, cfg.Key, err = newCertificate(); err != nil {
		return 0, err
	}
	if err := server.call("Start", cfg, &cfg.Addr); err != nil {
		return 0, err
	}
	for range pages {
		n, err := oneHour(server, cfg, renew, resume)
		if err != nil {
			return 0, err
		}
		used += n
	}
	return used, nil
}

func oneHour(server *child, cfg ServerConfig, renew, resume bool) (used time.Duration, err error) {
	scheme, tickets := "https://", tls.ClientSessionCache(nil)
	if cfg.Protocol == "http1" {
		scheme = "http://"
	}
	if resume {
		tickets = tls.NewLRUClientSessionCache(1)
	}
	var conns connections
	client := newHTTP(ClientConfig{Source: "127.0.0.1", Protocol: cfg.Protocol, Certificate: cfg.Certificate}, &conns, tickets)
	defer client.CloseIdleConnections()
	p := &page{http: client, addr: scheme + cfg.Addr}
	if _, err := p.open(); err != nil {
		return 0, err
	}
	var start, end time.Duration
	if err := server.call("CPU", Nothing{}, &start); err != nil {
		return 0, err
	}
	for range pingsOfHour {
		if renew {
			client.CloseIdleConnections()
		}
		if _, err := p.ask(http.MethodPost); err != nil {
			return 0, err
		}
	}
	if err := server.call("CPU", Nothing{}, &end); err != nil {
		return 0, err
	}
	dialled, resumed := int64(1), int64(0)
	if renew {
		dialled += pingsOfHour
	}
	if resume {
		resumed = pingsOfHour
	}
	if conns.dialled.Load() != dialled || conns.resumed.Load() != resumed {
		return 0, fmt.Errorf("%d connections, %d of them resumed", conns.dialled.Load(), conns.resumed.Load())
	}
	return end - start, nil
}
