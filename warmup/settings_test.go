package warmup_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func TestSettingsJSON(t *testing.T) {
	const text = `{
		"enabled": false, "origin": "http://app", "interval": "5m", "jitter": "-1ns", "requestTimeout": "30s", "runTimeout": "1m30s",
		"readyTimeout": "45s", "concurrency": 2, "maxBody": 1000, "cacheBust": "_", "history": 10, "historyAge": "1h",
		"targets": ["/", {"url": "/a", "method": "HEAD", "header": {"Accept": "text/html"}, "status": [200, 404], "followRedirects": true}]
	}`
	want := warmup.Settings{
		Enabled: new(bool), Origin: "http://app", Interval: 5 * time.Minute, Jitter: -1, RequestTimeout: 30 * time.Second, RunTimeout: 90 * time.Second,
		ReadyTimeout: 45 * time.Second, Concurrency: 2, MaxBody: 1000, CacheBust: "_", History: 10, HistoryAge: time.Hour,
		Targets: []warmup.Target{{URL: "/"}, {URL: "/a", Method: "HEAD", Header: map[string]string{"Accept": "text/html"}, Status: []int{200, 404}, FollowRedirects: true}},
	}
	var got warmup.Settings
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Equal(t, want, got)

	out, err := json.Marshal(got)
	require.NoError(t, err)
	require.Contains(t, string(out), `"runTimeout":"1m30s"`)
	var reread warmup.Settings
	require.NoError(t, json.Unmarshal(out, &reread))
	require.Equal(t, want, reread)

	out, err = json.Marshal(warmup.Settings{})
	require.NoError(t, err)
	require.JSONEq(t, `{}`, string(out))

	// A name that is missing keeps the field, and a list replaces the list.
	require.NoError(t, json.Unmarshal([]byte(`{"interval": "7m", "targets": [{"url": "/b"}]}`), &got))
	require.Equal(t, 7*time.Minute, got.Interval)
	require.Equal(t, 45*time.Second, got.ReadyTimeout)
	require.Equal(t, []warmup.Target{{URL: "/b"}}, got.Targets)
}

func TestSettingsJSONErrors(t *testing.T) {
	tests := []struct{ name, text, err string }{
		{"number", `{"interval": 30}`, `write a string such as "30s"`},
		{"no unit", `{"interval": "30"}`, "missing unit"},
		{"mistyped", `{"intreval": "30s"}`, "intreval"},
		{"mistyped in a target", `{"targets": [{"path": "/"}]}`, "path"},
		{"target of another type", `{"targets": [1]}`, "number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s warmup.Settings
			require.ErrorContains(t, json.Unmarshal([]byte(tt.text), &s), tt.err)
		})
	}
}

// For any settings: nothing panics, what was read can be written and read again, and
// a target that New accepts is of the app's origin.
func FuzzSettings(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"targets": ["/"]}`, `{"targets": ["//evil/", "/\\evil", "http:/x", "http://app:80", "http://app@evil/"]}`,
		`{"origin": "HTTP://App:80/", "targets": ["http://app/x?y", {"url": "/z", "status": [404], "header": {"A": "b"}}]}`,
		`{"interval": "1h", "jitter": "-1s", "requestTimeout": "1ms", "maxBody": 1, "enabled": true}`, `{"interval": null, "targets": null}`,
	} {
		f.Add([]byte(s), "/")
	}
	for _, u := range []string{"/", "//evil", `/\evil`, "http://app/", "http://app.evil/", "http://app:80/", "/..//evil", "/%2f%2fevil", "http:evil", "?x", "http://[::1]/"} {
		f.Add([]byte(`{}`), u)
	}
	f.Fuzz(func(t *testing.T, text []byte, target string) {
		var s warmup.Settings
		if json.Unmarshal(text, &s) == nil {
			out, err := json.Marshal(s)
			require.NoError(t, err)
			var reread warmup.Settings
			require.NoError(t, json.Unmarshal(out, &reread))
			rewritten, err := json.Marshal(reread)
			require.NoError(t, err)
			require.Equal(t, string(out), string(rewritten))
			_, _ = warmup.New(warmup.Config{Settings: s}) // must not panic
		}
		p, err := warmup.New(warmup.Config{Settings: warmup.Settings{Origin: "http://app", Targets: targets(target)}})
		if err != nil {
			return
		}
		u, err := url.Parse(p.Last()[0].URL)
		require.NoError(t, err)
		require.Equal(t, "http://app", u.Scheme+"://"+u.Host)
		r, err := http.NewRequest("GET", u.String(), nil)
		require.NoError(t, err)
		require.Equal(t, "app", r.Host)
	})
}
