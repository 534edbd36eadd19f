package keepalive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
)

// Config configures a Manager. The zero value of each field is its default.
// Literals must name the fields. Functions are called in the goroutines of
// requests, so from many at once.
type Config struct {
	_ [0]func()

	// Path is the URL path below which the endpoints live. It lies below the root,
	// starts and ends with a slash, and has only letters, digits and -._~/ in it.
	// Default: "/keepalive/".
	Path string

	// PublicPath is Path as browsers see it, where a proxy or a router outside
	// strips a prefix: "/app/keepalive/" where nginx has "location /app/" and
	// "proxy_pass http://127.0.0.1:8080/". It must lie below
	// SessionManager.Cookie.Path, or pings would arrive without the cookie. A path,
	// not a URL. Default: Path.
	PublicPath string

	// Mode says when an open page extends its session. Default: PageOpen.
	Mode Mode

	// MaxUnattended is how long pages go on extending the session after the
	// user's last input in any of them, for PageOpen and PageVisible. Then the
	// idle timeout runs as if they were closed. It cannot be set with UserActive,
	// where the idle timeout itself counts from the last input. Default: 0, no
	// limit.
	MaxUnattended time.Duration

	// WarnBefore is how long before the session's end, idle or absolute, the
	// page gets the event keepalive:warning and asks the user. At least 20 s
	// (WCAG 2.2.1), and below the idle timeout by a twentieth of that or a minute,
	// whichever is less; otherwise nobody is warned, and the fault is logged.
	// Default: 0, no warning.
	WarnBefore time.Duration

	// LoginURL is where the page of an ended session offers to sign in again,
	// in a new tab, so that the old one goes on where it was: a path, or a URL
	// of http or https. Default: "", no such offer.
	LoginURL string

	// LogoutURL is where the warning's sign-out button sends a POST, as a form
	// does. Pages that need more than that, such as a CSRF token, cancel the
	// event keepalive:logout and do it themselves. A path, or a URL of http or
	// https. Default: "", no such button.
	LogoutURL string

	// AfterEnd says what a page does when its session has ended. OpenLogin needs
	// LoginURL. Default: KeepPage.
	AfterEnd AfterEnd

	// NoScript adds a hidden frame at the end of pages, for browsers whose
	// JavaScript is switched off. It reloads itself three times in each idle
	// timeout. It keeps the session alive whether or not anybody is there, so it
	// goes with PageOpen only, without MaxUnattended. A reload that gets no answer
	// at all ends it, until the next page is opened. Default: false.
	NoScript bool

	// Payload returns what pages are to have fresh, such as a CSRF token. It is
	// encoded as JSON and sent as data in the answer to each ping, and so in the
	// event keepalive:ping. The context holds the session, which must only be read:
	// what Payload writes there is dropped, and reported to Logger. After an error,
	// which is logged, the answer has no data. Each ping then costs a read of the
	// session too, and pages ping although their app sends requests. Default: nil.
	Payload func(ctx context.Context, r *http.Request) (any, error)

	// Texts returns words of the dialogs that replace the built-in ones, by the
	// Accept-Language of r. That begins with the language of the page itself, the
	// lang of its html element. r has no session. The fields that it leaves empty
	// are built in, in the language Texts.Lang or else the one that r prefers. It
	// may be called concurrently. Default: nil, the built-in texts.
	Texts func(r *http.Request) Texts

	// Presence lets pages report where their user is, and with PresenceIdle when they
	// last used a page, for package presence. Observer then receives EventHere and
	// EventLeave. Default: PresenceOff.
	Presence Presence

	// Salt makes Event.Session, and the session in the logs, the same in all
	// processes that have the same Salt. It must be secret with Identify, because
	// users can be guessed; else it need not be. Default: "", another name in each
	// process.
	Salt string

	// Identify returns the user of the session in ctx, "" for a guest. Event.User has
	// it. Pages get a stamp of it, from which the user cannot be found
	// (the attribute data-user of the script element).
	//
	// When another user has signed in in the same browser, a page dispatches the event
	// keepalive:user, offers in a dialog to reload, and holds one form back. It does
	// nothing when the same user gets another token. Pages of guests show no dialogs
	// and never learn of another user. Pages without a session have no stamp.
	//
	// Identify is called once for each page of a session that gets the script, with the
	// session as the handler left it, and again for a conditional request. Where two
	// requests have modified a session at the same time, it is also called with what was
	// loaded and what is stored: nothing gets into another user's session (EventLost).
	// With an Observer it is also called for EventHere, once for the events of a write, and
	// for EventDestroy. With Inject alone it is not called. It needs Salt, the same in all
	// instances. Default: nil, pages do not notice another user.
	Identify func(ctx context.Context) string

	// IdleTimeout returns the idle timeout of the session in ctx, for an app in
	// which users differ: remember me, administrators, kiosks. 0 means
	// SessionManager.IdleTimeout, which must be set all the same. It is called when a
	// session is touched, pinged or saved, with the session as the handler left it.
	// A touch never makes a session shorter, and nothing outlives the deadline. Each
	// ping then reads the session, a round trip more. With Inject alone pages have
	// SessionManager.IdleTimeout. Default: nil.
	IdleTimeout func(ctx context.Context) time.Duration

	// Policy names standards that the settings must meet, such as PCIDSS401 | WCAG22. New
	// refuses what breaks a SHALL of theirs, so set the fields of the session manager
	// before. The first request checks them again: if they break one by then, ErrorFunc
	// answers all requests, and pings get 503. What breaks a SHOULD is logged once, at the
	// first request. An idle timeout from Config.IdleTimeout that breaks a SHALL counts as
	// 0, and that is logged once. With several standards the settings must meet each.
	// Default: 0, none. See docs/policies.md.
	Policy Policy

	// Debug lets pages load the readable script, which logs each decision with
	// its reason to the console. Default: false.
	Debug bool

	// Passive reports whether a request must not extend the session that it loads,
	// as an app's own background polls. The response gets no script, because that
	// would extend the session. With UserActive it gets the script all the same, so
	// that the input of its user counts; only the request itself extends nothing.
	// Passive is called once for each request that has a live session. With Inject
	// alone it is not called. Default: nil, no request is passive.
	Passive func(*http.Request) bool

	// Stateless reports whether a request must leave no session behind, as health
	// checks, warm-up and bots. Its cookie is not read, the handler starts with an
	// empty session, and nothing is stored, deleted or sent. The response gets no
	// script. Default: nil, no request is stateless.
	Stateless func(*http.Request) bool

	// Skip reports whether the response to a request is to be left as it is. The
	// session is loaded and saved all the same, and the request's context holds it
	// where LoadAndSave is used. Default: nil, none is left.
	Skip func(*http.Request) bool

	// Anonymous puts the script also into pages that are shown without a
	// session, for apps that sign in without loading a new page. It waits there
	// until the app dispatches the event keepalive:check on document. Default:
	// false.
	Anonymous bool

	// CrossOrigin guards POST requests to the endpoints. Default: a new
	// http.CrossOriginProtection, which lets the page's own origin pass.
	CrossOrigin *http.CrossOriginProtection

	// ErrorFunc answers a request whose session cannot be loaded or saved, and all
	// requests where Policy refuses the settings of the session manager. What
	// the handler writes after it was called is dropped. Pings never use it: they
	// answer 503, and the error goes to Logger. Default: SessionManager.ErrorFunc.
	ErrorFunc func(http.ResponseWriter, *http.Request, error)

	// Logger receives what an operator should know: faults of the
	// configuration, each once, and errors of the store. At slog.LevelDebug it
	// also gets what becomes of each session and each page, where a session has
	// the name that Event.Session explains. Default: slog.Default() at the time
	// of use.
	Logger *slog.Logger

	// Observer receives what happens to sessions and pages; it ignores the kinds that it
	// does not know, as there will be others. Where scs's LoadAndSave is kept, that is only
	// what the endpoints and Inject see: no start, touch, save or end. It is called in the
	// request's goroutine, possibly from many at once, and must not block. Default: nil.
	Observer func(Event)
}

// Mode says when an open page extends its session. The app's own requests extend
// it in every mode, but for those that are Passive.
type Mode int

const (
	// PageOpen extends while a page is open, whether or not anybody is there.
	// The idle timeout then ends the sessions of closed pages only, which is
	// less than OWASP, ASVS 7.3.1 and NIST SP 800-63B ask for; see docs/security.md.
	PageOpen Mode = iota
	// PageVisible extends while a page is visible: neither minimised, nor behind
	// another tab, nor, where the browser knows, on a locked screen. That does not
	// show that anybody is there either.
	PageVisible
	// UserActive extends only after real input: keys, clicks, touches, the wheel,
	// text that needs no key, or a pointer that moves. The idle timeout counts
	// from the last of them. This is an idle timeout as the standards above mean it.
	UserActive
)

// attribute returns the mode as the script reads it.
func (m Mode) attribute() string {
	return [...]string{PageOpen: "", PageVisible: "visible", UserActive: "active"}[m]
}

// AfterEnd says what a page does when its session has ended.
type AfterEnd int

const (
	// KeepPage leaves the page as it is. A dialog says why the session has ended.
	// Once that is closed, a bar at the edge of the page reminds of it, and a form
	// that would be lost is held back once. All of that goes when there is a session
	// again.
	KeepPage AfterEnd = iota
	// BlankPage removes the content of the page, for computers that people share.
	// What was typed there is lost. The content goes before the event
	// keepalive:expired; cancelling that keeps only the dialog away. A page that the
	// browser shows again by Back or Forward is hidden until the server has answered.
	// With Config.Identify the pages of guests stay as they are.
	BlankPage
	// OpenLogin goes from a visible page to Config.LoginURL, after the page has asked
	// the server once more. The query parameter next holds the page's own path, query
	// and fragment, also where LoginURL is of another origin. The app must check that
	// next is a path of its own before it redirects there, or a link of somebody else
	// could lead anywhere (CWE-601, see docs/security.md). While a field holds unsaved
	// input the page stays, and behaves as with KeepPage.
	OpenLogin
	// KeepPageWithoutBar is KeepPage until the dialog is closed. Then nothing reminds
	// of the end: there is no bar, and no form is held back.
	KeepPageWithoutBar
)

// minWarning is the least time to react that WCAG 2.2 asks for in 2.2.1.
const minWarning = 20 * time.Second

func (c *Config) setDefaults() {
	if c.Path == "" {
		c.Path = "/keepalive/"
	}
	if c.PublicPath == "" {
		c.PublicPath = c.Path
	}
	if c.CrossOrigin == nil {
		c.CrossOrigin = http.NewCrossOriginProtection()
	}
}

// check returns all that is wrong with c, and with what sm must have from the
// start.
func (c *Config) check(sm *scs.SessionManager) error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("keepalive: "+format, args...))
		}
	}
	refuse(!isValidPath(c.Path),
		"Config.Path is %q; write an absolute path below the root that ends with a slash, of letters, digits and -._~/ only, such as %q", c.Path, "/keepalive/")
	refuse(c.PublicPath != c.Path && !isValidPath(c.PublicPath),
		"Config.PublicPath is %q; write the path of the endpoints as browsers see it, such as %q, or leave it out", c.PublicPath, "/app/keepalive/")
	refuse(c.WarnBefore != 0 && c.WarnBefore < minWarning,
		"Config.WarnBefore is %v; write at least %v, which is what people need to react (WCAG 2.2.1), or 0 for no warning", c.WarnBefore, minWarning)
	refuse(c.Mode < PageOpen || c.Mode > UserActive,
		"Config.Mode is %d; write PageOpen, PageVisible or UserActive", c.Mode)
	refuse(c.AfterEnd < KeepPage || c.AfterEnd > KeepPageWithoutBar,
		"Config.AfterEnd is %d; write KeepPage, BlankPage, OpenLogin or KeepPageWithoutBar", c.AfterEnd)
	refuse(c.AfterEnd == OpenLogin && c.LoginURL == "",
		"Config.AfterEnd is OpenLogin, but Config.LoginURL is empty; write a path such as %q, or a URL of http or https", "/login")
	refuse(!c.Presence.valid(),
		"Config.Presence is %d; write PresenceOff, or PresencePath, PresenceQuery, PresenceHash and PresenceIdle combined by |", c.Presence)
	refuse(c.MaxUnattended < 0,
		"Config.MaxUnattended is %v; write a positive duration, or 0 for no limit", c.MaxUnattended)
	refuse(c.MaxUnattended > 0 && c.Mode == UserActive,
		"Config.MaxUnattended is set with UserActive, where the idle timeout already counts from the user's last input; leave it out")
	refuse(c.NoScript && (c.Mode != PageOpen || c.MaxUnattended > 0),
		"Config.NoScript keeps sessions alive whether or not anybody is there, which is not what Mode or MaxUnattended asks for; use it with PageOpen only, without MaxUnattended")
	const wantURL = "Config.%s is %q; write a path such as %q, or a URL of http or https"
	refuse(!isLink(c.LoginURL), wantURL, "LoginURL", c.LoginURL, "/login")
	refuse(!isLink(c.LogoutURL), wantURL, "LogoutURL", c.LogoutURL, "/login")
	refuse(c.Identify != nil && c.Salt == "",
		"Config.Identify is set without Config.Salt, which keeps users from being guessed; write a secret that is the same in all instances")
	refuse(sm.Store == nil,
		"SessionManager.Store is nil; make the session manager with scs.New, or set its Store first")
	refuse(sm.Codec == nil,
		"SessionManager.Codec is nil; make the session manager with scs.New, or set its Codec first")
	refuse(c.Policy >= policyEnd,
		"Config.Policy is %#x, which has bits that name no standard; combine the constants by |", uint32(c.Policy))
	s := settingsOf(c, sm)
	return errors.Join(append(errs, c.Policy.refusals(&s)...)...)
}

// checkSessionManager logs what is wrong with the fields of sm, which programs
// set until the first request, and with c beside them. It returns false where
// pages can't have the script, and takes a WarnBefore away that would always
// warn.
func (c *Config) checkSessionManager(sm *scs.SessionManager, log *slog.Logger) (usable bool) {
	usable = true
	idle, cookiePath := sm.IdleTimeout, sm.Cookie.Path
	if idle <= 0 {
		log.Error("keepalive: SessionManager.IdleTimeout is not set, so there is nothing to extend; write e.g. sessionManager.IdleTimeout = 20 * time.Minute; until then pages get no script", "IdleTimeout", idle)
		usable = false
	} else if idle < 3*time.Minute {
		log.Warn("keepalive: SessionManager.IdleTimeout is short; browsers wake hidden pages only about once a minute, so write at least 3 * time.Minute if those are to stay signed in", "IdleTimeout", idle)
	}
	if sm.Lifetime < idle {
		log.Error("keepalive: SessionManager.Lifetime is below IdleTimeout, so the session ends before it can be idle; write a longer Lifetime or a shorter IdleTimeout", "Lifetime", sm.Lifetime, "IdleTimeout", idle)
	}
	if idle > 0 && !warnsInTime(c.WarnBefore, idle) {
		log.Error("keepalive: Config.WarnBefore is not below SessionManager.IdleTimeout by a twentieth or a minute, so every page would warn at once; until then none does; write a shorter WarnBefore or a longer IdleTimeout", "WarnBefore", c.WarnBefore, "IdleTimeout", idle)
		c.WarnBefore = 0
	}
	if cookiePath == "" {
		log.Error(`keepalive: SessionManager.Cookie.Path is empty, so browsers send the cookie only below the page that set it; write sessionManager.Cookie.Path = "/"; until then pages get no script`)
		usable = false
	} else if !pathMatches(c.PublicPath, cookiePath) {
		log.Error("keepalive: Config.Path is not below SessionManager.Cookie.Path, so pings would arrive without the cookie; write a Config.Path below it, or a Config.PublicPath if a proxy strips a prefix; until then pages get no script", "PublicPath", c.PublicPath, "Cookie.Path", cookiePath)
		usable = false
	}
	return usable
}

// warnsInTime reports whether pages do not warn at once. A page's load counts as
// a touch, which may have been skipped.
func warnsInTime(warnBefore, idle time.Duration) bool { return warnBefore < idle-leastGain(idle) }

// isValidPath reports whether p is an absolute path below the root that ends with
// a slash, and that needs no escaping anywhere.
func isValidPath(p string) bool {
	if len(p) < 3 || p[0] != '/' || p[len(p)-1] != '/' {
		return false
	}
	for part := range strings.SplitSeq(p[1:len(p)-1], "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
		for _, c := range []byte(part) {
			if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0) {
				return false
			}
		}
	}
	return true
}

// isLink reports whether pages can link to a URL: a path, or http and https.
// Empty means no link.
func isLink(raw string) bool {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return true
	case err != nil:
		return false
	case u.Scheme == "":
		return strings.HasPrefix(raw, "/")
	}
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// pathMatches reports whether browsers send a cookie with the path cookiePath to
// path (RFC 6265 section 5.1.4).
func pathMatches(path, cookiePath string) bool {
	return strings.HasPrefix(path, cookiePath) &&
		(len(path) == len(cookiePath) || cookiePath[len(cookiePath)-1] == '/' || path[len(cookiePath)] == '/')
}
