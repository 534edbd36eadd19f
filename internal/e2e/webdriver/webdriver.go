// Package webdriver drives real Chromium, Firefox and WebKitGTK browsers in tests, by the W3C WebDriver protocol
// (https://www.w3.org/TR/webdriver2/). Every failure ends the test it happens in, with the end of the browser's log;
// a browser ends with the test that started it, or with its process.
package webdriver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/watchdog"
)

// Engine names a browser engine.
type Engine string

// The engines Start knows.
const (
	Chromium Engine = "chromium"
	Firefox  Engine = "firefox"
	WebKit   Engine = "webkit"
)

// Engines lists them all.
var Engines = []Engine{Chromium, Firefox, WebKit}

// commandTimeout bounds one command. It is longer than the page-load and script time-outs, so that theirs, which say
// more, come first.
const (
	commandTimeout = 2 * time.Minute
	pageTimeout    = time.Minute
)

// A Browser is one running browser with a profile of its own. Use it from one goroutine at a time.
type Browser struct {
	Engine Engine
	t      testing.TB
	conn   conn
	folder *watchdog.Folder // profile, temporary files and logs
}

// conn carries commands, by the names that Marionette gives them.
type conn interface {
	call(name string, params map[string]any) (json.RawMessage, error)
}

// NoJavaScript is a flag for Start that every engine takes: pages run no script, and nor do Script and AsyncScript.
const NoJavaScript = "no-javascript"

// withoutJavaScript replaces NoJavaScript in flags with the engine's flags, and reports whether it was there.
func withoutJavaScript(flags []string, replacement ...string) ([]string, bool) {
	i := slices.Index(flags, NoJavaScript)
	if i < 0 {
		return flags, false
	}
	return slices.Concat(flags[:i], replacement, flags[i+1:]), true
}

// Start runs a browser until the test ends. Flags are added to the browser's command line.
func Start(t testing.TB, engine Engine, flags ...string) *Browser {
	t.Helper()
	b := &Browser{Engine: engine, t: t, folder: watchdog.New(t)}
	capabilities := map[string]any{}
	switch engine {
	case Chromium:
		capabilities = b.startChromium(flags)
	case Firefox:
		b.startFirefox(flags)
	case WebKit:
		capabilities = b.startWebKit(flags)
	default:
		t.Fatalf("webdriver: no engine is called %q", engine)
	}
	b.call(nil, "NewSession", map[string]any{"capabilities": map[string]any{"alwaysMatch": capabilities}})
	b.call(nil, "SetTimeouts", map[string]any{"pageLoad": pageTimeout.Milliseconds(), "script": pageTimeout.Milliseconds()})
	return b
}

// For returns the same browser, whose failures are those of a subtest.
func (b *Browser) For(t testing.TB) *Browser {
	c := *b
	c.t = t
	return &c
}

// call runs a command and decodes its result into out, unless that is nil.
func (b *Browser) call(out any, name string, params map[string]any) {
	b.t.Helper()
	raw, err := b.conn.call(name, params)
	// WebKitWebDriver fails to read from a page that is left just then. What only
	// reads can be asked again, of the next page.
	for range 10 {
		if err == nil || name != "GetTitle" && name != "GetCurrentURL" || !strings.Contains(err.Error(), "unload event") {
			break
		}
		raw, err = b.conn.call(name, params)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil {
		b.t.Fatalf("%s: %s: %v%s", b.Engine, name, err, b.logs())
	}
}

// logs returns the end of what each process has written.
func (b *Browser) logs() string {
	var s strings.Builder
	names, _ := filepath.Glob(filepath.Join(b.folder.Path, "*.log"))
	for _, name := range names {
		text, _ := os.ReadFile(name)
		s.WriteString("\n--- the end of " + filepath.Base(name) + ":\n")
		s.Write(text[max(0, len(text)-2000):])
	}
	return s.String()
}
