// Package programs makes handlers of random calls, and compares what they answer
// alone with what they answer inside a wrapper that inserts a tag into pages.
//
// A seed makes the same program each time, whose String reads like Go.
package programs

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"github.com/seed4a306b22/keepalive/internal/wiretest"
)

// Program is a handler made of calls, and the request that it is sent.
type Program struct {
	Seed          uint64
	Proto         string
	Method        string
	RequestHeader string // in lines
	Condition     string // more of it: of a conditional or Range request
	calls         []call
}

// A call is one statement of a program.
type call struct {
	text string // as Go
	do   func(w http.ResponseWriter, r *http.Request)
	traits
}

// traits are what a comparison must know of a call, or of a whole program.
type traits struct {
	panics   bool
	flushes  bool
	hijacks  bool
	copies   bool // by ReadFrom
	declares bool // sets a Content-Length
}

// New returns the program of a seed. A tame one leaves out what net/http copes with
// and middleware of others does not: 1xx statuses, what comes too late for the
// header, a wrong Content-Length, codings, and a missing Content-Type.
func New(seed uint64, tame bool) *Program {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), tame: tame}
	p := &Program{
		Seed:          seed,
		Proto:         wiretest.Protocols[g.IntN(len(wiretest.Protocols))],
		Method:        one(g, "GET", "GET", "GET", "GET", "GET", "HEAD", "POST"),
		RequestHeader: one(g, wiretest.ForPage, wiretest.ForPage, wiretest.ForAsset, ""),
	}
	if g.oneIn(8) {
		p.Condition = one(g,
			"If-None-Match: \"tag\"\r\n",
			"If-None-Match: W/\"tag\", \"other\"\r\n",
			"If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n",
			"If-Match: \"tag\"\r\n",
			"Range: bytes=5-20\r\n")
	}
	g.http2 = p.Proto == "HTTP/2.0"
	g.mayExceed = !tame && !g.http2 // there net/http sends the excess, and clients refuse all
	p.calls = g.program()
	return p
}

// ServeHTTP implements http.Handler.
func (p *Program) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, c := range p.calls {
		c.do(w, r)
	}
}

// has reports whether a call of the program has a trait.
func (p *Program) has(trait func(traits) bool) bool {
	return slices.ContainsFunc(p.calls, func(c call) bool { return trait(c.traits) })
}

// Panics reports whether a call of the program panics.
func (p *Program) Panics() bool  { return p.has(func(t traits) bool { return t.panics }) }
func (p *Program) flushes() bool { return p.has(func(t traits) bool { return t.flushes }) }

// Hijacks reports whether a call of the program takes the connection over, or tries to.
func (p *Program) Hijacks() bool { return p.has(func(t traits) bool { return t.hijacks }) }

// Copies reports whether a call of the program calls ReadFrom.
func (p *Program) Copies() bool   { return p.has(func(t traits) bool { return t.copies }) }
func (p *Program) declares() bool { return p.has(func(t traits) bool { return t.declares }) }

// String returns the program as Go.
func (p *Program) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "// -seed %d: %s %s %q\nfunc(w http.ResponseWriter, r *http.Request) {\n", p.Seed, p.Proto, p.Method, p.RequestHeader+p.Condition)
	for _, c := range p.calls {
		fmt.Fprintf(&s, "\t%s\n", strings.ReplaceAll(c.text, "\n", "\n\t"))
	}
	return s.String() + "}"
}
