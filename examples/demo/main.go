// Command demo shows keepalive at work on scs's memory store: two sessions that
// start together, one on a page with the script and one on a page without, the
// same long form on each page, and a chart of how long the sessions live.
//
//	go run ./examples/demo
//	go run ./examples/demo -idle 1m -lifetime 10m -addr :8080
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive/examples/internal/site"
)

const defaultAddr = "localhost:8080"

type options struct {
	addr           string
	idle, lifetime time.Duration
}

func main() {
	opt, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opt, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// parse reads the command line.
func parse(args []string, usage io.Writer) (options, error) {
	var opt options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error is printed once, by main
	flags.StringVar(&opt.addr, "addr", defaultAddr, "`host:port` to listen on")
	flags.DurationVar(&opt.idle, "idle", 30*time.Second, "idle timeout: a session ends after so long without a request or ping")
	flags.DurationVar(&opt.lifetime, "lifetime", 3*time.Minute, "lifetime: a session ends so long after signing in, whatever happens")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(usage, "usage: demo [flags]")
		flags.SetOutput(usage)
		flags.PrintDefaults()
	}
	if err != nil {
		return opt, err
	}
	var errs []error
	if flags.NArg() > 0 {
		errs = append(errs, fmt.Errorf("%q is not a flag; there are -addr, -idle and -lifetime", flags.Arg(0)))
	}
	if _, _, err := net.SplitHostPort(opt.addr); err != nil {
		errs = append(errs, fmt.Errorf("-addr is %q; write a host and a port, such as %s, or :8080 for all interfaces", opt.addr, defaultAddr))
	}
	if opt.idle < minIdle {
		errs = append(errs, fmt.Errorf("-idle is %v; write at least %v, or a ping could come too late", opt.idle, minIdle))
	}
	if opt.lifetime < 2*opt.idle {
		errs = append(errs, fmt.Errorf("-lifetime is %v; write at least twice the idle timeout, %v, or there is nothing to keep alive", opt.lifetime, 2*opt.idle))
	}
	return opt, errors.Join(errs...)
}

// run serves until ctx ends.
func run(ctx context.Context, opt options, out io.Writer) error {
	handler, err := newHandler(scs.New(), scs.New(), opt)
	if err != nil {
		return err
	}
	var note string
	ln, err := net.Listen("tcp", opt.addr)
	if opt.addr == defaultAddr && errors.Is(err, syscall.EADDRINUSE) {
		note = " (port 8080 is in use)"
		ln, err = net.Listen("tcp", "localhost:0")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Open %s%s: idle timeout %v, lifetime %v, short so that you can watch. Ctrl-C stops.\n",
		url(ln.Addr()), note, opt.idle, opt.lifetime)

	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	return site.Serve(ctx, ln, srv)
}

// url returns the address at which a browser on this machine reaches the server.
func url(a net.Addr) string {
	addr := a.(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() || addr.IP.IsLoopback() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(addr.Port))
}
