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

// ErrClosed is the error of [Tracker.Subscribe] when the Tracker is closed.
var ErrClosed = errors.New("presence: the Tracker is closed")

// errSlow is the error of a subscription that has missed events.
var errSlow = errors.New("presence: the subscriber is too slow")

// Subscribe returns who is online, sorted by user, and the events from then on,
// none lost or doubled. They come some milliseconds late.
//
// The sequence can be ranged over once. The loop ends when ctx ends, when the
// Tracker is closed, or when the subscriber has fallen behind by more than
// Config.Buffer events; subscribe again to go on. ctx must end, or the sequence be
// ranged over, or events are kept in vain.
//
// The error is that of [Tracker.Online], or [ErrClosed].
func (t *Tracker) Subscribe(ctx context.Context) (online []Visitor, events iter.Seq[Event], err error) {
	if t.closed() {
		return nil, nil, ErrClosed
	}
	sub, snapshot, err := t.subscribe(ctx, view{}, false)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, sub.close)
	return t.visitors(snapshot.rows), func(yield func(Event) bool) {
		defer sub.close()
		defer stop()
		for {
			b, err := sub.next(ctx, nil)
			if err != nil {
				return
			}
			for _, m := range b.events {
				if ctx.Err() != nil || !yield(m.Event) {
					return
				}
			}
		}
	}, nil
}
