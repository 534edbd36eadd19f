package warmup_test

import (
	"testing"

	"github.com/seed4a306b22/keepalive/warmup"
	"github.com/stretchr/testify/require"
)

func TestTargets(t *testing.T) {
	tests := []struct {
		name   string
		target warmup.Target
		err    string // a part of it; "" with other unset means valid
		other  bool   // the error wraps ErrOrigin
	}{
		{name: "path", target: warmup.Target{URL: "/a/b?c=d"}},
		{name: "whole URL", target: warmup.Target{URL: "http://app:8080/a"}},
		{name: "no path", target: warmup.Target{URL: "http://app:8080"}},
		{name: "empty", err: "begins with a slash"},
		{name: "relative", target: warmup.Target{URL: "a"}, err: "begins with a slash"},
		{name: "other host", target: warmup.Target{URL: "http://evil:8080/"}, err: "another origin than http://app:8080", other: true},
		{name: "other port", target: warmup.Target{URL: "http://app/"}, other: true},
		{name: "other scheme", target: warmup.Target{URL: "https://app:8080/"}, other: true},
		{name: "host without a scheme", target: warmup.Target{URL: "//evil/"}, err: "begins with a slash"},
		{name: "no web scheme", target: warmup.Target{URL: "file:///etc/passwd"}, err: "begins with a slash"},
		{name: "password", target: warmup.Target{URL: "http://a:b@app:8080/"}, err: "a name or a password"},
		{name: "fragment", target: warmup.Target{URL: "/#a"}, err: "fragment"},
		{name: "unreadable", target: warmup.Target{URL: "/%zz"}, err: "invalid URL escape"},
		{name: "method", target: warmup.Target{URL: "/", Method: "HEAD"}},
		{name: "no method", target: warmup.Target{URL: "/", Method: "GET /x"}, err: "can't be sent"},
		{name: "CONNECT", target: warmup.Target{URL: "/", Method: "CONNECT"}, err: "can't be sent"},
		{name: "status", target: warmup.Target{URL: "/", Status: []int{200, 404}}},
		{name: "early status", target: warmup.Target{URL: "/", Status: []int{103}}, err: "103"},
		{name: "header", target: warmup.Target{URL: "/", Header: map[string]string{"accept-language": "de"}}},
		{name: "cookie", target: warmup.Target{URL: "/", Header: map[string]string{"cookie": "a=b"}}, err: "Cookie"},
		{name: "host", target: warmup.Target{URL: "/", Header: map[string]string{"Host": "evil"}}, err: "Host"},
		{name: "header twice", target: warmup.Target{URL: "/", Header: map[string]string{"x": "", "X": ""}}, err: "twice"},
		{name: "header injection", target: warmup.Target{URL: "/", Header: map[string]string{"X": "a\r\nCookie: b"}}, err: "RFC 9110"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := warmup.New(warmup.Config{Settings: warmup.Settings{Origin: "http://app:8080", Targets: []warmup.Target{tt.target}}})
			if tt.err == "" && !tt.other {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.err)
			if tt.other {
				require.ErrorIs(t, err, warmup.ErrOrigin)
			}
		})
	}
}
