package presence

import (
	"container/heap"
	"time"
)

const (
	// tickTime is the time between two ticks, with which tabs leave that are due.
	tickTime = time.Second
	// maxChecks is how many tabs are checked before waiting beats have their turn.
	maxChecks = 1000
)

// schedule adds a new tab to the heap, and starts the ticks if it is the first.
func (t *Tracker) schedule(tab *tab) {
	heap.Push(&t.tabs, tab)
	if !t.ticking {
		t.ticking = true
		t.ticker.Reset(tickTime)
	}
}

func (t *Tracker) checkAt(tab *tab, when time.Time) {
	tab.check = when
	heap.Fix(&t.tabs, int(tab.index))
}

// openUntil returns when an open tab leaves if no beat comes.
func (t *Tracker) openUntil(tab *tab) time.Time {
	until := tab.seen.Add(t.cfg.TTL)
	if until.Before(t.holdUntil) {
		return t.holdUntil
	}
	return until
}

// tick removes the tabs that are due, and calls OnGone.
func (t *Tracker) tick() {
	for done := false; !done; {
		t.mu.Lock()
		done = t.closed() || !t.following || t.removeDue(time.Now())
		gone := t.gone
		t.gone = nil
		t.mu.Unlock()
		for _, g := range gone {
			if !t.closed() {
				t.cfg.OnGone(g)
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ticking = len(t.tabs) > 0 && !t.closed(); t.ticking {
		t.ticker.Reset(tickTime)
	}
}

// removeDue removes tabs that are due, and reports whether it has removed all. A
// beat does not move its tab in the heap, which makes it several times cheaper: the
// tab moves when its time has come.
func (t *Tracker) removeDue(now time.Time) bool {
	for range maxChecks {
		if len(t.tabs) == 0 || t.tabs[0].check.After(now) {
			return true
		}
		tab := t.tabs[0]
		if until := t.openUntil(tab); !tab.leaving && until.After(now) {
			t.checkAt(tab, until)
			continue
		}
		heap.Pop(&t.tabs)
		t.removeTab(tab, now)
	}
	return false
}

// checkHeap holds all tabs, as a heap of package container/heap: the first is the
// next to be checked.
type checkHeap []*tab

func (h checkHeap) Len() int           { return len(h) }
func (h checkHeap) Less(i, j int) bool { return h[i].check.Before(h[j].check) }

func (h checkHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = int32(i), int32(j)
}

func (h *checkHeap) Push(x any) {
	tab := x.(*tab)
	tab.index = int32(len(*h))
	*h = append(*h, tab)
}

func (h *checkHeap) Pop() any {
	last := len(*h) - 1
	tab := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return tab
}
