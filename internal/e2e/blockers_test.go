package e2e_test

import (
	"bufio"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// TestContentBlockers holds the default URLs against the lists that content
// blockers use, as Debian's webext-ublock-origin-firefox brings them.
func TestContentBlockers(t *testing.T) {
	sm := scs.New()
	sm.IdleTimeout = time.Hour
	km, err := keepalive.New(sm, keepalive.Config{Anonymous: true})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><head>"))
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	src := regexp.MustCompile(`src="([^"]+)"`).FindStringSubmatch(w.Body.String())
	require.NotNil(t, src)
	const origin = "https://app.example"
	urls := []string{origin + src[1]}
	for _, name := range []string{"ping", "frame", "dialog?en", "dialog.ABCDEFGHIJKL.js", "keepalive.debug.js", "here", "leave"} {
		urls = append(urls, origin+km.Path()+name)
	}

	const blocked = origin + "/ping?h=1" // to see that the rules work
	for _, list := range []string{"easylist.txt", "easyprivacy.txt"} {
		rules := readRules(t, list)
		require.Greater(t, len(rules), 10_000)
		matched := false
		for _, rule := range rules {
			matched = matched || rule.pattern.MatchString(blocked)
			for _, u := range urls {
				require.False(t, rule.pattern.MatchString(u), "%s: %s stops %s", list, rule.text, u)
			}
		}
		require.Equal(t, list == "easyprivacy.txt", matched)
	}
}

type rule struct {
	text    string
	pattern *regexp.Regexp
}

// readRules reads the network rules of a list that may apply to an app's
// requests to itself. Which kinds of request a rule is for does not matter here.
func readRules(t *testing.T, name string) (rules []rule) {
	var path string
	_ = filepath.WalkDir("/usr/share/mozilla/extensions", func(p string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Base(p) == name {
			path = p
		}
		return nil
	})
	require.NotEmpty(t, path, "%s is missing: apt-get install --no-install-recommends webext-ublock-origin-firefox", name)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text := lines.Text()
		if text == "" || strings.HasPrefix(text, "!") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "@@") ||
			strings.Contains(text, "##") || strings.Contains(text, "#@#") || strings.Contains(text, "#?#") {
			continue
		}
		pattern, options, _ := strings.Cut(text, "$")
		if appliesElsewhere(options) {
			continue
		}
		rules = append(rules, rule{text, compile(pattern)})
	}
	require.NoError(t, lines.Err())
	return rules
}

// appliesElsewhere reports whether a rule is only for certain sites or for
// requests to other origins.
func appliesElsewhere(options string) bool {
	for option := range strings.SplitSeq(options, ",") {
		domain, ok := strings.CutPrefix(option, "domain=")
		if option == "third-party" || ok && !strings.HasPrefix(domain, "~") {
			return true
		}
	}
	return false
}

// compile turns a rule of Adblock Plus's syntax into a regular expression:
// || is the start of a host name, | an end of the URL, ^ a separator.
func compile(pattern string) *regexp.Regexp {
	if len(pattern) > 1 && pattern[0] == '/' && strings.HasSuffix(pattern, "/") && strings.ContainsAny(pattern, `\[(`) {
		if re, err := regexp.Compile("(?i)" + pattern[1:len(pattern)-1]); err == nil {
			return re
		}
	}
	start, end := "", ""
	if rest, ok := strings.CutPrefix(pattern, "||"); ok {
		start, pattern = `^[a-z]+://([^/]*\.)?`, rest
	} else if rest, ok := strings.CutPrefix(pattern, "|"); ok {
		start, pattern = "^", rest
	}
	if rest, ok := strings.CutSuffix(pattern, "|"); ok {
		end, pattern = "$", rest
	}
	re := regexp.QuoteMeta(pattern)
	re = strings.ReplaceAll(re, `\*`, ".*")
	re = strings.ReplaceAll(re, `\^`, `([^\w.%-]|$)`)
	return regexp.MustCompile("(?i)" + start + re + end)
}
