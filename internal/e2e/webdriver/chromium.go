package webdriver

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http/httptest"
	"path/filepath"
)

func (b *Browser) startChromium(flags []string) (capabilities map[string]any) {
	b.t.Helper()
	binary := find(b.t, "chromium")
	flags, _ = withoutJavaScript(flags, "--blink-settings=scriptEnabled=false")
	b.spawn(nil, find(b.t, "chromedriver"), "--port=0")
	b.conn = &remote{address: "http://127.0.0.1:" + b.await("chromedriver.log", `successfully on port (\d+)`)}
	return map[string]any{
		"goog:loggingPrefs": map[string]any{"browser": "ALL"},
		"goog:chromeOptions": map[string]any{
			"binary": binary,
			"args": append([]string{
				"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
				"--disable-background-networking", "--disable-component-update", "--disable-sync",
				"--ignore-certificate-errors-spki-list=" + testKey(),
				"--user-data-dir=" + filepath.Join(b.folder.Path, "profile"),
			}, flags...),
			// The driver would have background tabs run at full speed, which no user's browser does.
			"excludeSwitches": []string{
				"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
			},
		},
	}
}

// testKey names the key of httptest's servers. With acceptInsecureCerts Chromium would keep nothing of them in its cache.
func testKey() string {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	hash := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(hash[:])
}
