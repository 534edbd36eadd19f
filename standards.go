package keepalive

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// standard is what one bit of a Policy stands for.
type standard struct {
	policy  Policy
	name    string
	source  string // where the clauses were read
	isCopy  bool   // source is secondary: it quotes or copies the standard
	clauses []clause
}

// clause is something that a standard asks of the settings.
type clause struct {
	number string
	level  level
	check
}

// level is how strongly a standard asks. ASVS and WCAG do not have these words: what
// they require is shall. The cheat sheet's "must" and "mandatory" are shall, its
// recommendations and its common values are should.
type level string

const (
	shall  level = "SHALL"
	should level = "SHOULD"
)

const (
	pciSource   = "withpci.com/requirements/8/8.2/8.2.8, and FAQ 1147 of the PCI Security Standards Council"
	psd2Source  = "answer 2018_4065 of the European Banking Authority, which quotes it"
	nistSource  = "github.com/usnistgov/800-63-4, _sp800-63b/2_aal.md and 5_session.md"
	sheetSource = "github.com/OWASP/CheatSheetSeries, cheatsheets/Session_Management_Cheat_Sheet.md"
	asvsSource  = "github.com/OWASP/cornucopia, data/taxonomy/en/ASVS-5.0, OWASP's own copy"
	wcagSource  = "github.com/w3c/wcag, guidelines/sc/20/timing-adjustable.html, and " +
		"www.w3.org/WAI/WCAG22/Understanding/timeouts.html"
)

// standards is the table of all clauses, as read in November 2026.
var standards = []standard{
	{PCIDSS401, "PCI DSS 4.0.1", pciSource, true, []clause{
		{"8.2.8", shall, countsInput},
		{"8.2.8", shall, inactivityUpTo(15 * time.Minute)},
	}},
	{PSD2, "PSD2, Delegated Regulation (EU) 2018/389", psd2Source, true, []clause{
		{"article 4(3)(d)", shall, countsInput},
		{"article 4(3)(d)", shall, inactivityUpTo(5 * time.Minute)},
	}},
	{NISTAAL2, "NIST SP 800-63B-4, AAL2", nistSource, false, slices.Concat([]clause{
		{"2.2.3", shall, hasLifetime},
		{"2.2.3", should, lifetimeUpTo(24 * time.Hour)},
		{"2.2.3", should, inactivityUpTo(time.Hour)},
	}, nistSession)},
	{NISTAAL3, "NIST SP 800-63B-4, AAL3", nistSource, false, slices.Concat([]clause{
		{"2.3.3", shall, lifetimeUpTo(12 * time.Hour)},
		{"2.3.3", should, inactivityUpTo(15 * time.Minute)},
	}, nistSession)},
	{OWASPHighValue, "OWASP Session Management Cheat Sheet, high value", sheetSource, false, slices.Concat([]clause{
		{"Session Expiration", should, inactivityUpTo(5 * time.Minute)},
	}, cheatSheet)},
	{OWASPLowRisk, "OWASP Session Management Cheat Sheet, low risk", sheetSource, false, slices.Concat([]clause{
		{"Session Expiration", should, inactivityUpTo(30 * time.Minute)},
	}, cheatSheet)},
	{ASVS50, "OWASP ASVS 5.0", asvsSource, false, []clause{
		{"7.1.1", shall, unseen("documented timeouts, and why they differ from NIST SP 800-63B", "this statement can be a part of that")},
		{"7.2.4", shall, unseen("a new token at each sign-in", "the app calls RenewToken")},
		{"7.3.1", shall, countsInput},
		{"7.3.1", shall, hasIdleTimeout},
		{"7.3.2", shall, hasLifetime},
		{"7.4.1", shall, unseen("no use of a session after its end", "the store sees to it; the app calls Destroy at sign-out")},
		{"7.4.2", shall, unseen("an end of all sessions of an account that is disabled or deleted", "the app calls Manager.EndAll")},
		{"7.4.5", shall, unseen("administrators who can end the sessions of a user, or of all", "the app calls Manager.EndAll")},
		{"3.3.1", shall, securePrefix},
		{"3.3.2", shall, sameSiteOnPurpose},
		{"3.3.3", shall, hostPrefixUnlessShared},
		{"3.3.4", shall, httpOnly},
		{"14.3.1", shall, clearsPage},
	}},
	{WCAG22, "WCAG 2.2", wcagSource, false, []clause{
		{"2.2.1", shall, warnsUsers},
		{"2.2.1", shall, extendsTenTimes},
		{"2.2.1", shall, longLifetime},
		{"2.2.6", should, tellsUsers},
	}},
}

// nistSession is what NIST SP 800-63B-4 asks at AAL2 and AAL3 alike. That the subscriber's
// own inactivity counts follows from 5.2: reauthentication confirms that the subscriber
// has not walked away.
var nistSession = []clause{
	{"5.2", shall, countsInput},
	{"5.2", shall, unseen("documented time limits", "this statement can be a part of that")},
	{"5.1", should, notPersistent},
	{"5.1", shall, unseen("POST and PUT content that is guarded against CSRF", "the app does that")},
	{"5.1.1(1)", shall, secure},
	{"5.1.1(2)", shall, fewHosts},
	{"5.1.1(3)", should, httpOnly},
	{"5.1.1(5)", should, hostPrefix},
	{"5.1.1(6)", should, sameSite},
}

// cheatSheet is what the cheat sheet asks of all applications. Its idle timeout counts
// from the last request; pages that extend without end send those without a user.
var cheatSheet = []clause{
	{"Session Expiration", shall, hasIdleTimeout},
	{"Session Expiration", shall, hasLifetime},
	{"Idle Timeout", should, countsInput},
	{"Secure Attribute", shall, secure},
	{"HttpOnly Attribute", shall, httpOnly},
	{"SameSite Attribute", should, sameSite},
	{"Domain and Path Attributes", should, noDomain},
	{"Expire and Max-Age Attributes", should, notPersistent},
}

// check is what a clause comes to in settings.
type check struct {
	need    string
	found   func(*settings) string
	verdict func(*settings) verdict
}

// verdict is the result of a check.
type verdict string

const (
	met        verdict = "met"
	notMet     verdict = "not met"
	notTouched verdict = "not touched" // the settings do not show it
)

// metIf returns a verdict function for what the settings show.
func metIf(ok func(*settings) bool) func(*settings) verdict {
	return func(s *settings) verdict {
		if ok(s) {
			return met
		}
		return notMet
	}
}

// notTouchedIf is for what the settings show except in some cases.
func notTouchedIf(unknown func(*settings) bool, otherwise func(*settings) verdict) func(*settings) verdict {
	return func(s *settings) verdict {
		if unknown(s) {
			return notTouched
		}
		return otherwise(s)
	}
}

// unseen is a check of what is not in the settings.
func unseen(need, why string) check {
	return check{need, func(*settings) string { return why }, func(*settings) verdict { return notTouched }}
}

// Checks of times and of what pages do.
var (
	// countsInput is met where pages extend only for so long after the last input.
	countsInput    = check{"Config.Mode UserActive, or Config.MaxUnattended", foundMode, metIf(isUserBound)}
	hasIdleTimeout = check{"an idle timeout", foundIdle, metIf(func(s *settings) bool { return s.idle > 0 })}
	hasLifetime    = check{"a lifetime", foundLifetime, metIf(func(s *settings) bool { return s.lifetime > 0 })}
	clearsPage     = check{"Config.AfterEnd BlankPage", foundAfterEnd, metIf(func(s *settings) bool { return s.afterEnd == BlankPage })}

	warnsUsers = check{"Config.WarnBefore of at least 20s that does not show at once, or an idle timeout over 20h", foundWarning,
		metIf(func(s *settings) bool {
			return !isTimeLimit(s.idle) || s.warnBefore >= minWarning && warnsInTime(s.warnBefore, s.idle)
		})}
	// The first idle timeout and ten more.
	extendsTenTimes = check{"a lifetime of at least 11 idle timeouts, or an idle timeout over 20h", foundTimes,
		metIf(func(s *settings) bool { return !isTimeLimit(s.idle) || s.idle <= s.lifetime/11 })}
	longLifetime = check{"a lifetime over 20h, or one that is essential, such as for security", foundLifetime,
		notTouchedIf(func(s *settings) bool { return isTimeLimit(s.lifetime) }, metIf(func(s *settings) bool { return s.lifetime > 0 }))}
	tellsUsers = check{"users who know beforehand how long without input loses data, or an idle timeout over 20h", foundIdle,
		notTouchedIf(func(s *settings) bool { return isTimeLimit(s.idle) }, metIf(func(*settings) bool { return true }))}
)

// inactivityUpTo bounds the time from the last input to the end of the session.
func inactivityUpTo(most time.Duration) check {
	return check{fmt.Sprintf("an idle timeout of at most %v, together with Config.MaxUnattended", most), foundInactivity,
		metIf(func(s *settings) bool { return 0 < s.idle && s.idle <= most && s.maxUnattended <= most-s.idle })}
}

func lifetimeUpTo(most time.Duration) check {
	return check{fmt.Sprintf("a lifetime of at most %v", most), foundLifetime,
		metIf(func(s *settings) bool { return 0 < s.lifetime && s.lifetime <= most })}
}

// Checks of the cookie. Browsers accept a name with __Host- only with the attributes
// that hostPrefix asks for (RFC 6265bis section 4.1.3.2).
var (
	secure     = check{"Cookie.Secure", foundCookie, metIf(func(s *settings) bool { return s.cookie.Secure })}
	httpOnly   = check{"Cookie.HttpOnly", foundHTTPOnly, metIf(func(s *settings) bool { return s.cookie.HttpOnly })}
	noDomain   = check{"no Cookie.Domain", foundCookie, metIf(func(s *settings) bool { return s.cookie.Domain == "" })}
	fewHosts   = check{"as few hosts as is practical", foundCookie, notTouchedIf(isShared, noDomain.verdict)}
	hostPrefix = check{"a Cookie.Name with __Host-, Secure, Path / and no Domain", foundCookie,
		metIf(func(s *settings) bool {
			return strings.HasPrefix(s.cookie.Name, "__Host-") && s.cookie.Secure && s.cookie.Path == "/" && s.cookie.Domain == ""
		})}
	hostPrefixUnlessShared = check{hostPrefix.need + ", unless it is for other hosts too", foundCookie,
		notTouchedIf(isShared, hostPrefix.verdict)}
	securePrefix = check{"Cookie.Secure, and a Cookie.Name with __Host- or __Secure-", foundCookie, metIf(func(s *settings) bool {
		return s.cookie.Secure && (strings.HasPrefix(s.cookie.Name, "__Host-") || strings.HasPrefix(s.cookie.Name, "__Secure-"))
	})}
	sameSite = check{"Cookie.SameSite Lax or Strict", foundSameSite, metIf(func(s *settings) bool {
		return s.cookie.SameSite == http.SameSiteLaxMode || s.cookie.SameSite == http.SameSiteStrictMode
	})}
	sameSiteOnPurpose = check{"Cookie.SameSite Lax or Strict, or None for a purpose", foundSameSite,
		notTouchedIf(func(s *settings) bool { return s.cookie.SameSite == http.SameSiteNoneMode }, sameSite.verdict)}
	notPersistent = check{"Cookie.Persist = false", foundPersist, metIf(func(s *settings) bool { return !s.cookie.Persist })}
)

// isUserBound reports whether an open page alone does not extend without end.
func isUserBound(s *settings) bool { return s.mode == UserActive || s.maxUnattended > 0 }

// isTimeLimit reports whether WCAG 2.2 asks anything of a time limit.
func isTimeLimit(d time.Duration) bool { return 0 < d && d <= 20*time.Hour }

// isShared reports whether subdomains get the cookie too.
func isShared(s *settings) bool { return s.cookie.Domain != "" }
