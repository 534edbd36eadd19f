package doctor

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// checkCaches opens the page as somebody else, and compares.
func (e *examination) checkCaches(ctx context.Context) error {
	if why := publicPage(e.answer); why != "" {
		e.found("page-public", why)
	}
	if source := e.answer.fromCache(); source != "" {
		e.found("page-cached", source)
		return nil
	}
	if e.sessionCookie == "" {
		e.unchecked("what caches keep, as the session's cookie is not known")
		return nil
	}
	stranger, err := e.getPage(ctx, e.userWithout(e.sessionCookie), "text/html,*/*;q=0.8", "gzip")
	if err != nil {
		return err
	}
	for _, s := range readDocument(stranger.body).scripts {
		if s.isOfSession() && !e.beginsSession(stranger) && s.folder() == e.script.folder() {
			e.found("page-cached", "a visitor without a cookie gets the page of a session")
			return nil
		}
	}
	if e.opts.SecondCookie == "" && e.opts.SecondForm == "" {
		e.unchecked("whether two users get each other's page; use -second-cookie or -second-form")
		return nil
	}
	second, err := e.newVisitor(ctx, e.opts.SecondCookie, e.opts.SecondForm)
	if err != nil {
		return err
	}
	mine, err := e.getPage(ctx, e.user, "text/html,*/*;q=0.8", "gzip")
	if err != nil {
		return err
	}
	page, err := e.getPage(ctx, second, "text/html,*/*;q=0.8", "gzip")
	if err != nil {
		return err
	}
	// It has milliseconds until the deadlines, of sessions that began at different times.
	timing := page.Header.Get("Server-Timing")
	switch source := page.fromCache(); {
	case source != "":
		e.found("page-cached", source)
	case !e.hasFound("deadline-moves") && strings.Contains(timing, ";dur=") && timing == mine.Header.Get("Server-Timing"):
		e.found("page-cached", "two users get the same Server-Timing")
	}
	return nil
}

// beginsSession reports whether the program has given a visitor a session of its own.
func (e *examination) beginsSession(a *answer) bool {
	return slices.ContainsFunc(a.Cookies(), func(c *http.Cookie) bool {
		return c.Name == e.sessionCookie && !slices.ContainsFunc(e.user.client.Jar.Cookies(e.page), func(own *http.Cookie) bool { return own.Value == c.Value })
	})
}

// publicPage returns what lets shared caches keep a page, "" if nothing does.
func publicPage(a *answer) string {
	for _, field := range []string{"CDN-Cache-Control", "Surrogate-Control"} {
		value := strings.ToLower(a.Header.Get(field))
		if value != "" && !strings.Contains(value, "no-store") && !strings.Contains(value, "private") && !strings.Contains(value, "max-age=0") {
			return field + ": " + a.Header.Get(field)
		}
	}
	control := strings.Join(a.Header.Values("Cache-Control"), ", ")
	isPrivate := a.has("Cache-Control", "private") || a.has("Cache-Control", "no-store") || a.has("Cache-Control", "no-cache")
	switch {
	case a.has("Cache-Control", "public"), strings.Contains(strings.ToLower(control), "s-maxage"):
		return "Cache-Control: " + control
	case !isPrivate && !a.has("Vary", "Cookie"):
		return "it has neither Cache-Control: private nor Vary: Cookie"
	}
	return ""
}
