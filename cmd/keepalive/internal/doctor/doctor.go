// Package doctor examines a running program that uses keepalive, over HTTP, as its
// browsers do.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options say what to examine, and as whom.
type Options struct {
	// URL is that of a page that has a session, of http or https.
	URL string

	// Header is sent with each request. A Cookie in it is kept as a browser would,
	// and replaced by what the program sets.
	Header http.Header

	// Login is a path or URL that signs in, "" where Header has the session's cookie.
	Login string

	// Form is what is posted there, "" to open it by GET.
	Form string

	// SecondCookie or SecondForm is that of a second user, for caches that mix users
	// up. Default: "", only a visitor without a session is compared.
	SecondCookie, SecondForm string

	// Path is that of the endpoints as browsers see it. Default: what the page's
	// script says, or else /keepalive/.
	Path string

	// Wait is the time between two pings, whose answers are compared. It should be
	// three seconds or more, as some stores round to a second.
	Wait time.Duration

	// Insecure accepts any certificate.
	Insecure bool
}

// Report is the result of an examination.
type Report struct {
	URL       string    `json:"url"`
	Findings  []Finding `json:"findings"`
	Seen      []string  `json:"seen,omitempty"`
	Unchecked []string  `json:"unchecked,omitempty"`
}

// examination is one examination under way. Each of its steps adds findings.
type examination struct {
	opts   Options
	report *Report

	page *url.URL
	user *visitor

	answer *answer // the page
	doc    document
	script *element // the script's tag, nil if the page has none

	base          *url.URL // of the endpoints
	sessionCookie string   // its name, "" if it isn't known
	last          times    // of the last ping that extended the session
	broken        bool     // pings fail, so that nothing can be told about the session
}

// Examine returns what is wrong with a program. The error is not nil if that could
// not be found out: the program can't be reached, or there is no session.
//
// It sends about 20 requests. Those with a session extend it, as any request does,
// and change nothing else by themselves: the page is asked for by GET, and the
// program decides what that does.
func Examine(ctx context.Context, opts Options) (*Report, error) {
	e := &examination{opts: opts, report: &Report{Findings: []Finding{}}}
	steps := []func(context.Context) error{
		e.start,
		e.openPage,
		e.findEndpoints,
		e.checkPage,
		e.checkPings,
		e.checkScript,
		e.checkSession,
		e.checkCookie,
		e.checkCaches,
	}
	for _, step := range steps {
		if err := step(ctx); errors.Is(err, errEnough) {
			e.unchecked("all else, until this is mended")
			break
		} else if err != nil {
			return nil, err
		}
	}
	return e.report, nil
}

// errEnough ends the examination, because all that is left would be wrong for the
// reason that was found.
var errEnough = errors.New("enough")

func (e *examination) found(name string, values ...string) {
	if !e.hasFound(name) { // once is enough
		e.report.Findings = append(e.report.Findings, newFinding(name, values...))
	}
}

func (e *examination) saw(format string, values ...any) {
	e.report.Seen = append(e.report.Seen, fmt.Sprintf(format, values...))
}

func (e *examination) unchecked(what string) { e.report.Unchecked = append(e.report.Unchecked, what) }

func (e *examination) hasFound(name string) bool {
	return slices.ContainsFunc(e.report.Findings, func(f Finding) bool { return f.Name == name })
}

// start signs the user in, or takes the cookies that were given.
func (e *examination) start(ctx context.Context) (err error) {
	if e.page, err = url.Parse(e.opts.URL); err != nil {
		return withoutQuery(err)
	}
	if e.page.Scheme != "http" && e.page.Scheme != "https" || e.page.Host == "" {
		return errors.New("the URL is none of a page; write such as https://app.example.com/account")
	}
	if e.page.Path == "" {
		e.page.Path = "/"
	}
	if e.opts.Path != "" && !(strings.HasPrefix(e.opts.Path, "/") && strings.HasSuffix(e.opts.Path, "/")) {
		return fmt.Errorf("the path %q must begin and end with a slash", e.opts.Path)
	}
	shown := *e.page
	shown.RawQuery = "" // which may be secret
	e.report.URL = shown.Redacted()
	if e.user, err = e.newVisitor(ctx, strings.Join(e.opts.Header.Values("Cookie"), "; "), e.opts.Form); err != nil {
		return err
	}
	for _, c := range e.user.set {
		if why := c.refusal(); why != "" && isToken(c.Value) {
			e.found("cookie-refused", why)
			return errEnough // without it there is no session
		}
	}
	return nil
}

// newVisitor returns a visitor with a session: that of the cookie, or else a new one.
func (e *examination) newVisitor(ctx context.Context, cookie, form string) (*visitor, error) {
	v := e.stranger()
	if cookie != "" {
		return v, v.useCookies(e.page, cookie)
	}
	if e.opts.Login == "" {
		return nil, errors.New("there is no session to examine; give its cookie (-cookie), or say how to sign in (-login)")
	}
	login, err := e.page.Parse(e.opts.Login)
	if err != nil {
		return nil, err
	}
	return v, v.signIn(ctx, login, form)
}

// stranger returns a visitor without a session.
func (e *examination) stranger() *visitor {
	header := e.opts.Header.Clone()
	header.Del("Cookie")
	return newVisitor(header, e.opts.Insecure)
}

// openPage asks for the page as a browser does.
func (e *examination) openPage(ctx context.Context) (err error) {
	if e.answer, err = e.getPage(ctx, e.user, "text/html,*/*;q=0.8", "gzip"); err != nil {
		return err
	}
	a := e.answer
	switch contentType := a.Header.Get("Content-Type"); {
	case a.StatusCode >= 300 && a.StatusCode < 400:
		return fmt.Errorf("the page redirects to %s; give the address of a page that the user may see, and the cookie of a live session", a.where())
	case a.StatusCode >= 400:
		return fmt.Errorf("the page is answered with %s; give the address of a page that the user may see, and the cookie of a live session", a.Status)
	case !strings.HasPrefix(strings.ToLower(contentType), "text/html"):
		return fmt.Errorf("the page is no HTML, but %q", contentType)
	case a.garbled != nil:
		return fmt.Errorf("the page can't be decompressed: %w", a.garbled)
	}
	e.doc = readDocument(a.body)
	for _, s := range e.doc.scripts {
		if e.script == nil && (e.opts.Path == "" || s.folder() == e.opts.Path) {
			e.script = &s
		}
	}
	return nil
}

func (e *examination) getPage(ctx context.Context, v *visitor, accept, encoding string) (*answer, error) {
	return v.ask(ctx, http.MethodGet, e.page, func(h http.Header) {
		h.Set("Accept", accept)
		h.Set("Accept-Encoding", encoding)
		h.Set("Sec-Fetch-Site", "none")
	})
}

// String returns the report as a text for people.
func (r *Report) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", r.URL)
	for _, what := range r.Seen {
		fmt.Fprintf(&text, "- %s\n", what)
	}
	for _, what := range r.Unchecked {
		fmt.Fprintf(&text, "- not checked: %s\n", what)
	}
	for i, f := range r.Findings {
		fmt.Fprintf(&text, "\n%d. %s\n   Mend: %s\n   (%s)\n", i+1, f.Problem, f.Mend, f.Name)
	}
	if len(r.Findings) == 0 {
		text.WriteString("\nNothing found.\n")
	}
	return text.String()
}
