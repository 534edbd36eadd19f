package webdriver

import "path/filepath"

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
				"--user-data-dir=" + filepath.Join(b.folder.Path, "profile"),
			}, flags...),
			// The driver would have background tabs run at full speed, which no user's browser does.
			"excludeSwitches": []string{
				"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
			},
		},
	}
}
