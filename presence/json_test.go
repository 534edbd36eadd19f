package presence_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/presence"
	"github.com/stretchr/testify/require"
)

// The handler's JSON is that of encoding/json, whatever users are called.
func FuzzJSON(f *testing.F) {
	for _, user := range []string{"ann", `"a\`, "<a&b>", "é\u2028", "\x00\n\x7f", "a\xffb", "\U0001f600"} {
		f.Add(user, user, int64(0))
		f.Add(user, "", int64(10*time.Minute))
	}
	type page struct {
		Path   string    `json:"path"`
		Since  time.Time `json:"since"`
		Seen   time.Time `json:"seen"`
		IdleMs int64     `json:"idleMs,omitempty"`
	}
	type visitor struct {
		User   string          `json:"user"`
		Meta   json.RawMessage `json:"meta,omitempty"`
		Since  time.Time       `json:"since"`
		Seen   time.Time       `json:"seen"`
		Away   bool            `json:"away,omitempty"`
		Pages  []page          `json:"pages"`
		IdleMs int64           `json:"idleMs,omitempty"`
	}
	f.Fuzz(func(t *testing.T, user, name string, idle int64) {
		synctest.Test(t, func(t *testing.T) {
			tracker := newTracker(t, presence.Config{Identify: func(r *http.Request) (string, any) {
				if name == "" {
					return user, nil
				}
				return user, person{Name: name}
			}})
			for _, tab := range []string{"t1", "t2"} {
				tracker.Observe(keepalive.Event{Kind: keepalive.EventHere, Session: "s", Tab: tab, Page: "/" + tab, Idle: time.Duration(idle)})
				time.Sleep(1234567 * time.Nanosecond)
			}
			online, err := tracker.Online(t.Context())
			require.NoError(t, err)
			want := []visitor{}
			for _, v := range online {
				w := visitor{User: v.User, Meta: v.Meta, Since: v.Since, Seen: v.Seen, Away: v.Away, IdleMs: v.Idle.Milliseconds()}
				for _, p := range v.Pages {
					w.Pages = append(w.Pages, page{p.Path, p.Since, p.Seen, p.Idle.Milliseconds()})
				}
				want = append(want, w)
			}
			body, err := json.Marshal(map[string]any{"online": want})
			require.NoError(t, err)
			w := httptest.NewRecorder()
			tracker.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			require.Equal(t, string(body), w.Body.String())
			marshaled, err := json.Marshal(map[string]any{"online": online})
			require.NoError(t, err)
			require.Equal(t, string(body), string(marshaled))
		})
	})
}
