package warmup

import (
	"net/http"
	"time"
)

// Ready reports whether the app may get traffic: the last result of every target is
// warm, or Settings.ReadyTimeout has passed since Run was first called, or the
// warm-up is off. Once true it stays true. Before Run it is false unless the warm-up
// is off.
func (p *Pinger) Ready() bool {
	p.mu.Lock()
	before := p.ready
	elapsed, cold := p.updateReady()
	ready := p.ready
	p.mu.Unlock()

	switch {
	case ready == before:
	case len(cold) > 0:
		p.log().Warn("warmup: ready by its deadline, with targets that are not warm", "after", elapsed, "targets", cold)
	default:
		p.log().Info("warmup: ready", "after", elapsed)
	}
	return ready
}

// updateReady sets ready, and returns the time since Run began and the keys of the
// targets that are not warm, for the log. Called with mu held.
func (p *Pinger) updateReady() (elapsed time.Duration, cold []string) {
	if p.ready || !p.plan.enabled {
		p.ready = true
		return 0, nil
	}
	if p.startedAt.IsZero() {
		return 0, nil
	}
	for _, t := range p.plan.targets {
		if !t.last.Warm {
			cold = append(cold, t.key())
		}
	}
	elapsed = time.Since(p.startedAt)
	p.ready = len(cold) == 0 || elapsed >= p.plan.ReadyTimeout
	return elapsed, cold
}

// ReadyHandler returns a handler for the readiness probe of a load balancer or of
// Kubernetes. It answers GET and HEAD with 200 when Ready is true and with 503 and
// Retry-After until then, and other methods with 405. It is safe for concurrent use.
func (p *Pinger) ReadyHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if !requireGetOrHead(w, r) {
			return
		}
		if !p.Ready() {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "warming up", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ready\n")) // an error means that the client has gone
	})
}

// requireGetOrHead reports whether r is a GET or a HEAD; otherwise it answers 405.
func requireGetOrHead(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	return false
}
