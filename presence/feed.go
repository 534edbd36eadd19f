package presence

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// batchTime is how long the first of several events waits for the others, so that
// they wake each subscriber once.
const batchTime = 20 * time.Millisecond

// feed is a chain of batches of events, which all subscribers of a view read, so an event
// costs the same however many they are. It exists while it has subscribers.
//
// These hold at any time:
//
//   - An event is added to all its feeds while Tracker.mu is held to change the tab. So
//     each feed has the events of its view, in one order.
//   - Only the last batch grows. The others are sealed, and lead to the next one. A
//     batch that is sealed is ready soon, and is read from then on.
//   - A subscription stands at the batch that it reads next, and is counted there. It is
//     counted at the next batch before it leaves one, so all batches from its own on
//     stay in the chain.
//   - Batches are taken out of the chain at its front only: those at which nobody
//     stands, and those that make it longer than Config.Buffer events. Such a batch
//     leads nowhere. Who still stands there is too slow, and keeps no later batch in
//     memory.
//   - A subscription begins with an empty batch, while Tracker.mu is held to begin its
//     snapshot. So no event is lost or doubled between the two.
//
// Readers take no lock that beats take, and wait for no other reader but the one that
// encodes a batch.
type feed struct {
	view        view
	first, last *batch // guarded by Tracker.mu, as all fields but making
	events      int    // in all batches
	subscribers int
	pending     *snapshot // which has not begun
	making      sync.Mutex
}

type batch struct {
	feed    *feed
	events  []*message
	ready   chan struct{}         // closed when it may be read
	next    atomic.Pointer[batch] // nil: it is the last, or not in the chain any more
	readers atomic.Int64          // subscriptions that stand here

	once sync.Once
	text []byte // of all events, for a stream
}

// message is an event, and its text for a stream, which all feeds share.
type message struct {
	Event
	once sync.Once
	text []byte
}

func newBatch(f *feed) *batch { return &batch{feed: f, ready: make(chan struct{})} }

// feed returns the feed of v, with one more subscriber. The caller holds Tracker.mu.
func (t *Tracker) feed(v view) *feed {
	f := t.feeds[v]
	if f == nil {
		f = &feed{view: v}
		f.last = newBatch(f)
		f.first = f.last
		t.feeds[v] = f
	}
	f.subscribers++
	return f
}

// emit adds an event to the feeds of all views that show it. Away and Back are shown
// on all pages that the user has open. The caller holds Tracker.mu.
func (t *Tracker) emit(kind Kind, u *user, now time.Time, from, path string) {
	if len(t.feeds) == 0 {
		return
	}
	m := &message{Event: Event{
		Kind: kind, Time: now, User: u.name, Meta: rawMeta(u.meta), Path: path, From: from, Tabs: u.tabs, Idle: u.idle(now),
	}}
	t.publish(view{}, m)
	switch kind {
	case Away, Back:
		view{ofUser, u.name}.each(t, func(tab *tab) { t.publish(view{onPage, tab.page.path}, m) })
	case Move:
		t.publish(view{onPage, from}, m)
		fallthrough
	default:
		t.publish(view{onPage, path}, m)
	}
}

// publish adds an event to the feed of v, if it has one and not yet this event. Another
// goroutine wakes the subscribers.
func (t *Tracker) publish(v view, m *message) {
	f := t.feeds[v]
	if f == nil {
		return
	}
	b := f.last
	if n := len(b.events); n > 0 && b.events[n-1] == m {
		return
	}
	b.events = append(b.events, m)
	f.events++
	if len(b.events) == 1 {
		if len(t.unready) == 0 {
			time.AfterFunc(batchTime, t.wakeSubscribers)
		}
		t.unready = append(t.unready, b)
	}
	f.trim(t.cfg.Buffer)
}

// seal begins a new last batch. That before has events, so it is in Tracker.unready.
func (f *feed) seal() {
	b := newBatch(f)
	f.last.next.Store(b)
	f.last = b
}

// trim takes batches out of the chain that all have read, or that make it too long.
func (f *feed) trim(limit int) {
	for f.first != f.last && f.first.readers.Load() == 0 || f.events > limit {
		if f.first == f.last {
			f.seal()
		}
		b := f.first
		f.first = b.next.Load()
		f.events -= len(b.events)
		b.next.Store(nil)
	}
}

func (t *Tracker) wakeSubscribers() {
	t.mu.Lock()
	batches := t.unready
	t.unready = nil
	for _, b := range batches {
		if b.feed.last == b {
			b.feed.seal()
		}
		b.feed.trim(t.cfg.Buffer)
	}
	t.mu.Unlock()
	for _, b := range batches {
		close(b.ready)
	}
}

// subscription is the place of a subscriber in a feed. One goroutine calls next, any
// may call close.
type subscription struct {
	t      *Tracker
	feed   *feed
	mu     sync.Mutex // guards the fields below
	at     *batch     // which next returns; changed by next only
	closed bool
}

// snapshot is who is in the view of a feed when its subscriptions begin. All who ask
// before that share it.
type snapshot struct {
	encode        bool // somebody needs body
	subscriptions []*subscription
	done          chan struct{} // closed when the fields below are set
	rows          []row         // sorted
	body          []byte
}

// subscribe begins a subscription to v. The snapshot has a body if encode is set. They
// are made one at a time in each view, so a thousand streams that begin at once have
// two or three between them.
func (t *Tracker) subscribe(ctx context.Context, v view, encode bool) (*subscription, *snapshot, error) {
	if err := t.waitReady(ctx); err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	f := t.feed(v)
	sub := &subscription{t: t, feed: f}
	s, first := f.pending, f.pending == nil
	if first {
		s = &snapshot{done: make(chan struct{})}
		f.pending = s
	}
	s.encode = s.encode || encode
	s.subscriptions = append(s.subscriptions, sub)
	t.mu.Unlock()
	if first {
		t.makeSnapshot(f, s)
	}
	<-s.done // and not ctx: the others must not wait for one that has gone
	return sub, s, nil
}

func (t *Tracker) makeSnapshot(f *feed, s *snapshot) {
	f.making.Lock()
	defer f.making.Unlock()
	s.rows = t.copyTabs(f.view, func() {
		f.pending = nil
		if len(f.last.events) > 0 {
			f.seal()
		}
		for _, sub := range s.subscriptions {
			sub.at = f.last
		}
		f.last.readers.Add(int64(len(s.subscriptions)))
	})
	s.subscriptions = nil
	sortRows(s.rows)
	if s.encode {
		s.body = encodeOnline(t.visitors(s.rows))
	}
	close(s.done)
}

// close ends the subscription. It may be called again.
func (s *subscription) close() {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return
	}
	s.at.readers.Add(-1)
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if s.feed.subscribers--; s.feed.subscribers == 0 {
		delete(s.t.feeds, s.feed.view)
	}
}

// next waits for a batch, which the caller must not change. It returns nil with the
// first value of heartbeat.
func (s *subscription) next(ctx context.Context, heartbeat <-chan time.Time) (*batch, error) {
	select {
	case <-s.at.ready:
	case <-heartbeat:
		return nil, nil
	case <-ctx.Done():
	case <-s.t.ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.at
	next := b.next.Load()
	switch {
	case s.t.closed():
		return nil, ErrClosed
	case s.closed || ctx.Err() != nil:
		return nil, context.Canceled
	case next == nil:
		return nil, errSlow
	}
	next.readers.Add(1)
	b.readers.Add(-1)
	s.at = next
	return b, nil
}

// encoded returns the events as a stream sends them, encoded once for all.
func (b *batch) encoded(t *Tracker) []byte {
	b.once.Do(func() {
		for _, m := range b.events {
			m.once.Do(func() {
				body, err := json.Marshal(m.Event)
				if err != nil {
					t.log().Error("presence: an event can't be encoded", "error", err)
					return
				}
				m.text = fmt.Appendf(nil, "event: %s\ndata: %s\n\n", m.Kind, body) // JSON has no line breaks
			})
			b.text = append(b.text, m.text...)
		}
	})
	return b.text
}
