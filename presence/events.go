package presence

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"
)

// Kind says what an Event is about.
type Kind string

const (
	// Join is a tab that was opened.
	Join Kind = "join"
	// Leave is a tab that is not open any more.
	Leave Kind = "leave"
	// Move is a tab that went from one page to another.
	Move Kind = "move"
	// Away is a user whose last input is Config.Away ago. It comes with a beat, up to
	// two minutes later.
	Away Kind = "away"
	// Back is a user who was idle for Config.Away or longer, and has used a page again.
	// Away has not come before if no beat came between.
	Back Kind = "back"
)

// Event is a change of who is on which page.
type Event struct {
	Kind Kind            `json:"kind"`
	Time time.Time       `json:"time"`
	User string          `json:"user"`
	Meta json.RawMessage `json:"meta,omitempty"`

	// Path is the page that was opened, left or moved to; "" for Away and Back, which
	// come once for a user. From is the page before, for Move.
	Path string `json:"path"`
	From string `json:"from,omitempty"`

	// Tabs is how many tabs the user has now. The user has come online with a
	// Join that makes it 1, and has gone with a Leave that makes it 0.
	Tabs int `json:"tabs"`

	// Idle is as in [Visitor].
	Idle time.Duration `json:"-"`
}

// MarshalJSON encodes Idle as Visitor does.
func (e Event) MarshalJSON() ([]byte, error) {
	type fields Event
	return json.Marshal(struct {
		fields
		IdleMs int64 `json:"idleMs,omitempty"`
	}{fields(e), e.Idle.Milliseconds()})
}

// ErrClosed is the error of [Tracker.Subscribe] when the Tracker is closed.
var ErrClosed = errors.New("presence: the Tracker is closed")

// errSlow is the error of a subscription that has missed events.
var errSlow = errors.New("presence: the subscriber is too slow")

// batchTime is how long the first of several events waits for the others, so that
// they wake each subscriber once.
const batchTime = 20 * time.Millisecond

// stream is a ring of the last events, which all subscribers read: a beat costs the
// same however many there are. Tracker.mu guards it.
type stream struct {
	ring        []Event // nil without subscribers
	count       uint64  // of all events ever; the next one goes to ring[count%len(ring)]
	subscribers int
	more        chan struct{} // closed when there are more; nil if nobody waits
	waking      bool          // more will be closed soon
}

// subscription is the place of a subscriber in the stream.
type subscription struct {
	t     *Tracker
	ctx   context.Context // when it ends, the ring is no longer kept for the subscriber
	read  uint64          // how many of stream.count are read
	batch []Event
}

// Subscribe returns who is online, sorted by user, and the events from then on,
// none lost or doubled. They come some milliseconds late.
//
// The sequence can be ranged over once. The loop ends when ctx ends, when the
// Tracker is closed, or when the subscriber has fallen behind by more than
// Config.Buffer events; subscribe again to go on. ctx must end, or events are kept
// in vain.
//
// The error is that of [Tracker.Online], or [ErrClosed].
func (t *Tracker) Subscribe(ctx context.Context) (online []Visitor, events iter.Seq[Event], err error) {
	sub, online, err := t.subscribe(ctx, t.allRows)
	if err != nil {
		return nil, nil, err
	}
	return online, func(yield func(Event) bool) {
		for {
			batch, err := sub.next(ctx)
			if err != nil {
				return
			}
			for _, e := range batch {
				if ctx.Err() != nil || !yield(e) {
					return
				}
			}
		}
	}, nil
}

// subscribe begins a subscription, which lasts until ctx ends, and returns who is
// online at its beginning.
func (t *Tracker) subscribe(ctx context.Context, collect func() []row) (*subscription, []Visitor, error) {
	if err := t.waitReady(ctx); err != nil {
		return nil, nil, err
	}
	if t.closed() {
		return nil, nil, ErrClosed
	}
	t.mu.Lock()
	if t.events.ring == nil {
		t.events.ring = make([]Event, t.cfg.Buffer)
	}
	t.events.subscribers++
	sub := &subscription{t: t, ctx: ctx, read: t.events.count}
	rows := collect()
	t.mu.Unlock()
	context.AfterFunc(ctx, t.unsubscribe)
	return sub, t.visitors(rows), nil
}

func (t *Tracker) unsubscribe() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.events.subscribers--; t.events.subscribers == 0 {
		t.events.ring = nil
	}
}

// next waits for events until ctx ends, which may be sooner than the subscription.
// What it returns is valid until the next call.
func (s *subscription) next(ctx context.Context) ([]Event, error) {
	for {
		batch, more, err := s.take()
		if err != nil || len(batch) > 0 {
			return batch, err
		}
		select {
		case <-more:
		case <-s.t.ctx.Done():
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take returns the events that are there, or a channel that is closed when there
// are more.
func (s *subscription) take() (batch []Event, more <-chan struct{}, err error) {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	events := &s.t.events
	size := uint64(len(events.ring))
	switch {
	case s.t.closed():
		return nil, nil, ErrClosed
	case s.ctx.Err() != nil: // checked under the lock, which unsubscribe needs
		return nil, nil, s.ctx.Err()
	case events.count-s.read > size:
		return nil, nil, errSlow
	}
	s.batch = s.batch[:0]
	for ; s.read < events.count; s.read++ {
		s.batch = append(s.batch, events.ring[s.read%size])
	}
	if events.more == nil {
		events.more = make(chan struct{})
	}
	return s.batch, events.more, nil
}

// emit adds an event for the subscribers, and leaves it to another goroutine to
// wake them. The caller holds Tracker.mu.
func (t *Tracker) emit(kind Kind, u *user, now time.Time, from, path string) {
	s := &t.events
	if s.subscribers == 0 {
		return
	}
	s.ring[s.count%uint64(len(s.ring))] = Event{
		Kind: kind, Time: now, User: u.name, Meta: rawMeta(u.meta), Path: path, From: from, Tabs: u.tabs, Idle: u.idle(now),
	}
	s.count++
	if s.more != nil && !s.waking {
		s.waking = true
		time.AfterFunc(batchTime, t.wakeSubscribers)
	}
}

func (t *Tracker) wakeSubscribers() {
	t.mu.Lock()
	more := t.events.more
	t.events.more, t.events.waking = nil, false
	t.mu.Unlock()
	close(more)
}
