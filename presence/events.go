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
	// Leave is a tab that has gone.
	Leave Kind = "leave"
	// Move is a tab that went from one page to another.
	Move Kind = "move"
)

// Event is a change of who is where.
type Event struct {
	Kind Kind            `json:"kind"`
	Time time.Time       `json:"time"`
	User string          `json:"user"`
	Meta json.RawMessage `json:"meta,omitempty"`

	// Path is the page that was opened, left, or moved to, and From the one
	// before, for Move.
	Path string `json:"path"`
	From string `json:"from,omitempty"`

	// Tabs is how many tabs the user has now. The user has come online with a
	// Join that makes it 1, and has gone with a Leave that makes it 0.
	Tabs int `json:"tabs"`
}

// stream is the last events, in a ring that all subscribers read: a beat costs
// the same whoever listens. Tracker.mu guards it.
type stream struct {
	ring   []Event
	head   uint64 // how many there have been
	subs   int
	wake   chan struct{} // closed when there are more; nil: nobody waits
	waking bool
}

// batchTime is how long subscribers sleep on, so that many events wake them once.
const batchTime = 20 * time.Millisecond

// Subscribe returns who is online, sorted by user, and the events from then on,
// none lost or doubled. They come some milliseconds late, and wait for the program
// to range over them, once: the loop ends when ctx ends, when the Tracker is
// closed, or when the subscriber has fallen behind by more than Config.Buffer
// events, or before it could begin; whoever goes on then subscribes again. ctx
// must end, or events are kept for nobody.
//
// The error is that of [Tracker.Online], or [ErrClosed].
func (t *Tracker) Subscribe(ctx context.Context) (online []Visitor, events iter.Seq[Event], err error) {
	sub, online, err := t.subscribe(ctx, func() []row { return t.rows("", true) })
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

// subscription is a place in the stream.
type subscription struct {
	t     *Tracker
	at    uint64
	batch []Event
}

// subscribe counts as a subscriber until ctx ends.
func (t *Tracker) subscribe(ctx context.Context, collect func() []row) (*subscription, []Visitor, error) {
	if err := t.settled(ctx); err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil, nil, ErrClosed
	}
	if t.ring == nil {
		t.ring = make([]Event, t.cfg.Buffer)
	}
	t.subs++
	sub := &subscription{t: t, at: t.head}
	rows := collect()
	t.mu.Unlock()
	context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.subs--; t.subs == 0 {
			t.ring = nil
		}
	})
	return sub, t.visitors(rows), nil
}

// ErrClosed is the error of [Tracker.Subscribe] when the Tracker is closed.
var ErrClosed = errors.New("presence: the Tracker is closed")

// errSlow is that events were lost.
var errSlow = errors.New("presence: the subscriber is too slow")

// next waits for events. What it returns holds until it is called again.
func (s *subscription) next(ctx context.Context) ([]Event, error) {
	t := s.t
	for {
		t.mu.Lock()
		n := t.head - s.at
		switch {
		case t.closed:
			t.mu.Unlock()
			return nil, ErrClosed
		case n > uint64(len(t.ring)):
			t.mu.Unlock()
			return nil, errSlow
		case n > 0:
			s.batch = s.batch[:0]
			for ; s.at < t.head; s.at++ {
				s.batch = append(s.batch, t.ring[s.at%uint64(len(t.ring))])
			}
			t.mu.Unlock()
			return s.batch, nil
		}
		if t.wake == nil {
			t.wake = make(chan struct{})
		}
		wake := t.wake
		t.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// emit adds an event, and has sleepers woken by another goroutine.
func (t *Tracker) emit(kind Kind, u *user, now int32, from, path string) {
	if t.subs == 0 {
		return
	}
	t.ring[t.head%uint64(len(t.ring))] = Event{Kind: kind, Time: t.time(now), User: u.name, Meta: raw(u.meta), Path: path, From: from, Tabs: int(u.tabs)}
	t.head++
	if t.wake != nil && !t.waking {
		t.waking = true
		time.AfterFunc(batchTime, t.wakeUp)
	}
}

func (t *Tracker) wakeUp() {
	t.mu.Lock()
	wake := t.wake
	t.wake, t.waking = nil, false
	t.mu.Unlock()
	if wake != nil {
		close(wake)
	}
}
