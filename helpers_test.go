package keepalive_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// page is what handlers answer that are not apptest.App.
const page = "<!doctype html>\n<html lang=en><head><title>t</title></head><body><p>text</body></html>\n"

// shared is copied by newSessions: scs.New starts a goroutine that never ends,
// which a synctest bubble cannot have.
var shared = scs.New()

// newSessions returns a session manager on an empty memstore without a cleanup
// goroutine, with an idle timeout of 20 minutes and a lifetime of 12 hours.
func newSessions() *scs.SessionManager {
	sm := *shared
	sm.Store = memstore.NewWithCleanupInterval(0)
	sm.IdleTimeout = 20 * time.Minute
	sm.Lifetime = 12 * time.Hour
	return &sm
}

// newManager logs nothing unless cfg has a Logger.
func newManager(t testing.TB, sm *scs.SessionManager, cfg keepalive.Config) *keepalive.Manager {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	km, err := keepalive.New(sm, cfg)
	require.NoError(t, err)
	return km
}

// newClient returns a browser of apptest.App behind LoadAndSave.
func newClient(t testing.TB, sm *scs.SessionManager, cfg keepalive.Config) *apptest.Client {
	return &apptest.Client{Handler: newManager(t, sm, cfg).LoadAndSave(apptest.App(sm))}
}

// newToken signs a user in without HTTP and returns the session token.
func newToken(t testing.TB, sm *scs.SessionManager) string {
	ctx, err := sm.Load(t.Context(), "")
	require.NoError(t, err)
	sm.Put(ctx, "user", "ann")
	token, _, err := sm.Commit(ctx)
	require.NoError(t, err)
	return token
}

// unknownToken has the form of a token, but names no session.
var unknownToken = strings.Repeat("A", 43)

// logTo returns a logger of everything but debugging.
func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// debugTo returns a logger of everything.
func debugTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// sessionEvents passes on what happens to sessions: nothing of pages, and of the calls of
// the store.
func sessionEvents(observer func(keepalive.Event)) func(keepalive.Event) {
	return func(e keepalive.Event) {
		switch e.Kind {
		case keepalive.EventInject, keepalive.EventSkip, keepalive.EventStore:
		default:
			observer(e)
		}
	}
}

// kinds returns the kinds of events.
func kinds(events []keepalive.Event) (kinds []keepalive.EventKind) {
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// body returns the body of a response and closes it.
func body(t testing.TB, res *http.Response) string {
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return string(b)
}

// readTimes returns what a ping answers: how long the session lasts if nothing
// touches it again, and in any case.
func readTimes(t testing.TB, res *http.Response) (idle, lifetime time.Duration) {
	var answer struct{ IdleMs, LifetimeMs int64 }
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	return time.Duration(answer.IdleMs) * time.Millisecond, time.Duration(answer.LifetimeMs) * time.Millisecond
}

var scriptPattern = regexp.MustCompile(`<script src="/keepalive/keepalive\.[\w-]{12}\.js" defer[^>]*></script>`)

// removeScript returns a page without the script, and how many it had.
func removeScript(body string) (rest string, scripts int) {
	return scriptPattern.ReplaceAllString(body, ""), len(scriptPattern.FindAllString(body, -1))
}

// signedInPage returns the page that a user with a session gets.
func signedInPage(t testing.TB, cfg keepalive.Config) string {
	sm := newSessions()
	c := newClient(t, sm, cfg)
	c.Token = newToken(t, sm)
	return body(t, c.Get("/"))
}

// countingStore counts the commits that reach the store below, and fails on
// request.
type countingStore struct {
	scs.Store
	commits atomic.Int64
	err     atomic.Pointer[error]
}

func (s *countingStore) fail(err error) { s.err.Store(&err) }

func (s *countingStore) failure() error {
	if p := s.err.Load(); p != nil {
		return *p
	}
	return nil
}

func (s *countingStore) Find(key string) ([]byte, bool, error) {
	if err := s.failure(); err != nil {
		return nil, false, err
	}
	return s.Store.Find(key)
}

func (s *countingStore) Commit(key string, data []byte, expiry time.Time) error {
	s.commits.Add(1)
	if err := s.failure(); err != nil {
		return err
	}
	return s.Store.Commit(key, data, expiry)
}

func (s *countingStore) Delete(key string) error {
	if err := s.failure(); err != nil {
		return err
	}
	return s.Store.Delete(key)
}

func sha256Base64(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}
