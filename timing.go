package keepalive

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A response of a session tells the page in Server-Timing how long that lasts, in
// milliseconds: until it ends if nothing touches it again, and until it ends in any
// case (https://www.w3.org/TR/server-timing/).
//
//	Server-Timing: keepalive;dur=1200000;desc="43200000"
//
// No cache may keep it for somebody else, or for later.

// metricName returns the name of that metric, by which pages of several Managers in one
// origin tell their sessions apart: Config.PublicPath, with what a token can have
// (RFC 9110 section 5.6.2) in place of its slashes.
func metricName(publicPath string) string {
	return strings.ReplaceAll(strings.Trim(publicPath, "/"), "/", "|")
}

// addServerTiming adds to Server-Timing if no shared cache may store the response.
// Otherwise it returns the values for a response that will say so, nil for none.
//
// A browser updates what it has stored by each 304, so that one always has the metric,
// if only without a value. Without one it would report what the session had left when
// the response was stored.
func (res *response) addServerTiming(h http.Header, status int) (ifPrivate []string) {
	before := slices.Clip(h["Server-Timing"])
	if value := res.timingMetric(); value != "" && !isForCDN(h) {
		ifPrivate = append(before, value)
		if isPrivate(h) {
			h["Server-Timing"] = ifPrivate
			return nil
		}
	}
	if status == http.StatusNotModified {
		h["Server-Timing"] = append(before, res.m.metric)
	}
	return ifPrivate
}

// timingMetric returns the metric, "" where the request is passive or may come from
// another origin, where it is not certain how long the session lasts, and where pages
// need the answers to their pings for Config.Payload.
func (res *response) timingMetric() string {
	site, times := res.r.Header["Sec-Fetch-Site"], res.session.times
	if res.passive || !times.found || res.m.cfg.Payload != nil || len(site) > 0 && site[0] != "same-origin" && site[0] != "none" {
		return ""
	}
	now := time.Now()
	lifetime := times.deadline.Sub(now)
	idle := min(times.expiry.Sub(now), lifetime)
	if idle <= 0 {
		return ""
	}
	b := append(make([]byte, 0, 80), res.m.metric...)
	b = append(b, ";dur="...)
	b = strconv.AppendInt(b, idle.Milliseconds(), 10)
	b = append(b, `;desc="`...)
	b = strconv.AppendInt(b, lifetime.Milliseconds(), 10)
	return string(append(b, '"'))
}

// isForCDN reports whether a response has directives for some shared caches, which they
// follow in place of Cache-Control: a targeted field (RFC 9213), such as those of
// Cloudflare, Vercel, Netlify and LiteSpeed, or that of nginx.
func isForCDN(h http.Header) bool {
	for name := range h {
		if strings.HasSuffix(name, "-Cache-Control") || name == "Surrogate-Control" || name == "X-Accel-Expires" {
			return true
		}
	}
	return false
}

// isPrivate reports whether Cache-Control keeps a response out of shared caches, or makes
// them ask each time (RFC 9111 section 5.2.2). It does not count what could be meant for
// some fields only.
func isPrivate(h http.Header) (private bool) {
	for _, line := range h["Cache-Control"] {
		for directive := range strings.SplitSeq(line, ",") {
			switch directive = strings.ToLower(strings.TrimSpace(directive)); {
			case directive == "public", strings.HasPrefix(directive, "s-maxage"):
				return false
			case directive == "private", directive == "no-store", directive == "no-cache":
				private = private || !strings.Contains(line, `"`)
			}
		}
	}
	return private
}
