package prolog_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed4a306b22/keepalive/internal/inject/prolog"
)

// Beginnings that most documents have are read at once when they come at once. The
// result is that of the states, which get one byte at a time.
func TestScannerOnCommonDocuments(t *testing.T) {
	parts := []string{" ", "\n", " lang", "=", "= ", "en", `"`, `="x>"`, `=y`, "='>'", " a-1", "/", ">", "<html", "<head>", "é"}
	doctypes := []string{"", "<!doctype html>", "<!DOCTYPE html>", "<!DocType html>", "<!doctype html SYSTEM 'x'>"}
	rnd := rand.New(rand.NewPCG(1, 2))
	inserted := 0
	for range 20_000 {
		doc := doctypes[rnd.IntN(len(doctypes))] + "<html"
		for range rnd.IntN(8) {
			doc += parts[rnd.IntN(len(parts))]
		}
		doc += "><head><meta><head>"
		every := make([]int, len(doc))
		for i := range every {
			every[i] = i
		}
		verdict, offset := scan(t, []byte(doc))
		wantVerdict, wantOffset := scan(t, []byte(doc), every...)
		require.Equal(t, wantVerdict, verdict, "%q", doc)
		require.Equal(t, wantOffset, offset, "%q", doc)
		if verdict == prolog.Insert {
			inserted++
		}
	}
	require.NotZero(t, inserted)
}
