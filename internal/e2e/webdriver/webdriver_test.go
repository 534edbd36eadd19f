package webdriver_test

import (
	"bytes"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

const page = `<!doctype html>
<html lang="en">
<head>
<title>Page %s</title>
<script>%s</script>
<script>
	window.kept = [];
	addEventListener('pageshow', event => {
		kept.push(event.persisted);
		navigator.sendBeacon('/shown' + location.pathname); // a fetch may keep the page out of the back/forward cache
	});
	console.warn('a warning');
</script>
</head>
<body style="background: #fc0">
<input id="name"><button onclick="document.title = document.getElementById('name').value">Go</button>
</body>
</html>
`

const visibility = "return document.visibilityState"

func TestBrowsers(t *testing.T) {
	shown := make(chan string, 100) // the pages, as they are shown
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if page, found := strings.CutPrefix(r.URL.Path, "/shown"); found {
			shown <- page
			return
		}
		if r.URL.Path == "/a" { // and not the icon, which may come after the test deleted the cookie
			http.SetCookie(w, &http.Cookie{Name: "taste", Value: "sweet", Path: "/", HttpOnly: true})
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, page, r.URL.Path, webdriver.Recorder)
	}))
	t.Cleanup(srv.Close)
	for _, engine := range webdriver.Engines {
		t.Run(string(engine), func(t *testing.T) {
			b := webdriver.Start(t, engine)
			for _, test := range []struct {
				name string
				run  func(t *testing.T, b *webdriver.Browser, url string)
			}{
				{"page", testPage},
				{"secure context", testSecureContext},
				{"history", func(t *testing.T, b *webdriver.Browser, url string) { testHistory(t, b, url, shown) }},
				{"tabs", testTabs},
				{"minimise", testMinimise},
			} {
				t.Run(test.name, func(t *testing.T) { test.run(t, b.For(t), srv.URL) })
			}
			if engine == webdriver.Chromium {
				t.Run("freeze", func(t *testing.T) { testFreeze(t, b.For(t), srv.URL) })
			}
		})
	}
}

func testPage(t *testing.T, b *webdriver.Browser, url string) {
	b.Navigate(url + "/a")
	require.Equal(t, "Page /a", b.Title())
	require.Equal(t, url+"/a", b.URL())
	require.Contains(t, strings.Join(b.Console(), "\n"), "a warning")
	require.Equal(t, 5, webdriver.Script[int](b, "return arguments[0] + arguments[1]", 2, 3))
	require.Equal(t, "later", webdriver.AsyncScript[string](b, "setTimeout(arguments[1], 10, arguments[0])", "later"))

	b.SendKeys("#name", "typed")
	b.Click("button")
	require.Equal(t, "typed", b.Title())

	require.Len(t, b.Cookies(), 1)
	require.Equal(t, "sweet", b.Cookies()[0].Value)
	require.True(t, b.Cookies()[0].HTTPOnly)
	b.DeleteCookies()
	eventually(t, func() bool { return len(b.Cookies()) == 0 }) // WebKit deletes them in another process

	image, err := png.Decode(bytes.NewReader(b.Screenshot()))
	require.NoError(t, err)
	middle := image.Bounds().Max.Div(2)
	red, green, blue, _ := image.At(middle.X, middle.Y).RGBA()
	require.Equal(t, [3]uint32{0xffff, 0xcccc, 0}, [3]uint32{red, green, blue})
}

// Web Locks exist in secure contexts only, and plain HTTP on loopback counts as one by either name.
func testSecureContext(t *testing.T, b *webdriver.Browser, url string) {
	for _, host := range []string{"127.0.0.1", "localhost"} {
		b.Navigate(strings.Replace(url, "127.0.0.1", host, 1))
		require.True(t, webdriver.Script[bool](b, "return isSecureContext && 'locks' in navigator"), host)
	}
}

// The page is left from a script, because Marionette's own clicks keep a page out of the back/forward cache.
func testHistory(t *testing.T, b *webdriver.Browser, url string, shown chan string) {
	// The pages themselves say that they are there: WebKit's driver now and then never answers while a page goes.
	await := func(page string) {
		for {
			select {
			case got := <-shown:
				if got == page {
					return
				}
			case <-time.After(time.Minute):
				require.Fail(t, page+" is not shown")
			}
		}
	}
	for len(shown) > 0 {
		<-shown
	}
	b.Navigate(url + "/a")
	await("/a")
	webdriver.Script[any](b, "window.kept.length = 0; setTimeout(() => location.href = '/b')")
	await("/b")
	webdriver.Script[any](b, "setTimeout(() => history.back())")
	await("/a")
	require.Equal(t, []bool{true}, webdriver.Script[[]bool](b, "return kept"))
}

func testTabs(t *testing.T, b *webdriver.Browser, url string) {
	b.Navigate(url + "/a")
	first := b.Window()
	webdriver.Script[any](b, `
		localStorage.shared = 'yes';
		window.seen = [];
		document.addEventListener('visibilitychange', () => seen.push(document.visibilityState));`)
	second := b.NewWindow("tab")
	require.ElementsMatch(t, []string{first, second}, b.Windows())
	b.SwitchTo(second)
	b.Navigate(url + "/c")
	require.Equal(t, "yes", webdriver.Script[string](b, "return localStorage.shared"))
	shown := webdriver.Script[string](b, visibility)
	b.SwitchTo(first)
	eventually(t, func() bool { return webdriver.Script[string](b, visibility) == "visible" })
	if b.Engine == webdriver.WebKit { // its driver leaves a new tab behind the first, wherever commands go
		require.Equal(t, "hidden", shown)
		require.Empty(t, webdriver.Script[[]string](b, "return seen"))
	} else {
		require.Equal(t, "visible", shown)
		eventually(t, func() bool {
			return slices.Equal([]string{"hidden", "visible"}, webdriver.Script[[]string](b, "return seen"))
		})
	}
	b.SwitchTo(second)
	b.CloseWindow()
	b.SwitchTo(first)
	require.Equal(t, []string{first}, b.Windows())
}

func testMinimise(t *testing.T, b *webdriver.Browser, url string) {
	b.Navigate(url)
	b.SetWindowRect(10, 10, 700, 500)
	b.Minimise()
	eventually(t, func() bool { return webdriver.Script[string](b, visibility) == "hidden" })
	b.Maximise()
	eventually(t, func() bool { return webdriver.Script[string](b, visibility) == "visible" })
}

func testFreeze(t *testing.T, b *webdriver.Browser, url string) {
	b.Navigate(url)
	webdriver.Script[any](b, "window.ticks = [Date.now()]; setInterval(() => ticks.push(Date.now()), 50)")
	b.Freeze()
	time.Sleep(2 * time.Second)
	b.Thaw()
	longest := webdriver.Script[int](b, `
		ticks.push(Date.now());
		return Math.max(...ticks.slice(1).map((tick, i) => tick - ticks[i]))`)
	require.Greater(t, longest, 1000, "ms without a tick")

	const fetches = "fetch('/').then(() => true, () => false).then(arguments[0])"
	b.Offline(true)
	require.False(t, webdriver.AsyncScript[bool](b, fetches))
	b.Offline(false)
	require.True(t, webdriver.AsyncScript[bool](b, fetches))
}

// starter names, in the process that TestKilledProcess kills, the file that it writes when its browsers run.
const starter = "KEEPALIVE_WEBDRIVER_STARTER"

// Nothing is left of the browsers when the process that started them is killed.
func TestKilledProcess(t *testing.T) {
	if file := os.Getenv(starter); file != "" {
		for _, engine := range webdriver.Engines {
			webdriver.Start(t, engine).Navigate("about:blank")
		}
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		select {}
	}
	folders, err := os.MkdirTemp("", "kill") // short, as browsers put sockets below
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folders) })
	file := filepath.Join(t.TempDir(), "started")
	process := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	process.Env = append(os.Environ(), starter+"="+file, "TMPDIR="+folders)
	process.Stdout, process.Stderr = t.Output(), t.Output()
	require.NoError(t, process.Start())
	defer func() { _ = process.Process.Kill() }()
	eventually(t, func() bool {
		_, err := os.Stat(file)
		return err == nil
	})
	require.NotEmpty(t, processesIn(t, folders))
	require.NoError(t, process.Process.Kill())
	_ = process.Wait() // it was killed
	eventually(t, func() bool {
		left, err := os.ReadDir(folders)
		require.NoError(t, err)
		return len(left) == 0 && len(processesIn(t, folders)) == 0
	})
}

// processesIn returns the command lines of the processes whose environment names a folder.
func processesIn(t *testing.T, folder string) (commands []string) {
	t.Helper()
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	for _, file := range environments {
		environment, _ := os.ReadFile(file) // the process may have ended, or be another user's
		if strings.Contains(string(environment), folder) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			commands = append(commands, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return commands
}

// eventually waits, in the test's own goroutine, which commands that fail need, for what happens sooner or later.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for start := time.Now(); !condition(); time.Sleep(20 * time.Millisecond) {
		require.Less(t, time.Since(start), 2*time.Minute)
	}
}
