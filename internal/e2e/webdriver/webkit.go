package webdriver

import (
	"net"
	"strconv"
	"time"
)

func (b *Browser) startWebKit(flags []string) (capabilities map[string]any) {
	b.t.Helper()
	binary := find(b.t, "/usr/lib/*/webkit2gtk-4.1/MiniBrowser", "/usr/libexec/webkit2gtk-4.1/MiniBrowser")
	flags, _ = withoutJavaScript(flags, "--enable-javascript=false")
	b.spawn(nil, find(b.t, "Xvfb"), "-displayfd", "1", "-screen", "0", "1280x1024x24")
	display := b.await("Xvfb.log", `(?m)^(\d+)$`)

	// The driver does not print which port the system chose, so it gets a free one.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	b.spawn([]string{"DISPLAY=:" + display, "GDK_BACKEND=x11"}, find(b.t, "WebKitWebDriver"), "--port="+port)
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
			break
		}
		if time.Since(start) > startTimeout {
			b.t.Fatalf("%s: %v%s", b.Engine, err, b.logs())
		}
	}
	b.conn = &remote{address: "http://127.0.0.1:" + port}
	return map[string]any{
		"acceptInsecureCerts":      true, // the tests' servers have no other
		"webkitgtk:browserOptions": map[string]any{"binary": binary, "args": append([]string{"--automation"}, flags...)},
	}
}
