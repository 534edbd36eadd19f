package webdriver

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// preferences let the browser choose Marionette's port, and keep it from calling home.
const preferences = `
user_pref("marionette.port", 0);
user_pref("services.settings.server", "data:,");
user_pref("browser.safebrowsing.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.server", "");
`

func (b *Browser) startFirefox(flags []string) {
	b.t.Helper()
	profile := filepath.Join(b.folder.Path, "profile")
	if err := os.Mkdir(profile, 0o700); err != nil {
		b.t.Fatal(err)
	}
	set := preferences
	flags, off := withoutJavaScript(flags)
	if off {
		set += `user_pref("javascript.enabled", false);`
	}
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(set), 0o600); err != nil {
		b.t.Fatal(err)
	}
	args := append([]string{"--headless", "--marionette", "--no-remote", "--profile", profile}, flags...)
	b.spawn(nil, find(b.t, "firefox-esr", "firefox"), args...)
	c, err := net.Dial("tcp", "127.0.0.1:"+b.await("profile/MarionetteActivePort", `^(\d+)`))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	m := &marionette{Conn: c, r: bufio.NewReader(c)}
	if _, err := m.read(); err != nil { // its greeting
		b.t.Fatalf("%s: %v%s", b.Engine, err, b.logs())
	}
	b.conn = m
}

// marionette speaks Firefox's remote protocol: JSON with its length before it, over TCP.
type marionette struct {
	net.Conn
	r  *bufio.Reader
	id int
}

func (m *marionette) read() ([]byte, error) {
	m.SetReadDeadline(time.Now().Add(commandTimeout))
	length, err := m.r.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil {
		return nil, err
	}
	frame := make([]byte, n)
	_, err = io.ReadFull(m.r, frame)
	return frame, err
}

func (m *marionette) call(name string, params map[string]any) (json.RawMessage, error) {
	if name == "NewSession" {
		params = map[string]any{"acceptInsecureCerts": true} // its form differs: no alwaysMatch
	}
	m.id++
	frame, err := json.Marshal([]any{0, m.id, "WebDriver:" + name, params})
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(m, "%d:%s", len(frame), frame); err != nil {
		return nil, err
	}
	for {
		frame, err := m.read()
		if err != nil {
			return nil, err
		}
		var answer [4]json.RawMessage // 1, id, error, result
		var id int
		if err := json.Unmarshal(frame, &answer); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(answer[1], &id); err != nil {
			return nil, err
		}
		if id != m.id {
			continue // late, for a command that timed out
		}
		if string(answer[2]) != "null" {
			var failure struct{ Error, Message string }
			json.Unmarshal(answer[2], &failure)
			return nil, fmt.Errorf("%s: %s", failure.Error, failure.Message)
		}
		// Some results are wrapped in an object, as all are over HTTP, and some are not.
		var wrapped map[string]json.RawMessage
		if json.Unmarshal(answer[3], &wrapped) == nil && len(wrapped) == 1 && wrapped["value"] != nil {
			return wrapped["value"], nil
		}
		return answer[3], nil
	}
}
