//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"
)

// The phases of a run.
const (
	opening = iota
	before  // the restart
	down
	back // until each page has been answered again
	after
	phases
)

// ClientConfig is what a client gets.
type ClientConfig struct {
	Addr        string
	Source      string // the address that connections come from
	Protocol    string
	Pages       int
	Share       int
	Compress    float64
	Certificate []byte
}

// Client is the role of a process that has pages open. Its methods are called by the
// parent.
type Client struct {
	pages []*page
	phase atomic.Int32
	conns connections

	mu     sync.Mutex
	counts [phases]PhaseCounts
	times  [phases]*hdrhistogram.Histogram
}

// PhaseCounts is what the pages saw in a phase. A ping is of the phase in which it was
// due, an error of the one in which it came.
type PhaseCounts struct {
	Pings, Errors int64
	FirstError    string
	Ended         int64 // sessions, by the server's word
	Times         *hdrhistogram.Snapshot
	Dials         int64 // until the end of the phase
	Rounds        int   // how often each page has been answered
}

// page is an open page of a browser.
type page struct {
	c        *Client
	http     *http.Client
	addr     string // with scheme
	cookie   string
	end      time.Time     // of the session, in compressed time
	idle     time.Duration // compressed
	answered [phases]atomic.Int32
}

// Open opens the pages, and has them ping.
func (c *Client) Open(cfg ClientConfig, _ *Nothing) error {
	for i := range c.times {
		c.times[i] = hdrhistogram.New(1, time.Minute.Microseconds(), 3)
	}
	scheme := "https://"
	if cfg.Protocol == "http1" {
		scheme = "http://"
	}
	var opened errgroup.Group
	opened.SetLimit(16)
	var shared *http.Client
	for i := range cfg.Pages {
		if i%cfg.Share == 0 {
			shared = newHTTP(cfg, &c.conns, nil)
		}
		p := &page{c: c, http: shared, addr: scheme + cfg.Addr}
		c.pages = append(c.pages, p)
		opened.Go(func() error {
			left, err := p.open()
			p.extended(time.Now(), left, cfg.Compress)
			return err
		})
	}
	if err := opened.Wait(); err != nil {
		return err
	}
	for _, p := range c.pages {
		go p.live(cfg.Compress)
	}
	return nil
}

// connections counts those of some clients, and how many of these resumed a TLS session.
type connections struct{ dialled, resumed atomic.Int64 }

// requestTimeout is the script's where much is left.
const requestTimeout = time.Minute

// newHTTP returns a client that has one connection, and keeps it for ever. Where that is
// closed, it resumes with the tickets, if any.
func newHTTP(cfg ClientConfig, conns *connections, tickets tls.ClientSessionCache) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cfg.Certificate)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(cfg.Source)}, KeepAlive: -1}
	return &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conns.dialled.Add(1)
			return dialer.DialContext(ctx, network, addr)
		},
		TLSClientConfig: &tls.Config{
			RootCAs: roots, ServerName: "localhost", ClientSessionCache: tickets,
			VerifyConnection: func(state tls.ConnectionState) error {
				if state.DidResume {
					conns.resumed.Add(1)
				}
				return nil
			},
		},
		MaxConnsPerHost: 1, // for HTTP/2, where all pages that share one may ask before it is there
		Protocols:       protocols(cfg.Protocol),
		ReadBufferSize:  1 << 10, WriteBufferSize: 1 << 10,
	}}
}

// open loads the page, and asks how long its session lasts.
func (p *page) open() (left time.Duration, err error) {
	res, err := p.http.Get(p.addr + "/")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	if len(res.Cookies()) != 1 || !strings.Contains(string(body), "<script ") {
		return 0, fmt.Errorf("no page with a session: %s", body)
	}
	p.cookie = "session=" + res.Cookies()[0].Value
	return p.ask(http.MethodGet)
}

var errEnded = errors.New("the session has ended")

// ask sends what the script sends, and returns how long the session lasts.
func (p *page) ask(method string) (left time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, method, p.addr+"/keepalive/ping", nil)
	if err != nil {
		return 0, err
	}
	r.Header = http.Header{"Cookie": {p.cookie}, "Origin": {p.addr}, "Sec-Fetch-Site": {"same-origin"}, "User-Agent": {"load"}}
	res, err := p.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	var answer struct{ IdleMs int64 }
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		return 0, errEnded
	case res.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("a ping answers %s", res.Status)
	}
	err = json.Unmarshal(body, &answer)
	return time.Duration(answer.IdleMs) * time.Millisecond, err
}

// extended notes an answer to what was sent then.
func (p *page) extended(sent time.Time, left time.Duration, compress float64) {
	p.idle = time.Duration(float64(left) / compress)
	p.end = sent.Add(p.idle)
}

// live pings by the schedule of client/src/plan.js, where nobody is there: after 30 to 65
// % of what is left, after a failure too.
func (p *page) live(compress float64) {
	for {
		left := time.Until(p.end)
		if left <= 0 {
			left = p.idle / 2
		}
		due := time.Now().Add(time.Duration(float64(left) * (0.3 + 0.35*rand.Float64())))
		time.Sleep(time.Until(due))
		phase := p.c.phase.Load()
		sent := time.Now()
		left, err := p.ask(http.MethodPost)
		if err == nil {
			p.extended(sent, left, compress)
			p.answered[phase].Add(1)
		}
		p.c.count(phase, time.Since(due), err)
	}
}

func (c *Client) count(phase int32, took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.counts[phase].Pings++
		_ = c.times[phase].RecordValue(min(took, time.Minute).Microseconds())
		return
	}
	n := &c.counts[c.phase.Load()]
	if n.Errors++; n.FirstError == "" {
		n.FirstError = err.Error()
	}
	if errors.Is(err, errEnded) {
		n.Ended++
	}
}

// Phase begins a phase.
func (c *Client) Phase(phase int32, _ *Nothing) error {
	c.phase.Store(phase)
	return nil
}

// Counts answers with what was counted in a phase.
func (c *Client) Counts(phase int32, n *PhaseCounts) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n = c.counts[phase]
	n.Times, n.Dials = c.times[phase].Export(), c.conns.dialled.Load()
	n.Rounds = int(c.pages[0].answered[phase].Load())
	for _, p := range c.pages {
		n.Rounds = min(n.Rounds, int(p.answered[phase].Load()))
	}
	return nil
}

// Alive answers with how many sessions there are, and extends none.
func (c *Client) Alive(_ Nothing, alive *int64) error {
	var n atomic.Int64
	var asked errgroup.Group
	asked.SetLimit(64)
	for _, p := range c.pages {
		asked.Go(func() error {
			_, err := p.ask(http.MethodGet)
			if err == nil {
				n.Add(1)
			} else if errors.Is(err, errEnded) {
				err = nil
			}
			return err
		})
	}
	err := asked.Wait()
	*alive = n.Load()
	return err
}
