package warmup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

const (
	userAgent    = "keepalive-warmup"
	maxRedirects = 10
)

// fetch requests one target. The calls of Config.Handler that it starts are counted
// in handlers, as they may go on after fetch has returned.
func (p *Pinger) fetch(ctx context.Context, pl *plan, t *target, handlers *sync.WaitGroup) Result {
	ctx, cancel := context.WithTimeoutCause(ctx, pl.RequestTimeout, fmt.Errorf("the request took more than %v", pl.RequestTimeout))
	defer cancel()
	res := Result{Time: time.Now()}
	err := p.request(ctx, pl, t, handlers, &res)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // names the limit that was exceeded
	}
	res.Duration, res.Err, res.Warm = time.Since(res.Time), err, err == nil
	return res
}

// request sends the request of a target, follows redirects and reads the page. It sets
// Status, Bytes, Truncated and Location of res, and returns why the target is not warm.
func (p *Pinger) request(ctx context.Context, pl *plan, t *target, handlers *sync.WaitGroup, res *Result) error {
	req, err := newRequest(ctx, t, pl.CacheBust)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: p.cfg.Transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		res.Location = next.URL.Redacted()
		return checkRedirect(t, pl.origin, next, len(via))
	}}
	if p.cfg.Handler != nil {
		client.Transport = handlerTransport{p.cfg.Handler, handlers}
	}
	resp, err := client.Do(req)
	if resp != nil { // there is one also when checkRedirect failed
		res.Status = resp.StatusCode
	}
	if err != nil {
		var urlErr *url.Error
		if errors.As(err, &urlErr) {
			err = urlErr.Err // Result has the method and the URL
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }() // an error says nothing about the bytes that were read
	if res.Bytes, res.Truncated, err = discardBody(resp.Body, pl.MaxBody); err != nil {
		return err
	}
	return checkStatus(t, res)
}

// newRequest returns the request of a target. cacheBust is Settings.CacheBust.
func newRequest(ctx context.Context, t *target, cacheBust string) (*http.Request, error) {
	u := *t.url
	if cacheBust != "" {
		// url.Values would sort the query, which may then name another page.
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += url.QueryEscape(cacheBust) + "=" + rand.Text()
	}
	req, err := http.NewRequestWithContext(ctx, t.Method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", userAgent)
	for name, value := range t.Header {
		req.Header.Set(name, value)
	}
	return req, nil
}

// checkRedirect decides about the redirect to next after n requests. It returns nil to
// follow it and http.ErrUseLastResponse to take the redirect itself as the response.
func checkRedirect(t *target, origin *url.URL, next *http.Request, n int) error {
	switch {
	case !t.FollowRedirects && t.accepts(next.Response.StatusCode):
		return http.ErrUseLastResponse
	case !sameOrigin(next.URL, origin):
		return fmt.Errorf("%w: redirected to %s, which was not fetched", ErrOrigin, next.URL.Redacted())
	case !t.FollowRedirects:
		return http.ErrUseLastResponse
	case n > maxRedirects:
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	}
	return nil
}

func sameOrigin(u, origin *url.URL) bool {
	o := originOf(u)
	return o != nil && *o == *origin
}

// discardBody reads up to limit bytes, and reports whether there were more.
func discardBody(body io.Reader, limit int64) (n int64, truncated bool, err error) {
	n, err = io.CopyN(io.Discard, body, limit)
	if err == nil { // a body of exactly limit bytes is not truncated
		var more int
		more, err = io.ReadFull(body, make([]byte, 1))
		truncated = more > 0
	}
	if err == io.EOF {
		err = nil
	}
	return n, truncated, err
}

// checkStatus returns an error unless the target accepts the response's status.
func checkStatus(t *target, res *Result) error {
	switch {
	case t.accepts(res.Status):
		return nil
	case res.Status/100 == 3 && res.Location != "":
		return fmt.Errorf("status %d to %s is not warm, and not followed", res.Status, res.Location)
	default:
		return fmt.Errorf("status %d is not warm", res.Status)
	}
}

// accepts reports whether a response with that status code is warm.
func (t *Target) accepts(code int) bool {
	return slices.Contains(t.Status, code) || t.Status == nil && code/100 == 2
}
