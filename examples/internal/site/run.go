package site

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Flags defines the flags that the examples have in common. idleTimeout is the
// default of -idle. The caller calls flag.Parse.
func Flags(idleTimeout time.Duration) (addr *string, idle *time.Duration) {
	return flag.String("addr", "localhost:8080", "`host:port` to listen on"),
		flag.Duration("idle", idleTimeout, "idle timeout of the sessions; below 3m keepalive logs a warning")
}

// Run serves handler at addr until SIGINT (Ctrl-C) or SIGTERM comes, then calls
// onShutdown and returns. If it cannot serve, it logs why and ends the program.
func Run(addr string, handler http.Handler, onShutdown ...func()) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatalf("%v; give another address with -addr", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	for _, f := range onShutdown {
		server.RegisterOnShutdown(f)
	}
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	fmt.Printf("Open http://%s (Ctrl-C stops)\n", ln.Addr())
	if err := Serve(ctx, ln, server); err != nil {
		log.Fatal(err)
	}
}

// Serve serves until ctx ends, then waits up to five seconds for the requests that
// have not been answered yet.
func Serve(ctx context.Context, ln net.Listener, server *http.Server) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
