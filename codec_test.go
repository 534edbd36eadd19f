package keepalive_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// ownCodec is an app's codec that writes what scs's does.
type ownCodec struct {
	scs.GobCodec
	decoded int
}

func (c *ownCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	c.decoded++
	return c.GobCodec.Decode(b)
}

// Sessions are decoded without encoding/gob only where scs's codec would decode them.
func TestCodecs(t *testing.T) {
	tests := []struct {
		name  string
		codec scs.Codec
		fast  bool
	}{
		{name: "scs", codec: scs.GobCodec{}, fast: true},
		{name: "pointer", codec: &scs.GobCodec{}, fast: true},
		{name: "own", codec: &ownCodec{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			sm.Codec = tt.codec
			var got error
			sm.ErrorFunc = func(_ http.ResponseWriter, _ *http.Request, err error) { got = err }
			h := newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				require.Equal(t, "ann", sm.GetString(r.Context(), "user"))
			}))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.AddCookie(&http.Cookie{Name: "session", Value: newToken(t, sm)})
			allocs := testing.AllocsPerRun(10, func() { h.ServeHTTP(&apptest.Sink{Headers: make(http.Header)}, r) })
			require.Equal(t, tt.fast, allocs < 100, "%v allocations", allocs)
			if own, ok := tt.codec.(*ownCodec); ok {
				require.NotZero(t, own.decoded)
			}

			require.NoError(t, sm.Store.Commit("broken", []byte("no session"), time.Now().Add(time.Minute)))
			r.Header.Set("Cookie", "session=broken")
			h.ServeHTTP(&apptest.Sink{Headers: make(http.Header)}, r)
			_, _, want := tt.codec.Decode([]byte("no session"))
			require.Error(t, want)
			require.Equal(t, want, got)
		})
	}
}
