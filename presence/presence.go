// Package presence knows which users are online, on which pages, since when, and
// when they were last seen. It learns that from the events of keepalive.
//
//	tracker, err := presence.New(presence.Config{
//		Identify: func(r *http.Request) (string, any) {
//			return sessions.GetString(r.Context(), "user"), nil
//		},
//	})
//	km, err := keepalive.New(sessions, keepalive.Config{
//		Presence: keepalive.PresencePath,
//		Observer: tracker.Observe,
//	})
//	mux.Handle("GET /who", adminsOnly(tracker.Handler()))
//
// # What counts
//
// Each tab has an id of its own. Its page sends a beat when it is shown, when its
// path changes, and each minute; browsers stretch that to two for hidden pages. A
// tab is open until no beat has come for [Config.TTL]. When its page is left, it
// stays open for [Config.Grace], so that a click on a link is a move and no leave.
//
// With keepalive.PresenceIdle a beat also says how long ago the last input was. A page
// that nobody has used for two minutes sends one at once when somebody does.
//
// # Rules of interaction
//
// Presence is personal data. Sessions for which [Config.Identify] names no user
// are not tracked, no handler is mounted by itself, and [Tracker.Handler] MUST
// stand behind the app's own authorization. Paths are shown to whoever may use
// that handler: an app with secret paths SHOULD clear Event.Page in its observer
// before it calls [Tracker.Observe]. How long a user has been idle says how they work:
// an app SHOULD ask for keepalive.PresenceIdle only where those concerned know of it.
//
// keepalive's Config.Passive SHOULD name requests to the handler, or a user who
// watches keeps their own session alive.
//
// Nothing that comes from a page is trusted. A path is printable ASCII of bounded
// length, or unknown. A tab's id has a meaning within its session only, so no page
// can act for another session.
//
// # Several instances
//
// With [Config.Log] each instance knows all tabs of all instances and answers from
// its own memory. A beat is applied where it arrives, and sent to the log in the
// background. While the log can't be read, no tab leaves, as an instance can't tell
// who is at another one. Events and OnGone come on every instance. All instances
// must give sessions the same names: set keepalive's Config.Salt.
//
// Instances that know nothing of idle users understand those that do, and the other
// way round. While one runs, users whose beats it receives do not count as away.
package presence

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Tracker knows who is online. Make one with New; the zero value can't be used.
// Its methods are safe for concurrent use.
type Tracker struct {
	cfg    Config
	ctx    context.Context // ends when the Tracker is closed
	cancel context.CancelFunc
	outbox *outbox        // nil without Config.Log
	wg     sync.WaitGroup // the goroutines that use Config.Log
	ready  chan struct{}  // closed when Config.Log was read for the first time

	copyMu sync.Mutex // held while many tabs are copied, before mu

	mu        sync.Mutex // guards all fields below
	tabs      checkHeap
	sessions  map[string]*session // by name
	users     map[string]*user    // by name
	pages     map[string]*page    // by path
	feeds     map[view]*feed
	unready   []*batch  // those with events that subscribers were not woken for
	copying   *copying  // nil: none
	copies    uint32    // how many have begun
	gone      []Gone    // for OnGone
	following bool      // the log is being read, or there is none
	holdUntil time.Time // until then no open tab leaves
	ticking   bool
	ticker    *time.Timer
	fullOnce  sync.Once
	userOnce  sync.Once
	shownOnce sync.Once
}

// New returns a Tracker for cfg. With Config.Log it starts two goroutines, which
// read and write the log until Close.
//
// The error joins all problems of cfg; errors.Is and errors.As reach each.
func New(cfg Config) (*Tracker, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	t := &Tracker{
		cfg:      cfg,
		ready:    make(chan struct{}),
		sessions: make(map[string]*session),
		users:    make(map[string]*user),
		pages:    make(map[string]*page),
		feeds:    make(map[view]*feed),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.ticker = time.AfterFunc(time.Hour, t.tick)
	t.ticker.Stop() // until there is a tab
	if cfg.Log == nil {
		t.following = true
		close(t.ready)
	} else {
		t.connect()
	}
	return t, nil
}

// Close ends all subscriptions, stops the use of Config.Log and waits for its
// methods to return. Beats that the log has not taken yet are lost. Events that are
// observed later are dropped, and no tab leaves. OnGone is not called again, but a
// call may still be running.
func (t *Tracker) Close() {
	t.cancel()
	t.wg.Wait()
}

func (t *Tracker) closed() bool { return t.ctx.Err() != nil }

// waitReady waits until the log was read for the first time.
func (t *Tracker) waitReady(ctx context.Context) error {
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Tracker) log() *slog.Logger {
	if t.cfg.Logger != nil {
		return t.cfg.Logger
	}
	return slog.Default()
}
