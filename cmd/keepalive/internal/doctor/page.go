package doctor

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed4a306b22/keepalive/internal/inject/csp"
	"github.com/seed4a306b22/keepalive/internal/inject/prolog"
)

// checkPage looks for why the page has no script, or why that would not run.
func (e *examination) checkPage(ctx context.Context) error {
	if e.script == nil {
		if err := e.explainNoScript(ctx); err != nil {
			return err
		}
		return errEnough
	}
	same := 0
	for _, s := range e.doc.scripts {
		if s.folder() == e.script.folder() {
			same++
		}
	}
	if same > 1 {
		e.found("script-twice", strconv.Itoa(same))
	}
	e.checkPolicies()
	e.checkBase()
	return e.checkCompression(ctx)
}

// explainNoScript names the reason that can be seen from outside.
func (e *examination) explainNoScript(ctx context.Context) error {
	asked, err := e.user.get(ctx, e.endpoint("ping"))
	if err != nil {
		return err
	}
	if !asked.isOurs() {
		e.found("not-wrapped", e.base.Path)
		return nil
	}
	if asked.StatusCode == http.StatusUnauthorized {
		if path, ok := e.cookiePathMisses(); ok {
			e.found("cookie-path", path, e.base.Path)
			return nil
		}
		return errNoSession
	}
	if t, err := readTimes(asked); err == nil && t.endsByDeadline() {
		e.found("no-idle-timeout")
		return nil
	}
	plain, err := e.getPage(ctx, e.user, "text/html", "identity")
	if err != nil {
		return err
	}
	reason := leftAlone(e.answer)
	switch {
	case plain.coding() != "" && plain.coding() != "identity", len(readDocument(plain.body).scripts) > 0:
		e.found("page-compressed")
	case reason != "":
		e.found("page-left-alone", reason)
	default:
		e.found("page-without-script")
	}
	return nil
}

// leftAlone returns why keepalive leaves such a page as it is, "" if nothing
// shows.
func leftAlone(a *answer) string {
	disposition, _, _ := strings.Cut(a.Header.Get("Content-Disposition"), ";")
	var scan prolog.Scanner
	scan.Scan(a.body)
	_, params, _ := strings.Cut(strings.ToLower(a.Header.Get("Content-Type")), "charset=")
	switch {
	case a.has("Cache-Control", "no-transform"):
		return "Cache-Control: no-transform"
	case strings.EqualFold(strings.TrimSpace(disposition), "attachment"):
		return "Content-Disposition: attachment"
	case a.Header.Get("Content-Digest") != "", a.Header.Get("Repr-Digest") != "", a.Header.Get("Digest") != "":
		return "it comes with a digest"
	case strings.HasPrefix(strings.Trim(params, `" `), "utf-16"):
		return "its charset is " + strings.Trim(params, `" `)
	case scan.Close() == prolog.Leave:
		return "neither a doctype nor html nor head comes first, so it is no whole document"
	}
	return ""
}

// checkPolicies reads the policies as they arrive, with what proxies have added.
func (e *examination) checkPolicies() {
	h := e.answer.Header
	self := &url.URL{Scheme: e.page.Scheme, Host: e.page.Host, Path: e.script.folder()}
	what := "the script, its pings or its frame"
	directive := csp.Blocks(h, e.script.attr["nonce"], self, len(e.doc.frames) > 0)
	for _, policy := range e.doc.metas {
		if directive == "" { // it comes too late for the script itself
			what = "pings, or what the script loads later"
			directive = csp.Blocks(http.Header{"Content-Security-Policy": {policy}}, e.script.attr["nonce"], self, false)
		}
	}
	if directive != "" {
		e.found("policy", what, directive)
	}
	if csp.RequiresIntegrity(h) && e.script.attr["integrity"] == "" {
		e.found("integrity-policy")
	}
}

// checkBase looks for a base element that sends the script or the frame elsewhere.
func (e *examination) checkBase() {
	if len(e.doc.bases) == 0 {
		return
	}
	base := e.doc.bases[0] // browsers go by the first
	u, err := e.page.Parse(base.attr["href"])
	if err != nil || u.Scheme == e.page.Scheme && u.Host == e.page.Host {
		return
	}
	origin := u.Scheme + "://" + u.Host
	switch {
	case base.order < e.script.order:
		e.found("base", "the script", origin)
	case len(e.doc.frames) > 0:
		e.found("base", "the frame of Config.NoScript", origin)
	}
}

// checkCompression compares the page with what a request gets that does not ask
// for HTML. keepalive hides from the handlers inside that the first may be compressed.
func (e *examination) checkCompression(ctx context.Context) error {
	if e.answer.coding() != "" {
		return nil
	}
	other, err := e.getPage(ctx, e.user, "*/*", "gzip")
	if err != nil {
		return err
	}
	if other.StatusCode == http.StatusOK && other.coding() == "gzip" {
		e.found("compression-inside")
	}
	return nil
}
