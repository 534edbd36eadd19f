package frameworks_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const page = "<!doctype html><html lang=en><head><title>Page</title></head><body><p>Text</body></html>\n"

// A way is one of those in which a handler writes a page.
type way struct {
	name  string
	write http.HandlerFunc
}

var ways = []way{
	{"Write", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page))
	}},
	{"no type", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(page))
	}},
	{"WriteHeader, then Write", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(page))
	}},
	{"Content-Length", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		_, _ = w.Write([]byte(page))
	}},
	{"Content-Length, WriteHeader, Write", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(page))
	}},
	{"Content-Length after WriteHeader", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusOK)
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		_, _ = w.Write([]byte(page))
	}},
	{"two writes, cut in the prolog", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, page[:9])
		_, _ = io.WriteString(w, page[9:])
	}},
	{"ReadFrom", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.Copy(w, io.LimitReader(strings.NewReader(page), 1<<20))
	}},
	{"ServeContent", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "page.html", time.Unix(1e9, 0), strings.NewReader(page))
	}},
	{"Flush in the prolog", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, page[:9])
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, page[9:])
	}},
	{"status 422", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(page))
	}},
}
