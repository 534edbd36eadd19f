package keepalive

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed4a306b22/keepalive/internal/inject"
)

//go:generate go run -C client/_generate .

//go:embed client/keepalive.min.js
var scriptSource []byte

//go:embed client/presence.min.js
var presenceSource []byte

//go:embed client/keepalive.debug.js
var debugSource []byte

//go:embed client/dialog.min.js
var dialogModuleSource []byte

//go:embed client/after.min.js
var afterModuleSource []byte

//go:embed client/extras.min.js
var extrasModuleSource []byte

// pages is what goes into the pages of one Manager, and what these load.
type pages struct {
	scripts scripts
	dialog  dialog

	// disabled is set where the configuration would do harm to pages.
	disabled bool

	tag   tag    // of pages whose session has the session manager's idle timeout
	frame []byte // follows pages with a session, nil without Config.NoScript
	// withSession goes into these, and anonymous into pages without a session.
	withSession, anonymous *inject.Insertion

	salt string                              // for userStamp
	mu   sync.Mutex                          // guards made
	made recent[pageKind, *inject.Insertion] // for all other pages with a session
}

// pageKind is what pages with a session differ in.
type pageKind struct {
	idle       time.Duration
	user       string
	identified bool
	passive    bool
}

// maxPageKinds bounds one generation of insertions, of about 1 KB each.
const maxPageKinds = 1 << 10

func (p *pages) hasFrame() bool { return p.frame != nil }

// start makes what is the same for all pages.
func (p *pages) start(t tag, frame []byte) {
	p.tag, p.frame = t, frame
	p.withSession, p.anonymous = t.insertion(p.scripts, true, frame), t.insertion(p.scripts, false, nil)
}

// insertion returns what goes into a page of a session with this idle timeout,
// and of this user, nil where that is not known. passive reports whether the page's
// own request did not extend the session.
func (p *pages) insertion(idle time.Duration, user *string, passive bool) *inject.Insertion {
	if idle == p.tag.idle && user == nil && !passive {
		return p.withSession
	}
	kind := pageKind{idle: idle, passive: passive}
	if user != nil {
		kind.user, kind.identified = *user, true
	}
	p.mu.Lock()
	ins, ok := p.made.get(kind)
	p.mu.Unlock()
	if ok {
		return ins
	}
	kind.user = strings.Clone(kind.user)
	ins = p.newInsertion(kind)
	p.mu.Lock()
	p.made.put(kind, ins, maxPageKinds)
	p.mu.Unlock()
	return ins
}

func (p *pages) newInsertion(kind pageKind) *inject.Insertion {
	t := p.tag
	t.idle, t.passive = kind.idle, kind.passive
	if kind.identified {
		stamp := userStamp(p.salt, kind.user)
		t.user = &stamp
		t.blank = t.blank && stamp != "" // a guest's page has no secrets
	}
	if !warnsInTime(t.warnBefore, kind.idle) {
		t.warnBefore = 0
	}
	return t.insertion(p.scripts, true, p.frame)
}

// userStamp names a user to the script, so that a tab can notice that another
// user has signed in. It is "" for a guest. The salt keeps it from being guessed.
func userStamp(salt, user string) string {
	if user == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(salt))
	_, _ = mac.Write([]byte("user\x00" + user)) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))[:12]
}

// script is one of the page's side: the bytes to serve, and what their URL is made
// of.
type script struct {
	base        string
	plain, gzip []byte
	hash        string
	integrity   string // as in the attribute of that name
}

// scripts are what pages of one Manager load: the script, the module that it imports
// when it shows the first dialog, the one of BlankPage and OpenLogin, and the one of what
// it can do without at first. All names have the same hash, of all together, so that the
// script knows the modules' names from its own.
type scripts struct{ main, dialogs, after, extras script }

// The scripts are compressed once for all Managers.
var (
	plainScripts    = sync.OnceValue(func() scripts { return newScripts(scriptSource) })
	presenceScripts = sync.OnceValue(func() scripts { return newScripts(presenceSource) })
)

// scriptsFor returns the scripts for pages that report presence, or that do not.
func scriptsFor(presence Presence) scripts {
	if presence == PresenceOff {
		return plainScripts()
	}
	return presenceScripts()
}

func newScripts(source []byte) scripts {
	sum := sha256.Sum256(slices.Concat(source, dialogModuleSource, afterModuleSource, extrasModuleSource))
	hash := base64.RawURLEncoding.EncodeToString(sum[:9])
	return scripts{
		main:    newScript("keepalive", hash, source),
		dialogs: newScript("dialog", hash, dialogModuleSource),
		after:   newScript("after", hash, afterModuleSource),
		extras:  newScript("extras", hash, extrasModuleSource),
	}
}

func newScript(base, hash string, source []byte) script {
	var zipped bytes.Buffer
	// Writes to a bytes.Buffer cannot fail, and the level is a valid one.
	zw, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	_, _ = zw.Write(source)
	_ = zw.Close()
	return script{
		base:  base,
		plain: source, gzip: zipped.Bytes(),
		hash:      hash,
		integrity: integrityOf(source),
	}
}

func integrityOf(source []byte) string {
	sum := sha256.Sum256(source)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// tag is what the script element says to the script.
type tag struct {
	path          string // of the endpoints, as browsers see it
	debug         bool   // load the readable script
	idle          time.Duration
	mode          string // "" for PageOpen
	maxUnattended time.Duration
	warnBefore    time.Duration
	blank         bool // the page of an ended session loses its content
	presence      Presence
	user          *string // the user's stamp, "" for a guest, nil without Config.Identify
	passive       bool    // the page's own request did not extend the session
}

// insertion returns the script element, with what follows the page. Without a
// session the element says so. Otherwise the script would count the page load as a
// touch of a session that does not exist.
func (t tag) insertion(s scripts, hasSession bool, tail []byte) *inject.Insertion {
	src := t.path + s.main.name()
	if t.debug {
		src = t.path + debugName
	}
	start := `<script src="` + html.EscapeString(src) + `" defer`
	element := start
	if !hasSession {
		element += " data-anonymous"
	}
	if t.passive {
		element += " data-passive"
	}
	blank := ""
	if t.blank {
		blank = "1"
	}
	element += attribute("idle", milliseconds(t.idle)) +
		attribute("mode", t.mode) +
		attribute("max", milliseconds(t.maxUnattended)) +
		attribute("warn", milliseconds(t.warnBefore)) +
		attribute("blank", blank) +
		attribute("presence", t.presence.attribute()) +
		t.userAttribute() + `></script>`
	ins := inject.NewInsertion([]byte(element), len(start), tail)
	ins.Integrity = s.main.integrity
	if t.debug {
		ins.Integrity = integrityOf(debugSource)
	}
	for _, module := range []script{s.dialogs, s.extras} {
		ins.IntegrityElements = append(ins.IntegrityElements,
			`<script type="module" src="`+html.EscapeString(t.path+module.name())+`" integrity="`+module.integrity+`" crossorigin="anonymous"></script>`)
	}
	return ins
}

// userAttribute differs from the others in that an empty value says something.
func (t tag) userAttribute() string {
	if t.user == nil {
		return ""
	}
	return ` data-user="` + *t.user + `"`
}

func milliseconds(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// attribute is data-name="value", or nothing where there is no value.
func attribute(name, value string) string {
	if value == "" {
		return ""
	}
	return ` data-` + name + `="` + value + `"`
}

// debugName is the name of the readable script.
const debugName = "keepalive.debug.js"

// name returns the script's name in the folder of the endpoints. The hash of its
// content is part of it, and not a query, because some caches leave queries out
// of their key and would serve an old script.
func (s script) name() string { return s.base + "." + s.hash + ".js" }

// hasName reports whether s is served by this name: its own, or that of another
// version.
func (s script) hasName(name string) bool {
	return strings.HasPrefix(name, s.base+".") && strings.HasSuffix(name, ".js") && !strings.Contains(name, "/")
}

// serve answers with the script. Browsers need never ask again for the name that
// is in the tag. Any other, as an old page has after an update, is checked each
// time.
func (s script) serve(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	compressed := acceptsGzip(r.Header) && !compressesOutside(h)
	setScriptHeader(h)
	if name == debugName {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(debugSource))
		return
	}
	if name == s.name() {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, etag := s.plain, `"`+s.hash+`"`
	if compressed {
		body, etag = s.gzip, `"`+s.hash+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// setScriptHeader sets the fields of every script. endpoints.ServeHTTP has set those
// of all endpoints.
func setScriptHeader(h http.Header) {
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	if !hasVary(h, "Accept-Encoding") {
		h.Add("Vary", "Accept-Encoding")
	}
	h.Set("Cache-Control", "no-cache")
}

// compressesOutside reports whether middleware outside is going to compress the
// response. Some compress also what is compressed already, such as those of echo
// and gin, which browsers cannot read.
func compressesOutside(h http.Header) bool {
	return h["Content-Encoding"] != nil || hasVary(h, "Accept-Encoding")
}

// hasVary reports whether the header says that the response depends on a field
// of the request.
func hasVary(h http.Header, field string) bool {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(name), field) {
				return true
			}
		}
	}
	return false
}

// acceptsGzip reads Accept-Encoding by RFC 9110 section 12.5.3.
func acceptsGzip(h http.Header) bool {
	accepted := false
	for _, line := range h["Accept-Encoding"] {
		for item := range strings.SplitSeq(line, ",") {
			coding, weight, _ := strings.Cut(item, ";")
			coding = strings.TrimSpace(coding)
			_, q, hasQ := strings.Cut(strings.ToLower(weight), "q=")
			f, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			wanted := !hasQ || err == nil && f > 0
			switch {
			case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
				return wanted
			case coding == "*":
				accepted = wanted
			}
		}
	}
	return accepted
}
