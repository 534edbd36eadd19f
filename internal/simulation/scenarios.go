package main

// scenario is a world in which something happens to everybody at once.
type scenario struct {
	name string
	world
	// from is when it begins, back when it is over, and echoes when the first
	// generation of requests after that is over.
	from, back, echoes float64
	// bound is for the peak, as a multiple of the steady mean; 0 for none.
	bound float64
}

// echoBound is for the peaks of all later generations.
const echoBound = 1.6

// downBound is for the attempts while a server is down, after the first minute.
// That many are the steady mean, as each page's first attempt comes when its ping
// was due, and a few more are retries.
const downBound = 1.2

// idleTimeout is that of all scenarios but those about a short one.
const idleTimeout = 20 * minute

// Where something happens to a steady world, pages have been opened until
// openedBy, and the first generations are over by steadyFrom.
const (
	openedBy   = 2 * idleTimeout
	steadyFrom = 3 * idleTimeout
	observed   = 90 * minute
)

// scenarios begins with the steady one, whose mean the others are compared with.
func scenarios() []scenario {
	return []scenario{
		steady(),
		nine("a minute", minute, 4),
		nine("5 minutes", 5*minute, 2.5),
		network("30 s", 30*second, 2.5),
		network("a minute", minute, 2.5),
		network("5 minutes", 5*minute, 5),
		outageOf("10 s", 10*second, refused, 0, 2.5),
		outageOf("a minute", minute, refused, 0, 2.5),
		outageOf("a minute, Retry-After 30 s", minute, unavailable, 30*second, 2.5),
		outageOf("5 minutes", 5*minute, refused, 0, 5),
		outageOf("5 minutes, no answer", 5*minute, hanging, 0, 5),
		outageOf("5 minutes, Retry-After 5 minutes", 5*minute, unavailable, 5*minute, 5),
		outageOf("10 minutes", 10*minute, refused, 0, 0),
		rollingRestart(),
		monday(),
	}
}

func newWorld(end float64, begin func(*browser)) world {
	return world{config: config{idle: idleTimeout}, end: end, begin: begin}
}

func steady() scenario {
	w := newWorld(steadyFrom+2*hour, openBy(openedBy, nil))
	return scenario{"steady", w, steadyFrom, steadyFrom, w.end, 1.5}
}

// nine is the hour at which everybody opens a page.
func nine(name string, limit, bound float64) scenario {
	w := newWorld(limit+2*hour, openBy(limit, nil))
	return scenario{"all open a page within " + name, w, 0, 0, limit + 0.66*idleTimeout, bound}
}

// network goes and comes back for all, and all pages hear of that.
func network(name string, length, bound float64) scenario {
	back := steadyFrom + length
	w := newWorld(back+observed, openBy(openedBy, func(b *browser) {
		b.life = life{back + b.uniform(second), func(b *browser) {
			b.life.next = never
			b.comeOnline()
		}}
	}))
	w.outages = []outage{{from: steadyFrom, to: back, failure: refused}}
	return scenario{"no network for " + name, w, steadyFrom, back, back + idleTimeout/4, bound}
}

func outageOf(name string, length float64, f failure, retryAfter, bound float64) scenario {
	back := steadyFrom + length
	w := newWorld(back+observed, openBy(openedBy, nil))
	w.outages = []outage{{from: steadyFrom, to: back, failure: f}}
	w.retryAfter = retryAfter
	return scenario{"no server for " + name, w, steadyFrom, back, back + idleTimeout/4, bound}
}

// rollingRestart takes each of ten instances down for 10 s, one after the other.
func rollingRestart() scenario {
	back := steadyFrom + 100*second
	w := newWorld(back+observed, openBy(openedBy, nil))
	w.outages = []outage{{from: steadyFrom, to: back, failure: refused, share: 0.1}}
	return scenario{"rolling restart of ten instances", w, steadyFrom, back, back + idleTimeout/4, 2.5}
}

// monday wakes all machines within five minutes, after a weekend in which all
// sessions have ended. Who finds a page without session signs in within a minute.
func monday() scenario {
	const weekend = 62 * hour
	wake := steadyFrom + weekend
	w := newWorld(wake+2*hour, openBy(openedBy, func(b *browser) {
		b.life = life{steadyFrom, func(b *browser) {
			b.sleep(weekend+b.uniform(5*minute), func(b *browser) {
				b.life = life{b.now + 10*second + b.uniform(50*second), func(b *browser) {
					b.life.next = never
					b.loadPage(&b.tabs[0])
				}}
			})
		}}
	}))
	return scenario{"Monday, all wake within 5 minutes", w, wake, wake, wake + 6*minute + 0.66*idleTimeout, 0}
}

// openBy opens one page at some time before limit, and then does something.
func openBy(limit float64, then func(*browser)) func(*browser) {
	return func(b *browser) {
		b.life = life{b.uniform(limit), func(b *browser) {
			b.life.next = never
			b.open(false)
			if then != nil {
				then(b)
			}
		}}
	}
}

// open adds a tab and loads a page in it.
func (b *browser) open(hidden bool) {
	b.tabs = append(b.tabs, tab{
		hidden: hidden, phase: b.uniform(minute),
		tick: never, send: never, answer: never, settle: never,
	})
	b.loadPage(&b.tabs[len(b.tabs)-1])
}

// polling has an app that asks the server each minute.
func polling() world {
	var poll func(*browser)
	poll = func(b *browser) {
		b.hear()
		b.life = life{b.now + minute, poll}
	}
	return newWorld(hour, openBy(minute, func(b *browser) { b.life = life{b.now + minute, poll} }))
}

// manyTabs has so many tabs in a browser, all but one of them hidden, that are
// opened one after the other.
func manyTabs(tabs int) world {
	var openNext func(*browser)
	openNext = func(b *browser) {
		b.open(len(b.tabs) > 0)
		b.life = life{b.now + b.uniform(5*minute), openNext}
		if len(b.tabs) == tabs {
			b.life.next = never
		}
	}
	w := newWorld(steadyFrom+4*hour, func(b *browser) { b.life = life{b.uniform(minute), openNext} })
	w.throttled = true
	return w
}

// hiddenTab is a hidden tab with a short idle timeout.
func hiddenTab() world {
	w := newWorld(4*hour, func(b *browser) {
		b.life = life{b.uniform(minute), func(b *browser) {
			b.life.next = never
			b.open(true)
		}}
	})
	w.idle = 3 * minute
	w.throttled = true
	return w
}
