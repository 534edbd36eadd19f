package frameworks_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/coder/websocket"
	gorillasocket "github.com/gorilla/websocket"
	"github.com/seed4a306b22/keepalive"
	"github.com/stretchr/testify/require"
)

// newOldSession returns a session of which half the idle timeout has passed.
func newOldSession(t *testing.T) (sm *scs.SessionManager, token string) {
	sm, token = newSession(t)
	sm.IdleTimeout *= 2
	return sm, token
}

// requireExtended requires that a session lives for the whole idle timeout.
func requireExtended(t *testing.T, sm *scs.SessionManager, token string) {
	t.Helper()
	expiry, found, err := sm.Store.(keepalive.Store).Expiry(t.Context(), token)
	require.NoError(t, err)
	require.True(t, found)
	require.Greater(t, time.Until(expiry), sm.IdleTimeout*3/4)
}

// Each event of a stream arrives while the handler waits for it, as it was
// written, and the stream's start extends the session.
func TestServerSentEvents(t *testing.T) {
	sm, token := newOldSession(t)
	km := newManager(t, sm)
	received := make(chan struct{})
	srv := newServer(t, km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			_, _ = io.WriteString(w, "data: <!doctype html><head>\n\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-received:
			case <-r.Context().Done(): // the test has failed
				return
			}
		}
	})))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	require.NoError(t, err)
	r.AddCookie(&http.Cookie{Name: "session", Value: token})
	r.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body := bufio.NewReader(res.Body)
	for range 3 {
		event, err := body.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "data: <!doctype html><head>\n", event)
		_, err = body.ReadString('\n')
		require.NoError(t, err)
		requireExtended(t, sm, token)
		received <- struct{}{}
	}
	rest, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Empty(t, rest)
}

// Handlers that echo one message of a WebSocket.
var webSockets = []struct {
	name string
	echo http.HandlerFunc
	// sendsHeader tells whether the 101 carries the fields of w.Header().
	sendsHeader bool
}{
	{"coder/websocket", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		kind, message, err := conn.Read(r.Context())
		if err == nil {
			_ = conn.Write(r.Context(), kind, message)
		}
	}, true},
	{"gorilla/websocket", func(w http.ResponseWriter, r *http.Request) {
		var upgrader gorillasocket.Upgrader
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		kind, message, err := conn.ReadMessage()
		if err == nil {
			_ = conn.WriteMessage(kind, message)
		}
	}, false},
}

// An upgrade passes, and the session is saved by the time the client sees the
// 101, while the connection is still open.
func TestWebSockets(t *testing.T) {
	for _, socket := range webSockets {
		t.Run(socket.name, func(t *testing.T) {
			sm, token := newOldSession(t)
			km := newManager(t, sm)
			srv := newServer(t, km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sm.Put(r.Context(), "room", "42")
				socket.echo(w, r)
			})))
			conn, res, err := websocket.Dial(t.Context(), strings.Replace(srv.URL, "http", "ws", 1), &websocket.DialOptions{
				HTTPHeader: http.Header{"Cookie": {"session=" + token}},
			})
			require.NoError(t, err)
			defer conn.CloseNow()
			require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
			require.Equal(t, socket.sendsHeader, res.Header.Get("Set-Cookie") != "")
			ctx, err := sm.Load(t.Context(), token)
			require.NoError(t, err)
			require.Equal(t, "42", sm.GetString(ctx, "room"))
			requireExtended(t, sm, token)

			require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte("<!doctype html><head>")))
			_, message, err := conn.Read(t.Context())
			require.NoError(t, err)
			require.Equal(t, "<!doctype html><head>", string(message))
		})
	}
}
