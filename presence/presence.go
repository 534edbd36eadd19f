// Package presence knows who is online, on which pages, since when and when they
// were last seen, from what open pages tell keepalive. It needs the standard
// library only, and nothing else of this module.
//
//	tracker, err := presence.New(presence.Config{
//		Identify: func(r *http.Request) (string, any) {
//			return sessions.GetString(r.Context(), "user"), nil
//		},
//	})
//	km, err := keepalive.New(sessions, keepalive.Config{
//		Presence: keepalive.PresencePath,
//		Observer: func(e keepalive.Event) {
//			switch e.Kind {
//			case keepalive.EventHere, keepalive.EventLeave:
//				tracker.Observe(e.Request, presence.Beat{
//					Session: e.Session, Tab: e.Tab, Path: e.Page, Sent: e.Sent, Leave: e.Kind == keepalive.EventLeave,
//				})
//			case keepalive.EventDestroy, keepalive.EventGone, keepalive.EventRenew:
//				tracker.End(e.Session)
//			}
//		},
//	})
//	mux.Handle("GET /who", adminsOnly(tracker.Handler()))
//
// # What counts
//
// Each tab has an id of its own, and tells by a beat that it is there: when its
// page is shown, when its path changes, and each minute, which browsers make two
// for hidden pages. A tab is open until no beat has come for [Config.TTL]. When a
// page is left, its tab is open for [Config.Grace] yet, so that a click on a link
// is a move and no leave. Times are of whole seconds.
//
// # Rules of interaction
//
// Presence is personal data. Nothing is tracked for which [Config.Identify] names
// no user, no handler is mounted by itself, and [Tracker.Handler] MUST stand
// behind the app's own authorization. A page that a user only looks at may be
// shown to others: where a path is secret, Beat.Path SHOULD be left empty.
//
// Requests to the handler SHOULD be named by keepalive's Config.Passive, or
// whoever watches keeps the own session alive.
//
// What comes from a page is never believed: a path is printable ASCII and of
// bounded length, or unknown; a tab's id means something within its session only,
// so that no page can speak for a session that is not its own.
//
// # Several instances
//
// With [Config.Log] each instance knows all tabs of all instances and answers from
// its own memory. A beat is applied where it arrives, and sent to the log behind
// the request's back. While the log can't be read, nobody leaves: an instance
// can't tell who is at another one. Events and OnGone come on every instance. All
// must give sessions the same names: set keepalive's Config.Salt.
package presence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Config says who is tracked and how. The zero value of each field but Identify
// is its default. Fields must be named in literals.
type Config struct {
	_ [0]func()

	// Identify tells who sent a request, and what else of them is to be shown: of
	// meta, what encoding/json makes of it, up to 1 KB. The user "" is not
	// tracked, and what was tracked of the session ends. It is called at a tab's first beat and whenever its page changes,
	// possibly from many goroutines at once. The last answer holds for all tabs
	// of the session, and meta for all sessions of the user. Required.
	Identify func(r *http.Request) (user string, meta any)

	// TTL is how long after its last beat a tab is taken to be open, from 3 minutes
	// to 12 hours: longer than the slowest beat, which comes after two. Default: 5
	// minutes, so that one beat may be lost.
	TTL time.Duration

	// Grace is how long a tab stays after its page was left, to wait for the next
	// one. It is exceeded by up to two seconds. Default: 10 seconds.
	Grace time.Duration

	// MaxTabs is how many tabs a session may have. Further ones are not tracked.
	// Default: 32.
	MaxTabs int

	// MaxTotal is how many tabs are tracked at all, of about 0.3 KB each, and
	// MaxPath more where no two tabs are on the same page. Default: 200,000.
	MaxTotal int

	// MaxPath is the longest path in bytes. A tab on a longer one is tracked
	// without its path. Default: 256.
	MaxPath int

	// Query keeps the query of a page's path. Default: it is cut off.
	Query bool

	// Buffer is how many events a subscriber may fall behind. Default: 1,024.
	Buffer int

	// OnGone is told when no page of a session is open any more: after the grace,
	// when the beats stop, when the session ends. The app can free what it held
	// for the session then; the session itself lives on, unless the app ends it.
	// The user may have other sessions (see User), and a token that was renewed
	// without loading a page ends one and begins another.
	// Calls come one at a time, from a goroutine that serves no request; while
	// one runs nobody else leaves. With Log they come on every instance, and must
	// do no harm when repeated. Default: nil.
	OnGone func(Gone)

	// Log carries the beats between instances, such as a redispresence.Log.
	// Default: nil, there is one instance.
	Log Log

	// Logger is told of values that can't be tracked, of the first tab beyond
	// MaxTotal, and of failures of Log, once each until it works again. Default:
	// slog.Default() at the time of use.
	Logger *slog.Logger
}

// Beat is what a page tells. All but Session comes from the page and may be
// anything.
type Beat struct {
	// Session names the session, the same on all instances. It must come from
	// the server, and be nothing that a client can choose.
	Session string

	// Tab is the id of the tab within its session: 1 to 32 letters and digits. A
	// beat with another one is dropped.
	Tab string

	// Path is that of the page's URL, with its query or without. "": not known.
	Path string

	// Sent is the page's clock in milliseconds at the time of sending. What was
	// sent earlier but arrives later, by less than a minute, is dropped: else a
	// page that was left could end the one that has taken its place. Zero: not
	// known.
	Sent int64

	// Leave tells that the page was left.
	Leave bool
}

// Gone is a session of which no page is open any more.
type Gone struct {
	Session string // as in Beat
	User    string
	Meta    json.RawMessage
	Time    time.Time
}

// Tracker knows who is online. Make one with New; the zero value can't be used.
// Its methods are safe for concurrent use.
type Tracker struct {
	cfg        Config
	start      time.Time
	ttl, grace int32 // seconds
	link       *link // nil without Config.Log
	ready      chan struct{}

	mu sync.Mutex
	state
	stream
	gone       []Gone
	hold       int32 // before this second nobody is too long unseen
	behind     bool  // the log can't be read, or has not been yet
	timer      *time.Timer
	ticking    bool
	closed     bool
	warnedFull bool
}

// New returns a Tracker for cfg. With Config.Log it begins to read that.
//
// The error joins all problems of cfg; errors.Is and errors.As reach each.
func New(cfg Config) (*Tracker, error) {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("presence: "+format, args...)) }
	if cfg.Identify == nil {
		errs = append(errs, errors.New("presence: Config.Identify is nil; write a function that names the user of a request, as nobody else is tracked"))
	}
	for _, d := range []struct {
		name            string
		value           *time.Duration
		def, low, limit time.Duration
	}{
		{"TTL", &cfg.TTL, 5 * time.Minute, 3 * time.Minute, 12 * time.Hour},
		{"Grace", &cfg.Grace, 10 * time.Second, time.Second, time.Hour},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if *d.value < d.low || *d.value > d.limit {
			fault("Config.%s is %v; write %v to %v, or 0 for the default", d.name, *d.value, d.low, d.limit)
		}
	}
	for _, n := range []struct {
		name       string
		value      *int
		def, limit int
	}{
		{"MaxTabs", &cfg.MaxTabs, 32, 1000},
		{"MaxTotal", &cfg.MaxTotal, 200_000, 1 << 30},
		{"MaxPath", &cfg.MaxPath, 256, 8192},
		{"Buffer", &cfg.Buffer, 1024, 1 << 20},
	} {
		if *n.value == 0 {
			*n.value = n.def
		}
		if *n.value < 1 || *n.value > n.limit {
			fault("Config.%s is %d; write 1 to %d, or 0 for the default", n.name, *n.value, n.limit)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	t := &Tracker{cfg: cfg, start: time.Now(), ready: make(chan struct{})}
	t.ttl, t.grace = seconds(cfg.TTL)+1, seconds(cfg.Grace)+1
	t.byName, t.byUser, t.byPath = make(map[string]uint32), make(map[string]uint32), make(map[string]uint32)
	t.timer = time.AfterFunc(time.Hour, t.tick)
	t.timer.Stop()
	if cfg.Log == nil {
		close(t.ready)
	} else {
		t.connect()
	}
	return t, nil
}

// Close ends all subscriptions and the work of Config.Log, which is waited for;
// beats that it has not yet taken are lost. What is observed later is dropped, and
// nobody leaves. OnGone is not called again, though it may still run.
func (t *Tracker) Close() {
	t.mu.Lock()
	t.closed = true
	t.timer.Stop()
	t.mu.Unlock()
	t.wakeUp()
	if t.link != nil {
		t.link.cancel()
		t.link.wg.Wait()
	}
}

// Observe takes a beat that came with r, which Identify gets as it is. It waits for
// nothing else.
func (t *Tracker) Observe(r *http.Request, b Beat) {
	if b.Session == "" || !validTab(b.Tab) {
		return
	}
	rec := record{session: b.Session, tab: number(b.Tab), sent: uint32(b.Sent), path: t.clean(b.Path), leave: b.Leave}
	if t.take(&rec, false) {
		return
	}
	name, meta := t.cfg.Identify(r)
	if name == "" {
		t.End(b.Session) // it may have had one before
		return
	}
	rec.user, rec.meta = name, t.marshal(meta)
	t.take(&rec, true)
}

// End tells that a session has ended, or has got another name. Its tabs leave as
// if their pages had been left.
func (t *Tracker) End(session string) {
	t.take(&record{session: session, leave: true}, false)
}

// take applies a beat and sends it to the other instances. It tells whether it is
// done, which may need Identify.
func (t *Tracker) take(r *record, identified bool) (done bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return true
	}
	now := t.now()
	var tell bool
	if identified {
		done, tell = true, t.apply(r, now)
	} else {
		done, tell = t.refresh(r, now)
	}
	if done && tell && t.link != nil {
		if !r.leave && !identified { // refresh needs no user, another instance may
			u := t.users.at(t.sessions.at(t.byName[r.session]).user)
			r.user, r.meta = u.name, u.meta
		}
		t.link.send(r)
	}
	return done
}

func (t *Tracker) now() int32 { return int32(time.Since(t.start) / time.Second) }
func (t *Tracker) time(second int32) time.Time {
	return t.start.Add(time.Duration(second) * time.Second)
}

// seconds rounds up.
func seconds(d time.Duration) int32 {
	return int32(min((d+time.Second-1)/time.Second, 1<<30))
}

// wind starts the clock when there is somebody to leave.
func (t *Tracker) wind() {
	if !t.ticking {
		t.ticking = true
		t.swept = max(t.swept, t.now())
		t.timer.Reset(time.Second)
	}
}

// tick lets tabs go that are due, once a second while there are any.
func (t *Tracker) tick() {
	for done := false; !done; {
		t.mu.Lock()
		done = t.closed || t.behind || t.sweep(t.now())
		gone := t.gone
		t.gone = nil
		t.mu.Unlock()
		for _, g := range gone {
			t.mu.Lock()
			closed := t.closed
			t.mu.Unlock()
			if !closed {
				t.cfg.OnGone(g)
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ticking = t.tabs.n > 0 && !t.closed; t.ticking {
		t.timer.Reset(time.Second)
	}
}

// maxMeta bounds the JSON of what Identify returns.
const maxMeta = 1 << 10

func (t *Tracker) marshal(meta any) string {
	if meta == nil {
		return ""
	}
	b, err := json.Marshal(meta)
	if err == nil && len(b) > maxMeta {
		err = fmt.Errorf("its JSON has %d bytes", len(b))
	}
	if err != nil {
		t.log().Error("presence: what Config.Identify tells of a user can't be shown", "error", err)
		return ""
	}
	return string(b)
}

func raw(meta string) json.RawMessage {
	if meta == "" {
		return nil
	}
	return json.RawMessage(meta)
}

// clean returns a path as browsers tell them, which is ASCII, or "".
func (t *Tracker) clean(path string) string {
	if !t.cfg.Query {
		path, _, _ = strings.Cut(path, "?")
	}
	path, _, _ = strings.Cut(path, "#")
	if len(path) > t.cfg.MaxPath || !strings.HasPrefix(path, "/") {
		return ""
	}
	for _, c := range []byte(path) {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return path
}

func validTab(id string) bool {
	for _, c := range []byte(id) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return id != "" && len(id) <= 32
}

// full says once that there is no more room.
func (t *Tracker) full() {
	if !t.warnedFull {
		t.warnedFull = true
		go t.log().Warn("presence: there are more tabs than Config.MaxTotal; further ones are not tracked", "MaxTotal", t.cfg.MaxTotal)
	}
}

func (t *Tracker) log() *slog.Logger {
	if t.cfg.Logger != nil {
		return t.cfg.Logger
	}
	return slog.Default()
}

// settled waits until the log was read for the first time.
func (t *Tracker) settled(ctx context.Context) error {
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
