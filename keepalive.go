// Package keepalive keeps the sessions of github.com/alexedwards/scs/v2 alive
// while a page is open. Its middleware puts a small script into HTML pages; the
// script pings; a ping moves the session's idle expiry and nothing else. The
// session's lifetime is never lengthened, and a closed page lets it end on time.
//
//	km, err := keepalive.New(sessionManager, keepalive.Config{})
//	http.ListenAndServe(addr, km.LoadAndSave(mux)) // was sessionManager.LoadAndSave(mux)
//
// # Rules of interaction
//
// [Manager.LoadAndSave] MUST replace the LoadAndSave of scs, neither wrap it nor
// sit in it: scs writes back a copy of the session that it read when the request
// began, which undoes what other requests wrote meanwhile, logouts among them.
//
// Compressing middleware MUST stand outside: compress(km.LoadAndSave(mux)). A
// page that is compressed further in can't be changed and gets no script; so
// that it is not, requests for HTML lose their Accept-Encoding on the way in.
//
// A router or middleware that strips a path prefix MUST stand inside, because
// [Config.Path] is the path that the browser sees.
//
// A Content-Security-Policy MUST let the page load a script from its own origin
// (script-src 'self', or a nonce, which is found and used) and fetch from it
// (connect-src 'self'). Policies are read, never edited.
//
// A handler that runs outside LoadAndSave, such as a health check, has no
// session, as with scs.
//
// # Requests that write at the same time
//
// A request that only reads a session never writes its data. One that modifies
// it replaces the whole of it, and only if the session still exists: when two
// requests modify the same session at the same time the last one wins, as in
// scs. RenewToken and a write to a session that has no token yet always create.
package keepalive

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
)

// Config says how a Manager behaves. The zero value of each field is its
// default. Fields must be named in literals.
type Config struct {
	_ [0]func()

	// Path is the URL path below which the endpoints live, as the browser sees
	// it: it starts and ends with a slash. It must lie below
	// SessionManager.Cookie.Path, or pings would arrive without the cookie.
	// Default: "/keepalive/".
	Path string

	// Mode says when an open page extends its session. Default: PageOpen.
	Mode Mode

	// MaxUnattended is how long pages go on extending the session after the
	// user's last input in any of them, for PageOpen and PageVisible. Then the
	// idle timeout runs as if they were closed. It can't be set with UserActive,
	// where the idle timeout itself counts from the last input. Default: 0, no
	// limit.
	MaxUnattended time.Duration

	// WarnBefore is how long before the session's end, idle or absolute, the
	// page gets the event keepalive:warning and asks the user. At least 20 s
	// (WCAG 2.2.1) and less than the idle timeout. Default: 0, no warning.
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

	// BlankExpired removes the content of a page whose session has ended, for
	// computers that people share. What was typed there is lost. Default: the
	// page stays as it is.
	BlankExpired bool

	// NoScript adds a hidden frame at the end of pages, for browsers whose
	// JavaScript is switched off: it reloads itself three times in each idle
	// timeout. It keeps the session alive whether or not anybody is there, so it
	// goes with PageOpen only, without MaxUnattended. Where a reload fails for
	// want of an answer it ends, until the next page is opened. Default: false.
	NoScript bool

	// Payload returns what pages are to have fresh, such as a CSRF token. It is
	// encoded as JSON and sent as data in the answer to each ping and look, and
	// so in the event keepalive:ping. The context holds the session, to be read
	// only: what Payload writes there is dropped, and reported to Logger. An
	// error is logged, and the answer has no data. It costs a read of the
	// session for each ping. Default: nil.
	Payload func(ctx context.Context, r *http.Request) (any, error)

	// Texts returns the words of the dialogs, by the Accept-Language of r, which
	// begins with the language of the page itself (the lang of its html
	// element). r has no session. Default: English.
	Texts func(r *http.Request) Texts

	// Presence lets pages say where their user is, for package presence: EventHere
	// and EventLeave. Default: PresenceOff.
	Presence Presence

	// Salt makes Event.Session, and the session in the logs, the same in all
	// processes that have the same Salt. It need not be secret, as tokens can't be
	// guessed. Default: "", a name of its own in each process.
	Salt string

	// Debug lets pages load the readable script, which logs each decision with
	// its reason to the console. Default: false.
	Debug bool

	// Passive tells which requests load the session but must not extend it,
	// such as an app's own background polls. Their responses get no script, as
	// that would extend the session. It is called once for each request that
	// has a live session. Default: none is.
	Passive func(*http.Request) bool

	// Skip tells which requests' responses are to be left as they are.
	// Sessions are loaded and saved all the same, and the request's context
	// holds the session where LoadAndSave is used. Default: none is.
	Skip func(*http.Request) bool

	// Anonymous puts the script also into pages that are shown without a
	// session, for apps that sign in without loading a new page. It waits there
	// until the app dispatches the event keepalive:check on document.
	Anonymous bool

	// CrossOrigin guards POST requests to the endpoints. Default: a new
	// http.CrossOriginProtection, which lets the page's own origin pass.
	CrossOrigin *http.CrossOriginProtection

	// ErrorFunc answers a request whose session can't be loaded or saved. What
	// the handler writes after it was called is dropped. Default:
	// SessionManager.ErrorFunc. Pings never use it: they answer 503, and the
	// error goes to Logger.
	ErrorFunc func(http.ResponseWriter, *http.Request, error)

	// Logger receives what an operator should know: faults of the
	// configuration, each once, and errors of the store. At slog.LevelDebug it
	// also gets what becomes of each session and each page, where a session has
	// the name that Event.Session explains. Default: slog.Default() at the time
	// of use.
	Logger *slog.Logger

	// Observer is told what happens to sessions. Where scs's LoadAndSave is kept,
	// that is what the endpoints see, and no touch, save or end. It is called in the request's
	// goroutine, possibly from many at once, and must not block. Default: nil.
	Observer func(Event)
}

// Mode says when an open page extends its session. Requests of the user extend
// it in every mode, but for those that are Passive.
type Mode int

const (
	// PageOpen extends while a page is open, whether or not anybody is there.
	// The idle timeout then ends the sessions of closed pages only, which is
	// less than OWASP, ASVS 7.3.1 and NIST SP 800-63B ask for; see the README.
	PageOpen Mode = iota
	// PageVisible extends while a page is visible: neither minimised, nor behind
	// another tab, nor, where the browser knows, on a locked screen. Nor does
	// this show that anybody is there.
	PageVisible
	// UserActive extends only after real input: keys, clicks, touches, the wheel
	// or a pointer that moves. The idle timeout counts from the last of them.
	// This is an idle timeout as the standards above mean it.
	UserActive
)

// Presence is what pages say about where their user is.
type Presence int

const (
	// PresenceOff says nothing.
	PresenceOff Presence = iota
	// PresencePath says the path of the page's URL.
	PresencePath
	// PresenceQuery says the path with its query, which often holds what others
	// should not see.
	PresenceQuery
)

// Manager keeps the sessions of one scs.SessionManager alive. Make one with
// New; the zero value can't be used. Its methods are safe for concurrent use.
type Manager struct {
	sm     *scs.SessionManager
	cfg    Config
	script script
	salt   []byte

	// contextKey is the key under which scs keeps a request's session.
	contextKey any

	// What follows is read from sm at the first request, because programs set
	// its fields at any time before.
	once     sync.Once
	store    Store
	loader   *scs.SessionManager
	deadline func([]byte) (time.Time, error)
	tag      tag
	plainTag []byte
	frame    []byte // nil without Config.NoScript
	off      bool   // the configuration would do harm to pages: inject nothing

	hints         hints
	warnedCSP     atomic.Bool
	warnedInner   atomic.Bool
	warnedOuter   atomic.Bool
	warnedPayload atomic.Bool
}

// New returns a Manager for sm. The fields of sm may still be changed until the
// first request; of those, IdleTimeout, Lifetime, Store and Cookie are checked
// then, and what is wrong with them is reported through Config.Logger.
//
// If sm.Store is not a [Store], New replaces it with a wrapper that makes it one
// within this process. It warns when other processes may use the same storage.
//
// The error joins all problems of cfg; errors.Is and errors.As reach each.
func New(sm *scs.SessionManager, cfg Config) (*Manager, error) {
	if sm == nil {
		return nil, errors.New("keepalive: the *scs.SessionManager is nil; pass the one whose LoadAndSave you would use")
	}
	if cfg.Path == "" {
		cfg.Path = "/keepalive/"
	}
	if cfg.CrossOrigin == nil {
		cfg.CrossOrigin = http.NewCrossOriginProtection()
	}
	var errs []error
	if !validPath(cfg.Path) {
		errs = append(errs, fmt.Errorf("keepalive: Config.Path is %q; write an absolute path below the root that ends with a slash, of letters, digits and -._~/ only, such as %q", cfg.Path, "/keepalive/"))
	}
	if cfg.WarnBefore != 0 && cfg.WarnBefore < minWarning {
		errs = append(errs, fmt.Errorf("keepalive: Config.WarnBefore is %v; write at least %v, which is what people need to react (WCAG 2.2.1), or 0 for no warning", cfg.WarnBefore, minWarning))
	}
	if cfg.Mode < PageOpen || cfg.Mode > UserActive {
		errs = append(errs, fmt.Errorf("keepalive: Config.Mode is %d; write PageOpen, PageVisible or UserActive", cfg.Mode))
	}
	if cfg.Presence < PresenceOff || cfg.Presence > PresenceQuery {
		errs = append(errs, fmt.Errorf("keepalive: Config.Presence is %d; write PresenceOff, PresencePath or PresenceQuery", cfg.Presence))
	}
	switch {
	case cfg.MaxUnattended < 0:
		errs = append(errs, fmt.Errorf("keepalive: Config.MaxUnattended is %v; write a positive duration, or 0 for no limit", cfg.MaxUnattended))
	case cfg.MaxUnattended > 0 && cfg.Mode == UserActive:
		errs = append(errs, errors.New("keepalive: Config.MaxUnattended is set with UserActive, where the idle timeout already counts from the user's last input; leave it out"))
	}
	if cfg.NoScript && (cfg.Mode != PageOpen || cfg.MaxUnattended > 0) {
		errs = append(errs, errors.New("keepalive: Config.NoScript keeps sessions alive whether or not anybody is there, which is not what Mode or MaxUnattended asks for; use it with PageOpen only, without MaxUnattended"))
	}
	errs = append(errs, checkURL("LoginURL", cfg.LoginURL), checkURL("LogoutURL", cfg.LogoutURL))
	if sm.Store == nil {
		errs = append(errs, errors.New("keepalive: SessionManager.Store is nil; make the session manager with scs.New, or set its Store first"))
	}
	if sm.Codec == nil {
		errs = append(errs, errors.New("keepalive: SessionManager.Codec is nil; make the session manager with scs.New, or set its Codec first"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m := &Manager{sm: sm, cfg: cfg, script: scriptFor(cfg), salt: []byte(cmp.Or(cfg.Salt, rand.Text()))}
	spy := keySpy{Context: context.Background()}
	if _, err := sm.Load(&spy, ""); err != nil {
		return nil, fmt.Errorf("keepalive: SessionManager.Load: %w", err)
	}
	m.contextKey = spy.key
	m.install()
	return m, nil
}

// Path returns Config.Path, for mounting Handler.
func (m *Manager) Path() string { return m.cfg.Path }

// minWarning is the least time to react that WCAG 2.2 asks for in 2.2.1.
const minWarning = 20 * time.Second

func validPath(p string) bool {
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

// checkURL tells what is wrong with a URL that pages are to link to.
func checkURL(field, raw string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "",
		err == nil && u.Scheme == "" && strings.HasPrefix(raw, "/"),
		err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
		return nil
	}
	return fmt.Errorf("keepalive: Config.%s is %q; write a path such as %q, or a URL of http or https", field, raw, "/login")
}

// keySpy is a context that notes the key it was last asked for. scs does not
// export the key of its session data, and asks for it in Load.
type keySpy struct {
	context.Context
	key any
}

func (s *keySpy) Value(key any) any {
	s.key = key
	return nil
}

// install makes the session manager's store a Store.
func (m *Manager) install() {
	if _, ok := m.sm.Store.(Store); ok {
		return
	}
	const warning = "keepalive: this store can't touch a session by itself, so pings and writes are kept apart within this process only; if several instances of the app share it, use a store that is a keepalive.Store"
	switch name := storePackage(m.sm.Store); name {
	case "memstore", "boltstore", "badgerstore", "buntdbstore", "leveldbstore": // no other process can write there
	case "goredisstore", "pgxstore", "mysqlstore", "sqlite3store":
		m.log().Warn(warning, "store", fmt.Sprintf("%T", m.sm.Store), "import", "github.com/seed4a306b22/keepalive/"+name)
	default:
		m.log().Warn(warning, "store", fmt.Sprintf("%T", m.sm.Store))
	}
	m.sm.Store = newLocalStore(m.sm.Store, deadlineOf(m.sm.Codec))
}

// start reads what the program has set on the session manager by the time of
// the first request.
func (m *Manager) start() {
	m.install()
	m.store = m.sm.Store.(Store)
	m.deadline = deadlineOf(m.sm.Codec)
	if m.cfg.ErrorFunc == nil {
		m.cfg.ErrorFunc = m.sm.ErrorFunc
	}
	// With an idle timeout scs marks every loaded session as modified and
	// writes it back. A copy without one leaves it as it is; it shares the
	// context key, so that the app's own manager finds the session.
	loader := *m.sm
	loader.IdleTimeout = 0
	m.loader = &loader

	idle, fault := m.sm.IdleTimeout, func(msg string, args ...any) {
		m.log().Error("keepalive: "+msg, args...)
	}
	switch {
	case idle <= 0:
		fault("SessionManager.IdleTimeout is not set, so there is nothing to extend; write e.g. sessionManager.IdleTimeout = 20 * time.Minute", "IdleTimeout", idle)
	case idle < 3*time.Minute:
		m.log().Warn("keepalive: SessionManager.IdleTimeout is short; browsers wake hidden pages only about once a minute, so write at least 3 * time.Minute if those are to stay signed in", "IdleTimeout", idle)
	}
	if m.sm.Lifetime < idle {
		fault("SessionManager.Lifetime is below IdleTimeout, so the session ends before it can be idle; write a longer Lifetime or a shorter IdleTimeout", "Lifetime", m.sm.Lifetime, "IdleTimeout", idle)
	}
	// The script takes a page's load for a touch that may have been skipped.
	if w := m.cfg.WarnBefore; w > 0 && idle > 0 && w >= idle-min(idle/20, time.Minute) {
		fault("Config.WarnBefore is not below SessionManager.IdleTimeout by a twentieth or a minute, so every page would warn at once; until then none does; write a shorter WarnBefore or a longer IdleTimeout", "WarnBefore", w, "IdleTimeout", idle)
		m.cfg.WarnBefore = 0
	}
	switch p := m.sm.Cookie.Path; {
	case p == "":
		fault(`SessionManager.Cookie.Path is empty, so browsers send the cookie only below the page that set it; write sessionManager.Cookie.Path = "/"; until then pages get no script`)
		m.off = true
	case !pathMatch(m.cfg.Path, p):
		fault("Config.Path is not below SessionManager.Cookie.Path, so pings would arrive without the cookie; write a Config.Path below it; until then pages get no script", "Path", m.cfg.Path, "Cookie.Path", p)
		m.off = true
	}
	m.tag = m.script.tag(m.cfg, cmp.Or(max(m.sm.IdleTimeout, 0), m.sm.Lifetime))
	m.plainTag = m.tag.with("", true)
	if m.cfg.NoScript && idle > 0 {
		m.frame = frame(m.cfg.Path)
	}
}

// pathMatch is RFC 6265 section 5.1.4.
func pathMatch(path, cookie string) bool {
	return strings.HasPrefix(path, cookie) &&
		(len(path) == len(cookie) || cookie[len(cookie)-1] == '/' || path[len(cookie)] == '/')
}

func (m *Manager) log() *slog.Logger {
	if m.cfg.Logger != nil {
		return m.cfg.Logger
	}
	return slog.Default()
}
