package keepalive

// recent is a map of bounded size, which forgets what was put into it first. Its
// user guards it.
type recent[K comparable, V any] struct {
	young, old map[K]V
}

func (r *recent[K, V]) get(key K) (v V, ok bool) {
	if v, ok = r.young[key]; !ok {
		v, ok = r.old[key]
	}
	return v, ok
}

// put keeps up to two generations of limit entries.
func (r *recent[K, V]) put(key K, v V, limit int) {
	if r.young == nil || len(r.young) >= limit {
		r.young, r.old = make(map[K]V), r.young
	}
	r.young[key] = v
}
