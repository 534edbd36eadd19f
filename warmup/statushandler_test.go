package warmup_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func get(h http.Handler, target string, accept ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	r.Header["Accept"] = accept
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStatusNegotiation(t *testing.T) {
	h := newPinger(t, warmup.Config{Handler: okHandler}).StatusHandler()
	const html, json = "text/html; charset=utf-8", "application/json"
	tests := []struct{ name, query, accept, want string }{
		{"no header", "", "", html},
		{"anything", "", "*/*", html},
		{"browser", "", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", html},
		{"JSON", "", "application/json", json},
		{"JSON preferred to the rest", "", "application/json, */*;q=0.1", json},
		{"HTML preferred to JSON", "", "application/json;q=0.8, text/html", html},
		{"HTML refused", "", "*/*, text/html;q=0", json},
		{"whole type", "", "application/*, text/html;q=0.5", json},
		{"capitals", "", "Application/JSON;Q=1", json},
		{"format overrides the header", "?format=json", "text/html", json},
		{"format html overrides the header", "?format=html", "application/json", html},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := get(h, "/"+tt.query, tt.accept)
			require.Equal(t, 200, w.Code)
			require.Equal(t, tt.want, w.Header().Get("Content-Type"))
			require.Equal(t, "Accept", w.Header().Get("Vary"))
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		})
	}
	require.Equal(t, http.StatusBadRequest, get(h, "/?format=xml").Code)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}
