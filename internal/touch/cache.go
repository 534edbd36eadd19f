package touch

import (
	"hash/maphash"
	"sync"
)

// maxCached bounds one generation of conditions. Two are kept, of about 110 bytes
// a condition, or 320 with a codec that needs digests.
const maxCached = 1 << 17

// cache keeps the conditions of the sessions that were touched last, so that a
// touch need not read first. What it forgets costs a round trip or two.
type cache struct {
	mu         sync.Mutex
	seed       maphash.Seed
	young, old map[uint64]Condition // by the hash of the key
}

func newCache() *cache {
	return &cache{seed: maphash.MakeSeed(), young: make(map[uint64]Condition)}
}

func (c *cache) get(key string) (cond Condition, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := maphash.String(c.seed, key)
	if cond, ok = c.young[id]; ok {
		return cond, true
	}
	if cond, ok = c.old[id]; ok {
		c.keep(id, cond)
	}
	return cond, ok
}

// put remembers a condition, unless it holds more than a digest of its session.
func (c *cache) put(key string, cond Condition) {
	if len(cond.start.Value()) > HeadSize {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(maphash.String(c.seed, key), cond)
}

// keep needs mu.
func (c *cache) keep(id uint64, cond Condition) {
	if len(c.young) >= maxCached {
		c.young, c.old = make(map[uint64]Condition), c.young
	}
	c.young[id] = cond
}
