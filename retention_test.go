package keepalive_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// What is remembered of a session must not hold the request's header in memory, of
// which the token is a part.
func TestHeadersAreNotHeldInMemory(t *testing.T) {
	const sessions, size = 200, 100 << 10
	for name, target := range map[string]string{"read": "/", "write": "/put?v=1", "ping": "/keepalive/ping", "renew": "/renew", "logout": "/logout"} {
		t.Run(name, func(t *testing.T) {
			sm := newSessions()
			h := newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))
			method := http.MethodGet
			if name == "ping" {
				method = http.MethodPost
			}
			tokens := make([]string, sessions)
			for i := range tokens {
				tokens[i] = newToken(t, sm)
			}
			before := heap()
			for _, token := range tokens {
				r, err := http.NewRequestWithContext(context.Background(), method, target, nil)
				require.NoError(t, err)
				r.Header.Set("Cookie", strings.Repeat("x", size)+"; session="+token)
				h.ServeHTTP(&apptest.Sink{Headers: make(http.Header)}, r)
			}
			require.Less(t, int64(heap())-int64(before), int64(sessions*size/10))
			runtime.KeepAlive(h)
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
