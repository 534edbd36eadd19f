package frameworks_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/watchdog"
	"github.com/stretchr/testify/require"
)

// proxies serve the app under /app/, by HTTPS and HTTP/2, and strip that prefix.
var proxies = []struct {
	name    string
	command string
	args    func(config string) []string
	config  string // of dir, listen address, upstream address
}{
	{
		name: "nginx", command: "nginx",
		args: func(config string) []string { return []string{"-c", config, "-e", "stderr"} },
		config: `daemon off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s ssl http2;
		ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
		location /app/ {
			proxy_pass http://%[3]s/;
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-Proto https;
		}
	}
}
`,
	},
	{
		name: "haproxy", command: "haproxy",
		args: func(config string) []string { return []string{"-db", "-f", config} },
		config: `defaults
	mode http
	timeout connect 60s
	timeout client 60s
	timeout server 60s
frontend https
	bind %[2]s ssl crt %[1]s/both.pem alpn h2,http/1.1
	default_backend app
backend app
	http-request replace-path /app/(.*) /\1
	server app %[3]s
`,
	},
}

// Behind a proxy that strips a prefix, pages name the script where browsers find
// it, and pings extend the session, with Config.PublicPath and nothing else.
func TestProxiesThatStripAPrefix(t *testing.T) {
	for _, proxy := range proxies {
		t.Run(proxy.name, func(t *testing.T) {
			sm, _ := newSession(t)
			sm.Cookie.Path = "/app/"
			sm.Cookie.Secure = true
			km, err := keepalive.New(sm, keepalive.Config{
				PublicPath: "/app/keepalive/",
				NoScript:   true,
				Logger:     slog.New(slog.DiscardHandler),
			})
			require.NoError(t, err)
			mux := http.NewServeMux()
			mux.HandleFunc("GET /sign-in", func(w http.ResponseWriter, r *http.Request) {
				sm.Put(r.Context(), "user", "ann")
				_, _ = io.WriteString(w, page)
			})
			app := httptest.NewServer(km.LoadAndSave(mux))
			defer app.Close()
			base, client := startProxy(t, proxy.command, proxy.args, proxy.config, app.Listener.Addr().String())

			body := fetch(t, client, http.MethodGet, base+"/app/sign-in", http.StatusOK)
			script := regexp.MustCompile(`<script src="(/app/keepalive/keepalive\.[\w-]{12}\.js)" defer`).FindStringSubmatch(body)
			require.NotNil(t, script, body)
			frame := regexp.MustCompile(`<iframe src="(/app/keepalive/frame)"`).FindStringSubmatch(body)
			require.NotNil(t, frame, body)
			require.Contains(t, fetch(t, client, http.MethodGet, base+script[1], http.StatusOK), "keepalive:")
			require.Contains(t, fetch(t, client, http.MethodGet, base+frame[1], http.StatusOK), "<title>keepalive")
			require.Contains(t, fetch(t, client, http.MethodPost, base+"/app/keepalive/ping", http.StatusOK), `"idleMs":1`)
			require.Contains(t, fetch(t, client, http.MethodGet, base+"/app/keepalive/dialog", http.StatusOK), "<dialog")
		})
	}
}

func fetch(t *testing.T, client *http.Client, method, url string, status int) string {
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := client.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, status, res.StatusCode, "%s %s: %s", method, url, body)
	require.Equal(t, 2, res.ProtoMajor)
	return string(body)
}

// startProxy returns the proxy's address, and a client that trusts it and keeps
// cookies.
func startProxy(t *testing.T, command string, args func(string) []string, config, upstream string) (base string, client *http.Client) {
	path, err := exec.LookPath(command)
	if err != nil {
		path = filepath.Join("/usr/sbin", command) // outside of many users' PATH
	}
	folder := watchdog.New(t)
	pool := writeCertificate(t, folder.Path)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	file := filepath.Join(folder.Path, "config")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, config, folder.Path, addr, upstream), 0o600))

	cmd := exec.Command(path, args(file)...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	require.NoError(t, folder.Start(cmd))
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond, "%s does not listen", command)

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	_, port, _ := strings.Cut(addr, ":")
	return (&url.URL{Scheme: "https", Host: "localhost:" + port}).String(), &http.Client{
		Jar:       jar,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true},
	}
}
