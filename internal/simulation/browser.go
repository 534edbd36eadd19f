package main

import (
	"math"
	"math/rand/v2"
)

// Times are in ms of simulated time, which begins at 0. The pages' clocks show
// epoch more, so that 0 can be "never", as in the script.
const (
	second = 1_000.0
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
	epoch  = 1_800_000_000_000.0
)

var never = math.Inf(1)

// What times.js and ask.js have.
const (
	maxSleep     = minute
	recordDelay  = 50.0
	confirmDelay = second
)

// lifetime is that of a session. It is far away: what pages do near a deadline is
// tested elsewhere.
const lifetime = 30 * day

// record is what the tabs of a browser share, as in record.js.
type record struct {
	at, idle, full, life, gone, claim, failed, fails, after, rand float64
	by                                                            int
}

// method is what plan wants to ask with, as planner.js numbers it.
type method int

const (
	nothing method = iota
	get
	post
)

// tab is an open page. The first fields are those that plan is given, by the
// page's clock. The others say when the page does what, in simulated time; never
// if it does not.
type tab struct {
	hidden                bool
	opened, woken, online float64

	tick   float64 // decides again
	send   float64 // asks, having claimed to
	answer float64 // receives what the last request led to
	settle float64 // decides again, and may ask again

	asks     method
	isSecond bool    // whether a first request was answered with "no session"
	sentAt   float64 // by the page's clock
	outcome  outcome
	phase    float64 // in the minute in which the timers of the hidden page fire
}

// outcome is what became of a request.
type outcome struct {
	isAnswered bool // by the server, and not by what stands in front of it
	isGone     bool
	left       float64 // from sentAt on
	retryAfter float64
}

// browser is one browser: the record, the tabs, and the session on the server.
type browser struct {
	*world
	result    *result
	rng       *rand.Rand
	now       float64
	skew      float64 // of the page's clock
	hasJumped bool    // whether that has changed since the last answer
	record    record
	tabs      []tab
	asking    int // the tab for which plan decides now

	sessionEnd float64 // of the server
	isSignedIn bool
	ableSince  float64 // since when nothing keeps its pings from the server
	asleep     bool
	offline    bool
	life       life
}

func (b *browser) clock() float64 { return epoch + b.now + b.skew }

// next lets time go on until a tab has to decide, and reports whether there is one
// before the end of the simulation.
func (b *browser) next() bool {
	for {
		at, kind, tabNumber := b.nextEvent()
		if at > b.end {
			return false
		}
		b.now = max(b.now, at)
		switch kind {
		case eventSessionEnd:
			b.loseSession()
			continue
		case eventLife:
			b.life.act(b)
			continue
		}
		t := &b.tabs[tabNumber]
		switch kind {
		case eventTick:
			t.tick = never
			b.asking = tabNumber
			return true
		case eventSettle:
			t.settle, t.asks = never, nothing
			b.asking = tabNumber
			return true
		case eventSend:
			t.send = never
			b.request(tabNumber)
		case eventAnswer:
			t.answer = never
			b.receive(tabNumber)
		}
	}
}

type event int

const (
	eventTick event = iota
	eventSettle
	eventSend
	eventAnswer
	eventSessionEnd
	eventLife
)

func (b *browser) nextEvent() (at float64, kind event, tabNumber int) {
	at, kind = b.life.next, eventLife
	if b.isSignedIn && b.sessionEnd < at {
		at, kind = b.sessionEnd, eventSessionEnd
	}
	for i := range b.tabs {
		t := &b.tabs[i]
		for k, then := range [...]float64{t.tick, t.settle, t.send, t.answer} {
			if then < at {
				at, kind, tabNumber = then, event(k), i
			}
		}
	}
	return at, kind, tabNumber
}

// encode writes what plan has to know for the tab that decides.
func (b *browser) encode(q []float64) {
	r, t := &b.record, &b.tabs[b.asking]
	hidden := 0.0
	if t.hidden {
		hidden = 1
	}
	copy(q, []float64{
		b.clock(), r.at, r.idle, r.full, r.life, r.gone, r.claim, r.failed, r.fails, r.after, r.rand,
		hidden, t.opened, t.woken, t.online,
	})
}

// apply does what plan has decided.
func (b *browser) apply(q []float64) {
	ask, until := method(q[0]), q[1]
	if math.IsNaN(until) {
		panic("plan returns no time") // time would stand still
	}
	t := &b.tabs[b.asking]
	if ask != nothing && t.asks == nothing {
		t.asks, t.isSecond = ask, false
		b.record.claim, b.record.by = b.clock(), b.asking
		t.send = b.now + recordDelay
		if t.hidden && b.throttled {
			t.send += second // to which timers are rounded there, at least
		}
		b.wakeOthers(b.asking)
	}
	t.tick = b.timer(t, until)
}

// timer returns when the tab decides again, if it is to do so at until.
func (b *browser) timer(t *tab, until float64) float64 {
	wait := max(until-b.clock(), 1)
	if !t.hidden || !b.throttled {
		if b.busy {
			wait = min(wait, maxSleep)
		}
		return b.now + wait
	}
	if wait == never {
		return never
	}
	// Chromium wakes hidden pages once a minute. A timer that is due a moment after
	// that waits for the next time. What plan decides in between is known, as
	// nothing changes: to wait.
	at := b.now
	for due := b.now + wait; at < due; {
		step := at + min(due-at, maxSleep)
		at = t.phase + math.Ceil((step-t.phase)/minute)*minute + 5
		if b.busy {
			break
		}
	}
	return at
}

// wakeOthers lets the other tabs see a change of the record.
func (b *browser) wakeOthers(self int) {
	if b.asleep {
		return
	}
	for i := range b.tabs {
		if i != self {
			b.tabs[i].tick = min(b.tabs[i].tick, b.now+10)
		}
	}
}

// request sends a request, unless another tab has claimed since.
func (b *browser) request(tabNumber int) {
	t := &b.tabs[tabNumber]
	if b.record.by != tabNumber {
		t.settle = b.now + second
		return
	}
	t.sentAt = b.clock()
	latency := b.latency()
	b.result.requests[int(b.now/second)]++
	t.outcome, t.answer = outcome{}, b.now+latency
	left := max(b.record.at+min(b.record.idle, b.idle)-t.sentAt, 0)
	timeout := min(max(left/3, 10*second), minute)
	failure := b.failure(b.now)
	switch {
	case b.offline || failure == refused:
		t.answer = b.now + 5
	case failure == hanging || latency > timeout:
		t.answer = b.now + timeout
	case failure == unavailable:
		t.outcome.retryAfter = b.retryAfter
	default:
		t.outcome = b.serve(b.now+latency/2, t.asks)
		t.outcome.left += latency / 2
	}
}

// serve is what the server does with a request.
func (b *browser) serve(at float64, m method) outcome {
	if !b.isSignedIn || at >= b.sessionEnd {
		return outcome{isAnswered: true, isGone: true}
	}
	b.result.spare = min(b.result.spare, b.sessionEnd-at)
	if m == post {
		b.sessionEnd = at + b.idle
	}
	return outcome{isAnswered: true, left: b.sessionEnd - at}
}

// receive writes what came of a request into the record, as ask.js does.
func (b *browser) receive(tabNumber int) {
	t, r, o := &b.tabs[tabNumber], &b.record, &b.tabs[tabNumber].outcome
	isClaimed := r.by == tabNumber
	t.settle = b.now + second
	switch {
	case o.isGone && !t.isSecond:
		if isClaimed {
			r.claim = b.clock() + 2*confirmDelay
		}
		t.isSecond, t.settle, t.send = true, never, b.now+confirmDelay
		return
	case !isClaimed:
		return
	case o.isGone:
		r.gone, r.fails, r.claim = t.sentAt, 0, 0
	case o.isAnswered:
		b.hasJumped = false
		r.at, r.idle, r.life, r.gone, r.fails, r.claim = t.sentAt, o.left, t.sentAt+lifetime, 0, 0, 0
		r.rand = b.rng.Float64()
		if t.asks == post {
			r.full = o.left
		}
	default:
		r.failed, r.fails, r.after, r.rand, r.claim = b.clock(), r.fails+1, o.retryAfter, b.rng.Float64(), 0
	}
	b.wakeOthers(tabNumber)
}

// loadPage notes that the server sent the tab's page now, as record.js does.
func (b *browser) loadPage(t *tab) {
	now := b.clock()
	t.opened, t.woken, t.tick = now, 0, b.now
	if !b.isSignedIn || b.now >= b.sessionEnd {
		b.isSignedIn = true
		b.record = record{}
	}
	b.sessionEnd = b.now + b.idle
	r := &b.record
	r.at, r.idle, r.full, r.life, r.fails, r.rand = now, b.idle, b.idle, now+lifetime, 0, b.rng.Float64()
	b.wakeOthers(-1)
}

// hear is a request of the app, of which the page hears by Server-Timing. Server
// and page skip what would gain too little, as store.go and record.js do.
func (b *browser) hear() {
	r, now := &b.record, b.clock()
	smallestGain := min(b.idle/20, minute)
	if b.now+b.idle > b.sessionEnd+smallestGain {
		b.sessionEnd = b.now + b.idle
	}
	if left := b.sessionEnd - b.now; now+left > r.at+r.idle+smallestGain {
		r.at, r.idle, r.life, r.fails, r.rand = now, left, now+lifetime, 0, b.rng.Float64()
		b.wakeOthers(-1)
	}
}

// loseSession is the session's end on the server.
func (b *browser) loseSession() {
	b.isSignedIn = false
	b.result.lost++
	able := b.ableSince
	for _, o := range b.outages {
		if o.from <= b.now && o.share == 0 {
			able = max(able, o.to)
		}
	}
	// A hidden page wakes once a minute, or in two.
	margin := 130 * second
	for i := range b.tabs {
		if !b.tabs[i].hidden || !b.throttled {
			margin = 30 * second
		}
	}
	if !b.asleep && !b.offline && able <= b.sessionEnd-margin {
		if b.hasJumped && b.record.fails > 0 {
			b.result.lostByClock++
		} else {
			b.result.lostInTime++
		}
	}
}
