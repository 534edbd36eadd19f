package touch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCacheIsBounded(t *testing.T) {
	c, cond := newCache(), digestCondition(time.Now(), "a digest")
	for i := range 5 * maxCached {
		c.put(fmt.Sprint(i), cond)
	}
	require.LessOrEqual(t, len(c.young)+len(c.old), 2*maxCached)
	_, ok := c.get(fmt.Sprint(5*maxCached - 1))
	require.True(t, ok)
	_, ok = c.get("0")
	require.False(t, ok)

	// The digest of sqlite3store is the data itself.
	c.put("large", digestCondition(time.Now(), strings.Repeat("x", HeadSize+1)))
	_, ok = c.get("large")
	require.False(t, ok)
}
