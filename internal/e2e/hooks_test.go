package e2e_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/internal/e2e/npm"
	"github.com/seed4a306b22/keepalive/internal/e2e/webdriver"
	"github.com/stretchr/testify/require"
)

// hooks are those of docs/page.md, each in the smallest app that renders the session's state and what it polls.
var hooks = []struct {
	library, imports, app string
	scripts               func(t *testing.T) string
}{
	{
		library: "React",
		imports: "export const { useEffect, useState } = React",
		app: `
			const App = () => {
				const session = useSession();
				const data = usePolling('/data', 200);
				return React.createElement('h1', null, session ? (session.gone ? 'out' : 'in') + (data ?? '') : 'nothing');
			};
			ReactDOM.createRoot(document.getElementById('root')).render(React.createElement(App));`,
		scripts: func(t *testing.T) string {
			return inline(npm.File(t, "react", "18.3.1", "umd/react.production.min.js",
				"sha512-wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ==")) +
				inline(npm.File(t, "react-dom", "18.3.1", "umd/react-dom.production.min.js",
					"sha512-5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw=="))
		},
	},
	{
		library: "Vue",
		imports: "export const { onScopeDispose, ref, watch } = Vue",
		app: `
			Vue.createApp({
				setup() {
					const session = useSession();
					const data = usePolling('/data', 200);
					return () => Vue.h('h1', session.value ? (session.value.gone ? 'out' : 'in') + (data.value ?? '') : 'nothing');
				},
			}).mount('#root');`,
		scripts: func(t *testing.T) string {
			return inline(npm.File(t, "vue", "3.5.45", "dist/vue.global.prod.js",
				"sha512-3cvsib8m9c0vB24+MDKsgcW4+Da4xaBl9Z/5Tbm2pmSIsRPxcil4cdXjXlVsmJ2g64XJo5h+IRd7rsdGT9pZaw=="))
		},
	},
}

func inline(script []byte) string { return "<script>" + string(script) + "</script>" }

const hooksHTML = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>%[1]s</title><script src="/recorder.js"></script>%[2]s
<script type="importmap">{"imports": {"%[3]s": "data:text/javascript,%[4]s"}}</script></head>
<body><div id="root"></div><script type="module">%[5]s%[6]s</script></body></html>`

var libraryName = regexp.MustCompile(`from '(\w+)'`)

// The code that the page shows runs as it stands there.
func testHooks(t *testing.T, b *webdriver.Browser) {
	text, err := os.ReadFile("../../docs/page.md")
	require.NoError(t, err)
	for _, hook := range hooks {
		t.Run(hook.library, func(t *testing.T) {
			b := b.For(t)
			code := regexp.MustCompile("(?s)\n\\*\\*" + hook.library + "\\.\\*\\*.*?\n```js\n(.*?)\n```").FindSubmatch(text)
			require.NotNil(t, code)
			imported := libraryName.FindSubmatch(code[1])
			require.NotNil(t, imported)
			a := newApp(t, longIdle, time.Hour)
			a.html = map[string]string{"": fmt.Sprintf(hooksHTML, hook.library, hook.scripts(t), imported[1], hook.imports, code[1], hook.app)}
			token := a.login(t, b)

			// polledAt returns what the app shows beside the state: when the server answered it.
			polledAt := func(state string) time.Time {
				match := regexp.MustCompile(`^` + state + `(\d+)$`).FindStringSubmatch(
					webdriver.Script[string](b, "return document.querySelector('h1')?.textContent ?? ''"))
				if match == nil {
					return time.Time{}
				}
				ms, err := strconv.ParseInt(match[1], 10, 64)
				require.NoError(t, err)
				return time.UnixMilli(ms)
			}
			polls := func(since time.Time) bool { return polledAt("in").After(since.Add(time.Second)) }
			eventually(t, "it polls", func() bool { return polls(time.Now().Add(-2 * time.Second)) })
			a.end(t, b, token)
			eventually(t, "it shows the end", func() bool { return !polledAt("out").IsZero() })
			ended := polledAt("out")
			time.Sleep(time.Second) // five intervals
			require.Equal(t, ended, polledAt("out"), "it polls after the end")

			again := time.Now()
			require.Equal(t, 200, webdriver.AsyncScript[int](b, "fetch('/login').then(response => arguments[0](response.status))"))
			webdriver.Script[any](b, "keepalive.look()")
			eventually(t, "it polls again", func() bool { return polls(again) })
			require.Empty(t, webdriver.Script[[]string](b, "return recordedConsole.filter((line) => line.startsWith('error'))"))
		})
	}
}
