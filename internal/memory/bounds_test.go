package memory

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/stretchr/testify/require"
)

// Inside the package, because what the store remembers does not show outside.
func TestMemoryFollowsTheLiveSessions(t *testing.T) {
	deadline := func(data []byte) (time.Time, error) {
		end, _, err := scs.GobCodec{}.Decode(data)
		return end, err
	}
	synctest.Test(t, func(t *testing.T) {
		s := New(memstore.NewWithCleanupInterval(0), true, deadline).(IterableStore)
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
