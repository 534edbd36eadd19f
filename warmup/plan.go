package warmup

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// plan is Settings after the check: with defaults, the environment's switch and
// parsed targets. Only the state of its targets changes, under Pinger.mu.
type plan struct {
	Settings
	enabled    bool
	origin     *url.URL // nil while no target needs one
	targets    []*target
	superseded chan struct{} // closed by Reload
}

// target is a checked Target and its state.
type target struct {
	Target
	url *url.URL // absolute

	last     Result    // without Method and URL if there was no request yet
	failures int       // in a row
	retryAt  time.Time // set while failures > 0
}

// key identifies a target within Settings and is its name in the log.
func (t *target) key() string { return t.Method + " " + t.url.String() }

// lastResult returns the target's last result, with a zero Time if there is none.
func (t *target) lastResult() Result {
	r := t.last
	r.Method, r.URL = t.Method, t.url.String()
	return r
}

// newPlan returns the plan for s. Its error joins all problems. inProcess is true if
// there is a Config.Handler: then Settings.Origin has a default.
func newPlan(s Settings, inProcess bool) (*plan, error) {
	p := &plan{Settings: s.withDefaults(), superseded: make(chan struct{})}
	errs := []error{p.checkRanges()}
	addError := func(format string, args ...any) { errs = append(errs, fmt.Errorf("warmup: "+format, args...)) }

	var err error
	if p.enabled, err = enabled(s.Enabled); err != nil {
		addError("%w", err)
	}
	if len(s.Targets) == 0 && p.enabled {
		addError(`Settings.Targets is empty; name at least one, such as {URL: "/"}, or switch the warm-up off`)
	}
	if s.Origin != "" {
		if p.origin, err = parseOrigin(s.Origin); err != nil {
			addError("Settings.Origin is %q: %w; write scheme and host, such as http://localhost:8080", s.Origin, err)
			return nil, errors.Join(errs...) // without an origin no target can be checked
		}
	} else if inProcess {
		p.origin = &url.URL{Scheme: "http", Host: "localhost"}
	}

	listed := make(map[string]bool)
	for i, spec := range s.Targets {
		t, err := parseTarget(spec, p.origin)
		if err != nil {
			addError("Settings.Targets[%d] is %q: %w", i, spec.URL, err)
			continue
		}
		if p.origin == nil {
			p.origin = originOf(t.url)
		}
		if listed[t.key()] {
			addError("Settings.Targets[%d] is %q: it is in the list twice", i, spec.URL)
		}
		listed[t.key()] = true
		p.targets = append(p.targets, t)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// enabled reports whether the warm-up is on. The environment decides, or else setting.
// The error is about the environment.
func enabled(setting *bool) (bool, error) {
	switch v := strings.ToLower(os.Getenv(Env)); v {
	case "":
		return setting == nil || *setting, nil
	case "off", "0", "false", "no":
		return false, nil
	case "on", "1", "true", "yes":
		return true, nil
	default:
		return setting == nil || *setting, fmt.Errorf("the environment's %s is %q; write on or off", Env, v)
	}
}

// keepState takes over the state of the targets that are also in old.
func (p *plan) keepState(old *plan) {
	known := make(map[string]*target)
	for _, t := range old.targets {
		known[t.key()] = t
	}
	for _, t := range p.targets {
		if k := known[t.key()]; k != nil {
			t.last, t.failures, t.retryAt = k.last, k.failures, k.retryAt
		}
	}
}
