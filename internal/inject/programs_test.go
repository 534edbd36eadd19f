package inject_test

import (
	"flag"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/seed4a306b22/keepalive/internal/wiretest/programs"
)

var seed = flag.Uint64("seed", 0, "run only this random program")

// Programs of random calls answer inside a Writer as they do alone. A failure
// shows the program, and its seed runs it again:
//
//	go test ./internal/inject -run RandomPrograms -seed 123
func TestRandomPrograms(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seed, _ := strconv.ParseUint(r.URL.Path[1:], 10, 64)
		programs.New(seed, false).ServeHTTP(w, r)
	})
	servers := compare(t, h)
	withoutTail := func(r *wiretest.Response) { r.Body = strings.TrimSuffix(r.Body, tail) }
	run := func(seed uint64) {
		path := strconv.FormatUint(seed, 10)
		t.Run(path, func(t *testing.T) {
			wrapped := servers.tagged
			if seed%2 == 0 {
				wrapped = servers.tailed
			}
			programs.New(seed, false).Compare(t, "/"+path, tag, servers.bare, wrapped, withoutTail)
		})
	}
	if *seed != 0 {
		run(*seed)
		return
	}
	for seed := range uint64(10_000) {
		run(seed + 1)
	}
}
