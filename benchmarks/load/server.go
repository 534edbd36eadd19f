//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/benchmarks/internal/cpu"
	"github.com/seed4a306b22/keepalive/goredisstore"
)

var ctx = context.Background()

// ServerConfig is what a server gets.
type ServerConfig struct {
	Addr        string
	Protocol    string
	Redis       string // the socket; the sessions are in memory if empty
	Idle        time.Duration
	Certificate []byte // PEM of both
	Key         []byte
}

// Server is the role of a process that serves pages and pings. Its methods are called
// by the parent.
type Server struct{ srv *http.Server }

// Nothing is what methods without arguments or result have.
type Nothing struct{}

// Start listens, and answers with the address.
func (s *Server) Start(cfg ServerConfig, addr *string) error {
	sm := scs.New()
	sm.IdleTimeout = cfg.Idle
	if cfg.Redis != "" {
		sm.Store = goredisstore.New(newRedis(cfg.Redis))
	}
	km, err := keepalive.New(sm, keepalive.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	s.srv = &http.Server{
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Protocols: protocols(cfg.Protocol),
		Handler: km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sm.Put(r.Context(), "user", "6f1ed002ab55")
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<!DOCTYPE html><title>page</title><p>text")
		})),
	}
	l, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return err
	}
	*addr = l.Addr().String()
	if cfg.Protocol == "http1" {
		go func() { _ = s.srv.Serve(l) }()
		return nil
	}
	pair, err := tls.X509KeyPair(cfg.Certificate, cfg.Key)
	if err != nil {
		return err
	}
	s.srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	go func() { _ = s.srv.ServeTLS(l, "", "") }()
	return nil
}

// Stop ends the server as a restart does: what is under way may take ten seconds more.
func (s *Server) Stop(Nothing, *Nothing) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.srv.Shutdown(ctx); err != nil {
		return s.srv.Close()
	}
	return nil
}

// CPU answers with the time that the process has used.
func (s *Server) CPU(_ Nothing, used *time.Duration) error {
	*used = cpu.Used()
	return nil
}

// Memory answers with the bytes of the heap and of all stacks that are in use.
func (s *Server) Memory(_ Nothing, n *int64) error {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // the first one only empties pools
	runtime.ReadMemStats(&m)
	*n = int64(m.HeapAlloc + m.StackInuse)
	return nil
}

func protocols(name string) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(name != "http2")
	p.SetHTTP2(name == "http2")
	return p
}

// newCertificate returns a certificate of all of 127.0.0.0/8 that signs itself, and its
// key, in PEM. Its kind is what most authorities issue today.
func newCertificate() (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), err
}
