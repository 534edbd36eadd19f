package keepalive

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
)

// Policy is a set of standards that the settings must meet, combined by |. It sets
// nothing. It checks the idle timeout, the lifetime, Mode, MaxUnattended, WarnBefore,
// AfterEnd and the session cookie. Manager.Statement lists each clause.
type Policy uint32

const (
	// PCIDSS401 is PCI DSS 4.0.1, requirement 8.2.8.
	PCIDSS401 Policy = 1 << iota
	// PSD2 is Delegated Regulation (EU) 2018/389, article 4(3)(d).
	PSD2
	// NISTAAL2 is NIST SP 800-63B-4, sections 2.2.3, 5.1 and 5.2.
	NISTAAL2
	// NISTAAL3 is NIST SP 800-63B-4, sections 2.3.3, 5.1 and 5.2.
	NISTAAL3
	// OWASPHighValue is the OWASP Session Management Cheat Sheet for applications of
	// high value. Its idle timeout of 5 minutes is a common value, so it only warns.
	OWASPHighValue
	// OWASPLowRisk is the same for applications of low risk, with 30 minutes.
	OWASPLowRisk
	// ASVS50 is chapter 7 of OWASP ASVS 5.0 at level 2, with what that leaves to other
	// chapters: the cookie (3.3) and the page of an ended session (14.3.1).
	ASVS50
	// WCAG22 is WCAG 2.2, success criteria 2.2.1 and 2.2.6.
	WCAG22

	policyEnd
)

// settings are what standards are checked against.
type settings struct {
	mode                                      Mode
	afterEnd                                  AfterEnd
	maxUnattended, warnBefore, idle, lifetime time.Duration
	cookie                                    scs.SessionCookie
}

func settingsOf(c *Config, sm *scs.SessionManager) settings {
	return settings{c.Mode, c.AfterEnd, c.MaxUnattended, c.WarnBefore, sm.IdleTimeout, sm.Lifetime, sm.Cookie}
}

// broken yields the clauses of p that s does not meet.
func (p Policy) broken(s *settings) func(yield func(standard, clause) bool) {
	return func(yield func(standard, clause) bool) {
		for _, std := range standards {
			if p&std.policy == 0 {
				continue
			}
			for _, c := range std.clauses {
				if c.verdict(s) == notMet && !yield(std, c) {
					return
				}
			}
		}
	}
}

// refusals returns an error for each clause with SHALL that s does not meet.
func (p Policy) refusals(s *settings) (errs []error) {
	for std, c := range p.broken(s) {
		if c.level == shall {
			errs = append(errs, fmt.Errorf("keepalive: Config.Policy: %s, %s (SHALL): %s; needed: %s", std.name, c.number, c.found(s), c.need))
		}
	}
	return errs
}

// checkPolicy runs at the first request. It logs which clauses with SHOULD are not met.
// It returns why requests are to be refused, and logs that.
func (m *Manager) checkPolicy() error {
	s := settingsOf(&m.cfg, m.sessions.manager)
	err := errors.Join(m.cfg.Policy.refusals(&s)...)
	if err != nil {
		m.events.log().Error("keepalive: the session manager was changed after New and breaks Config.Policy, so all requests are refused", "error", err)
	}
	for std, c := range m.cfg.Policy.broken(&s) {
		if c.level == should {
			m.events.log().Warn("keepalive: the settings do not meet a recommendation of Config.Policy", c.args(std, &s)...)
		}
	}
	return err
}

// args returns what is logged of a clause that is not met.
func (c clause) args(std standard, s *settings) []any {
	return []any{"standard", std.name, "clause", c.number, "found", c.found(s), "needed", c.need}
}

// allowsIdle reports whether a session may have this idle timeout, which
// Config.IdleTimeout has returned.
func (m *Manager) allowsIdle(idle time.Duration) bool {
	if m.cfg.Policy == 0 {
		return true
	}
	common := settingsOf(&m.cfg, m.sessions.manager)
	s := common
	s.idle = idle
	for std, c := range m.cfg.Policy.broken(&s) {
		switch {
		case c.verdict(&common) == notMet: // whatever the idle timeout
		case c.level == should:
			if m.events.firstTime(noticeIdleAdvice) {
				m.events.log().Warn("keepalive: Config.IdleTimeout does not meet a recommendation of Config.Policy", c.args(std, &s)...)
			}
		default:
			if m.events.firstTime(noticeIdleRefused) {
				m.events.log().Error("keepalive: Config.IdleTimeout breaks Config.Policy; such sessions get SessionManager.IdleTimeout", c.args(std, &s)...)
			}
			return false
		}
	}
	return true
}

// Statement returns the settings that Config.Policy checks, and what becomes of each of
// its clauses: met, not met, or not touched where the settings do not show it. It is
// plain text of several lines, for people. It certifies nothing.
//
// It reads the session manager as it is, and may be called before the first request.
// It may be called concurrently, but not while the program sets those fields.
func (m *Manager) Statement() string {
	s := settingsOf(&m.cfg, m.sessions.manager)
	var b strings.Builder
	b.WriteString("Settings\n")
	for _, found := range []func(*settings) string{foundTimes, foundMode, foundWarning, foundAfterEnd, foundCookie, foundHTTPOnly, foundSameSite, foundPersist} {
		fmt.Fprintf(&b, "  %s\n", found(&s))
	}
	if m.cfg.IdleTimeout != nil {
		b.WriteString("  Config.IdleTimeout is set: what it returns is checked when it is used\n")
	}
	for _, std := range standards {
		if m.cfg.Policy&std.policy == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", std.name)
		for _, c := range std.clauses {
			fmt.Fprintf(&b, "  %s (%s) is %s: %s; needed: %s\n", c.number, c.level, c.verdict(&s), c.found(&s), c.need)
		}
		fmt.Fprintf(&b, "  read in %s%s\n", std.source, map[bool]string{true: " (a secondary source)"}[std.isCopy])
	}
	b.WriteString(`
Not seen here: requests of the app that no user has caused and that are not passive, SetDeadline,
RememberMe, sessions elsewhere, such as at an identity provider, and what the app shows and does.

This statement certifies nothing. It compares settings with clauses, as this library reads them.
`)
	return b.String()
}

// What is found in the settings, for people.

func foundIdle(s *settings) string     { return fmt.Sprintf("the idle timeout is %v", s.idle) }
func foundLifetime(s *settings) string { return fmt.Sprintf("the lifetime is %v", s.lifetime) }
func foundTimes(s *settings) string    { return foundIdle(s) + ", " + foundLifetime(s) }
func foundInactivity(s *settings) string {
	return fmt.Sprintf("%s, Config.MaxUnattended is %v", foundIdle(s), s.maxUnattended)
}
func foundWarning(s *settings) string {
	return fmt.Sprintf("Config.WarnBefore is %v, %s", s.warnBefore, foundIdle(s))
}
func foundMode(s *settings) string {
	name := map[Mode]string{PageOpen: "PageOpen", PageVisible: "PageVisible", UserActive: "UserActive"}[s.mode]
	return fmt.Sprintf("Config.Mode is %s, Config.MaxUnattended is %v", name, s.maxUnattended)
}
func foundAfterEnd(s *settings) string {
	return "Config.AfterEnd is " + map[AfterEnd]string{KeepPage: "KeepPage", BlankPage: "BlankPage", OpenLogin: "OpenLogin", KeepPageWithoutBar: "KeepPageWithoutBar"}[s.afterEnd]
}
func foundCookie(s *settings) string {
	c := s.cookie
	return fmt.Sprintf("Cookie.Name is %q, Secure %t, Path %q, Domain %q", c.Name, c.Secure, c.Path, c.Domain)
}
func foundHTTPOnly(s *settings) string {
	return fmt.Sprintf("Cookie.HttpOnly is %t", s.cookie.HttpOnly)
}
func foundPersist(s *settings) string { return fmt.Sprintf("Cookie.Persist is %t", s.cookie.Persist) }
func foundSameSite(s *settings) string {
	names := map[http.SameSite]string{http.SameSiteLaxMode: "Lax", http.SameSiteStrictMode: "Strict", http.SameSiteNoneMode: "None"}
	return fmt.Sprintf("Cookie.SameSite is %q", names[s.cookie.SameSite])
}
