//go:build linux

// Command load opens many pages against a server in a process of its own, over real
// connections. The pages ping by the script's schedule, compressed in time; in the
// middle the server is restarted. It prints what that costs, in the format of Go's
// benchmarks. With -hour it prints instead what the pings of one page cost in an hour,
// over a connection that is kept and over new ones.
//
// A process may have too few file descriptors, so there are as many pairs of a server
// and a client as it takes. The sessions are in a Redis server of their own, which
// survives the restart.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	if role(os.Getenv(roleVariable)) {
		return
	}
	cfg := config{Idle: 20 * time.Minute}
	hour := flag.Bool("hour", false, "measure kept and new connections instead")
	flag.StringVar(&cfg.Protocol, "protocol", "https1", "http1 (without TLS), https1 or http2 (both with TLS 1.3)")
	flag.IntVar(&cfg.Pages, "pages", 10_000, "how many are open")
	flag.IntVar(&cfg.Share, "share", 1, "how many pages share a connection; for http2")
	flag.IntVar(&cfg.Pairs, "pairs", 0, "how many pairs of server and client; as many as it takes if 0")
	flag.Float64Var(&cfg.Compress, "compress", 40, "how much faster than in reality the pages ping")
	flag.IntVar(&cfg.Rounds, "rounds", 2, "how often each page pings, before and after the restart")
	flag.DurationVar(&cfg.Down, "down", time.Second, "how long there is no server")
	flag.Parse()
	if err := run(cfg, *hour); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(cfg config, hour bool) error {
	if hour {
		return printHour(os.Stdout, cfg.Pages)
	}
	r, err := load(cfg)
	if err != nil {
		return err
	}
	r.print(os.Stdout, cfg)
	return r.check(cfg)
}
