package keepalive_test

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

const everyPolicy = keepalive.PCIDSS401 | keepalive.PSD2 | keepalive.NISTAAL2 | keepalive.NISTAAL3 |
	keepalive.OWASPHighValue | keepalive.OWASPLowRisk | keepalive.ASVS50 | keepalive.WCAG22

// strictSettings meet every policy.
func strictSettings() (keepalive.Config, *scs.SessionManager) {
	sm := newSessions()
	sm.IdleTimeout, sm.Lifetime = 5*time.Minute, 12*time.Hour
	sm.Cookie.Name, sm.Cookie.Secure, sm.Cookie.Persist = "__Host-id", true, false
	return keepalive.Config{Mode: keepalive.UserActive, WarnBefore: time.Minute, AfterEnd: keepalive.BlankPage}, sm
}

var (
	refusedClause = regexp.MustCompile(`Config\.Policy: (.*) \(SHALL\): .+; needed: .+`)
	advisedClause = regexp.MustCompile(`do not meet a recommendation of Config\.Policy" standard="(.*?)" clause="?(.*?)"? found=.+ needed=.+`)
)

// refusals returns the clauses that an error names.
func refusals(err error) (clauses []string) {
	if err != nil {
		for _, m := range refusedClause.FindAllStringSubmatch(err.Error(), -1) {
			clauses = append(clauses, m[1])
		}
	}
	return clauses
}

// Each of these differs from settings that meet every policy. It must be told by exactly
// the clauses that it breaks.
func TestPolicies(t *testing.T) {
	const (
		pci, psd2, aal2, aal3 = "PCI DSS 4.0.1, ", "PSD2, Delegated Regulation (EU) 2018/389, ", "NIST SP 800-63B-4, AAL2, ", "NIST SP 800-63B-4, AAL3, "
		high, low             = "OWASP Session Management Cheat Sheet, high value, ", "OWASP Session Management Cheat Sheet, low risk, "
		asvs, wcag            = "OWASP ASVS 5.0, ", "WCAG 2.2, "
	)
	type config = keepalive.Config
	type manager = scs.SessionManager
	idle := func(d time.Duration) func(*config, *manager) {
		return func(_ *config, sm *manager) { sm.IdleTimeout = d }
	}
	lifetime := func(d time.Duration) func(*config, *manager) { return func(_ *config, sm *manager) { sm.Lifetime = d } }
	mode := func(m keepalive.Mode, unattended time.Duration) func(*config, *manager) {
		return func(c *config, _ *manager) { c.Mode, c.MaxUnattended = m, unattended }
	}
	warning := func(d time.Duration) func(*config, *manager) { return func(c *config, _ *manager) { c.WarnBefore = d } }
	end := func(a keepalive.AfterEnd) func(*config, *manager) {
		return func(c *config, _ *manager) { c.AfterEnd, c.LoginURL = a, "/login" }
	}
	cookie := func(edit func(*scs.SessionCookie)) func(*config, *manager) {
		return func(_ *config, sm *manager) { edit(&sm.Cookie) }
	}
	insecure := cookie(func(c *scs.SessionCookie) { c.Secure = false })
	script := cookie(func(c *scs.SessionCookie) { c.HttpOnly = false })
	plainName := cookie(func(c *scs.SessionCookie) { c.Name = "session" })
	secureName := cookie(func(c *scs.SessionCookie) { c.Name = "__Secure-id" })
	domain := cookie(func(c *scs.SessionCookie) { c.Name, c.Domain = "__Secure-id", "example.com" })
	path := cookie(func(c *scs.SessionCookie) { c.Path = "/keepalive" })
	persistent := cookie(func(c *scs.SessionCookie) { c.Persist = true })
	sameSite := func(s http.SameSite) func(*config, *manager) {
		return cookie(func(c *scs.SessionCookie) { c.SameSite = s })
	}
	tests := []struct {
		name   string
		policy keepalive.Policy
		edit   func(*config, *manager)
		shall  []string
		should []string
	}{
		{name: "PCI idle", policy: keepalive.PCIDSS401, edit: idle(15*time.Minute + 1), shall: []string{pci + "8.2.8"}},
		{name: "PCI no idle timeout", policy: keepalive.PCIDSS401, edit: idle(0), shall: []string{pci + "8.2.8"}},
		{name: "PCI open page", policy: keepalive.PCIDSS401, edit: mode(keepalive.PageOpen, 0), shall: []string{pci + "8.2.8"}},
		{name: "PCI visible page", policy: keepalive.PCIDSS401, edit: mode(keepalive.PageVisible, 0), shall: []string{pci + "8.2.8"}},
		{name: "PCI unattended page", policy: keepalive.PCIDSS401, edit: mode(keepalive.PageOpen, 10*time.Minute+1), shall: []string{pci + "8.2.8"}},
		{name: "PCI page that is never unattended", policy: keepalive.PCIDSS401, edit: mode(keepalive.PageVisible, math.MaxInt64), shall: []string{pci + "8.2.8"}},
		{name: "PSD2 idle", policy: keepalive.PSD2, edit: idle(5*time.Minute + 1), shall: []string{psd2 + "article 4(3)(d)"}},
		{name: "PSD2 open page", policy: keepalive.PSD2, edit: mode(keepalive.PageOpen, 0), shall: []string{psd2 + "article 4(3)(d)"}},
		{name: "PSD2 unattended page", policy: keepalive.PSD2, edit: mode(keepalive.PageVisible, time.Second), shall: []string{psd2 + "article 4(3)(d)"}},
		{name: "AAL2 open page", policy: keepalive.NISTAAL2, edit: mode(keepalive.PageOpen, 0), shall: []string{aal2 + "5.2"}},
		{name: "AAL2 visible page", policy: keepalive.NISTAAL2, edit: mode(keepalive.PageVisible, 0), shall: []string{aal2 + "5.2"}},
		{name: "AAL2 no lifetime", policy: keepalive.NISTAAL2, edit: lifetime(0), shall: []string{aal2 + "2.2.3"}},
		{name: "AAL2 lifetime", policy: keepalive.NISTAAL2, edit: lifetime(24*time.Hour + 1), should: []string{aal2 + "2.2.3"}},
		{name: "AAL2 idle", policy: keepalive.NISTAAL2, edit: idle(time.Hour + 1), should: []string{aal2 + "2.2.3"}},
		{name: "AAL2 not Secure", policy: keepalive.NISTAAL2, edit: insecure, shall: []string{aal2 + "5.1.1(1)"}},
		{name: "AAL2 not HttpOnly", policy: keepalive.NISTAAL2, edit: script, should: []string{aal2 + "5.1.1(3)"}},
		{name: "AAL2 name", policy: keepalive.NISTAAL2, edit: plainName, should: []string{aal2 + "5.1.1(5)"}},
		{name: "AAL2 path", policy: keepalive.NISTAAL2, edit: path, should: []string{aal2 + "5.1.1(5)"}},
		{name: "AAL2 domain", policy: keepalive.NISTAAL2, edit: domain, should: []string{aal2 + "5.1.1(5)"}},
		{name: "AAL2 SameSite None", policy: keepalive.NISTAAL2, edit: sameSite(http.SameSiteNoneMode), should: []string{aal2 + "5.1.1(6)"}},
		{name: "AAL2 no SameSite", policy: keepalive.NISTAAL2, edit: sameSite(0), should: []string{aal2 + "5.1.1(6)"}},
		{name: "AAL2 persistent", policy: keepalive.NISTAAL2, edit: persistent, should: []string{aal2 + "5.1"}},
		{name: "AAL3 lifetime", policy: keepalive.NISTAAL3, edit: lifetime(12*time.Hour + 1), shall: []string{aal3 + "2.3.3"}},
		{name: "AAL3 no lifetime", policy: keepalive.NISTAAL3, edit: lifetime(0), shall: []string{aal3 + "2.3.3"}},
		{name: "AAL3 idle", policy: keepalive.NISTAAL3, edit: idle(15*time.Minute + 1), should: []string{aal3 + "2.3.3"}},
		{name: "AAL3 open page", policy: keepalive.NISTAAL3, edit: mode(keepalive.PageOpen, 0), shall: []string{aal3 + "5.2"}},
		{name: "AAL3 persistent", policy: keepalive.NISTAAL3, edit: persistent, should: []string{aal3 + "5.1"}},
		{name: "high value idle", policy: keepalive.OWASPHighValue, edit: idle(5*time.Minute + 1), should: []string{high + "Session Expiration"}},
		{name: "high value no idle timeout", policy: keepalive.OWASPHighValue, edit: idle(0), shall: []string{high + "Session Expiration"}},
		{name: "high value no lifetime", policy: keepalive.OWASPHighValue, edit: lifetime(0), shall: []string{high + "Session Expiration"}},
		{name: "high value open page", policy: keepalive.OWASPHighValue, edit: mode(keepalive.PageOpen, 0), should: []string{high + "Idle Timeout"}},
		{name: "high value not Secure", policy: keepalive.OWASPHighValue, edit: insecure, shall: []string{high + "Secure Attribute"}},
		{name: "high value not HttpOnly", policy: keepalive.OWASPHighValue, edit: script, shall: []string{high + "HttpOnly Attribute"}},
		{name: "high value SameSite None", policy: keepalive.OWASPHighValue, edit: sameSite(http.SameSiteNoneMode), should: []string{high + "SameSite Attribute"}},
		{name: "high value domain", policy: keepalive.OWASPHighValue, edit: domain, should: []string{high + "Domain and Path Attributes"}},
		{name: "high value persistent", policy: keepalive.OWASPHighValue, edit: persistent, should: []string{high + "Expire and Max-Age Attributes"}},
		{name: "low risk idle", policy: keepalive.OWASPLowRisk, edit: idle(30*time.Minute + 1), should: []string{low + "Session Expiration"}},
		{name: "low risk not Secure", policy: keepalive.OWASPLowRisk, edit: insecure, shall: []string{low + "Secure Attribute"}},
		{name: "ASVS open page", policy: keepalive.ASVS50, edit: mode(keepalive.PageOpen, 0), shall: []string{asvs + "7.3.1"}},
		{name: "ASVS no idle timeout", policy: keepalive.ASVS50, edit: idle(0), shall: []string{asvs + "7.3.1"}},
		{name: "ASVS no lifetime", policy: keepalive.ASVS50, edit: lifetime(0), shall: []string{asvs + "7.3.2"}},
		{name: "ASVS not Secure", policy: keepalive.ASVS50, edit: insecure, shall: []string{asvs + "3.3.1", asvs + "3.3.3"}},
		{name: "ASVS name", policy: keepalive.ASVS50, edit: plainName, shall: []string{asvs + "3.3.1", asvs + "3.3.3"}},
		{name: "ASVS name of shared cookies", policy: keepalive.ASVS50, edit: secureName, shall: []string{asvs + "3.3.3"}},
		{name: "ASVS path", policy: keepalive.ASVS50, edit: path, shall: []string{asvs + "3.3.3"}},
		{name: "ASVS no SameSite", policy: keepalive.ASVS50, edit: sameSite(0), shall: []string{asvs + "3.3.2"}},
		{name: "ASVS default SameSite", policy: keepalive.ASVS50, edit: sameSite(http.SameSiteDefaultMode), shall: []string{asvs + "3.3.2"}},
		{name: "ASVS not HttpOnly", policy: keepalive.ASVS50, edit: script, shall: []string{asvs + "3.3.4"}},
		{name: "ASVS page that stays", policy: keepalive.ASVS50, edit: end(keepalive.KeepPage), shall: []string{asvs + "14.3.1"}},
		{name: "ASVS page that may stay", policy: keepalive.ASVS50, edit: end(keepalive.OpenLogin), shall: []string{asvs + "14.3.1"}},
		{name: "WCAG no warning", policy: keepalive.WCAG22, edit: warning(0), shall: []string{wcag + "2.2.1"}},
		{name: "WCAG warning at once", policy: keepalive.WCAG22, edit: warning(5*time.Minute - 15*time.Second), shall: []string{wcag + "2.2.1"}},
		{name: "WCAG nine times", policy: keepalive.WCAG22, edit: lifetime(55*time.Minute - 1), shall: []string{wcag + "2.2.1"}},
		{
			name: "several", policy: keepalive.PCIDSS401 | keepalive.PSD2 | keepalive.NISTAAL3 | keepalive.WCAG22, edit: idle(20 * time.Minute),
			shall: []string{pci + "8.2.8", psd2 + "article 4(3)(d)"},
		},

		{name: "all are met", policy: everyPolicy, edit: func(*config, *manager) {}},
		{name: "no policy", edit: func(c *config, sm *manager) { *c, *sm = config{}, *newSessions() }},
		{name: "PCI at its limit", policy: keepalive.PCIDSS401, edit: idle(15 * time.Minute)},
		{name: "PCI unattended at its limit", policy: keepalive.PCIDSS401, edit: mode(keepalive.PageOpen, 10*time.Minute)},
		{name: "AAL2 at its limit", policy: keepalive.NISTAAL2, edit: func(_ *config, sm *manager) { sm.IdleTimeout, sm.Lifetime = time.Hour, 24*time.Hour }},
		{name: "AAL3 at its limit", policy: keepalive.NISTAAL3, edit: idle(15 * time.Minute)},
		{name: "low risk at its limit", policy: keepalive.OWASPLowRisk, edit: idle(30 * time.Minute)},
		{name: "SameSite Strict", policy: everyPolicy, edit: sameSite(http.SameSiteStrictMode)},
		{name: "ASVS shared cookie", policy: keepalive.ASVS50, edit: domain},
		{name: "ASVS cookie in frames of others", policy: keepalive.ASVS50, edit: sameSite(http.SameSiteNoneMode)},
		{name: "WCAG at its limit", policy: keepalive.WCAG22, edit: lifetime(55 * time.Minute)},
		{name: "WCAG exception of 20 hours", policy: keepalive.WCAG22, edit: func(c *config, sm *manager) {
			c.WarnBefore, sm.IdleTimeout, sm.Lifetime = 0, 20*time.Hour+1, 24*time.Hour
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			cfg, sm := strictSettings()
			cfg.Policy, cfg.Logger = tt.policy, logTo(&log)
			tt.edit(&cfg, sm)
			km, err := keepalive.New(sm, cfg)
			require.ElementsMatch(t, tt.shall, refusals(err), "%v", err)
			if tt.shall != nil {
				return
			}
			require.NoError(t, err)
			require.Empty(t, log.String())
			h := km.LoadAndSave(http.NotFoundHandler())
			for range 3 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				require.Equal(t, http.StatusNotFound, w.Code)
			}
			var advised []string
			for _, m := range advisedClause.FindAllStringSubmatch(log.String(), -1) {
				advised = append(advised, m[1]+", "+m[2])
			}
			require.ElementsMatch(t, tt.should, advised, "each once: %s", log.String())
		})
	}
}

func TestPolicyIsKnown(t *testing.T) {
	cfg, sm := strictSettings()
	cfg.Policy = keepalive.WCAG22<<1 | keepalive.PSD2
	_, err := keepalive.New(sm, cfg)
	require.ErrorContains(t, err, "Config.Policy is 0x102")
}

// Programs may break a policy between New and the first request. Then nothing is served,
// and no session extended.
func TestPolicyAtTheFirstRequest(t *testing.T) {
	for name, start := range map[string]func(*keepalive.Manager, http.Handler) http.Handler{
		"LoadAndSave":        (*keepalive.Manager).LoadAndSave,
		"Inject":             (*keepalive.Manager).Inject,
		"Handler and Inject": func(km *keepalive.Manager, app http.Handler) http.Handler { _ = km.Handler(); return km.Inject(app) },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			var refused error
			cfg, sm := strictSettings()
			cfg.Policy, cfg.Logger = keepalive.PSD2|keepalive.NISTAAL2, logTo(&log)
			cfg.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
				refused = err
				w.WriteHeader(http.StatusInternalServerError)
			}
			km := newManager(t, sm, cfg)
			h := start(km, apptest.App(sm))
			sm.IdleTimeout, sm.Cookie.Secure = 20*time.Minute, false
			token := newToken(t, sm)
			expiry := func() time.Time {
				expiry, found, err := sm.Store.(keepalive.Store).Expiry(t.Context(), token)
				require.NoError(t, err)
				require.True(t, found)
				return expiry
			}
			before := expiry()
			send := func(h http.Handler, method, path string) *http.Response {
				r := httptest.NewRequest(method, path, nil)
				r.AddCookie(&http.Cookie{Name: sm.Cookie.Name, Value: token})
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w.Result()
			}
			for range 2 {
				require.Equal(t, http.StatusInternalServerError, send(h, "GET", "/").StatusCode)
				require.Equal(t, []string{"PSD2, Delegated Regulation (EU) 2018/389, article 4(3)(d)", "NIST SP 800-63B-4, AAL2, 5.1.1(1)"}, refusals(refused))
				res := send(km.Handler(), "POST", "/keepalive/ping")
				require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
				require.Equal(t, "5", res.Header.Get("Retry-After"))
			}
			require.Equal(t, before, expiry())
			require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), log.String())
			require.Contains(t, log.String(), "so all requests are refused")
		})
	}
}

// The first request may be that of an endpoint.
func TestPolicyAtTheFirstPing(t *testing.T) {
	cfg, sm := strictSettings()
	cfg.Policy = keepalive.PSD2
	h := newManager(t, sm, cfg).Handler()
	sm.IdleTimeout = time.Hour
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/keepalive/ping", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
}

// An idle timeout that breaks a policy is not used. The session gets the common one,
// which meets it.
func TestPolicyOfIdleTimeouts(t *testing.T) {
	tests := []struct {
		name         string
		policy       keepalive.Policy
		custom, want time.Duration
		log          string // "" for nothing
	}{
		{name: "shorter", policy: keepalive.PCIDSS401, custom: 4 * time.Minute, want: 4 * time.Minute},
		{name: "longer, within the limit", policy: keepalive.PCIDSS401, custom: 15 * time.Minute, want: 15 * time.Minute},
		{name: "too long", policy: keepalive.PCIDSS401, custom: 15*time.Minute + 1, want: 5 * time.Minute, log: `level=ERROR msg="keepalive: Config.IdleTimeout breaks Config.Policy; such sessions get SessionManager.IdleTimeout" standard="PCI DSS 4.0.1" clause=8.2.8 found="the idle timeout is 15m0.000000001s,`},
		{name: "ends while it is warned of", policy: keepalive.WCAG22, custom: time.Minute, want: 5 * time.Minute, log: `standard="WCAG 2.2" clause=2.2.1`},
		{name: "longer than recommended", policy: keepalive.NISTAAL3, custom: time.Hour, want: time.Hour, log: `level=WARN msg="keepalive: Config.IdleTimeout does not meet a recommendation of Config.Policy" standard="NIST SP 800-63B-4, AAL3" clause=2.3.3`},
		{name: "other things are recommended", policy: keepalive.NISTAAL3, custom: time.Minute, want: time.Minute},
		{name: "no policy", custom: time.Hour, want: time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				cfg, sm := strictSettings()
				sm.Cookie.Name = "session" // which apptest.Client sends
				cfg.Policy, cfg.Logger = tt.policy, logTo(&log)
				cfg.IdleTimeout = func(context.Context) time.Duration { return tt.custom }
				c := newClient(t, sm, cfg)
				for range 2 {
					require.Equal(t, http.StatusOK, c.Get("/login").StatusCode)
					idle, _ := readTimes(t, c.Ping())
					require.Equal(t, tt.want.Truncate(time.Millisecond), idle)
				}
				var lines []string
				for line := range strings.Lines(log.String()) {
					if strings.Contains(line, "Config.IdleTimeout") {
						lines = append(lines, line)
					}
				}
				if tt.log == "" {
					require.Empty(t, lines)
					return
				}
				require.Len(t, lines, 1)
				require.Contains(t, lines[0], tt.log)
			})
		})
	}
}

func TestStatement(t *testing.T) {
	cfg, sm := strictSettings()
	cfg.Policy = keepalive.PCIDSS401 | keepalive.NISTAAL3 | keepalive.WCAG22
	cfg.IdleTimeout = func(context.Context) time.Duration { return 0 }
	km := newManager(t, sm, cfg)
	text := km.Statement()
	for _, line := range []string{
		"  the idle timeout is 5m0s, the lifetime is 12h0m0s\n",
		"  Config.Mode is UserActive, Config.MaxUnattended is 0s\n",
		"  Config.AfterEnd is BlankPage\n",
		"  Cookie.Name is \"__Host-id\", Secure true, Path \"/\", Domain \"\"\n",
		"  Config.IdleTimeout is set: what it returns is checked when it is used\n",
		"\nPCI DSS 4.0.1\n",
		"  8.2.8 (SHALL) is met: the idle timeout is 5m0s, Config.MaxUnattended is 0s; needed: an idle timeout of at most 15m0s, together with Config.MaxUnattended\n",
		"(a secondary source)\n",
		"  5.1 (SHALL) is not touched: the app does that; needed: POST and PUT content that is guarded against CSRF\n",
		"  2.2.1 (SHALL) is not touched: the lifetime is 12h0m0s; needed: a lifetime over 20h, or one that is essential, such as for security\n",
		"  2.2.6 (SHOULD) is not touched: ",
		"This statement certifies nothing.",
	} {
		require.Contains(t, text, line)
	}
	require.NotContains(t, text, "not met")
	require.NotContains(t, text, "OWASP")

	sm.IdleTimeout = 16 * time.Minute
	require.Contains(t, km.Statement(), "  8.2.8 (SHALL) is not met: the idle timeout is 16m0s")
	require.Contains(t, km.Statement(), "  2.3.3 (SHOULD) is not met: the idle timeout is 16m0s")

	km = newManager(t, newSessions(), keepalive.Config{})
	require.Contains(t, km.Statement(), "Config.Mode is PageOpen")
	require.NotContains(t, km.Statement(), "needed:")
}

// Statement may be called while the first request is served.
func TestStatementAtTheFirstRequest(t *testing.T) {
	sm := newSessions()
	km := newManager(t, sm, keepalive.Config{WarnBefore: sm.IdleTimeout})
	h := km.LoadAndSave(http.NotFoundHandler())
	served := make(chan struct{})
	go func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		close(served)
	}()
	require.Contains(t, km.Statement(), "Config.WarnBefore is 20m0s")
	<-served
	require.Contains(t, km.Statement(), "Config.WarnBefore is 20m0s")
}
