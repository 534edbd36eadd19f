package stores_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/stretchr/testify/require"
)

var examples = map[string]struct {
	flag   string // gives another storage
	env    string // so does this variable
	server func(t *testing.T) string
	// absent is a storage that isn't there.
	absent func(t *testing.T) string
}{
	"redis": {
		"-redis", "REDIS_URL",
		func(t *testing.T) string { return "redis://" + servers.Redis(t).Addr + "/0" },
		func(t *testing.T) string { return "redis://" + unusedAddr(t) + "/0" },
	},
	"postgres": {
		"-dsn", "DATABASE_URL",
		func(t *testing.T) string { return servers.Postgres(t).DSN() },
		func(t *testing.T) string { return "postgres://postgres@" + unusedAddr(t) + "/postgres" },
	},
	"redigo": {
		"-redis", "REDIS_URL",
		func(t *testing.T) string { return "redis://" + servers.Redis(t).Addr + "/0" },
		func(t *testing.T) string { return "redis://" + unusedAddr(t) + "/0" },
	},
	"libpq": {
		"-dsn", "DATABASE_URL",
		func(t *testing.T) string { return servers.Postgres(t).DSN() },
		func(t *testing.T) string { return "postgres://postgres@" + unusedAddr(t) + "/postgres?sslmode=disable" },
	},
	"mysql": {
		"-dsn", "MYSQL_DSN",
		func(t *testing.T) string { return servers.MariaDB(t).DSN() },
		func(t *testing.T) string { return "root@tcp(" + unusedAddr(t) + ")/test" },
	},
	"sqlite": {
		"-file", "SQLITE_FILE",
		func(t *testing.T) string { return filepath.Join(servers.TempDir(t), "sessions.db") },
		func(t *testing.T) string { return filepath.Join(servers.TempDir(t), "absent", "sessions.db") },
	},
}

// Each example, as a program: two instances on one real storage share a session.
func TestExamples(t *testing.T) {
	for name, ex := range examples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := buildExample(t, name)
			t.Run("shared", func(t *testing.T) {
				t.Parallel()
				storage := ex.server(t)
				// Both at once, so that both make the table.
				a, b := startExample(t, program, "", ex.flag, storage), startExample(t, program, ex.env+"="+storage)
				a.await()
				b.await()
				shareSession(t, a, b)
				a.stop()
				b.stop()
			})
			t.Run("absent", func(t *testing.T) {
				t.Parallel()
				e := startExample(t, program, "", ex.flag, ex.absent(t))
				e.wait()
				require.Equal(t, 1, e.cmd.ProcessState.ExitCode(), "%s", e.stderr())
				require.Contains(t, e.stderr(), "another with "+ex.flag)
			})
		})
	}
}

func shareSession(t *testing.T, a, b *example) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c := &http.Client{Jar: jar, Timeout: patience}
	ask := func(req *http.Request, err error) (int, string) {
		require.NoError(t, err)
		resp, err := c.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	get := func(e *example, path string) (int, string) {
		return ask(http.NewRequest(http.MethodGet, "http://"+e.addr+path, nil))
	}
	post := func(e *example, path string, form url.Values, header ...string) (int, string) {
		req, err := http.NewRequest(http.MethodPost, "http://"+e.addr+path, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		return ask(req, err)
	}
	const script = `<script src="/keepalive/keepalive.`

	code, page := get(a, "/")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, a.addr)
	require.Contains(t, page, `action="/sign-in"`)
	require.NotContains(t, page, script, "no session yet")
	code, _ = post(a, "/note", url.Values{"note": {"of nobody"}})
	require.Equal(t, http.StatusUnauthorized, code)

	code, page = post(a, "/sign-in", url.Values{"name": {"ann"}})
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, "Note of ann")
	code, page = post(a, "/note", url.Values{"note": {"milk & <b>bread</b>"}})
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, "milk &amp; &lt;b&gt;bread")
	code, _ = post(a, "/note", url.Values{"note": {"forged"}}, "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, code)
	code, _ = post(a, "/note", url.Values{"note": {strings.Repeat("x", 64<<10)}})
	require.Equal(t, http.StatusBadRequest, code, "too long")

	for _, e := range []*example{a, b} {
		code, page = get(e, "/")
		require.Equal(t, http.StatusOK, code)
		require.Contains(t, page, e.addr)
		require.Contains(t, page, script)
		require.Contains(t, page, "Note of ann")
		require.Contains(t, page, "milk &amp; &lt;b&gt;bread")

		code, body := post(e, "/keepalive/ping", nil)
		require.Equal(t, http.StatusOK, code)
		var left struct{ IdleMs, LifetimeMs int64 }
		require.NoError(t, json.Unmarshal([]byte(body), &left))
		require.InDelta(t, (20 * time.Minute).Milliseconds(), left.IdleMs, float64(2*time.Minute.Milliseconds()))
		require.InDelta(t, (12 * time.Hour).Milliseconds(), left.LifetimeMs, float64(2*time.Minute.Milliseconds()))
	}

	// The next to sign in with this browser must not see the note.
	code, page = post(b, "/sign-in", url.Values{"name": {"bob"}})
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, "Note of bob")
	require.NotContains(t, page, "milk")

	base, err := url.Parse("http://" + b.addr)
	require.NoError(t, err)
	signedIn := jar.Cookies(base)
	code, page = post(b, "/sign-out", nil)
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, `action="/sign-in"`)
	code, _ = post(a, "/keepalive/ping", nil)
	require.Equal(t, http.StatusUnauthorized, code)
	// Not only has the browser forgotten the cookie: it is of no use any more.
	jar.SetCookies(base, signedIn)
	code, _ = post(a, "/keepalive/ping", nil)
	require.Equal(t, http.StatusUnauthorized, code)
}

func buildExample(t *testing.T, name string) string {
	program := filepath.Join(servers.TempDir(t), name)
	cmd := exec.Command("go", "build", "-o", program)
	cmd.Dir = filepath.Join("..", "..", "examples", name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as in a small container
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// example is an instance of one, as a process.
type example struct {
	addr string

	t    *testing.T
	cmd  *exec.Cmd
	out  *bytes.Buffer // not to be read before done
	done chan struct{}
}

// startExample starts an instance, with one more variable (name=value) in its
// environment; the end of the test ends it.
func startExample(t *testing.T, program, env string, args ...string) *example {
	e := &example{addr: unusedAddr(t), t: t, out: &bytes.Buffer{}, done: make(chan struct{})}
	e.cmd = exec.Command(program, append([]string{"-addr", e.addr}, args...)...)
	e.cmd.Dir = servers.TempDir(t)
	e.cmd.Env = append(os.Environ(), env)
	e.cmd.Stderr = e.out
	require.NoError(t, servers.StartProcess(e.cmd))
	go func() {
		_ = e.cmd.Wait() // ProcessState has the result too
		close(e.done)
	}()
	t.Cleanup(func() {
		_ = e.cmd.Process.Kill()
		<-e.done
	})
	return e
}

// await returns when the instance answers.
func (e *example) await() {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", e.addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-e.done:
			require.Fail(e.t, "it ended", "%v\n%s", e.cmd.ProcessState, e.stderr())
		default:
			require.True(e.t, time.Now().Before(end), "it does not answer: %v", err)
		}
	}
}

// stop ends the instance as an operator does.
func (e *example) stop() {
	require.NoError(e.t, e.cmd.Process.Signal(syscall.SIGTERM))
	e.wait()
	require.Zero(e.t, e.cmd.ProcessState.ExitCode(), "%v\n%s", e.cmd.ProcessState, e.stderr())
}

func (e *example) wait() {
	select {
	case <-e.done:
	case <-time.After(patience):
		require.Fail(e.t, "it does not end")
	}
}

func (e *example) stderr() string {
	<-e.done
	return e.out.String()
}

// unusedAddr is an address on loopback where nobody listens, at a port below
// those that the kernel gives to clients: one of them could be faster.
func unusedAddr(t *testing.T) string {
	for range 1000 {
		addr := "127.0.0.1:" + strconv.Itoa(10000+rand.IntN(22000))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	require.Fail(t, "no free port")
	return ""
}
