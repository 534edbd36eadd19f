package warmup

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// handlerTransport is an http.RoundTripper that calls a handler in the same process.
// With it redirects and timeouts work as they do over the network.
type handlerTransport struct {
	handler http.Handler
	calls   *sync.WaitGroup // counts the calls that have not returned
}

// RoundTrip returns as soon as the handler has written the header, has failed, or
// the context of req has ended. The handler may go on.
func (t handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	w := newResponseWriter(req)
	t.calls.Go(func() {
		// The reader of the body must not wait for a handler that ignores its context.
		stop := context.AfterFunc(ctx, func() { w.closeBody(context.Cause(ctx)) })
		defer stop()
		err := errors.New("the handler ended its goroutine") // by runtime.Goexit
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("the handler panicked: %v", v)
			}
			w.finish(err)
		}()
		t.handler.ServeHTTP(w, serverRequest(req))
		err = context.Cause(ctx) // a handler that returns because its context ended may have left out a part
	})
	select {
	case resp := <-w.response:
		return resp, nil
	case err := <-w.failed:
		return nil, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// inProcessKey marks the context of requests that go straight into a handler.
type inProcessKey struct{}

// IsWarmup reports whether r was sent by a Pinger straight into its
// Config.Handler. No other client can make such a request. Requests that go over
// the network cannot be told from a visitor's. It is made for keepalive's
// Config.Stateless, so that a warm-up leaves no sessions behind:
//
//	keepalive.Config{Stateless: warmup.IsWarmup}
func IsWarmup(r *http.Request) bool { return r.Context().Value(inProcessKey{}) != nil }

// serverRequest returns the request that a server would pass to its handler for the
// client's request req.
func serverRequest(req *http.Request) *http.Request {
	r := req.Clone(context.WithValue(req.Context(), inProcessKey{}, true))
	r.Host, r.RequestURI = req.URL.Host, req.URL.RequestURI()
	r.RemoteAddr, r.Response, r.Body = "127.0.0.1:0", nil, http.NoBody
	if req.URL.Scheme == "https" { // else an app that requires TLS would redirect to itself
		r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: req.URL.Hostname()}
	}
	r.URL.Scheme, r.URL.Host = "", ""
	return r
}

// responseWriter makes the client's http.Response of what a handler writes, while it
// writes. The body goes through a pipe.
type responseWriter struct {
	req      *http.Request
	header   http.Header
	once     sync.Once
	response chan *http.Response // receives one when the header is written
	failed   chan error          // receives one if the handler fails
	noBody   bool                // the response has no body, RFC 9110 section 6.4
	bodyR    *io.PipeReader
	bodyW    *io.PipeWriter
}

func newResponseWriter(req *http.Request) *responseWriter {
	w := &responseWriter{req: req, header: make(http.Header), response: make(chan *http.Response, 1), failed: make(chan error, 1)}
	w.bodyR, w.bodyW = io.Pipe()
	return w
}

func (w *responseWriter) Header() http.Header { return w.header }

func (w *responseWriter) WriteHeader(code int) {
	if code < 200 && code != http.StatusSwitchingProtocols {
		return // an interim response, RFC 9110 section 15.2
	}
	w.once.Do(func() {
		w.noBody = w.req.Method == http.MethodHead || code == http.StatusNoContent || code == http.StatusNotModified
		w.response <- &http.Response{StatusCode: code, Header: w.header.Clone(), Body: w.bodyR, ContentLength: -1, Request: w.req}
	})
}

func (w *responseWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.noBody || len(b) == 0 { // an empty write to a pipe would wait for a reader
		return len(b), w.req.Context().Err()
	}
	return w.bodyW.Write(b)
}

func (w *responseWriter) Flush() { w.WriteHeader(http.StatusOK) }

// finish ends the response. Without an error it is complete.
func (w *responseWriter) finish(err error) {
	if err == nil {
		w.WriteHeader(http.StatusOK)
	} else {
		w.failed <- err
	}
	w.closeBody(err)
}

// closeBody ends the body: its reader gets err after the last byte, io.EOF for nil.
func (w *responseWriter) closeBody(err error) {
	_ = w.bodyW.CloseWithError(err) // never returns an error
}
