package csp_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed4a306b22/keepalive/internal/inject/csp"
)

func header(enforced, reportOnly []string) http.Header {
	h := http.Header{}
	for _, v := range enforced {
		h.Add("Content-Security-Policy", v)
	}
	for _, v := range reportOnly {
		h.Add("Content-Security-Policy-Report-Only", v)
	}
	return h
}

func TestNonce(t *testing.T) {
	list := func(values ...string) []string { return values }
	tests := []struct {
		name                 string
		enforced, reportOnly []string
		want                 string
	}{
		{"no policy", nil, nil, ""},
		{"empty policy", list(""), nil, ""},
		{"script-src", list("script-src 'nonce-abc'"), nil, "abc"},
		{"script-src-elem wins", list("default-src 'nonce-a'; script-src 'nonce-b'; script-src-elem 'nonce-c'"), nil, "c"},
		{"script-src wins over default-src", list("default-src 'nonce-a'; script-src 'nonce-b'"), nil, "b"},
		{"default-src", list("img-src *; default-src 'self' 'nonce-a'"), nil, "a"},
		{"no fallback past a directive that exists", list("default-src 'nonce-a'; script-src 'self'"), nil, ""},
		{"other directives don't count", list("style-src 'nonce-a'; script-src-attr 'nonce-b'"), nil, ""},
		{"any case, the value kept", list("Script-SRC 'NoNcE-aBC='"), nil, "aBC="},
		{"tabs and spaces", list(" ;\t script-src\t'self'\t 'nonce-abc'\t; "), nil, "abc"},
		{"several header fields", list("img-src *", "script-src 'nonce-a'"), nil, "a"},
		{"several policies in one field", list("img-src *, script-src 'nonce-a'"), nil, "a"},
		{"second directive of a name is ignored", list("script-src 'self'; script-src 'nonce-a'"), nil, ""},
		{"directive that is not ASCII is ignored", list("script-src 'nonce-a' \u00e9; default-src 'nonce-b'"), nil, "b"},
		{"first of several", list("script-src 'nonce-a' 'nonce-b'"), nil, "a"},
		{"the one that both policies accept", list("script-src 'nonce-a' 'nonce-b', script-src 'nonce-c' 'nonce-b'"), nil, "b"},
		{"the one that is needed", list("script-src 'self' 'nonce-a'", "script-src 'nonce-b'"), nil, "b"},
		{"no common one", list("script-src 'nonce-a', script-src 'nonce-b'"), nil, "a"},
		{"report-only", nil, list("script-src 'nonce-a'"), "a"},
		{"enforced goes first", list("script-src 'nonce-a'"), list("script-src 'nonce-b'"), "a"},
		{"report-only beside an enforced one that needs none", list("frame-ancestors 'none'"), list("script-src 'nonce-b'"), "b"},
		{"all characters", list("script-src 'nonce-AZaz09+/-_=='"), nil, "AZaz09+/-_=="},
		{"three equals signs", list("script-src 'nonce-abc==='"), nil, ""},
		{"equals sign inside", list("script-src 'nonce-a=b'"), nil, ""},
		{"equals signs only", list("script-src 'nonce-=='"), nil, ""},
		{"empty value", list("script-src 'nonce-'"), nil, ""},
		{"no quote at the end", list("script-src 'nonce-abc"), nil, ""},
		{"no quotes", list("script-src nonce-abc"), nil, ""},
		{"quote inside", list(`script-src 'nonce-a"b'`), nil, ""},
		{"angle inside", list("script-src 'nonce-a>b'"), nil, ""},
		{"at sign and backquote, neighbours of the letters", list("script-src 'nonce-a@' 'nonce-a`' 'nonce-a['"), nil, ""},
		{"a bad one, then a good one", list("script-src 'nonce-a<' 'nonce-b'"), nil, "b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, csp.Nonce(header(tt.enforced, tt.reportOnly)))
		})
	}
}

func TestBlocks(t *testing.T) {
	const self = "https://www.example.com/keepalive/"
	tests := []struct{ name, policy, nonce, self, want string }{
		{"no directive", "img-src *", "", self, ""},
		{"self", "default-src 'none'; script-src 'self'; connect-src 'self'", "", self, ""},
		{"self in capitals", "default-src 'SELF'", "", self, ""},
		{"none", "script-src 'none'", "", self, "script-src 'none'"},
		{"empty list", "script-src", "", self, "script-src"},
		{"none beside others is ignored", "script-src 'none' 'self'", "", self, ""},
		{"default-src for both", "default-src 'none'", "", self, "default-src 'none'"},
		{"default-src for connect", "default-src 'none'; script-src 'self'", "", self, "default-src 'none'"},
		{"connect", "connect-src 'none'", "", self, "connect-src 'none'"},
		{"as it is written", " Connect-Src\t'NONE' ;", "", self, "Connect-Src\t'NONE'"},
		{"script-src-elem wins", "script-src 'self'; script-src-elem 'none'", "", self, "script-src-elem 'none'"},
		{"script-src-elem wins the other way", "script-src 'none'; script-src-elem 'self'", "", self, ""},
		{"second policy", "script-src 'self', script-src 'none'", "", self, "script-src 'none'"},
		{"trusted types", "require-trusted-types-for 'script'; trusted-types 'none'", "", self, ""},

		{"nonce", "script-src 'nonce-a'", "a", self, ""},
		{"nonce, in another case", "script-src 'nonce-a'", "A", self, "script-src 'nonce-a'"},
		{"nonce missing", "script-src 'nonce-a'", "", self, "script-src 'nonce-a'"},
		{"no use for the nonce", "script-src 'self'", "a", self, ""},
		{"nonce is for scripts only", "default-src 'nonce-a'", "a", self, "default-src 'nonce-a'"},
		{"strict-dynamic with the nonce", "script-src 'strict-dynamic' 'nonce-a'", "a", self, ""},
		{"strict-dynamic takes self away", "script-src 'strict-dynamic' 'self' https:", "", self, "script-src 'strict-dynamic' 'self' https:"},
		{"strict-dynamic is for scripts only", "connect-src 'strict-dynamic' 'self'", "", self, ""},
		{"hash and unsafe-inline allow no file", "script-src 'unsafe-inline' 'sha256-abc='", "", self, "script-src 'unsafe-inline' 'sha256-abc='"},

		{"star", "default-src *", "", self, ""},
		{"https:", "default-src https:", "", self, ""},
		{"HTTPS:", "default-src HTTPS:", "", self, ""},
		{"http: allows https", "default-src http:", "", self, ""},
		{"https: does not allow http", "default-src https:", "", "http://a.test", "default-src https:"},
		{"data:", "default-src data: blob:", "", self, "default-src data: blob:"},
		{"unknown scheme, https:", "default-src https:", "", "//a.test", ""},
		{"unknown scheme, http:", "default-src http:", "", "//a.test", ""},
		{"unknown scheme, data:", "default-src data:", "", "//a.test", "default-src data:"},

		{"host", "default-src www.example.com", "", self, ""},
		{"host in capitals", "default-src WWW.Example.com", "", self, ""},
		{"host with scheme", "default-src https://www.example.com", "", self, ""},
		{"host with the insecure scheme", "default-src http://www.example.com", "", self, ""},
		{"host with the insecure port", "default-src http://www.example.com:80", "", self, ""},
		{"host with another scheme", "default-src ftp://www.example.com", "", self, "default-src ftp://www.example.com"},
		{"host with the secure scheme on an insecure page", "default-src https://a.test", "", "http://a.test", "default-src https://a.test"},
		{"another host", "default-src example.com", "", self, "default-src example.com"},
		{"wildcard", "default-src *.example.com", "", self, ""},
		{"wildcard does not stand for nothing", "default-src *.www.example.com", "", self, "default-src *.www.example.com"},
		{"wildcard needs the dot", "default-src *ww.example.com", "", self, "default-src *ww.example.com"},
		{"wildcard host with a scheme", "default-src https://*", "", self, ""},
		{"wildcard host with a port", "default-src *:8080", "", "http://a.test:8080", ""},
		{"host that only ends alike", "default-src e.com", "", self, "default-src e.com"},
		{"IPv6", "default-src [::1]:8080", "", "http://[::1]:8080", ""},
		{"port", "default-src www.example.com:443", "", self, ""},
		{"port of the other scheme", "default-src a.test:443", "", "http://a.test", "default-src a.test:443"},
		{"another port", "default-src www.example.com:8443", "", self, "default-src www.example.com:8443"},
		{"no port in the source", "default-src a.test", "", "http://a.test:8080", "default-src a.test"},
		{"the standard port in self", "default-src a.test", "", "http://a.test:80", ""},
		{"same port", "default-src a.test:8080", "", "http://a.test:8080", ""},
		{"any port", "default-src a.test:*", "", "http://a.test:8080", ""},
		{"root path", "default-src www.example.com/", "", self, ""},
		{"path", "default-src https://www.example.com/keepalive/", "", self, ""},
		{"path in another case", "default-src https://www.example.com/Keepalive/", "", self, "default-src https://www.example.com/Keepalive/"},
		{"another path", "default-src https://www.example.com/js/", "", self, "default-src https://www.example.com/js/"},
		{"one file", "default-src 'self'; script-src www.example.com/keepalive/keepalive.js", "", self, ""},
		{"another file", "script-src www.example.com/app.js", "", self, "script-src www.example.com/app.js"},
		{"path, no path in self", "script-src a.test/app/", "", "https://a.test", ""},

		{"sandbox", "sandbox", "", self, "sandbox"},
		{"sandbox without an origin", "sandbox allow-scripts", "", self, "sandbox allow-scripts"},
		{"sandbox with enough", "sandbox Allow-Scripts allow-same-origin allow-forms", "", self, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			self, err := url.Parse(tt.self)
			require.NoError(t, err)
			require.Equal(t, tt.want, csp.Blocks(header([]string{tt.policy}, nil), tt.nonce, self, false))
			require.Empty(t, csp.Blocks(header(nil, []string{tt.policy}), tt.nonce, self, false), "a report-only policy blocks nothing")
		})
	}
}

func TestBlocksFrame(t *testing.T) {
	const rest = "script-src 'self'; connect-src 'self'; "
	tests := []struct{ name, policy, self, want string }{
		{"no directive", "img-src 'none'", "", ""},
		{"frame-src", rest + "frame-src 'self'; child-src 'none'; default-src 'none'", "", ""},
		{"frame-src wins", rest + "frame-src 'none'; child-src 'self'; default-src 'self'", "", "frame-src 'none'"},
		{"child-src", rest + "child-src 'self'; default-src 'none'", "", ""},
		{"child-src wins over default-src", rest + "child-src 'none'; default-src 'self'", "", "child-src 'none'"},
		{"default-src", rest + "default-src 'none'", "", "default-src 'none'"},
		{"folder", rest + "frame-src a.test/keepalive/", "//a.test/keepalive/", ""},
		{"another host", rest + "frame-src b.test", "//a.test/keepalive/", "frame-src b.test"},
		{"second policy", rest + "frame-src 'self', frame-src data:", "", "frame-src data:"},
		{"scripts go first", "frame-src 'none'; script-src 'none'", "", "script-src 'none'"},
		{"frame-ancestors is about others", "frame-ancestors 'none'", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			self, err := url.Parse(tt.self)
			require.NoError(t, err)
			h := header([]string{tt.policy}, nil)
			require.Equal(t, tt.want, csp.Blocks(h, "", self, true))
			require.Empty(t, csp.Blocks(header(nil, []string{tt.policy}), "", self, true), "a report-only policy blocks nothing")
			if tt.name != "scripts go first" {
				require.Empty(t, csp.Blocks(h, "", self, false))
			}
		})
	}
}

func TestBlocksWithoutSelf(t *testing.T) {
	require.Empty(t, csp.Blocks(header([]string{"default-src 'self'"}, nil), "", nil, false))
	require.Equal(t, "default-src a.test", csp.Blocks(header([]string{"default-src a.test"}, nil), "", nil, false))
}

func TestNoPolicyNoAllocation(t *testing.T) {
	h := http.Header{"Content-Type": {"text/html"}}
	self := &url.URL{Scheme: "https", Host: "a.test"}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		csp.Nonce(h)
		csp.Blocks(h, "", self, true)
	}))
}

// The work grows with the header, and not with its square.
func TestManyNonces(t *testing.T) {
	sources := func(prefix string, n int) (sources string) {
		for i := range n {
			sources += fmt.Sprintf(" 'nonce-%s%d'", prefix, i)
		}
		return sources
	}
	twoPolicies := func(n int) http.Header {
		return header([]string{"script-src" + sources("a", n), "script-src" + sources("b", n)}, nil)
	}
	allocations := func(h http.Header) float64 {
		return testing.AllocsPerRun(1, func() { require.Equal(t, "a0", csp.Nonce(h)) })
	}
	require.Less(t, allocations(twoPolicies(1000)), 1.5*allocations(twoPolicies(500)))
	h := header([]string{"script-src" + sources("a", 16), "script-src 'nonce-a15'"}, nil)
	require.Equal(t, "a15", csp.Nonce(h), "the last that is tried")
}

func FuzzPolicies(f *testing.F) {
	f.Add("script-src 'self' 'nonce-abc=='; connect-src https://*.a.test:*/keepalive/, sandbox", "default-src 'nonce-x'", "https://a.test:8080/keepalive/")
	f.Add("script-src-elem\t[::1]:80/", "", "//[::1]")
	grammar := regexp.MustCompile(`\A[A-Za-z0-9+/_-]+={0,2}\z`)
	f.Fuzz(func(t *testing.T, enforced, reportOnly, origin string) {
		h := header([]string{enforced, enforced}, []string{reportOnly})
		nonce := csp.Nonce(h)
		if nonce != "" {
			require.Regexp(t, grammar, nonce)
		}
		if self, err := url.Parse(origin); err == nil {
			csp.Blocks(h, nonce, self, true)
		}
		csp.Blocks(h, nonce, nil, true)
	})
}
