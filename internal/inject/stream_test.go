package inject_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What was flushed has arrived before the handler goes on, but for the bytes of
// a token that may turn out to follow the tag.
func TestFlushedBytesArriveAtOnce(t *testing.T) {
	tests := []struct {
		name    string
		flushed int // bytes of the page
		want    string
	}{
		{name: "nothing", flushed: 0, want: ""},
		{name: "within the doctype", flushed: 10, want: page[:10]},
		{name: "after the doctype", flushed: 15, want: page[:15]},
		{name: "within a name", flushed: 18, want: page[:16]},
		{name: "within a tag that is not head", flushed: 22, want: page[:22]},
		{name: "after html", flushed: 30, want: page[:30]},
		{name: "within head", flushed: 35, want: page[:30]},
		{name: "after head", flushed: 36, want: page[:36] + tag},
		{name: "within body", flushed: 60, want: page[:36] + tag + page[36:60]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			arrived := make(chan struct{})
			srv := httptest.NewServer(wrap(onlyTag, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				mustWrite(w, page[:tt.flushed])
				mustFlush(w)
				select {
				case <-arrived:
				case <-r.Context().Done():
				}
				mustWrite(w, page[tt.flushed:])
			})))
			defer srv.Close()
			client := srv.Client()
			client.Timeout = 10 * time.Second // only when the bytes do not arrive
			res, err := client.Get(srv.URL)
			require.NoError(t, err)
			defer res.Body.Close()
			first := make([]byte, len(tt.want))
			_, err = io.ReadFull(res.Body, first)
			require.NoError(t, err)
			require.Equal(t, tt.want, string(first))
			close(arrived)
			rest, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			all, tags := removeTag(string(first) + string(rest))
			require.Equal(t, page, all)
			require.Equal(t, 1, tags)
		})
	}
}

// A page of 1 GB passes in constant memory, wherever its head is.
func TestGigabyteInConstantMemory(t *testing.T) {
	const size = 1 << 30
	for name, start := range map[string]string{"page": page, "a comment that never ends": "<!doctype html><!--"} {
		t.Run(name, func(t *testing.T) {
			// All that was ever allocated, by client, server and test together, and
			// not only what was in use: so no garbage collection can hide it.
			var before, most uint64
			var once sync.Once
			chunk := []byte(strings.Repeat("x", 256<<10))
			srv := httptest.NewServer(wrap(onlyTag, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				mustWrite(w, start)
				var m runtime.MemStats
				for sent := 0; sent < size; sent += len(chunk) {
					if sent%(64<<20) == 0 {
						runtime.ReadMemStats(&m)
						once.Do(func() { before = m.TotalAlloc })
						most = max(most, m.TotalAlloc-before)
					}
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			})))
			defer srv.Close()
			res, err := http.Get(srv.URL)
			require.NoError(t, err)
			n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, make([]byte, 256<<10))
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.GreaterOrEqual(t, n, int64(size))
			srv.Close() // which waits for the handler
			require.Less(t, most, uint64(4<<20))
		})
	}
}
