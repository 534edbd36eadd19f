package presence_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

func TestHandler(t *testing.T) {
	tracker := newTracker(t, presence.Config{})
	here(tracker, "ann", "s1", "t1", "/a")
	here(tracker, "bob", "s2", "t1", "/b")
	srv := httptest.NewServer(tracker.Handler())
	defer srv.Close()
	tests := []struct {
		name, method, query, accept string
		status                      int
		kind, want                  string
	}{
		{name: "all", status: 200, want: "ann:/a bob:/b"},
		{name: "page", query: "?path=/b", status: 200, want: "bob:/b"},
		{name: "nobody", query: "?path=", status: 200},
		{name: "HEAD", method: "HEAD", status: 200},
		{name: "HEAD of a stream", method: "HEAD", accept: "text/event-stream", status: 200, kind: "text/event-stream"},
		{name: "POST", method: "POST", status: 405, kind: "text/plain; charset=utf-8"},
		{name: "anything", accept: "text/html, */*", status: 200, want: "ann:/a bob:/b"},
		{name: "stream refused", accept: "text/event-stream;q=0, */*", status: 200, want: "ann:/a bob:/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, srv.URL+tt.query, nil)
			require.NoError(t, err)
			if tt.accept != "" {
				req.Header.Set("Accept", tt.accept)
			}
			res, err := srv.Client().Do(req)
			require.NoError(t, err)
			defer func() { _ = res.Body.Close() }()
			require.Equal(t, tt.status, res.StatusCode)
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
			kind := "application/json"
			if tt.kind != "" {
				kind = tt.kind
			}
			require.Equal(t, kind, res.Header.Get("Content-Type"))
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			if tt.method == "" {
				var got struct{ Online []presence.Visitor }
				require.NoError(t, json.Unmarshal(body, &got))
				require.NotNil(t, got.Online)
				require.Equal(t, tt.want, names(got.Online))
			}
		})
	}
}

// Over HTTP/1.1, by a server whose write timeout is shorter than the stream.
func TestStream(t *testing.T) {
	tracker := newTracker(t, presence.Config{})
	here(tracker, "ann", "s1", "t1", "/a")
	srv := httptest.NewUnstartedServer(tracker.Handler())
	srv.Config.WriteTimeout = 100 * time.Millisecond
	srv.Start()
	defer srv.Close()
	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"", []string{"online ann", "join /b", "move /c", "move /d"}},
		{"?path=/c", []string{"online", "move /c", "move /d"}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+tt.query, nil)
		req.Header.Set("Accept", "text/event-stream")
		res, err := srv.Client().Do(req)
		require.NoError(t, err)
		require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
		lines := bufio.NewScanner(res.Body)
		read := func() string {
			var kind string
			for lines.Scan() {
				if rest, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
					kind = rest
				}
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					var got struct {
						Path   string
						Online []presence.Visitor
					}
					require.NoError(t, json.Unmarshal([]byte(data), &got))
					user, _, _ := strings.Cut(names(got.Online), ":")
					return strings.TrimSpace(kind + " " + got.Path + user)
				}
			}
			return ""
		}
		got := []string{read()}
		time.Sleep(200 * time.Millisecond)
		for _, path := range []string{"/b", "/c", "/d"} {
			here(tracker, "bob", "s2"+tt.query, "t1", path)
		}
		for len(got) < len(tt.want) {
			got = append(got, read())
		}
		require.Equal(t, tt.want, got)
		cancel()
		_ = res.Body.Close()
	}
}

// pipe is a writer that can be flushed, that stalls if stalled is set, and takes a delay
// for each write.
type pipe struct {
	*httptest.ResponseRecorder
	mu      sync.Mutex
	text    strings.Builder
	stalled chan struct{}
	delay   time.Duration
	broken  bool
}

func (p *pipe) Write(b []byte) (int, error) {
	if p.stalled != nil {
		<-p.stalled
	}
	time.Sleep(p.delay)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return 0, errors.New("gone")
	}
	return p.text.Write(b)
}

func (p *pipe) take() string {
	time.Sleep(50 * time.Millisecond)
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.text.Reset()
	return p.text.String()
}

// stream runs the handler until it returns.
func stream(ctx context.Context, tracker *presence.Tracker, url string, p *pipe) (done chan struct{}) {
	r := httptest.NewRequest(http.MethodGet, url, nil).WithContext(ctx)
	r.Header.Set("Accept", "text/event-stream")
	done = make(chan struct{})
	p.ResponseRecorder = httptest.NewRecorder()
	go func() {
		tracker.Handler().ServeHTTP(p, r)
		close(done)
	}()
	return done
}

func TestStreamLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{Buffer: 2})
		p := &pipe{}
		done := stream(t.Context(), tracker, "/", p)
		require.Equal(t, "event: online\ndata: {\"online\":[]}\n\n", p.take())
		time.Sleep(time.Minute)
		require.Equal(t, strings.Repeat(": still here\n\n", 3), p.take())
		here(tracker, "ann", "s", "t", "/0")
		require.Contains(t, p.take(), "event: join\n")
		for i := range 5 { // more than it can remember
			here(tracker, "ann", "s", "t", string(rune('a'+i)))
			here(tracker, "ann", "s", "t", "/"+string(rune('a'+i)))
		}
		got := p.take()
		require.True(t, strings.HasPrefix(got, "event: online\n"), got)
		require.Contains(t, got, `"path":"/e"`)
		<-done // after ten minutes
	})
}

// The heartbeat of a page's stream does not wait for other pages to be quiet.
func TestHeartbeatOfPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{})
		p := &pipe{}
		stream(t.Context(), tracker, "/?path=/a", p)
		p.take()
		for i := range 12 {
			here(tracker, "ann", "s", "t", "/b"+strings.Repeat("x", i))
			time.Sleep(5 * time.Second)
		}
		require.Equal(t, strings.Repeat(": still here\n\n", 3), p.take())
	})
}

func TestStreamEnds(t *testing.T) {
	for name, end := range map[string]func(*presence.Tracker, *pipe, func()){
		"request": func(_ *presence.Tracker, _ *pipe, cancel func()) { cancel() },
		"tracker": func(tr *presence.Tracker, _ *pipe, _ func()) { tr.Close() },
		"client": func(tr *presence.Tracker, p *pipe, _ func()) {
			p.mu.Lock()
			p.broken = true
			p.mu.Unlock()
			here(tr, "ann", "s", "t", "/")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tracker := newTracker(t, presence.Config{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				p := &pipe{}
				done := stream(ctx, tracker, "/", p)
				p.take()
				begun := time.Now()
				end(tracker, p, cancel)
				<-done
				require.Less(t, time.Since(begun), time.Second)
			})
		})
	}
}

// A client that reads nothing holds up no beat.
func TestStalledStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{Buffer: 4})
		p := &pipe{stalled: make(chan struct{})}
		done := stream(t.Context(), tracker, "/", p)
		synctest.Wait()
		begun := time.Now()
		for i := range 100 {
			here(tracker, "ann", "s", "t", "/"+strings.Repeat("x", i))
		}
		require.Equal(t, begun, time.Now())
		close(p.stalled)
		require.Contains(t, p.take(), "event: online\n")
		tracker.Close()
		<-done
	})
}

// A stream that has ended writes no event of those that others still follow.
func TestStreamEndsBesideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker := newTracker(t, presence.Config{Buffer: 4})
		ctx, cancel := context.WithCancel(t.Context())
		p := &pipe{stalled: make(chan struct{})}
		done := stream(ctx, tracker, "/", p)
		synctest.Wait() // it is subscribed, and writes who is online
		here(tracker, "ann", "s", "t", "/")
		cancel()
		synctest.Wait()
		watch(t, tracker)
		close(p.stalled)
		<-done
		require.Equal(t, "event: online\ndata: {\"online\":[]}\n\n", p.take())
	})
}
