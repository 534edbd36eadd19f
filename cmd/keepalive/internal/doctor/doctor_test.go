package doctor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/justinas/nosurf"
	"github.com/klauspost/compress/gzhttp"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/cmd/keepalive/internal/doctor"
	"github.com/seed4a306b22/keepalive/internal/memory"
	"github.com/stretchr/testify/require"
)

func signInByGET(o *doctor.Options) { o.Login, o.Form, o.SecondForm = o.Login+"?user=ann", "", "" }

// good are set-ups in which nothing is wrong.
var good = []setup{
	{name: "net/http"},
	{name: "Cookie.Domain, and an address in upper case", prepare: func(p *program) { p.sm.Cookie.Domain = "localhost" }, serve: func(p *program, h http.Handler) string {
		return strings.Replace(serveHTTP(p, h), "127.0.0.1", "LOCALHOST", 1)
	}},
	{name: "chi, compression outside", wrap: func(p *program) http.Handler {
		r := chi.NewRouter()
		r.Use(middleware.RequestID, middleware.Recoverer, middleware.Compress(5), p.km.LoadAndSave)
		r.Mount("/", p.mux)
		return r
	}},
	{name: "gzhttp, CrossOriginProtection and TimeoutHandler", wrap: func(p *program) http.Handler {
		app := http.TimeoutHandler(p.mux, time.Minute, "late")
		return gzhttp.GzipHandler(p.km.LoadAndSave(http.NewCrossOriginProtection().Handler(app)))
	}},
	{name: "composed around scs's LoadAndSave", wrap: func(p *program) http.Handler {
		outer := http.NewServeMux()
		outer.Handle(p.km.Path(), p.km.Handler())
		outer.Handle("/", p.km.Inject(p.sm.LoadAndSave(p.mux)))
		return outer
	}},
	{name: "nosurf, endpoints past it", options: signInByGET, wrap: func(p *program) http.Handler {
		outer := http.NewServeMux()
		outer.Handle("/", nosurf.New(p.km.LoadAndSave(p.mux)))
		outer.Handle(p.km.Path(), p.km.Handler())
		return outer
	}},
	{
		name: "HTTP/2, a cookie of __Host-, strict policies", serve: serveTLS,
		prepare: func(p *program) {
			p.sm.Cookie.Name, p.sm.Cookie.Secure, p.sm.Cookie.Persist = "__Host-session", true, false
			p.sm.Cookie.SameSite = http.SameSiteStrictMode
		},
		wrap: func(p *program) http.Handler {
			app := withHeader(p.km.LoadAndSave(p.mux), "Content-Security-Policy", "default-src 'none'; script-src 'nonce-abc' 'strict-dynamic'; connect-src 'self'")
			return withHeader(app, "Integrity-Policy", "blocked-destinations=(script)")
		},
	},
	{name: "UserActive with a warning", prepare: func(p *program) {
		p.cfg.Mode, p.cfg.WarnBefore, p.cfg.LoginURL = keepalive.UserActive, 2*time.Minute, "/sign-in"
	}},
	{name: "NoScript, base of the same origin", prepare: func(p *program) {
		p.cfg.NoScript = true
		p.page = `<!doctype html><base href="/app/"><title>App</title>`
	}},
	{
		name: "nginx strips a prefix, PublicPath",
		prepare: func(p *program) {
			p.cfg.PublicPath, p.sm.Cookie.Path, p.path = "/app/keepalive/", "/app/", "/app/"
		},
		serve: behind(nginx(`location /app/ { proxy_pass http://UPSTREAM/; proxy_set_header Host $http_host; }`)),
	},
	{
		name: "nginx compresses, and caches what it may",
		serve: behind(nginx(`gzip on; gzip_proxied any; proxy_cache cache; add_header X-Cache-Status $upstream_cache_status;
		location / { proxy_pass http://UPSTREAM; proxy_set_header Host $http_host; }`)),
	},
	{
		name:    "haproxy before two addresses of one program, by TLS",
		prepare: func(p *program) { p.sm.Cookie.Secure = true },
		serve: func(p *program, h http.Handler) string {
			a, b := strings.TrimPrefix(serveHTTP(p, h), "http://"), strings.TrimPrefix(serveHTTP(p, h), "http://")
			return haproxy("balance roundrobin\n\tserver a "+a+"\n\tserver b "+b).start(p.t, "")
		},
	},
	{
		name: "nginx with a sign-in of its own",
		serve: behind(nginx(nginxPass + `
			location = /staff { add_header Set-Cookie "staff=yes; Path=/; HttpOnly"; return 302 /sign-in?user=ann; }
			set $who $cookie_staff; if ($uri = /staff) { set $who yes; } if ($who != yes) { return 302 https://login.example.com/; }`)),
		options: func(o *doctor.Options) { o.Login, o.Form, o.SecondForm = "/staff", "", "" },
	},
	{name: "every visitor gets a session", wrap: func(p *program) http.Handler {
		return p.km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.sm.Put(r.Context(), "visited", r.URL.Path)
			p.mux.ServeHTTP(w, r)
		}))
	}},
	{name: "a path of its own, the script for visitors without a session", prepare: func(p *program) {
		p.cfg.Path, p.cfg.Anonymous = "/session/", true
	}},
}

// broken are set-ups in which something is.
var broken = []setup{
	// The page.
	{name: "no keepalive", want: []string{"not-wrapped"}, wrap: func(p *program) http.Handler { return p.sm.LoadAndSave(p.mux) }},
	{name: "no idle timeout", want: []string{"no-idle-timeout"}, prepare: func(p *program) { p.sm.IdleTimeout = 0 }},
	{name: "a compressed file", want: []string{"page-compressed"}, prepare: func(p *program) { p.path = "/file" }, wrap: func(p *program) http.Handler {
		p.mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Accept-Encoding", "gzip") // a server of compressed files does not ask
			gzhttp.GzipHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, p.page+strings.Repeat("<p>long enough to be compressed", 100))
			})).ServeHTTP(w, r)
		})
		return p.km.LoadAndSave(p.mux)
	}},
	{name: "no-transform", want: []string{"page-left-alone"}, wrap: func(p *program) http.Handler {
		return p.km.LoadAndSave(withHeader(p.mux, "Cache-Control", "private, no-transform"))
	}},
	{name: "a page without a doctype", want: []string{"page-left-alone"}, prepare: func(p *program) { p.page = "<title>App</title>" }},
	{name: "Skip names the page", want: []string{"page-without-script"}, prepare: func(p *program) {
		p.cfg.Skip = func(*http.Request) bool { return true }
	}},
	{name: "Skip names the page, below a prefix", want: []string{"page-without-script"}, prepare: func(p *program) {
		p.cfg.Path, p.path = "/app/keepalive/", "/app/"
		p.cfg.Skip = func(*http.Request) bool { return true }
		p.mux.Handle("/app/", http.StripPrefix("/app", p.mux))
	}},
	{name: "the tag is in the template too", want: []string{"script-twice"}, prepare: func(p *program) {
		p.page = `<!doctype html><title>App</title><script src="/keepalive/keepalive.debug.js"></script>`
	}},
	{name: "chi compresses inside", want: []string{"compression-inside"}, wrap: func(p *program) http.Handler {
		r := chi.NewRouter()
		r.Use(p.km.LoadAndSave, middleware.Compress(5))
		r.Mount("/", p.mux)
		return r
	}},
	{name: "nginx adds a policy without scripts", want: []string{"policy"}, serve: behind(nginx(`add_header Content-Security-Policy "default-src 'none'"; ` + nginxPass))},
	{name: "a policy without connections", want: []string{"policy"}, wrap: func(p *program) http.Handler {
		return withHeader(p.km.LoadAndSave(p.mux), "Content-Security-Policy", "script-src 'self'; connect-src https://api.example.com")
	}},
	{name: "a policy in meta", want: []string{"policy"}, prepare: func(p *program) {
		p.page = `<!doctype html><meta http-equiv="Content-Security-Policy" content="script-src 'self'; connect-src 'none'">`
	}},
	{name: "haproxy adds an Integrity-Policy", want: []string{"integrity-policy"}, prepare: secure,
		serve: behind(haproxy("http-response set-header Integrity-Policy blocked-destinations=(script)\n\tserver app UPSTREAM"))},
	{name: "base of another origin, NoScript", want: []string{"base"}, prepare: func(p *program) {
		p.cfg.NoScript = true
		p.page = `<!doctype html><base href="https://static.example.com/"><title>App</title>`
	}},
	{name: "nginx puts base of another origin before the script", want: []string{"base"},
		serve: behind(nginx(`sub_filter '<script' '<base href="https://static.example.com/"><script'; proxy_set_header Accept-Encoding ""; gzip on; gzip_types *; gzip_proxied any; ` + nginxPass))},
	{name: "the page is public", want: []string{"page-public"}, wrap: func(p *program) http.Handler {
		return p.km.LoadAndSave(withHeader(p.mux, "Cache-Control", "public, max-age=60"))
	}},
	{name: "a CDN may keep the page", want: []string{"page-public"}, wrap: func(p *program) http.Handler {
		return withHeader(p.km.LoadAndSave(p.mux), "CDN-Cache-Control", "max-age=60")
	}},
	{name: "nginx caches pages, whatever they say", want: []string{"page-cached"}, options: signInByGET, serve: behind(nginx(`proxy_cache cache; proxy_cache_valid 200 1m;
		proxy_ignore_headers Cache-Control Vary Set-Cookie;
		location = / { proxy_pass http://UPSTREAM; proxy_set_header Host $http_host; }
		location / { proxy_cache off; proxy_pass http://UPSTREAM; proxy_set_header Host $http_host; }`))},

	{name: "nginx caches pages for all who have a cookie", want: []string{"page-cached"}, serve: behind(nginx(`proxy_cache cache; proxy_cache_valid 200 1m;
		proxy_ignore_headers Cache-Control Vary Set-Cookie; set $who visitor; if ($cookie_session) { set $who user; } proxy_cache_key $uri$who;
		location = / { proxy_pass http://UPSTREAM; proxy_set_header Host $http_host; }
		location / { proxy_cache off; proxy_pass http://UPSTREAM; proxy_set_header Host $http_host; }`))},

	// The endpoints.
	{name: "LoadAndSave on some routes of chi", want: []string{"not-routed"}, wrap: func(p *program) http.Handler {
		r := chi.NewRouter()
		r.Group(func(r chi.Router) {
			r.Use(p.km.LoadAndSave)
			r.Handle("/", p.mux)
			r.Handle("/sign-in", p.mux)
		})
		return r
	}},
	{name: "Inject, the endpoints not mounted, an app that answers everything", want: []string{"not-routed"}, wrap: func(p *program) http.Handler {
		return p.km.Inject(p.sm.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/sign-in" {
				r.URL.Path = "/"
			}
			p.mux.ServeHTTP(w, r)
		})))
	}},
	{name: "nginx strips a prefix", want: []string{"prefix"}, prepare: func(p *program) { p.path = "/app/" },
		serve: behind(nginx(`location /app/ { proxy_pass http://UPSTREAM/; proxy_set_header Host $http_host; }`))},
	{name: "nginx redirects pings to the login", want: []string{"redirected"},
		serve: behind(nginx(`location /keepalive/ { return 302 /sign-in?next=ping; } ` + nginxPass))},
	{name: "nosurf outside", want: []string{"refused"}, options: signInByGET, wrap: func(p *program) http.Handler { return nosurf.New(p.km.LoadAndSave(p.mux)) }},
	{name: "nginx wants a password for the endpoints", want: []string{"refused"},
		serve: behind(nginx(`location /keepalive/ { auth_basic staff; auth_basic_user_file DIR/nobody; } ` + nginxPass))},
	{name: "nginx limits pings", want: []string{"limited"},
		serve: behind(nginx(`location /keepalive/ { limit_req zone=limit; limit_req_status 429; proxy_pass http://UPSTREAM; proxy_set_header Host $http_host; } ` + nginxPass))},
	{name: "nginx can't reach the endpoints", want: []string{"unavailable"},
		serve: behind(nginx(`location /keepalive/ { proxy_pass http://127.0.0.1:1; } ` + nginxPass))},
	{name: "haproxy removes the mark", want: []string{"mark-stripped"}, prepare: secure,
		serve: behind(haproxy("http-response del-header Keepalive\n\tserver app UPSTREAM"))},
	{name: "nginx changes answers to pings", want: []string{"ping-rewritten"},
		serve: behind(nginx(`location /keepalive/ping { sub_filter_types *; sub_filter '{' 'while(1);{'; proxy_set_header Accept-Encoding ""; proxy_pass http://UPSTREAM; proxy_set_header Host $http_host; } ` + nginxPass))},
	{name: "nginx shows its own page for a 401", want: []string{"gone-rewritten"},
		serve: behind(nginx(`proxy_intercept_errors on; error_page 401 =200 /sign-in; ` + nginxPass))},
	{name: "nginx caches pings", want: []string{"ping-cached"},
		serve: behind(nginx(`location /keepalive/ping { add_header X-Cache $upstream_cache_status; proxy_cache cache; proxy_cache_key $uri$cookie_session; proxy_cache_valid any 1m; proxy_ignore_headers Cache-Control; proxy_pass http://UPSTREAM; proxy_set_header Host $http_host; } ` + nginxPass))},
	{name: "nginx replaces the Host", want: []string{"host-rewritten"}, serve: behind(nginx(`location / { proxy_pass http://UPSTREAM; }`))},
	{name: "connections are closed", want: []string{"connection-closed"}, serve: behind(nginx(`keepalive_timeout 0; ` + nginxPass))},
	{name: "a clock that is wrong", want: []string{"clock"}, wrap: func(p *program) http.Handler {
		return withHeader(p.km.LoadAndSave(p.mux), "Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	}},

	// The script.
	{name: "nginx has no scripts", want: []string{"script-unreachable"}, serve: behind(nginx(`location ~ \.js$ { root DIR; } ` + nginxPass))},
	{name: "nginx answers scripts with a page", want: []string{"script-type"},
		serve: behind(nginx(`location ~ \.js$ { default_type text/html; return 200 "<!doctype html>"; } ` + nginxPass))},
	{name: "nginx changes scripts", want: []string{"script-garbled"},
		serve: behind(nginx(`gzip on; gzip_types *; location ~ \.js$ { sub_filter_types *; sub_filter_once off; sub_filter keepalive session; proxy_set_header Accept-Encoding ""; proxy_pass http://UPSTREAM; } ` + nginxPass))},
	{name: "nginx has its own idea of how long scripts last", want: []string{"script-not-cached"},
		serve: behind(nginx(`location ~ \.js$ { proxy_hide_header Cache-Control; add_header Cache-Control no-cache; proxy_pass http://UPSTREAM; } ` + nginxPass))},
	{name: "nginx takes Accept-Encoding away", want: []string{"script-uncompressed"},
		serve: behind(nginx(`location / { proxy_pass http://UPSTREAM; proxy_set_header Host $http_host; proxy_set_header Accept-Encoding ""; }`))},
	{name: "middleware outside sets a cookie", want: []string{"script-sets-cookie"}, wrap: func(p *program) http.Handler {
		return withHeader(p.km.LoadAndSave(p.mux), "Set-Cookie", "visitor=1; Path=/")
	}},

	// The session.
	{name: "haproxy removes the cookie from pings", want: []string{"no-session-in-ping"}, prepare: secure,
		serve: behind(haproxy("http-request del-header Cookie if { path_beg /keepalive/ }\n\tserver app UPSTREAM"))},
	{name: "two instances, each with its memstore", want: []string{"instances"},
		prepare: func(p *program) { p.sm.Cookie.Secure = true },
		serve: func(p *program, h http.Handler) string {
			other := newProgram(p.t)
			km, err := keepalive.New(other.sm, other.cfg)
			require.NoError(p.t, err)
			a, b := strings.TrimPrefix(serveHTTP(p, h), "http://"), strings.TrimPrefix(serveHTTP(p, km.LoadAndSave(other.mux)), "http://")
			return haproxy("balance roundrobin\n\tuse-server a if !{ path_beg /keepalive/ }\n\tserver a "+a+"\n\tserver b "+b).start(p.t, "")
		}},
	{name: "two instances, haproxy by connections", want: []string{"instances"}, prepare: secure,
		serve: func(p *program, h http.Handler) string {
			other := newProgram(p.t)
			km, err := keepalive.New(other.sm, other.cfg)
			require.NoError(p.t, err)
			a, b := serveHTTP(p, h), serveHTTP(p, km.LoadAndSave(other.mux))
			px := haproxy("balance roundrobin\n\tserver a " + a[len("http://"):] + "\n\tserver b " + b[len("http://"):])
			px.config = strings.NewReplacer("mode http", "mode tcp", "h2,", "").Replace(px.config)
			return px.start(p.t, "")
		}},
	{name: "scs's LoadAndSave outside", want: []string{"scs-outside"}, wrap: func(p *program) http.Handler { return p.sm.LoadAndSave(p.km.LoadAndSave(p.mux)) }},
	{name: "scs's LoadAndSave inside", want: []string{"scs-inside"}, wrap: func(p *program) http.Handler { return p.km.LoadAndSave(p.sm.LoadAndSave(p.mux)) }},
	{name: "a store that never moves the expiry", want: []string{"expiry-stuck"}, prepare: func(p *program) {
		p.sm.Store = stuck{memory.New(p.store, true, func(data []byte) (time.Time, error) {
			deadline, _, err := p.sm.Codec.Decode(data)
			return deadline, err
		}).(keepalive.Store)}
	}},
	{name: "each page sets the deadline", want: []string{"deadline-moves"}, wrap: func(p *program) http.Handler {
		return p.km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.sm.SetDeadline(r.Context(), time.Now().Add(12*time.Hour))
			p.mux.ServeHTTP(w, r)
		}))
	}},
	{name: "an idle timeout of a minute", want: []string{"idle-short"}, prepare: func(p *program) { p.sm.IdleTimeout = time.Minute }},
	{name: "a lifetime below the idle timeout", want: []string{"lifetime-short"}, prepare: func(p *program) { p.sm.Lifetime = 10 * time.Minute }},
	{name: "a warning almost as long as the idle timeout", want: []string{"warning-long"}, prepare: func(p *program) { p.cfg.WarnBefore = 16 * time.Minute }},
	{name: "a warning longer than the lifetime", want: []string{"lifetime-short", "warning-long"}, prepare: func(p *program) {
		p.cfg.WarnBefore, p.sm.Lifetime = 12*time.Minute, 10*time.Minute
	}},

	// The cookie.
	{name: "Cookie.Path beside the endpoints", want: []string{"cookie-path"}, prepare: func(p *program) {
		p.sm.Cookie.Path, p.path = "/app", "/app/"
		p.mux.Handle("/app/", http.StripPrefix("/app", p.mux))
	}},
	{name: "Cookie.Domain of others", want: []string{"cookie-refused"}, prepare: func(p *program) { p.sm.Cookie.Domain = "example.com" }},
	{name: "Cookie.Secure without TLS", want: []string{"cookie-refused"}, prepare: secure},
	{name: "no Secure with TLS", want: []string{"cookie-not-secure"}, serve: serveTLS},
	{name: "no HttpOnly", want: []string{"cookie-http-only"}, prepare: func(p *program) { p.sm.Cookie.HttpOnly = false }},
	{name: "SameSite=None", want: []string{"cookie-same-site"}, serve: serveTLS, prepare: func(p *program) {
		p.sm.Cookie.SameSite, p.sm.Cookie.Secure = http.SameSiteNoneMode, true
	}},
}

func secure(p *program) { p.sm.Cookie.Secure = true }

func TestDoctor(t *testing.T) {
	for _, s := range good {
		t.Run("good/"+s.name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, s.examine(t).Findings)
		})
	}
	for _, s := range broken {
		t.Run("broken/"+s.name, func(t *testing.T) {
			t.Parallel()
			report := s.examine(t)
			var names []string
			for _, f := range report.Findings {
				names = append(names, f.Name)
			}
			require.Equal(t, s.want, names, report)
		})
	}
}

// A sign-in may go by another origin, which must not get the fields for the program.
func TestHeaderIsForTheProgram(t *testing.T) {
	var elsewhere, back http.Header
	s := setup{prepare: func(p *program) {
		provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			elsewhere = r.Header.Clone()
			http.Redirect(w, r, r.FormValue("back"), http.StatusFound)
		}))
		t.Cleanup(provider.Close)
		p.mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, provider.URL+"?back=http://"+r.Host+"/back", http.StatusFound)
		})
		p.mux.HandleFunc("/back", func(w http.ResponseWriter, r *http.Request) {
			back = r.Header.Clone()
			p.sm.Put(r.Context(), "user", "ann")
		})
	}, options: func(o *doctor.Options) {
		o.Header = http.Header{"X-Key": {"secret"}}
		o.Login, o.Form, o.SecondForm = "/elsewhere", "", ""
	}}
	require.Empty(t, s.examine(t).Findings)
	require.NotNil(t, elsewhere)
	require.Empty(t, elsewhere["X-Key"])
	require.Equal(t, []string{"secret"}, back["X-Key"])
}

// Each kind of finding is one of a set-up above.
func TestKindsAreTested(t *testing.T) {
	tested := make(map[string]bool)
	for _, s := range broken {
		for _, name := range s.want {
			tested[name] = true
		}
	}
	for _, name := range doctor.KindNames() {
		require.True(t, tested[name], name)
	}
}
