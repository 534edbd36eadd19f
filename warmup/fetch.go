package warmup

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	userAgent    = "keepalive-warmup"
	maxRedirects = 10
)

// fetch requests one target. The slot is held until nothing of the request is left.
func (p *Pinger) fetch(ctx context.Context, pl *plan, t *target, s *slot) (res Result) {
	ctx, cancel := context.WithTimeoutCause(ctx, pl.RequestTimeout, fmt.Errorf("the request took more than %v", pl.RequestTimeout))
	defer cancel()
	res.Time = time.Now()
	defer func() {
		res.Duration = time.Since(res.Time)
		res.Warm = res.Err == nil
		if ctx.Err() != nil && res.Err != nil {
			res.Err = context.Cause(ctx) // says which limit it was
		}
	}()
	u := *t.url
	if pl.CacheBust != "" {
		// Behind the query as it is: sorting it could name another page.
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += url.QueryEscape(pl.CacheBust) + "=" + rand.Text()
	}
	req, err := http.NewRequestWithContext(ctx, t.Method, u.String(), nil)
	if err != nil {
		res.Err = err
		return res
	}
	req.Header.Set("User-Agent", userAgent)
	for name, value := range t.Header {
		req.Header.Set(name, value)
	}
	client := &http.Client{Transport: p.cfg.Transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		res.Location = req.URL.Redacted()
		switch {
		case !t.FollowRedirects && t.accepts(req.Response.StatusCode):
			return http.ErrUseLastResponse
		case !sameOrigin(req.URL, pl.origin):
			return fmt.Errorf("%w: redirected to %s, which was not fetched", ErrOrigin, req.URL.Redacted())
		case !t.FollowRedirects:
			return http.ErrUseLastResponse
		case len(via) > maxRedirects:
			return fmt.Errorf("redirected more than %d times", maxRedirects)
		}
		return nil
	}}
	if p.cfg.Handler != nil {
		client.Transport = inProcess{p.cfg.Handler, s}
	}
	resp, err := client.Do(req)
	if resp != nil {
		res.Status = resp.StatusCode
	}
	if err != nil {
		if e := (*url.Error)(nil); errors.As(err, &e) {
			err = e.Err // Result has the rest
		}
		res.Err = err
		return res
	}
	defer func() { _ = resp.Body.Close() }() // what was read is all that is wanted
	res.Bytes, err = io.CopyN(io.Discard, resp.Body, pl.MaxBody)
	switch {
	case err == nil:
		// Just as long is not longer.
		n, more := io.ReadFull(resp.Body, make([]byte, 1))
		res.Truncated = n > 0
		if n == 0 && more != io.EOF {
			res.Err = more
			return res
		}
	case err != io.EOF:
		res.Err = err
		return res
	}
	if !t.accepts(res.Status) {
		res.Err = fmt.Errorf("status %d is not warm", res.Status)
		if res.Status/100 == 3 && res.Location != "" {
			res.Err = fmt.Errorf("status %d to %s is not warm, and not followed", res.Status, res.Location)
		}
	}
	return res
}

func (t *Target) accepts(code int) bool {
	return slices.Contains(t.Status, code) || t.Status == nil && code/100 == 2
}

// slot is a place in Settings.Concurrency, freed by the last of its holders.
type slot struct {
	holders atomic.Int32
	free    func()
}

func newSlot(free func()) *slot {
	s := &slot{free: free}
	s.hold()
	return s
}

func (s *slot) hold() { s.holders.Add(1) }

func (s *slot) done() {
	if s.holders.Add(-1) == 0 {
		s.free()
	}
}

// inProcess is an http.RoundTripper that calls a handler, so that redirects and
// timeouts are the same as over the network.
type inProcess struct {
	handler http.Handler
	slot    *slot
}

func (t inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	pr, pw := io.Pipe()
	w := &responseWriter{header: make(http.Header), pipe: pw, req: req, head: make(chan *http.Response, 1), body: pr}
	// A handler that is deaf to its context must not block whoever reads.
	stop := context.AfterFunc(ctx, func() { _ = pw.CloseWithError(context.Cause(ctx)) })
	failed := make(chan error, 1)
	t.slot.hold()
	go func() {
		defer t.slot.done()
		defer stop()
		err := errors.New("the handler ended its goroutine") // runtime.Goexit
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("the handler panicked: %v", v)
			}
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx) // it gave up, what it wrote is not a page
			}
			if err == nil {
				w.WriteHeader(http.StatusOK)
			} else {
				failed <- err
			}
			_ = pw.CloseWithError(err) // nil is EOF
		}()
		t.handler.ServeHTTP(w, serverRequest(req))
		err = nil
	}()
	select {
	case resp := <-w.head:
		return resp, nil
	case err := <-failed:
		return nil, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// serverRequest makes of a client's request what a server would hand over.
func serverRequest(req *http.Request) *http.Request {
	r := req.Clone(req.Context())
	r.Host, r.RequestURI = req.URL.Host, req.URL.RequestURI()
	r.RemoteAddr, r.Response, r.Body = "127.0.0.1:0", nil, http.NoBody
	if req.URL.Scheme == "https" { // or apps would redirect to themselves
		r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: req.URL.Hostname()}
	}
	r.URL.Scheme, r.URL.Host = "", ""
	return r
}

// responseWriter hands a handler's response over while it is written.
type responseWriter struct {
	header http.Header
	pipe   *io.PipeWriter
	req    *http.Request
	head   chan *http.Response
	body   io.ReadCloser
	once   sync.Once
	bare   bool // the response has no body
}

func (w *responseWriter) Header() http.Header { return w.header }

func (w *responseWriter) WriteHeader(code int) {
	if code < 200 && code != http.StatusSwitchingProtocols {
		return // informational, RFC 9110 section 15.2
	}
	w.once.Do(func() {
		w.bare = w.req.Method == http.MethodHead || code == http.StatusNoContent || code == http.StatusNotModified
		w.head <- &http.Response{
			Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: w.header.Clone(), Body: w.body, ContentLength: -1, Request: w.req,
		}
	})
}

func (w *responseWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.bare || len(b) == 0 { // an empty write to a pipe waits for a reader
		return len(b), w.req.Context().Err()
	}
	return w.pipe.Write(b)
}

func (w *responseWriter) Flush() { w.WriteHeader(http.StatusOK) }
