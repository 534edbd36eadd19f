package keepalive

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Inside the package, because what hints remember does not show outside.
func TestHintsAreBounded(t *testing.T) {
	var h hints
	for i := range 10 * maxHints {
		h.note(strconv.Itoa(i), time.Now(), time.Minute)
	}
	require.LessOrEqual(t, len(h.recent.young)+len(h.recent.old), 2*maxHints)
}
