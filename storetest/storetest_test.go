package storetest_test

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/gob"
	"github.com/seed4a306b22/keepalive/storetest"
	"github.com/stretchr/testify/require"
)

// anyCodec reads the deadline of all that the kit writes: gob, and JSON that ends
// with it.
type anyCodec struct{ scs.GobCodec }

func (c anyCodec) Decode(data []byte) (time.Time, map[string]any, error) {
	const tail = `"2006-01-02T15:04:05.000000000Z"}`
	if t, err := time.Parse(tail, string(data[max(0, len(data)-len(tail)):])); err == nil {
		return t, nil, nil
	}
	if t, ok := gob.Deadline(data); ok {
		return t, nil, nil
	}
	return c.GobCodec.Decode(data)
}

// The wrapper that New installs, which holds a lock from a touch's read to its
// write.
func TestInProcessWrapper(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) keepalive.Store {
		sm := scs.New()
		sm.Codec = anyCodec{}
		sm.Store = memstore.NewWithCleanupInterval(0)
		_, err := keepalive.New(sm, keepalive.Config{})
		require.NoError(t, err)
		return sm.Store.(keepalive.Store)
	})
}

// A store that has only what a store must have.
func TestWithoutOptionalMethods(t *testing.T) {
	t.Parallel()
	m := newMemory()
	storetest.Run(t, func(*testing.T) keepalive.Store { return struct{ keepalive.Store }{m} })
}

// A store without locks, and two handles to one storage.
func TestSharedStorage(t *testing.T) {
	t.Parallel()
	m := newMemory()
	storetest.Run(t, func(*testing.T) keepalive.Store { return m })
}

// The kit mostly waits, so many run at once on any number of cores.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
