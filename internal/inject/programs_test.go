package inject_test

import (
	"flag"
	"net/http"
	"strconv"
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
	bare, wrapped := wiretest.Serve(t, h), wiretest.Serve(t, wrap(onlyTag, h))
	run := func(seed uint64) {
		path := strconv.FormatUint(seed, 10)
		t.Run(path, func(t *testing.T) {
			p := programs.New(seed, false)
			p.Compare(t, "/"+path, tag, bare, wrapped, func(*wiretest.Response) {})
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
