// Command keepalive examines a running program that uses package keepalive, and
// keeps the pages of any program warm.
//
//	keepalive doctor -cookie 'session=…' https://app.example.com/account
//	keepalive warm -config warmup.json -log warmup.log
//
// The pages docs/doctor.md and docs/warm-up.md of the repository explain both.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/seed4a306b22/keepalive/cmd/keepalive/internal/doctor"
	"github.com/seed4a306b22/keepalive/cmd/keepalive/internal/warm"
)

// Exit statuses.
const (
	clean    = 0
	findings = 1 // doctor has some
	failed   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `usage:
  keepalive doctor [flags] URL   examines a running program
  keepalive warm [flags]         keeps pages warm
  keepalive doctor -h            lists the flags
`

// run executes a command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) (int, error){
		"doctor": examine, "warm": keepWarm,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		_, _ = io.WriteString(stderr, usage)
		return failed
	}
	status, err := commands[args[0]](ctx, args[1:], stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return clean
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "keepalive %s: %v\n", args[0], err)
		return failed
	}
	return status
}

// examine is the command doctor.
func examine(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	opts := doctor.Options{Header: http.Header{}}
	flags := flag.NewFlagSet("keepalive doctor [flags] URL", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var fields []string // read below, because package flag shows a value that has an error
	flags.Func("cookie", "the session's `cookie`, name=value, or @ and a file that holds it", fromFile(func(value string) error {
		fields = append(fields, "Cookie: "+value)
		return nil
	}))
	flags.Func("header", "a `field` of each request, name: value, or @ and a file; may be repeated", fromFile(func(value string) error {
		fields = append(fields, value)
		return nil
	}))
	flags.StringVar(&opts.Login, "login", "", "the `path` that signs in, in place of -cookie; the new session is left behind")
	set := func(to *string) func(string) error { return func(value string) error { *to = value; return nil } }
	flags.Func("form", "the `form` that is posted to -login, as user=ann&password=…, or @ and a file; without it -login is opened by GET", fromFile(set(&opts.Form)))
	flags.Func("second-cookie", "the `cookie` of a second user, who must not get the first one's page", fromFile(set(&opts.SecondCookie)))
	flags.Func("second-form", "the `form` by which a second user signs in", fromFile(set(&opts.SecondForm)))
	flags.StringVar(&opts.Path, "path", "", "the `path` of the endpoints as browsers see it (default: what the page says, or /keepalive/)")
	flags.DurationVar(&opts.Wait, "wait", 3*time.Second, "the time between two pings that are compared")
	flags.BoolVar(&opts.Insecure, "insecure", false, "accept any certificate, for tests")
	asJSON := flags.Bool("json", false, "write the report as JSON")
	if err := flags.Parse(args); err != nil {
		return failed, err
	}
	if flags.NArg() > 0 {
		opts.URL = flags.Arg(0)
		if err := flags.Parse(flags.Args()[1:]); err != nil { // flags may also follow
			return failed, err
		}
	}
	if opts.URL == "" || flags.NArg() > 0 {
		return failed, errors.New("name one URL, such as https://app.example.com/account")
	}
	for _, field := range fields {
		name, value, found := strings.Cut(field, ":")
		if !found {
			return failed, errors.New("-header has no colon; write name: value")
		}
		opts.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}

	report, err := doctor.Examine(ctx, opts)
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return failed, fmt.Errorf("%w; if that is a test's certificate, use -insecure", err)
	case err != nil:
		return failed, err
	case *asJSON:
		out := json.NewEncoder(stdout)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		err = out.Encode(report)
	default:
		_, err = io.WriteString(stdout, report.String())
	}
	if len(report.Findings) > 0 {
		return findings, err
	}
	return clean, err
}

// fromFile returns a flag's function that reads the value from a file where it
// begins with @, so that secrets need not stand in the list of processes.
func fromFile(set func(string) error) func(string) error {
	return func(value string) error {
		name, isFile := strings.CutPrefix(value, "@")
		if !isFile {
			return set(value)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return set(strings.TrimSpace(string(text)))
	}
}

// keepWarm is the command warm.
func keepWarm(ctx context.Context, args []string, _, stderr io.Writer) (int, error) {
	flags := flag.NewFlagSet("keepalive warm [flags]", flag.ContinueOnError)
	flags.SetOutput(stderr)
	config := flags.String("config", "", "the JSON `file` with the settings; SIGHUP reads it again")
	logFile := flags.String("log", "", "the log `file` (default: standard error)")
	keep := flags.Duration("log-keep", 24*time.Hour, "how long the log is kept, 5 minutes or more")
	if err := flags.Parse(args); err != nil {
		return failed, err
	}
	if *config == "" || flags.NArg() > 0 {
		return failed, errors.New("name the settings: -config warmup.json")
	}
	out := stderr
	if *logFile != "" {
		file, err := warm.OpenLog(*logFile, *keep)
		if err != nil {
			return failed, err
		}
		defer file.Close()
		out = file
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	return clean, warm.Run(ctx, *config, out, hangups)
}
