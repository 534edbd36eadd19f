package main

import "math/rand/v2"

// sleep lets the machine sleep, and then does something. A timer that was set
// before fires late by the time slept.
func (b *browser) sleep(length float64, then func(*browser)) {
	b.asleep = true
	wake := b.now + length
	for i := range b.tabs {
		t := &b.tabs[i]
		t.tick = min(t.tick, b.now+b.uniform(maxSleep)) + length
		t.settle += length
		t.send += length
		if t.answer < never {
			t.answer, t.outcome = wake+5, outcome{} // the connection is lost
		}
	}
	b.life = life{wake, func(b *browser) {
		b.asleep, b.ableSince = false, b.now
		for i := range b.tabs {
			if !b.tabs[i].hidden {
				b.wake(&b.tabs[i])
			}
		}
		then(b)
	}}
}

// wake is somebody who comes back to a tab.
func (b *browser) wake(t *tab) { t.woken, t.tick = b.clock(), b.now }

// goOffline takes the network for some time, and then does something.
func (b *browser) goOffline(length float64, then func(*browser)) {
	b.offline = true
	b.life = life{b.now + length, func(b *browser) {
		b.offline, b.ableSince = false, b.now
		if b.rng.Float64() < 0.8 { // some virtual networks hide that from the browser
			b.comeOnline()
		}
		then(b)
	}}
}

// comeOnline is the event "online" in all tabs.
func (b *browser) comeOnline() {
	for i := range b.tabs {
		b.tabs[i].online, b.tabs[i].tick = b.clock(), b.now
	}
}

// randomDays has browsers with up to three tabs, to which everything happens every
// few minutes, and a server that is down every few hours.
func randomDays(days float64, seed uint64) world {
	w := newWorld(days*day, func(b *browser) {
		b.life = life{b.uniform(minute), liveOn}
	})
	w.throttled = true
	w.busy = true
	w.retryAfter = 30 * second
	rng := rand.New(rand.NewPCG(seed, 0))
	b := &browser{rng: rng}
	for at := b.uniform(2 * hour); at < w.end; at += 4 * hour * rng.ExpFloat64() {
		length := b.logUniform(second, 30*minute)
		w.outages = append(w.outages, outage{from: at, to: at + length, failure: refused + failure(rng.IntN(3))})
		at += length
	}
	return w
}

// liveOn lets the next thing happen to a browser.
func liveOn(b *browser) {
	goOn := func(b *browser) { b.life = life{b.now + 5*minute*b.rng.ExpFloat64(), liveOn} }
	chance := b.rng.Float64()
	isUp := b.failure(b.now) == none // else no page loads
	switch {
	case len(b.tabs) == 0 && !isUp:
	case len(b.tabs) == 0 || isUp && len(b.tabs) < 3 && chance < 0.05:
		b.show(len(b.tabs))
		b.open(false)
	case isUp && (chance < 0.1 || !b.isSignedIn):
		i := b.rng.IntN(len(b.tabs))
		b.show(i)
		b.loadPage(&b.tabs[i])
	case chance < 0.5:
		b.show(b.rng.IntN(len(b.tabs) + 1)) // the last is none of them
	case chance < 0.65:
		b.sleep(b.logUniform(second, 10*hour), func(b *browser) {
			b.goOffline(b.logUniform(100, 20*second), goOn)
		})
		return
	case chance < 0.85:
		b.goOffline(b.logUniform(second, hour), goOn)
		return
	case chance < 0.9: // a clock that was wrong by little is set
		b.jump(b.logUniform(100, 2*minute))
	case chance < 0.95: // or by much
		b.jump(b.logUniform(hour, 100*day))
	}
	goOn(b)
}

// jump sets the clock of the browser's machine, back or forth.
func (b *browser) jump(by float64) {
	b.hasJumped = true
	b.skew += by * float64(1-2*b.rng.IntN(2))
}

// show makes one tab visible and hides the others.
func (b *browser) show(visible int) {
	for i := range b.tabs {
		t := &b.tabs[i]
		wasHidden := t.hidden
		t.hidden = i != visible
		t.tick = b.now
		if wasHidden && !t.hidden {
			b.wake(t)
		}
	}
}
