package presence

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Config says who is tracked and how. The zero value of each field is its default.
// Literals must name the fields.
type Config struct {
	_ [0]func()

	// Identify returns the user who sent a request, and what else is to be shown
	// of them: meta is encoded by encoding/json, to at most 1 KB. A session whose
	// user is "", or longer than 1 KB, is not tracked; if it was tracked before, its
	// tabs leave.
	//
	// Identify is called for the first beat of a tab, when its page changes, and
	// when it comes back after it was left; possibly from many goroutines at once.
	// For a tab that is not tracked because its user is "", it is called for each
	// beat, as for a session beyond MaxUserTabs; for a tab beyond MaxTabs or MaxTotal
	// it is not called. The last user holds for all tabs of the session, and the last
	// meta for all sessions of the user.
	//
	// Default: the user that keepalive.Config.Identify returns, and no meta; without
	// either nobody is tracked.
	Identify func(r *http.Request) (user string, meta any)

	// TTL is how long a tab stays after its last beat, from 3 minutes to 12 hours.
	// It must be longer than the time between two beats, which is up to 2 minutes.
	// Default: 5 minutes, so that one beat may be lost.
	TTL time.Duration

	// Grace is how long a tab stays after its page was left, to wait for the next
	// page, from 1 second to 1 hour. It may last a second longer. Default: 10
	// seconds.
	Grace time.Duration

	// MaxTabs is how many tabs a session may have, at most 1,000. Further ones are
	// not tracked. Default: 32.
	MaxTabs int

	// MaxUserTabs is how many tabs a user may have in all sessions together, so that
	// who may open any number of sessions does not fill the Tracker. Further ones are
	// not tracked, nor is a session that comes to the user with more. Where one name
	// stands for many people, such as all guests, they share it. Default: 1,000.
	MaxUserTabs int

	// MaxTotal is how many tabs are tracked in all. Each takes about 0.5 KB, and
	// up to MaxPath more if no two tabs are on the same page. Default: 200,000.
	MaxTotal int

	// MaxPath is the length of the longest path, at most 8,192 bytes. A tab on a
	// longer one is tracked without its path. Default: 256.
	MaxPath int

	// Query keeps the query of a page's path, and of its fragment. Default: it is cut
	// off.
	Query bool

	// Hash keeps the fragment of a page's path, which pages report with
	// keepalive.PresenceHash. Default: it is cut off.
	Hash bool

	// Away is how long ago a user's last input was when they count as away, from 3
	// minutes to 12 hours. [Away] and [Back] follow from it. Pages must report the
	// input, with keepalive.PresenceIdle. Default: 5 minutes.
	Away time.Duration

	// Buffer is how many events a subscriber may fall behind, at most 1,048,576.
	// Default: 1,024.
	Buffer int

	// OnGone is called when no page of a session is open any more: after the
	// grace, when the beats stop, or when the session ends. The app can then free
	// what it held for the session. The session itself lives on, unless the app
	// ends it. The user may have other sessions (see [Tracker.User]), and a token
	// that was renewed without a page load ends one session and begins another.
	//
	// Calls come one at a time, from a goroutine that serves no request. While one
	// runs, no tab leaves. With Log they come on every instance, so they must do
	// no harm when repeated. Default: nil.
	OnGone func(Gone)

	// Log carries the beats between the instances of an app; see package
	// redispresence. Default: nil, for one instance.
	Log Log

	// Logger receives the first user that can't be shown, the first tab beyond MaxTotal
	// and the first beyond MaxUserTabs, and the beginning and the end of a failure of Log.
	// Default: slog.Default() at the time of use.
	Logger *slog.Logger
}

// Gone is a session of which no page is open any more.
type Gone struct {
	Session string // as in keepalive.Event
	User    string
	Meta    json.RawMessage // nil if Identify returned none
	Time    time.Time
}

func (c *Config) setDefaults() {
	c.TTL = cmp.Or(c.TTL, 5*time.Minute)
	c.Grace = cmp.Or(c.Grace, 10*time.Second)
	c.Away = cmp.Or(c.Away, 5*time.Minute)
	c.MaxTabs = cmp.Or(c.MaxTabs, 32)
	c.MaxUserTabs = cmp.Or(c.MaxUserTabs, 1000)
	c.MaxTotal = cmp.Or(c.MaxTotal, 200_000)
	c.MaxPath = cmp.Or(c.MaxPath, 256)
	c.Buffer = cmp.Or(c.Buffer, 1024)
}

// check returns all problems.
func (c *Config) check() error {
	return errors.Join(
		checkRange("TTL", c.TTL, 3*time.Minute, 12*time.Hour),
		checkRange("Grace", c.Grace, time.Second, time.Hour),
		checkRange("Away", c.Away, 3*time.Minute, 12*time.Hour),
		checkRange("MaxTabs", c.MaxTabs, 1, 1000),
		checkRange("MaxUserTabs", c.MaxUserTabs, 1, 1<<30),
		checkRange("MaxTotal", c.MaxTotal, 1, 1<<30),
		checkRange("MaxPath", c.MaxPath, 1, 8192),
		checkRange("Buffer", c.Buffer, 1, 1<<20),
	)
}

func checkRange[T int | time.Duration](name string, value, low, high T) error {
	if value < low || value > high {
		return fmt.Errorf("presence: Config.%s is %v; write %v to %v, or 0 for the default", name, value, low, high)
	}
	return nil
}
