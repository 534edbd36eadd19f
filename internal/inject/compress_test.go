package inject_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed4a306b22/keepalive/internal/inject"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

// uncompressed is a page that arrived as it is, with the tag, where the bare
// handler compresses it.
func uncompressed(t *testing.T, bare, got wiretest.Response) {
	require.Equal(t, "gzip", bare.Header.Get("Content-Encoding"))
	require.Empty(t, got.Header.Get("Content-Encoding"))
	rest, tags := removeTag(got.Body)
	require.Equal(t, wiretest.Decompress(t, bare.Body), rest)
	require.Equal(t, 1, tags)
}

// compressedAfter is a page that was compressed with the tag in it.
func compressedAfter(t *testing.T, bare, got wiretest.Response) {
	require.Equal(t, "gzip", got.Header.Get("Content-Encoding"))
	rest, tags := removeTag(wiretest.Decompress(t, got.Body))
	require.Equal(t, wiretest.Decompress(t, bare.Body), rest)
	require.Equal(t, 1, tags)
}

func TestCompressors(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"one write": respondHTML(200, page),
		"no type":   respond(0, page),
		"length":    respondHTML(0, page, "Content-Length", pageLength),
		"pieces":    inPieces(3, mustWrite),
		"flush":     flushAfter(18),
	}
	inside := func(h http.Handler) http.Handler { return wrap(onlyTag, wiretest.Compress(h)) }
	outside := func(h http.Handler) http.Handler { return wiretest.Compress(wrap(onlyTag, h)) }
	tests := []struct {
		name   string
		wrap   func(http.Handler) http.Handler
		header string
		check  check
	}{
		{name: "inside, page", wrap: inside, header: wiretest.ForPage, check: uncompressed},
		{name: "inside, asset", wrap: inside, header: wiretest.ForAsset, check: unchanged},
		{name: "inside, nothing accepted", wrap: inside, check: inserted},
		{name: "outside, page", wrap: outside, header: wiretest.ForPage, check: compressedAfter},
		{name: "outside, asset", wrap: outside, header: wiretest.ForAsset, check: compressedAfter},
		{name: "outside, nothing accepted", wrap: outside, check: inserted},
	}
	for _, tt := range tests {
		for name, h := range handlers {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				bare, wrapped := wiretest.Serve(t, wiretest.Compress(h)), wiretest.Serve(t, tt.wrap(h))
				for _, proto := range wiretest.Protocols {
					tt.check(t, bare.Fetch(t, proto, "GET", "/", tt.header), wrapped.Fetch(t, proto, "GET", "/", tt.header))
				}
			})
		}
	}
}

// Requests for HTML are answered uncompressed, and middleware outside keeps the
// request that it has.
func TestPrepareAsksUncompressed(t *testing.T) {
	tests := []struct {
		name           string
		accept, coding string
		changed        bool
	}{
		{name: "page", accept: "text/html,*/*;q=0.8", coding: "gzip, br", changed: true},
		{name: "asset", accept: "*/*", coding: "gzip"},
		{name: "page, nothing accepted", accept: "text/html"},
		{name: "no Accept", coding: "gzip"},
	}
	for _, tt := range tests {
		for name, isCopy := range map[string]bool{"original": false, "copy": true} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				r := httptest.NewRequest("GET", "/", nil)
				for name, value := range map[string]string{"Accept": tt.accept, "Accept-Encoding": tt.coding} {
					if value != "" {
						r.Header.Set(name, value)
					}
				}
				outside := r.Header
				before := outside.Clone()
				var writer inject.Writer
				got, changed := writer.Prepare(r, isCopy, false, nil)
				require.Equal(t, tt.changed, changed)
				require.Equal(t, before, outside)
				require.Equal(t, tt.accept, got.Header.Get("Accept"))
				require.Equal(t, !tt.changed || isCopy, got == r)
				if tt.changed {
					require.NotContains(t, got.Header, "Accept-Encoding")
				} else {
					require.Equal(t, before, got.Header)
				}
			})
		}
	}
}
