package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/cmd/keepalive/internal/doctor"
	"github.com/seed4a306b22/keepalive/internal/watchdog"
	"github.com/stretchr/testify/require"
)

// asCommand makes the test's program the command.
const asCommand = "KEEPALIVE_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// runCommand returns what a command line writes, and its exit status.
func runCommand(t *testing.T, args ...string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return out.String(), errs.String(), status
}

const page = "<!doctype html><title>App</title>"

// newApp starts an app in which all pages sign in, and returns a live cookie.
func newApp(t *testing.T, idle time.Duration) (url, cookie string) {
	sm := scs.New()
	sm.Store = memstore.NewWithCleanupInterval(0)
	sm.IdleTimeout = idle
	km, err := keepalive.New(sm, keepalive.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, page) })
	mux.HandleFunc("GET /sign-in", func(w http.ResponseWriter, r *http.Request) {
		sm.Put(r.Context(), "user", "ann")
		_, _ = io.WriteString(w, page)
	})
	srv := httptest.NewServer(km.LoadAndSave(mux))
	t.Cleanup(srv.Close)
	res, err := http.Get(srv.URL + "/sign-in")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return srv.URL + "/", "session=" + res.Cookies()[0].Value
}

func TestDoctorStatus(t *testing.T) {
	good, cookie := newApp(t, 20*time.Minute)
	short, shortCookie := newApp(t, time.Minute)
	refused := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(refused.Close)
	file := filepath.Join(t.TempDir(), "cookie")
	require.NoError(t, os.WriteFile(file, []byte(cookie+"\n"), 0o600))
	tests := []struct {
		name           string
		args           []string
		status         int
		stdout, stderr string
	}{
		{name: "nothing found", args: []string{"-cookie", cookie, good}, status: clean, stdout: "Nothing found"},
		{name: "cookie from a file, flags after the URL", args: []string{good, "-cookie", "@" + file}, status: clean, stdout: "Nothing found"},
		{name: "cookie as a header", args: []string{"-header", "Cookie: " + cookie, good}, status: clean, stdout: "Nothing found"},
		{name: "a query", args: []string{"-cookie", cookie, good + "?password=secret"}, status: clean, stdout: good},
		{name: "a finding", args: []string{"-cookie", shortCookie, short}, status: findings, stdout: "1. The idle timeout is 1m0s"},
		{name: "no session any more", args: []string{"-cookie", strings.Replace(cookie, "=", "=A", 1), good}, status: failed, stderr: "no live session"},
		{name: "no session given", args: []string{good}, status: failed, stderr: "-cookie"},
		{name: "sign-in that fails", args: []string{"-login", "/nowhere?password=secret", good}, status: failed, stderr: "/nowhere is answered with 404"},
		{name: "unknown certificate", args: []string{"-cookie", cookie, refused.URL}, status: failed, stderr: "use -insecure"},
		{name: "no page", args: []string{"-cookie", cookie, good + "none"}, status: failed, stderr: "404 Not Found"},
		{name: "nobody answers", args: []string{"-login", "/?password=secret", "http://127.0.0.1:1/"}, status: failed, stderr: "refused"},
		{name: "a cookie that can't be read", args: []string{"-cookie", strings.Replace(cookie, "=", "", 1), good}, status: failed, stderr: "can't be read"},
		{name: "a header without a colon", args: []string{"-header", "Cookie " + cookie, good}, status: failed, stderr: "no colon"},
		{name: "no URL", status: failed, stderr: "name one URL"},
		{name: "two URLs", args: []string{good, short}, status: failed, stderr: "name one URL"},
		{name: "not HTTP", args: []string{"-cookie", cookie, "ftp://localhost/"}, status: failed, stderr: "the URL is none of a page"},
		{name: "wrong path", args: []string{"-cookie", cookie, "-path", "keepalive", good}, status: failed, stderr: "must begin and end with a slash"},
		{name: "unknown flag", args: []string{"-cake", good}, status: failed, stderr: "-cake"},
		{name: "help", args: []string{"-h"}, status: clean, stderr: "-second-cookie"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := runCommand(t, append([]string{"doctor", "-wait", "200ms"}, tt.args...)...)
			require.Equal(t, tt.status, status, stdout+stderr)
			require.Contains(t, stdout, tt.stdout)
			require.Contains(t, stderr, tt.stderr)
			for _, secret := range []string{cookie[8:], shortCookie[8:], "password=secret"} {
				require.NotContains(t, stdout+stderr, secret)
			}
		})
	}
	_, stderr, status := runCommand(t)
	require.Equal(t, failed, status)
	require.Contains(t, stderr, "usage:")
}

func TestDoctorJSON(t *testing.T) {
	url, cookie := newApp(t, time.Minute)
	stdout, _, status := runCommand(t, "doctor", "-json", "-wait", "200ms", "-cookie", cookie, url)
	require.Equal(t, findings, status)
	var report doctor.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Equal(t, url, report.URL)
	require.Len(t, report.Findings, 1)
	require.Equal(t, "idle-short", report.Findings[0].Name)
}

func TestWarmErrors(t *testing.T) {
	tests := []struct{ name, settings, want string }{
		{"no JSON", "{\n\"targets\": [\n\"/\",\n}", "line 4: invalid character"},
		{"unknown field", `{"origin": "http://localhost", "target": ["/"]}`, `unknown field "target"`},
		{"several origins", `{"targets": ["http://a.example/", "http://b.example/"]}`, "another origin"},
		{"a path without an origin", `{"targets": ["/"]}`, "origin"},
		{"no targets", `{"origin": "http://localhost"}`, "Targets is empty"},
		{"a number for a duration", `{"origin": "http://localhost", "interval": 5, "targets": ["/"]}`, `write a string such as "30s"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "warmup.json")
			require.NoError(t, os.WriteFile(file, []byte(tt.settings), 0o600))
			_, stderr, status := runCommand(t, "warm", "-config", file)
			require.Equal(t, failed, status)
			require.Contains(t, stderr, "warmup.json: ")
			require.Contains(t, stderr, tt.want)
		})
	}
	_, stderr, status := runCommand(t, "warm")
	require.Equal(t, failed, status)
	require.Contains(t, stderr, "-config")
	_, stderr, status = runCommand(t, "warm", "-config", "none.json")
	require.Equal(t, failed, status)
	require.Contains(t, stderr, "none.json")
	_, stderr, status = runCommand(t, "warm", "-config", "none.json", "-log", filepath.Join(t.TempDir(), "log"), "-log-keep", "1s")
	require.Equal(t, failed, status)
	require.Contains(t, stderr, "5m0s or more")
}

// The command as a process of its own: it fetches, SIGHUP reads the settings
// again, wrong ones are left, and SIGTERM ends it.
func TestWarm(t *testing.T) {
	requests := make(chan string, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- r.URL.String() }))
	defer srv.Close()
	folder := watchdog.New(t)
	config, log := filepath.Join(folder.Path, "warmup.json"), filepath.Join(folder.Path, "warm.log")
	write := func(settings string) {
		require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, settings, srv.URL), 0o600))
	}
	next := func() string {
		select {
		case url := <-requests:
			return url
		case <-time.After(time.Minute):
			t.Fatal("no request")
			return ""
		}
	}
	write(`{"origin": %q, "targets": ["/one"], "cacheBust": "fresh"}`)
	cmd := exec.Command(os.Args[0], "warm", "-config", config, "-log", log)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	cmd.Stderr = t.Output()
	ended := make(chan error, 1)
	go func() { ended <- folder.Run(cmd) }()
	require.Regexp(t, `^/one\?fresh=`, next())

	write(`{"origin": %q, "targets": ["/two"]}`)
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.Equal(t, "/two", next())

	write(`{"origin": %q, "targets": `)
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	waitForLine(t, log, "the old ones go on")

	write(`{"origin": %q, "targets": ["/three"], "enabled": false}`)
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool { return count(t, log, "new settings\"") == 2 }, time.Minute, 10*time.Millisecond)

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-ended)
	waitForLine(t, log, "warmup: ended")
	require.Empty(t, requests, "switched off")
	require.Equal(t, 2, count(t, log, "a target is warm"))
}

func waitForLine(t *testing.T, file, text string) {
	require.Eventually(t, func() bool { return count(t, file, text) > 0 }, time.Minute, 10*time.Millisecond)
}

// count returns how many lines of a file have a text.
func count(t *testing.T, file, text string) (n int) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.Contains(lines.Text(), text) {
			n++
		}
	}
	return n
}
