package doctor

import (
	"fmt"
	"strings"
)

// kind is one thing that can be wrong.
type kind struct {
	name string
	says string // a format, of strings only
	mend string
}

// kinds are all of them. docs/doctor.md has the same in a table.
var kinds = []kind{
	// The page.
	{"not-wrapped", "The page has no script, and keepalive does not answer at %s.",
		"Wrap the whole router: `km.LoadAndSave(mux)`. If the endpoints lie elsewhere, name their path by `-path`."},
	{"no-idle-timeout", "Sessions have no idle timeout, so there is nothing to extend.",
		"Set one before the first request: `sessions.IdleTimeout = 20 * time.Minute`."},
	{"page-compressed", "The page is compressed inside of keepalive, so it has no script.",
		"Compress outside: `compress(km.LoadAndSave(mux))`. Serve no page from a compressed file."},
	{"page-left-alone", "The page has no script because of this: %s.",
		"Remove it from pages, and let each begin with `<!doctype html>`."},
	{"page-without-script", "The page has no script, although its session is alive.",
		"Look whether `Config.Passive`, `Config.Skip` or `Config.Stateless` names it, whether `LoadAndSave` is on its route, and what the log says at the level of `slog.LevelDebug`."},
	{"script-twice", "The page has the script %s times.",
		"Remove the tag from the template, and leave it to keepalive. Two programs in one page need two values of `Config.Path`."},
	{"compression-inside", "The page is not compressed, because the compressing middleware stands inside of keepalive.",
		"Put it outside: `compress(km.LoadAndSave(mux))`."},
	{"policy", "The page's Content-Security-Policy stops %s: %s.",
		"Let it have `script-src 'self'` or a nonce, `connect-src 'self'`, and `frame-src 'self'` for `Config.NoScript`. If a proxy adds a policy, change it there."},
	{"integrity-policy", "The page's Integrity-Policy refuses the script, which has no `integrity`.",
		"Set that policy inside of keepalive, or in middleware that runs before it. Then the tag has what it asks for."},
	{"base", "A `<base>` element sends %s to %s.",
		"Let `<base>` name the page's own origin, and stand below the script."},
	{"page-public", "The page of a session may be kept by shared caches: %s.",
		"Leave `Cache-Control` to keepalive, or write `private, no-cache`."},
	{"page-cached", "A cache between here and the program serves the page of one session to others: %s.",
		"Let the cache obey `Cache-Control` and `Vary`, and empty it."},

	// The endpoints.
	{"not-routed", "The page has the script, but %s is answered by something else (%s).",
		"Wrap the whole router, or mount the endpoints: `mux.Handle(km.Path(), km.Handler())`. Let a proxy pass that path on."},
	{"prefix", "The page looks for the endpoints at %s, but they are at %s.",
		"Set `Config.PublicPath` to the second, because a proxy or a mux outside strips the prefix."},
	{"redirected", "A ping (%s) is redirected to %s.",
		"Serve the endpoints past what redirects. It is often a check of the login that stands outside, or a proxy's."},
	{"refused", "A ping (%s) is refused with %s by something outside of keepalive.",
		"Serve the endpoints past CSRF checks and authentication. They refuse other origins by themselves."},
	{"limited", "A limiter answers pings with %s.",
		"Let pings through, or allow some a minute for each session. A page asks about twice in each idle timeout."},
	{"unavailable", "A ping (%s) is answered with %s.",
		"Look into the log of the program and of the proxy. With 503 the store may have failed."},
	{"mark-stripped", "The header `Keepalive: 1` is lost on the way, so pages do not believe that a session has ended.",
		"Let proxies pass that header of responses on."},
	{"ping-rewritten", "The answer to a ping is no longer what keepalive sends: %s.",
		"Keep proxies and middleware from changing answers of the endpoints."},
	{"gone-rewritten", "A ping without a session should get keepalive's 401, but gets this: %s.",
		"Keep proxies and middleware from replacing a 401 below the endpoints' path (nginx: `proxy_intercept_errors off`)."},
	{"ping-cached", "A cache keeps the answers to pings: %s.",
		"Let the cache obey `Cache-Control: no-store`, at least below the endpoints' path."},
	{"host-rewritten", "The program takes pings of its own pages for those of another origin, because the Host differs from the page's.",
		"Let the proxy pass the Host on with its port (nginx: `proxy_set_header Host $http_host`), or trust the origin by `Config.CrossOrigin`."},
	{"connection-closed", "The server closes each connection after its answer, so each ping needs a new one.",
		"Keep connections open, in the program and in the proxy: for TLS a new one costs many times what a ping does."},
	{"clock", "The server's clock and this machine's differ by %s.",
		"Synchronise both. Browsers drop cookies by their own clock."},

	// The script.
	{"script-unreachable", "The script %s is answered with %s.",
		"Let requests below the endpoints' path through to keepalive."},
	{"script-type", "The script's Content-Type is %s, so browsers refuse it.",
		"Let `text/javascript` through. Often another page is served in the script's place."},
	{"script-garbled", "The script does not arrive as it was sent: %s.",
		"Keep proxies and middleware from changing or compressing it again."},
	{"script-not-cached", "Browsers ask for the script again and again, because its Cache-Control is %s.",
		"Keep proxies and middleware from replacing it. It is `public, max-age=31536000, immutable`."},
	{"script-uncompressed", "The script comes uncompressed.",
		"Let the proxy pass `Accept-Encoding` on, or compress `text/javascript` itself."},
	{"script-sets-cookie", "The script's answer sets a cookie (%s), and caches may give that to others.",
		"Serve the endpoints past the middleware that sets it: `outer.Handle(km.Path(), km.Handler())`."},

	// The session.
	{"no-session-in-ping", "The page has a session, but pings find none.",
		"Let pings have the session's cookie: `Cookie.Path` and `Cookie.Domain` must fit the endpoints, and no proxy may remove it below them."},
	{"instances", "Of %s pings with the same cookie some find a session and some do not.",
		"Let all instances of the program use one shared store."},
	{"scs-outside", "scs's LoadAndSave stands outside, and writes the session back with each ping.",
		"Remove it: keepalive's takes its place."},
	{"scs-inside", "scs's LoadAndSave stands inside of keepalive's, and sets a cookie that ends with the idle timeout.",
		"Remove it: keepalive's takes its place."},
	{"expiry-stuck", "A ping does not extend the session: %s are left after it, of an idle timeout of %s.",
		"Let the store move the expiry. The tests of package storetest show whether it does."},
	{"deadline-moves", "The session's deadline moves: in %s it came only %s nearer.",
		"Call `SetDeadline` at sign-in only. A deadline that moves is no limit."},
	{"idle-short", "The idle timeout is %s, too short for hidden pages, which browsers wake once a minute.",
		"Use 3 minutes or more: `sessions.IdleTimeout = 20 * time.Minute`."},
	{"lifetime-short", "A new session lasts %s, less than the idle timeout of %s.",
		"Set a longer `sessions.Lifetime`, or a shorter idle timeout."},
	{"warning-long", "The warning comes %s before the end, which is too early for %s: it shows before a ping can prevent it.",
		"Set a shorter `Config.WarnBefore`: at most two thirds of the idle timeout, and less than the lifetime."},

	// The cookie.
	{"cookie-path", "The cookie's Path is %s, so pings to %s come without it.",
		"Set `sessions.Cookie.Path` to a path above both, or a `Config.Path` below it."},
	{"cookie-refused", "Browsers refuse the session's cookie: %s.",
		"Correct `sessions.Cookie`. At development without TLS, set `Secure` to false and leave out the prefix."},
	{"cookie-not-secure", "The session's cookie has no Secure, so a browser also sends it without TLS.",
		"Set `sessions.Cookie.Secure = true`."},
	{"cookie-http-only", "The session's cookie has no HttpOnly, so any script of a page can read it.",
		"Set `sessions.Cookie.HttpOnly = true`. keepalive's script does not need it."},
	{"cookie-same-site", "The session's cookie has %s, so requests from pages of others may carry it.",
		"Set `sessions.Cookie.SameSite = http.SameSiteLaxMode`, unless other sites frame the app."},
}

// Finding is something that is wrong.
type Finding struct {
	Name    string `json:"name"`    // as in docs/doctor.md
	Problem string `json:"problem"` // one sentence
	Mend    string `json:"mend"`
}

// newFinding returns a finding of the kind with this name.
func newFinding(name string, values ...string) Finding {
	for _, k := range kinds {
		if k.name == name {
			args := make([]any, len(values))
			for i, v := range values {
				args[i] = v
			}
			return Finding{name, fmt.Sprintf(k.says, args...), k.mend}
		}
	}
	panic("doctor: no kind has the name " + name)
}

// row is the kind's row of the table in docs/doctor.md.
func (k kind) row() string {
	return "| `" + k.name + "` | " + strings.ReplaceAll(k.says, "%s", "…") + " | " + k.mend + " |\n"
}
