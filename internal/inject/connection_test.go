package inject_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestConnection(t *testing.T) {
	runScenarios(t, []scenario{
		{name: "hijack", handler: hijackAfter(func(http.ResponseWriter) {}), check: unchanged},
		{name: "hijack after WriteHeader, as for CONNECT", handler: hijackAfter(func(w http.ResponseWriter) { w.WriteHeader(200) }), check: unchanged},
		{name: "hijack after an empty Write", handler: hijackAfter(func(w http.ResponseWriter) { _, _ = w.Write(nil) }), check: unchanged},
		{name: "hijack after 101", handler: hijackAfter(func(w http.ResponseWriter) { w.WriteHeader(101) }), check: unchanged},
		{name: "hijack after the beginning of a page", handler: hijackAfter(func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			mustWrite(w, "[")
		}), check: unchanged},
		{name: "deadlines", handler: func(w http.ResponseWriter, _ *http.Request) {
			rc := http.NewResponseController(w)
			errs := []error{rc.SetReadDeadline(time.Now().Add(time.Minute)), rc.SetWriteDeadline(time.Now().Add(time.Minute)), rc.EnableFullDuplex()}
			respondHTML(0, page+fmt.Sprint(errs))(w, nil)
		}, check: inserted},
		{name: "write deadline in the past", handler: func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Hour))
			respondHTML(0, page+longComment)(w, nil)
		}, check: unchanged},
		{name: "push", handler: func(w http.ResponseWriter, _ *http.Request) {
			if p, ok := w.(http.Pusher); ok {
				_ = p.Push("/again", nil)
			}
			respondHTML(0, page)(w, nil)
		}, check: inserted},
	})
}

// After a panic the connection ends as it does without a Writer.
func TestPanic(t *testing.T) {
	runScenarios(t, []scenario{
		{name: "panic at once", handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, check: unchanged},
		{name: "panic after WriteHeader", handler: thenPanic(respondHTML(200, "")), check: unchanged},
		{name: "panic within the prolog", handler: thenPanic(respondHTML(0, page[:20])), check: unchanged},
		{name: "panic after the insertion point", handler: thenPanic(respondHTML(0, page)), check: unchanged},
		{name: "panic after much was sent", handler: thenPanic(respondHTML(0, page+longComment)), check: cutShort},
		{name: "panic after a flush", handler: thenPanic(flushAfter(18)), check: cutShort},
		{name: "panic in JSON", handler: thenPanic(respond(0, strings.Repeat("[", 1<<16), "Content-Type", "application/json")), check: unchanged},
		{name: "invalid code", handler: func(w http.ResponseWriter, _ *http.Request) {
			defer func() { abortUnless(recover() != nil) }()
			w.WriteHeader(0)
		}, check: unchanged},
	})
}
