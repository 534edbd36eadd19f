package keepalive

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/stretchr/testify/require"
)

// Inside the package: what is remembered can't be seen from outside.

func TestMemoryFollowsTheLiveSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLocalStore(memstore.NewWithCleanupInterval(0), deadlineOf(scs.GobCodec{})).(iterableStore)
		for i := range 100_000 { // 1,000 live for 10 s, 100 new ones each second
			require.NoError(t, s.Commit(strconv.Itoa(i), nil, time.Now().Add(10*time.Second)))
			if i%100 == 0 {
				time.Sleep(time.Second)
			}
		}
		remembered := 0
		for i := range s.stripes {
			remembered += len(s.stripes[i].expiry)
		}
		require.Less(t, remembered, 5_000)
	})
}

func TestHintsAreBounded(t *testing.T) {
	var h hints
	for i := range 10 * maxHints {
		h.note(strconv.Itoa(i), time.Now())
	}
	require.LessOrEqual(t, len(h.young)+len(h.old), 2*maxHints)
}
