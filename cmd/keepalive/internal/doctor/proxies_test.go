package doctor_test

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/watchdog"
	"github.com/stretchr/testify/require"
)

// proxy is a program of others in front of the app. In its configuration DIR,
// LISTEN and UPSTREAM stand for a folder and two addresses.
type proxy struct {
	command string
	args    []string
	config  string
	tls     bool
}

// nginx runs with these directives in its server block.
func nginx(server string) proxy {
	return proxy{command: "nginx", args: []string{"-e", "stderr", "-c"}, config: `user root; daemon off; pid DIR/pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	proxy_cache_path DIR/cache keys_zone=cache:1m;
	limit_req_zone $binary_remote_addr zone=limit:1m rate=1r/m;
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	server {
		listen LISTEN;
		` + server + `
	}
}
`}
}

// nginxPass passes everything on as it should be.
const nginxPass = `location / { proxy_pass http://UPSTREAM; proxy_set_header Host $http_host; }`

// haproxy runs with these lines in its backend.
func haproxy(backend string) proxy {
	return proxy{command: "haproxy", args: []string{"-db", "-f"}, tls: true, config: `defaults
	mode http
	timeout connect 60s
	timeout client 60s
	timeout server 60s
frontend https
	bind LISTEN ssl crt DIR/both.pem alpn h2,http/1.1
	default_backend app
backend app
	` + backend + "\n"}
}

// start returns the proxy's origin.
func (px proxy) start(t *testing.T, upstream string) string {
	command, err := exec.LookPath(px.command)
	if err != nil {
		command = filepath.Join("/usr/sbin", px.command) // outside of many users' PATH
	}
	folder := watchdog.New(t)
	writeCertificate(t, folder.Path)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	config := strings.NewReplacer("DIR", folder.Path, "LISTEN", addr, "UPSTREAM", upstream).Replace(px.config)
	file := filepath.Join(folder.Path, "config")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))

	cmd := exec.Command(command, append(px.args, file)...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	require.NoError(t, folder.Start(cmd))
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond, "%s does not listen", px.command)
	if px.tls {
		return "https://" + addr
	}
	return "http://" + addr
}

// writeCertificate writes a certificate with its key into a folder.
func writeCertificate(t *testing.T, folder string) {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	pair := srv.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	both := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	both = append(both, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "both.pem"), both, 0o600))
}
