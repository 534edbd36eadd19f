package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/dop251/goja"
	"github.com/stretchr/testify/require"
)

// now is the time of all cases, in ms as JavaScript counts.
const now = int64(1_800_000_000_000)

// The pieces of a case are JavaScript: state, config and tab see now, sec and min. The idle timeout is 20 minutes. By chance,
// pings are due after half of the time.
type planCase struct {
	name   string
	state  string // merged over {rand: 4/7}
	config string // merged over {idle: 20*min, warn: 0}
	tab    string // merged over {opened: 0}

	ask    string
	in     time.Duration // of until, from now; not compared if ask is set
	gone   bool
	reason string
}

var planCases = []planCase{
	// The rhythm.
	{name: "fresh page", state: `{at: now, idle: 19*min, full: 19*min, life: null}`, in: 9*time.Minute + 30*time.Second},
	{name: "fresh page with a warning waits for the server's times", state: `{at: now - 2*sec, idle: 19*min, life: null}`, config: `{warn: 2*min}`, in: 3 * time.Second},
	{name: "and then wants to know the deadline", state: `{at: now - 5*sec, idle: 19*min, life: null}`, config: `{warn: 2*min}`, ask: "GET"},
	{name: "just answered", state: `{at: now, idle: 20*min, full: 20*min, life: 720*min}`, in: 10 * time.Minute},
	{name: "the time drawn for the next ping is not over", state: `{at: now - 10*min + 1, idle: 20*min, full: 20*min, life: 720*min}`, in: time.Millisecond},
	{name: "the time drawn for the next ping is over", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min}`, ask: "POST"},
	{name: "at the earliest", state: `{at: now, idle: 20*min, full: 20*min, life: 720*min, rand: 0}`, in: 6 * time.Minute},
	{name: "at the latest", state: `{at: now, idle: 20*min, full: 20*min, life: 720*min, rand: 0.99999999}`, in: 13 * time.Minute},
	{name: "without a number, as from an older version of the script", state: `{at: now, idle: 20*min, full: 20*min, life: 720*min, rand: 'x'}`, in: 6 * time.Minute},
	{name: "a hidden tab at the same time", state: `{at: now, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{hidden: true}`, in: 10 * time.Minute},
	{name: "a hidden tab with a short idle timeout leaves room for two attempts", state: `{at: now, idle: 4*min, full: 4*min, life: 720*min, rand: 0.99999999}`, tab: `{hidden: true}`, in: 110 * time.Second},
	{name: "and is still spread", state: `{at: now, idle: 4*min, full: 4*min, life: 720*min}`, tab: `{hidden: true}`, in: 110 * time.Second * 10 / 13},
	{name: "but waits for a quarter of the time", state: `{at: now, idle: 2*min, full: 2*min, life: 720*min}`, tab: `{hidden: true}`, in: 30 * time.Second},
	{name: "room for the warning", state: `{at: now, idle: 4*min, full: 4*min, life: 720*min, rand: 0.99999999}`, config: `{warn: 2*min}`, in: 115 * time.Second},
	{name: "another tab has just pinged", state: `{at: now - sec, idle: 20*min, full: 20*min, life: 720*min, claim: 0}`, tab: `{hidden: true}`, in: 10*time.Minute - time.Second},
	{name: "a look does not put the ping off", state: `{at: now, idle: 11*min, full: 20*min, life: 720*min}`, in: time.Minute},
	{name: "nor does it hide an overdue one", state: `{at: now - 2*sec, idle: 9*min, full: 20*min, life: 720*min}`, ask: "POST"},
	{name: "a look that found the session extended elsewhere", state: `{at: now, idle: 20*min, full: 19*min, life: 720*min}`, in: 10 * time.Minute},
	{name: "overdue after sleep", state: `{at: now - 8*60*min, idle: 20*min, full: 20*min, life: 720*min}`, ask: "POST"},
	{name: "the server's idle timeout is shorter than the page's", state: `{at: now, idle: 5*min, full: 5*min, life: 720*min}`, in: 150 * time.Second},
	{name: "the server's idle timeout is longer than the page's", state: `{at: now, idle: 60*min, full: 60*min, life: 720*min}`, in: 10 * time.Minute},
	{name: "no time left does not spin", state: `{at: now - 10, idle: 0, full: 0, life: 720*min}`, in: 990 * time.Millisecond},
	{name: "no time left, a second later", state: `{at: now - sec, idle: 0, full: 0, life: 720*min}`, ask: "POST"},
	{name: "no time left at all does not spin", state: `{at: now - 10, idle: 0, full: 0, life: 0}`, in: 990 * time.Millisecond},

	// The lifetime.
	{name: "idle expiry beyond the lifetime's end", state: `{at: now, idle: 15*min, full: 15*min, life: 15*min}`, in: 891428 * time.Millisecond},
	{name: "the look comes after a ping of another tab would have", state: `{at: now, idle: 18*min, full: 18*min, life: 18*min, rand: 0}`, in: 12 * time.Minute},
	{name: "a ping would gain nothing, so look", state: `{at: now - 15*min, idle: 16*min, full: 16*min, life: 16*min}`, ask: "GET"},
	{name: "stores round", state: `{at: now - 15*min, idle: 16*min - 999, full: 16*min, life: 16*min}`, ask: "GET"},
	{name: "a second before the deadline a ping still gains", state: `{at: now - 15*min, idle: 16*min - 1000, full: 16*min, life: 16*min}`, ask: "POST"},
	{name: "lifetime shorter than half the idle timeout", state: `{at: now, idle: 4*min, full: 4*min, life: 4*min}`, in: 4 * time.Minute},
	{name: "lifetime before the idle expiry in a broken answer", state: `{at: now, idle: 20*min, full: 20*min, life: 4*min}`, in: 4 * time.Minute},
	{name: "lifetime over: only the server's word ends it", state: `{at: now - 4*min, idle: 4*min, full: 4*min, life: 4*min}`, ask: "GET"},
	{name: "lifetime over within the second", state: `{at: now - 30, idle: 30, full: 20*min, life: 30}`, in: 970 * time.Millisecond},
	{name: "lifetime nearly over", state: `{at: now, idle: 30, full: 20*min, life: 30}`, in: 30 * time.Millisecond},
	{name: "the lifetime was lengthened: a look says so, a ping follows", state: `{at: now - sec, idle: 4*min, full: 20*min, life: 720*min}`, ask: "POST"},

	// Warnings.
	{name: "confirm the lifetime's end before warning", state: `{at: now - 3*min, idle: 5*min, full: 5*min, life: 5*min}`, config: `{warn: 2*min}`, ask: "GET"},
	{name: "wake for that in time", state: `{at: now, idle: 5*min, full: 5*min, life: 5*min}`, config: `{warn: 2*min}`, in: 3 * time.Minute},
	{name: "confirmed", state: `{at: now, idle: 2*min, full: 5*min, life: 2*min}`, config: `{warn: 2*min}`, in: 30 * time.Second, reason: "lifetime"},
	{name: "confirmed a little early", state: `{at: now - 20, idle: 2*min + 30, full: 5*min, life: 2*min + 30}`, config: `{warn: 2*min}`, in: 10 * time.Millisecond},
	{name: "confirmed a little early, then due", state: `{at: now - 30, idle: 2*min + 30, full: 5*min, life: 2*min + 30}`, config: `{warn: 2*min}`, in: 30*time.Second - 30*time.Millisecond, reason: "lifetime"},
	{name: "woken late: ask before warning", state: `{at: now - 14*min, idle: 15*min, full: 15*min, life: 15*min}`, config: `{warn: 2*min}`, ask: "GET"},
	{name: "not confirmed because the server can't be asked", state: `{at: now - 14*min, idle: 15*min, life: 15*min, failed: now, fails: 1, rand: 0}`, config: `{warn: 2*min}`, in: 15 * time.Second, reason: "lifetime"},
	{name: "less than the warning is left until the ping, and all is well", state: `{at: now - 30*sec, idle: 3*min, full: 3*min, life: 720*min}`, config: `{idle: 3*min, warn: 2*min}`, in: 15 * time.Second},
	{name: "pings fail and the idle end is near", state: `{at: now - 18*min - sec, idle: 20*min, full: 20*min, life: 720*min, failed: now - 2*sec, fails: 3, rand: 0.9}`, config: `{warn: 2*min}`, in: 28250 * time.Millisecond, reason: "idle"},
	{name: "pings fail and the idle end is far: wake to warn", state: `{at: now - 17*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 1, after: 85*sec, rand: 0}`, config: `{warn: 2*min}`, in: time.Minute},
	{name: "no warning without the attribute", state: `{at: now - 19*min, idle: 20*min, life: 720*min, failed: now, fails: 1}`, in: 30 * time.Second},

	// Failures. Where nothing else is said, 10 minutes are left at the failure.
	{name: "a failure: 30 % of what is left", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 1, rand: 0}`, in: 3 * time.Minute},
	{name: "or up to 65 %", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 5000, rand: 0.99999999}`, in: 390 * time.Second},
	{name: "the wait does not shrink while it runs", state: `{at: now - 11*min, idle: 20*min, full: 20*min, life: 720*min, failed: now - min, fails: 5000, rand: 0.5}`, in: 225 * time.Second},
	{name: "the wait is over", state: `{at: now - 14*min, idle: 20*min, full: 20*min, life: 720*min, failed: now - 3*min, fails: 50, rand: 0}`, ask: "POST"},
	{name: "little is left", state: `{at: now - 20*min + 8*sec, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 9, rand: 0.75}`, in: 2596 * time.Millisecond},
	{name: "nothing is left, and only the server can say it", state: `{at: now - 30*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 50, rand: 0.5}`, in: 285 * time.Second},
	{name: "nothing is left: soon at first", state: `{at: now - 30*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 3, rand: 0.5}`, in: 5656 * time.Millisecond},
	{name: "nothing is known: soon at first", state: `{failed: now, fails: 3, rand: 0.5}`, in: 5656 * time.Millisecond},
	{name: "a failed look at a young session waits for the ping", state: `{at: now - min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 1, rand: 0.5}`, in: 541500 * time.Millisecond},
	{name: "a success ends it", state: `{at: now, idle: 20*min, full: 20*min, life: 720*min, failed: now - 30, fails: 9, after: 60*sec}`, in: 10 * time.Minute},
	{name: "Retry-After", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 1, after: 4*min, rand: 0}`, in: 4 * time.Minute},
	{name: "Retry-After is spread over a quarter of what was left", state: `{at: now - 8*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 1, after: 4*min + 20*sec, rand: 0.5}`, in: 350 * time.Second},
	{name: "or over three minutes", state: `{failed: now, fails: 1, after: 4*min, rand: 0.5}`, in: 5 * time.Minute},
	{name: "Retry-After beyond half of what is left", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 1, after: 60*min, rand: 0.5}`, in: 5 * time.Minute},
	{name: "Retry-After shorter than the backoff", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 5, after: sec, rand: 0.5}`, in: 285 * time.Second},

	// Coming back.
	{name: "the user comes back", state: `{at: now - min, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{woken: now}`, ask: "GET"},
	{name: "the user comes back and a ping is overdue", state: `{at: now - 11*min, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{woken: now}`, ask: "POST"},
	{name: "an answer is young enough", state: `{at: now - 4*sec, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{woken: now}`, in: 10*time.Minute - 4*time.Second},
	{name: "in the moment of a failure", state: `{at: now - min, idle: 20*min, full: 20*min, life: 720*min, failed: now - sec}`, tab: `{woken: now - sec}`, ask: "GET"},
	{name: "a page that may come from the server waits to know", state: `{}`, tab: `{woken: now, sureAt: now + 9*sec}`, in: 9 * time.Second},
	{name: "but not by a clock that was set back", state: `{}`, tab: `{woken: now, sureAt: now + 13*sec}`, ask: "POST"},
	{name: "already asked since", state: `{at: now - min, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{woken: now - 2*min}`, in: 9 * time.Minute},
	{name: "the user comes back during a backoff", state: `{at: now - 13*min, idle: 20*min, full: 20*min, life: 720*min, failed: now - 2*sec, fails: 50, rand: 0.9}`, tab: `{woken: now}`, ask: "POST"},
	{name: "the network comes back during a backoff", state: `{at: now - 12*min, idle: 20*min, full: 20*min, life: 720*min, failed: now - 2*sec, fails: 50, rand: 0.5}`, tab: `{online: now}`, in: 60250 * time.Millisecond},
	{name: "with little left it asks sooner", state: `{at: now - 20*min + 8*sec, idle: 20*min, full: 20*min, life: 720*min, failed: now - 2*sec, fails: 50, rand: 0.5}`, tab: `{online: now}`, in: 1250 * time.Millisecond},
	{name: "in three minutes at most", state: `{at: now - 45*min, idle: 60*min, full: 60*min, life: 720*min, failed: now - 2*sec, fails: 50, rand: 0.99999999}`, config: `{idle: 60*min}`, tab: `{online: now}`, in: 3 * time.Minute},
	{name: "the backoff is over sooner", state: `{at: now - 12*min, idle: 20*min, full: 20*min, life: 720*min, failed: now - 5*min, fails: 50, rand: 0.5}`, tab: `{online: now}`, in: 70500 * time.Millisecond},
	{name: "a server that asked for peace gets it from the network too", state: `{at: now - 12*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 1, after: 3*min, rand: 0}`, tab: `{online: now}`, in: 3 * time.Minute},
	{name: "the network comes back and nothing is due", state: `{at: now - min, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{online: now}`, in: 9 * time.Minute},
	{name: "the network comes back and a ping is overdue", state: `{at: now - 11*min, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{online: now}`, ask: "POST"},
	{name: "a server that asked for peace gets it", state: `{at: now - 15*min, idle: 20*min, full: 20*min, life: 720*min, failed: now - 2*sec, fails: 1, after: 62*sec, rand: 0}`, tab: `{woken: now}`, in: 88600 * time.Millisecond},
	{name: "its Retry-After of an earlier outage does not count", state: `{at: now - min, idle: 20*min, full: 20*min, life: 720*min, failed: now - 2*min, after: 62*sec}`, tab: `{woken: now}`, ask: "GET"},
	{name: "the capped session is looked at", state: `{at: now - min, idle: 15*min, full: 15*min, life: 15*min}`, tab: `{woken: now}`, ask: "GET"},

	{name: "one attempt for each coming back", state: `{at: now - min, idle: 20*min, full: 20*min, life: 720*min, failed: now - sec}`, tab: `{woken: now - 2*sec}`, in: 569500 * time.Millisecond},
	{name: "then backoff again", state: `{at: now - 12*min, idle: 20*min, full: 20*min, life: 720*min, failed: now - 2*sec, fails: 3, rand: 0.5}`, tab: `{woken: now - 3*sec}`, in: 226950 * time.Millisecond},

	// Claims.
	{name: "another tab is asking", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, claim: now - 5*sec, by: 0.3}`, in: 57 * time.Second},
	{name: "another tab was killed or frozen while it asked", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, claim: now - 62*sec, by: 0.3}`, ask: "POST"},
	{name: "another tab asks with less time left", state: `{at: now - 19*min, idle: 20*min, full: 20*min, life: 720*min, claim: now - 5*sec, by: 0.3}`, in: 18666 * time.Millisecond},
	{name: "another tab asks at the end", state: `{at: now - 20*min, idle: 20*min, full: 20*min, life: 720*min, claim: now - 5*sec, by: 0.3}`, in: 7 * time.Second},
	{name: "a short session can't wait for that", state: `{at: now - 2*sec, idle: 4*sec, full: 4*sec, life: 720*min, claim: now - sec}`, config: `{idle: 4*sec}`, ask: "POST"},
	{name: "a first page with a claim", state: `{claim: now - 5*sec, by: 0.3}`, in: 7 * time.Second},

	// Modes. The answer was that of a ping at now - 10 min.
	{name: "open: nobody needs to be there", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min}`, ask: "POST"},
	{name: "open, with a limit: somebody was there", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, input: now - 59*min}`, config: `{max: 60*min}`, ask: "POST"},
	{name: "open, with a limit: in this tab", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min}`, config: `{max: 60*min}`, tab: `{input: now - 59*min}`, ask: "POST"},
	{name: "open, with a limit: nobody was there", state: `{at: now - 15*min, idle: 20*min, full: 20*min, life: 720*min, input: now - 61*min}`, config: `{max: 60*min}`, ask: "GET"},
	{name: "visible", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min}`, config: `{mode: 'visible'}`, ask: "POST"},
	{name: "visible, but hidden: only look, and late", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min}`, config: `{mode: 'visible'}`, tab: `{hidden: true}`, in: 291428 * time.Millisecond},
	{name: "visible, but hidden: look", state: `{at: now - 15*min, idle: 20*min, full: 20*min, life: 720*min}`, config: `{mode: 'visible'}`, tab: `{hidden: true}`, ask: "GET"},
	{name: "visible, with a limit", state: `{at: now - 15*min, idle: 20*min, full: 20*min, life: 720*min, input: now - 61*min}`, config: `{mode: 'visible', max: 60*min}`, ask: "GET"},
	{name: "active: input a minute ago", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, input: now - min}`, config: `{mode: 'active'}`, ask: "POST"},
	{name: "active: in this tab", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min}`, config: `{mode: 'active'}`, tab: `{input: now}`, ask: "POST"},
	{name: "active: not at each key", state: `{at: now - 9*min, idle: 20*min, full: 20*min, life: 720*min, input: now}`, config: `{mode: 'active'}`, in: time.Minute},
	{name: "active: no input since", state: `{at: now - 15*min, idle: 20*min, full: 20*min, life: 720*min, input: now - 15*min}`, config: `{mode: 'active'}`, ask: "GET"},
	{name: "active: no input ever", state: `{at: now, idle: 20*min, full: 20*min, life: 720*min}`, config: `{mode: 'active'}`, in: 891428 * time.Millisecond},
	{name: "active: nothing is known", state: `{}`, config: `{mode: 'active'}`, ask: "GET"},
	{name: "active: input late in the interval", state: `{at: now - 19*min, idle: 20*min, full: 20*min, life: 720*min, input: now}`, config: `{mode: 'active'}`, ask: "POST"},
	{name: "active: input that the last ping has counted", state: `{at: now - 5*min, idle: 18*min, full: 18*min, life: 720*min, input: now - 7*min}`, config: `{mode: 'active'}`, in: 591428 * time.Millisecond},
	{name: "active: input from the future", state: `{at: now - 15*min, idle: 20*min, full: 20*min, life: 720*min, input: now + 60*min}`, config: `{mode: 'active'}`, ask: "GET"},
	{name: "active: a warning is confirmed first", state: `{at: now - 8*min, idle: 10*min, full: 20*min, life: 720*min}`, config: `{mode: 'active', warn: 2*min}`, ask: "GET"},
	{name: "active: warned, and looking every half minute", state: `{at: now, idle: 2*min, full: 20*min, life: 720*min}`, config: `{mode: 'active', warn: 2*min}`, in: 30 * time.Second, reason: "idle"},
	{name: "a guess extends at once where the mode allows", state: `{at: now - 2*sec, idle: 5*min, full: 20*min, life: 720*min, guess: 1}`, config: `{warn: 6*min}`, ask: "POST"},
	{name: "active: nobody is warned of a guess", state: `{at: now - 2*sec, idle: 5*min, full: 20*min, life: 720*min, guess: 1}`, config: `{mode: 'active', warn: 6*min}`, in: 5*time.Minute - 2*time.Second},
	{name: "active: input elsewhere ends the warning", state: `{at: now - sec, idle: 2*min, full: 20*min, life: 720*min, input: now}`, config: `{mode: 'active', warn: 2*min}`, ask: "POST"},
	{name: "active: nothing is to be gained before the deadline", state: `{at: now - 15*min, idle: 16*min, full: 16*min, life: 16*min, input: now}`, config: `{mode: 'active'}`, ask: "GET"},

	// What the user and the app ask for.
	{name: "stay", state: `{at: now - sec, idle: 2*min, full: 20*min, life: 720*min}`, config: `{mode: 'active', warn: 2*min}`, tab: `{stay: 1, woken: now}`, ask: "POST", reason: "idle"},
	{name: "stay while nobody is there, by the limit", state: `{at: now - 5*min, idle: 20*min, full: 20*min, life: 720*min}`, config: `{max: 60*min}`, tab: `{stay: 1, woken: now}`, ask: "POST"},
	{name: "stay before the deadline", state: `{at: now - 10*min, idle: 15*min, full: 15*min, life: 15*min}`, tab: `{stay: 1, woken: now}`, ask: "GET"},
	{name: "stay during a backoff", state: `{at: now - 19*min, idle: 20*min, full: 20*min, life: 720*min, failed: now - 2*sec, fails: 50, rand: 0.9}`, tab: `{stay: 1, woken: now}`, ask: "POST"},
	{name: "stay although the server asked for peace", state: `{at: now - 19*min, idle: 20*min, full: 20*min, life: 720*min, failed: now - 2*sec, fails: 1, after: 60*sec, rand: 0.9}`, tab: `{stay: 1, woken: now}`, ask: "POST"},
	{name: "but once only", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 3, rand: 0.5}`, tab: `{stay: 1, woken: now - sec}`, in: 5656 * time.Millisecond},
	{name: "look", state: `{at: now - 2*sec, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{look: true}`, ask: "GET"},
	{name: "look with a ping overdue", state: `{at: now - 15*min, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{look: true}`, ask: "GET"},
	{name: "look with nothing known", state: `{}`, tab: `{look: true}`, ask: "GET"},
	{name: "look, but not twice in a second", state: `{at: now - 400, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{look: true}`, in: 600 * time.Millisecond},
	{name: "look after a failure waits", state: `{at: now - 10*min, idle: 20*min, full: 20*min, life: 720*min, failed: now, fails: 3, rand: 0.5}`, tab: `{look: true}`, in: 5656 * time.Millisecond},

	// Gone.
	{name: "gone", state: `{at: now - min, idle: 20*min, life: 720*min, gone: now - sec}`, gone: true},
	{name: "gone at the idle end", state: `{at: now - 20*min, idle: 20*min, life: 720*min, gone: now - 100}`, gone: true, reason: "idle"},
	{name: "gone when the clock says it is a moment early", state: `{at: now - 20*min, idle: 20*min, life: 720*min, gone: now - 900}`, gone: true, reason: "idle"},
	{name: "gone at the lifetime's end", state: `{at: now - 5*min, idle: 5*min, life: 5*min, gone: now}`, gone: true, reason: "lifetime"},
	{name: "gone with nothing else known", state: `{gone: now - sec}`, gone: true},
	{name: "gone and woken", state: `{at: now - min, idle: 20*min, gone: now - sec}`, tab: `{woken: now}`, gone: true},
	{name: "gone, and somebody comes back", state: `{at: now - 9*min, idle: 20*min, gone: now - 6*sec}`, tab: `{woken: now}`, ask: "GET", gone: true},
	{name: "gone, and asked since", state: `{at: now - 9*min, idle: 20*min, gone: now - 6*sec, failed: now}`, tab: `{woken: now - sec}`, gone: true},
	{name: "gone, and the app wants to know", state: `{at: now - min, idle: 20*min, gone: now - 2*sec}`, tab: `{look: true}`, ask: "GET", gone: true},
	{name: "gone, and Stay is pressed", state: `{at: now - min, idle: 20*min, gone: now - 2*sec}`, tab: `{stay: 1}`, ask: "POST", gone: true},
	{name: "gone before the page was opened", state: `{at: now - min, idle: 20*min, full: 20*min, gone: now - 9*sec}`, tab: `{opened: now - sec, woken: now - sec}`, ask: "GET"},
	{name: "signed in again since", state: `{at: now, idle: 19*min, full: 19*min, gone: now - sec}`, in: 9*time.Minute + 30*time.Second},

	// Clocks.
	{name: "set forward", state: `{at: now - 24*60*min, idle: 20*min, full: 20*min, life: 720*min}`, ask: "POST"},
	{name: "set back", state: `{at: now + 60*min, idle: 20*min, full: 20*min, life: 720*min}`, ask: "POST"},
	{name: "set back since the page was opened, and gone", state: `{gone: now - sec}`, tab: `{opened: now + 60*min}`, gone: true},
	{name: "set back with a claim, a failure and an end in it", state: `{at: now + 60*min, idle: 20*min, claim: now + 60*min, failed: now + 60*min, after: 60*min, gone: now + 61*min}`, tab: `{woken: now + 60*min}`, ask: "POST"},
	{name: "set back after waking does not spin", state: `{at: now - 6*sec, idle: 20*min, full: 20*min, life: 720*min}`, tab: `{woken: now + 60*min}`, in: 10*time.Minute - 6*time.Second},
	{name: "two processes differ", state: `{at: now + 2*sec, idle: 20*min, full: 20*min, life: 720*min}`, in: 10*time.Minute + 2*time.Second},

	// Nonsense counts as absent, and absent means to ask.
	{name: "a number", state: `5`, ask: "POST"},
	{name: "a string", state: `"gone"`, ask: "POST"},
	{name: "an array", state: `[1, 2]`, ask: "POST"},
	{name: "empty", state: `{}`, ask: "POST"},
	{name: "numbers as strings", state: `{at: String(now), idle: "1200000", full: "1200000", life: "x", gone: "x", claim: "x", failed: "x"}`, in: 10 * time.Minute},
	{name: "NaN", state: `{at: NaN, idle: NaN, full: NaN, life: NaN, gone: NaN, claim: NaN, failed: NaN, fails: NaN, after: NaN, rand: NaN}`, ask: "POST"},
	{name: "infinite", state: `{at: Infinity, idle: Infinity, gone: Infinity, claim: Infinity, failed: Infinity}`, ask: "POST"},
	{name: "negative", state: `{at: -5, idle: -5, full: -5, life: -5, gone: -5, claim: -5, failed: -5, fails: -5, after: -5, rand: -5}`, ask: "POST"},
	{name: "booleans", state: `{at: true, idle: true, gone: true, claim: true, failed: true}`, ask: "POST"},
	{name: "far future", state: `{at: 9e15, idle: 9e15, full: 9e15, life: 9e15, gone: 9e15, claim: 9e15, failed: 9e15}`, ask: "POST"},
	{name: "time left without end", state: `{at: now, idle: 9e15, full: 9e15, life: 9e15}`, in: 10 * time.Minute},
	{name: "full below idle", state: `{at: now, idle: 20*min, full: 1, life: 720*min}`, in: 10 * time.Minute},
	{name: "a wait without end", state: `{at: now - 10*min, idle: 20*min, full: 20*min, failed: now, fails: 9e15, after: 9e15, rand: 9e15}`, in: 5 * time.Minute},
	{name: "the deadline before the answer", state: `{at: now, idle: 20*min, full: 20*min, life: -1}`, in: 10 * time.Minute},
}

// planVariants returns engines in which planModule is the module plan.js, with and without the log's reasons.
func planVariants(t *testing.T) map[string]*goja.Runtime {
	t.Helper()
	engines := map[string]*goja.Runtime{}
	for name, debug := range map[string]bool{"debug": true, "silent": false} {
		code := moduleCode(t, "src/plan.js", "planModule", debug)
		engines[name] = goja.New()
		_, err := engines[name].RunString(code)
		require.NoError(t, err)
	}
	return engines
}

// moduleCode returns a script that leaves a module in the window under a name.
func moduleCode(t *testing.T, file, name string, debug ...bool) string {
	t.Helper()
	options := buildOptions(bundle{entry: file, debug: slices.Contains(debug, true)})
	options.GlobalName = name
	options.Define["import.meta.url"] = `"` + extrasURL + `"` // which only a module has
	code, err := bundleModule(options)
	require.NoError(t, err)
	return string(code)
}

func TestPlan(t *testing.T) {
	for variant, vm := range planVariants(t) {
		require.NoError(t, vm.Set("now", now))
		_, err := vm.RunString(`
			const sec = 1000, min = 60*sec;
			// In the cases life counts from at.
			const decide = (state, config, tab) =>
				planModule.plan(state && state.at ? {rand: 4/7, ...state, ...(state.life > 0 && {life: state.at + state.life})} : state, now,
					{idle: 20*min, mode: '', max: 0, warn: 0, ...config}, {opened: 0, ...tab});`)
		require.NoError(t, err)

		for _, c := range planCases {
			t.Run(variant+"/"+c.name, func(t *testing.T) {
				v, err := vm.RunString("decide((" + c.state + "), {..." + orEmpty(c.config) + "}, {..." + orEmpty(c.tab) + "})")
				require.NoError(t, err)
				var step struct {
					Ask    string  `json:"ask"`
					Gone   bool    `json:"gone"`
					Until  float64 `json:"until"`
					Reason string  `json:"reason"`
				}
				vm.SetFieldNameMapper(goja.TagFieldNameMapper("json", true))
				require.NoError(t, vm.ExportTo(v, &step))
				require.Equal(t, c.ask, step.Ask)
				require.Equal(t, c.gone, step.Gone)
				require.Equal(t, c.reason, step.Reason)
				if c.ask == "" && c.gone {
					require.Equal(t, math.Inf(1), step.Until, "nothing is to be done until somebody comes back")
					return
				}
				in := time.Duration(step.Until-float64(now)) * time.Millisecond
				if c.ask == "" {
					require.InDelta(t, c.in, in, float64(time.Millisecond))
				}
				require.Positive(t, in, "the page would spin")
			})
		}
	}
}

// The debug log says what decided.
func TestReasons(t *testing.T) {
	const fresh = `at: now, idle: 20*min, full: 20*min, life: now + 720*min`
	const half = `at: now - 10*min, idle: 20*min, full: 20*min, life: now + 720*min`
	tests := []struct{ name, record, config, tab, why string }{
		{name: "ping", record: fresh, why: "the time drawn for the next ping"},
		{name: "deadline", record: `at: now, idle: 4*min, life: now + 4*min`, why: "a ping would gain nothing before the deadline"},
		{name: "mode", record: fresh, config: `mode: 'visible'`, tab: `hidden: true`, why: "the mode or the limit forbids pings now"},
		{name: "stay", record: half, tab: `stay: 1`, why: "stay"},
		{name: "look", record: half, tab: `look: true`, why: "look"},
		{name: "warning", record: `at: now - 2*sec, idle: 20*min`, config: `warn: 2*min`, why: "the deadline is unknown"},
		{name: "failure", record: half + `, failed: now - sec, fails: 9, rand: 0.9`, why: "the time drawn for the next ping, after failures"},
		{name: "return", record: half + `, failed: now - 2*sec`, tab: `woken: now`, why: "the user is back"},
		{name: "claim", record: half + `, claim: now`, why: "the time drawn for the next ping, but a tab has just asked"},
		{name: "gone", record: half + `, gone: now`, why: "the session is gone"},
	}
	vm := planVariants(t)["debug"]
	require.NoError(t, vm.Set("now", now))
	_, err := vm.RunString(`
		const sec = 1000, min = 60*sec;
		const why = (record, config, tab) =>
			planModule.plan(record, now, {idle: 20*min, mode: '', max: 0, warn: 0, ...config}, {opened: 0, ...tab}).why;`)
	require.NoError(t, err)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v, err := vm.RunString("why({" + test.record + "}, {" + test.config + "}, {" + test.tab + "})")
			require.NoError(t, err)
			require.Equal(t, test.why, v.String())
		})
	}
}

func orEmpty(s string) string {
	if s == "" {
		return "{}"
	}
	return s
}

// TestPlanNeverSleepsIn feeds plan every combination of a few odd values. Whatever it finds, a page must come to a point
// where it asks the server, and never later than the idle timeout, for the record can be wrong in any way.
func TestPlanNeverSleepsIn(t *testing.T) {
	for variant, vm := range planVariants(t) {
		t.Run(variant, func(t *testing.T) {
			v, err := vm.RunString(`
				const now = 1.8e12, config = {idle: 12e5, mode: '', max: 0, warn: 12e4};
				const odd = [undefined, NaN, 'x', -1, 0, 1, 12e5, now - 1e4, now, now + 5e3, 9e15];
				const bad = [];
				for (const at of odd) for (const idle of odd) for (const life of odd) for (const failed of odd)
					for (const after of ['x', 1, 9e15]) for (const claim of [undefined, now]) {
						const state = {at, idle, full: idle, life, failed, after, fails: after, rand: after, claim};
						const step = planModule.plan(state, now, config, {opened: 0, hidden: true, woken: life, online: failed});
						if (!(step.until > now && step.until <= now + config.idle)) bad.push(JSON.stringify([state, step]));
					}
				bad.slice(0, 3).join('\n')`)
			require.NoError(t, err)
			require.Empty(t, v.String())
		})
	}
}
