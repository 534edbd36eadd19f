package inject_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive/internal/inject"
	"github.com/stretchr/testify/require"
)

// FuzzWrites shows that the bytes depend on the page alone. However its handler
// divides it over the ways to write, the body is the same, and without the tag it
// is the page again. Flushes change nothing either, except that they settle for
// good what net/http takes a page without a type for.
//
// plan is read in pairs: the length of a piece, and the way to write it.
func FuzzWrites(f *testing.F) {
	plans := []string{"", "\x01\x00", "\x01\x01", "\x01\x02", "\x03\x00\x05\x01\x07\x02", "\x01\x04", "\x02\x05\x03\x06", "\x00\x04", "\x10\x07\x00\x00\x01\x04\xff\x02"}
	for _, page := range []string{
		page, "", "<p>", "\xEF\xBB\xBF \t" + page, "<!--" + strings.Repeat("-", 3000) + "-->" + page, longComment + page,
		"<!doctype html><!-- <head> --><html a='<head>'><body>", "<!doctype html>&#32;&Tab;x", "<!doctype html><htm", "<?xml?><html><head/>x",
		"<!doctype html><header></header>", "<!doctype html></p></head>", "<html><head", "{}", strings.Repeat(" ", 511) + "<html>", strings.Repeat(" ", 520) + "<html>",
	} {
		for _, plan := range plans {
			f.Add(page, plan, true)
			f.Add(page, plan, false)
		}
	}
	f.Fuzz(func(t *testing.T, page, plan string, typed bool) {
		if strings.Contains(page, tag) {
			t.Skip("a page with the tag in it cannot be told from one that got it")
		}
		got := bodyOf(t, onlyTag, writeByPlan(page, plan, typed))
		rest, tags := removeTag(got)
		require.Equal(t, page, rest)
		require.LessOrEqual(t, tags, 1)
		if typed || !flushes(plan) {
			require.Equal(t, bodyOf(t, onlyTag, writeByPlan(page, "", typed)), got)
		}
		require.Equal(t, got+strings.Repeat(tail, tags), bodyOf(t, tagAndTail, writeByPlan(page, plan, typed)))
	})
}

// What the second byte of a pair in a plan says.
const (
	wayMask  = 3
	flushBit = 4
)

func flushes(plan string) bool {
	for i := 1; i < len(plan); i += 2 {
		if plan[i]&flushBit != 0 {
			return true
		}
	}
	return false
}

// writeByPlan writes a page by plan, over and over until it is all written.
func writeByPlan(page, plan string, typed bool) http.HandlerFunc {
	ways := []func(http.ResponseWriter, string){mustWrite, mustWriteString, mustReadFrom, mustWrite}
	return func(w http.ResponseWriter, _ *http.Request) {
		if typed {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		}
		rest := page
		for range 100 { // a plan may be nothing but empty pieces
			for i := 0; i+1 < len(plan) && rest != ""; i += 2 {
				n := min(int(plan[i]), len(rest))
				ways[plan[i+1]&wayMask](w, rest[:n])
				if rest = rest[n:]; plan[i+1]&flushBit != 0 {
					mustFlush(w)
				}
			}
		}
		if rest != "" || page == "" {
			mustWrite(w, rest)
		}
	}
}

// bodyOf returns what a wrapped handler writes. A length must be that of the body.
func bodyOf(t *testing.T, ins *inject.Insertion, h http.Handler) string {
	w := record(wrap(ins, h))
	if length := w.Result().Header.Get("Content-Length"); length != "" {
		require.Equal(t, strconv.Itoa(w.Body.Len()), length)
	}
	return w.Body.String()
}
