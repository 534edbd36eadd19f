package keepalive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/seed4a306b22/keepalive/internal/memory"
	"github.com/seed4a306b22/keepalive/internal/wiretest"
	"github.com/stretchr/testify/require"
)

var timingPattern = regexp.MustCompile(`^keepalive;dur=(\d+);desc="(\d+)"$`)

// noTiming is the metric without a value.
const noTiming = "keepalive"

// takeTiming removes Server-Timing from a response, and returns it.
func takeTiming(r *wiretest.Response) string {
	value := strings.Join(r.Header["Server-Timing"], ", ")
	r.Header.Del("Server-Timing")
	r.Raw = strings.Replace(r.Raw, "\r\nServer-Timing: "+value, "", 1)
	return value
}

// readTiming returns what a response says of how long its session lasts: if nothing
// touches it again, and in any case. ok is false if it says nothing.
func readTiming(t testing.TB, h http.Header) (idle, lifetime time.Duration, ok bool) {
	values := h["Server-Timing"]
	if len(values) == 0 {
		return 0, 0, false
	}
	match := timingPattern.FindStringSubmatch(values[0])
	require.Len(t, values, 1)
	require.NotNil(t, match, values[0])
	var ms [2]int
	for i := range ms {
		n, err := strconv.Atoi(match[i+1])
		require.NoError(t, err)
		ms[i] = n
	}
	return time.Duration(ms[0]) * time.Millisecond, time.Duration(ms[1]) * time.Millisecond, true
}

// Responses of a session say how long it lasts if only the page that asked can read
// them.
func TestServerTiming(t *testing.T) {
	const value, bare, none = "value", "bare", "none"
	type action = func(sm *scs.SessionManager, ctx context.Context)
	put := func(sm *scs.SessionManager, ctx context.Context) { sm.Put(ctx, "v", "x") }
	destroy := func(sm *scs.SessionManager, ctx context.Context) { _ = sm.Destroy(ctx) }
	end := func(sm *scs.SessionManager, ctx context.Context) { _ = sm.Store.Delete(sm.Token(ctx)) }
	always := func(*http.Request) bool { return true }
	noPayload := func(context.Context, *http.Request) (any, error) { return nil, nil }
	html := wiretest.RespondHTML(0, page)
	json := func(header ...string) http.HandlerFunc {
		return wiretest.Respond(0, "{}", append([]string{"Content-Type", "application/json"}, header...)...)
	}
	private := json("Cache-Control", "private")
	afterHijack := func(header string, values string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 {
				_, _, err := http.NewResponseController(w).Hijack()
				require.ErrorIs(t, err, http.ErrNotSupported)
			}
			wiretest.RespondHTML(0, page, header, values)(w, r)
		}
	}
	tests := []struct {
		name    string
		cfg     keepalive.Config
		guest   bool   // the request brings no session
		header  string // of the request
		do      action // on the session
		handler http.HandlerFunc
		want    string
		others  []string // what else Server-Timing has
	}{
		{name: "page", handler: html, want: value},
		{name: "page without a type", handler: wiretest.Respond(0, page), want: value},
		{name: "page without a type, after WriteHeader", handler: wiretest.Respond(404, page), want: value},
		{name: "page without a type, in pieces", handler: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, page[:20])
			_, _ = io.WriteString(w, page[20:])
		}, want: value},
		{name: "page, flushed first", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, page)
		}, want: value},
		{name: "fragment", handler: wiretest.RespondHTML(0, "<p>x"), want: value},
		{name: "fragment without a type", handler: wiretest.Respond(0, "<p>x"), want: value},
		{name: "error page", handler: wiretest.RespondHTML(404, page), want: value},
		{name: "page with no-store", handler: wiretest.RespondHTML(0, page, "Cache-Control", "no-store"), want: value},
		{name: "public page", handler: wiretest.RespondHTML(0, page, "Cache-Control", "public, max-age=60"), want: none},
		{name: "page with Expires", handler: wiretest.RespondHTML(0, page, "Expires", "0"), want: none},
		{name: "page that is public after a Hijack that fails", handler: afterHijack("Cache-Control", "public"), want: none},

		{name: "private", handler: private, want: value},
		{name: "no-store", handler: json("Cache-Control", "no-store"), want: value},
		{name: "no-cache", handler: json("Cache-Control", "no-cache"), want: value},
		{name: "upper case, among others", handler: json("Cache-Control", "max-age=0,\tPrivate , must-revalidate"), want: value},
		{name: "in another line", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Cache-Control", "max-age=5")
			w.Header().Add("Cache-Control", "no-store")
		}, want: value},
		{name: "nothing about caching", handler: json(), want: none},
		{name: "nothing about caching, no type", handler: wiretest.Respond(0, "x"), want: none},
		{name: "max-age", handler: json("Cache-Control", "max-age=60"), want: none},
		{name: "s-maxage", handler: json("Cache-Control", "private, s-maxage=60"), want: none},
		{name: "s-maxage in another line", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Cache-Control", "no-cache")
			w.Header().Add("Cache-Control", "S-MaxAge=60")
		}, want: none},
		{name: "public, no-cache", handler: json("Cache-Control", "public, no-cache"), want: none},
		{name: "private fields", handler: json("Cache-Control", `private="Set-Cookie"`), want: none},
		{name: "private as a field", handler: json("Cache-Control", `no-cache="a, private, b"`), want: none},
		{name: "CDN-Cache-Control", handler: json("Cache-Control", "private", "CDN-Cache-Control", "max-age=60"), want: none},
		{name: "page with CDN-Cache-Control", handler: wiretest.RespondHTML(0, page, "CDN-Cache-Control", "max-age=60"), want: none},
		{name: "the field of one cache", handler: json("Cache-Control", "private", "Cloudflare-CDN-Cache-Control", "max-age=60"), want: none},
		{name: "the field of LiteSpeed", handler: json("Cache-Control", "private", "X-LiteSpeed-Cache-Control", "public"), want: none},
		{name: "the field of nginx", handler: json("Cache-Control", "private", "X-Accel-Expires", "60"), want: none},
		{name: "Surrogate-Control", handler: json("Cache-Control", "private", "Surrogate-Control", "max-age=60"), want: none},

		{name: "same-origin", header: "Sec-Fetch-Site: same-origin\r\n", handler: private, want: value},
		{name: "typed by the user", header: "Sec-Fetch-Site: none\r\n", handler: private, want: value},
		{name: "same-site", header: "Sec-Fetch-Site: same-site\r\n", handler: private, want: none},
		{name: "cross-site", header: "Sec-Fetch-Site: cross-site\r\n", handler: html, want: none},

		{name: "begins here", guest: true, do: put, handler: html, want: value},
		{name: "modified", do: put, handler: private, want: value},
		{name: "modified, nothing about caching", do: put, handler: json(), want: none}, // scs says no-cache="Set-Cookie"
		{name: "renewed", do: func(sm *scs.SessionManager, ctx context.Context) { _ = sm.RenewToken(ctx) }, handler: html, want: value},
		{name: "skipped", cfg: keepalive.Config{Skip: always}, handler: html, want: value},
		{name: "no session", guest: true, handler: html, want: none},
		{name: "destroyed", do: destroy, handler: html, want: none},
		{name: "ended meanwhile", do: end, handler: html, want: none},
		{name: "modified, ended meanwhile", do: func(sm *scs.SessionManager, ctx context.Context) {
			put(sm, ctx)
			end(sm, ctx)
		}, handler: html, want: none},
		{name: "pings carry a payload", cfg: keepalive.Config{Payload: noPayload}, handler: html, want: none},
		{name: "stateless", cfg: keepalive.Config{Stateless: always}, handler: private, want: none},
		{name: "passive", cfg: keepalive.Config{Passive: always}, handler: html, want: none},
		{name: "passive, modified", cfg: keepalive.Config{Passive: always}, do: put, handler: html, want: none},
		{name: "passive, with UserActive", cfg: keepalive.Config{Passive: always, Mode: keepalive.UserActive}, handler: html, want: none},

		{name: "204", handler: wiretest.Respond(204, "", "Cache-Control", "no-store"), want: value},
		{name: "206", handler: wiretest.Respond(206, "x", "Cache-Control", "private", "Content-Range", "bytes 0-0/9"), want: value},
		{name: "redirect", handler: wiretest.Respond(303, "", "Cache-Control", "no-store", "Location", "/x"), want: value},
		{name: "early hints", handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			html(w, r)
		}, want: value},

		{name: "304", handler: wiretest.Respond(304, ""), want: bare},
		{name: "304, private", handler: wiretest.Respond(304, "", "Cache-Control", "private"), want: value},
		{name: "304, public", handler: wiretest.Respond(304, "", "Cache-Control", "public"), want: bare},
		{name: "304, passive", cfg: keepalive.Config{Passive: always}, handler: wiretest.Respond(304, "", "Cache-Control", "private"), want: bare},
		{name: "304, pings carry a payload", cfg: keepalive.Config{Payload: noPayload}, handler: wiretest.Respond(304, "", "Cache-Control", "private"), want: bare},
		{name: "304, cross-site", header: "Sec-Fetch-Site: cross-site\r\n", handler: wiretest.Respond(304, "", "Cache-Control", "private"), want: bare},
		{name: "304, destroyed", do: destroy, handler: wiretest.Respond(304, "", "Cache-Control", "private"), want: bare},
		{name: "304, no session", guest: true, handler: wiretest.Respond(304, ""), want: bare},

		{name: "the app's own", handler: json("Cache-Control", "private", "Server-Timing", "db;dur=5"), others: []string{"db;dur=5"}, want: value},
		{name: "the app's own, page", handler: wiretest.RespondHTML(0, page, "Server-Timing", "db;dur=5"), others: []string{"db;dur=5"}, want: value},
		{name: "the app's own, public", handler: json("Cache-Control", "public", "Server-Timing", "db;dur=5"), others: []string{"db;dur=5"}, want: none},
		{name: "the app's own, 304", handler: wiretest.Respond(304, "", "Server-Timing", "db;dur=5"), others: []string{"db;dur=5"}, want: bare},
		{name: "another path", cfg: keepalive.Config{PublicPath: "/app/keepalive/"}, handler: html, want: "app|keepalive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.do != nil {
					tt.do(sm, r.Context())
				}
				tt.handler(w, r)
			})
			km := newManager(t, sm, tt.cfg)
			srv, injected := wiretest.Serve(t, km.LoadAndSave(h)), wiretest.Serve(t, km.Inject(sm.LoadAndSave(h)))
			for _, proto := range wiretest.Protocols {
				for _, method := range []string{"GET", "HEAD"} {
					header := tt.header
					if !tt.guest {
						header += "Cookie: session=" + newToken(t, sm) + "\r\n"
					}
					require.Equal(t, tt.others, injected.Fetch(t, proto, method, "/", header).Header["Server-Timing"], "by Inject alone")
					got := srv.Fetch(t, proto, method, "/", header).Header["Server-Timing"]
					require.GreaterOrEqual(t, len(got), len(tt.others))
					ours := strings.Join(got[len(tt.others):], ", ")
					require.Equal(t, tt.others, append([]string(nil), got[:len(tt.others)]...))
					switch tt.want {
					case value:
						require.Regexp(t, timingPattern, ours, "%s %s", proto, method)
					case bare:
						require.Equal(t, noTiming, ours, "%s %s", proto, method)
					case none:
						require.Empty(t, ours, "%s %s", proto, method)
					default:
						require.Regexp(t, "^"+regexp.QuoteMeta(tt.want)+";dur=", ours)
					}
				}
			}
		})
	}

	t.Run("the app's own, after a Hijack that fails", func(t *testing.T) {
		sm := newSessions()
		srv := wiretest.Serve(t, newManager(t, sm, keepalive.Config{}).LoadAndSave(afterHijack("Server-Timing", "db")))
		got := srv.Fetch(t, "HTTP/2.0", "GET", "/", "Cookie: session="+newToken(t, sm)+"\r\n")
		require.Equal(t, []string{"db"}, got.Header["Server-Timing"])
	})
	t.Run("endpoints", func(t *testing.T) {
		sm := newSessions()
		c := newClient(t, sm, keepalive.Config{NoScript: true})
		c.Token = newToken(t, sm)
		for _, name := range []string{"ping", "frame", "dialog", "keepalive.js", "nothing"} {
			require.NotContains(t, c.Get("/keepalive/"+name).Header, "Server-Timing")
		}
		require.NotContains(t, c.Ping().Header, "Server-Timing")
	})
}

// A 304 for a page with the script is of a response that said private, and so has what
// that would have (RFC 9110 section 15.4.5).
func TestServerTimingOfAPageNotModified(t *testing.T) {
	tests := []struct {
		name, etag string
		modified   time.Time
	}{
		{name: "ETag", etag: `"v1"`},
		{name: "Last-Modified", modified: time.Unix(1e9, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sm := newSessions()
			token := newToken(t, sm)
			srv := wiretest.Serve(t, newManager(t, sm, keepalive.Config{}).LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.etag != "" {
					w.Header().Set("ETag", tt.etag)
				}
				http.ServeContent(w, r, "page.html", tt.modified, strings.NewReader(page))
			})))
			for _, proto := range wiretest.Protocols {
				request := wiretest.ForPage + "Cookie: session=" + token + "\r\n"
				first := srv.Fetch(t, proto, "GET", "/", request)
				require.Equal(t, http.StatusOK, first.Status)
				got := srv.Fetch(t, proto, "GET", "/", request+"If-None-Match: "+first.Header.Get("ETag")+"\r\nIf-Modified-Since: "+first.Header.Get("Last-Modified")+"\r\n")
				require.Equal(t, http.StatusNotModified, got.Status)
				require.Equal(t, first.Header["Cache-Control"], got.Header["Cache-Control"])
				_, _, ok := readTiming(t, got.Header)
				require.True(t, ok)
			}
		})
	}
}

// What a response says of its session is true of the store, whatever other instances
// and other requests have done to it.
func TestServerTimingIsNeverTooLong(t *testing.T) {
	for _, tt := range []struct {
		name      string
		instances int
		shared    bool // the store is one that New wraps in each instance
	}{
		{name: "one instance", instances: 1},
		{name: "two instances", instances: 2},
		{name: "two instances with a wrapped store", instances: 2, shared: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said, silent := 0, 0
			for seed := range uint64(100) {
				synctest.Test(t, func(t *testing.T) {
					random := rand.New(rand.NewPCG(seed, 2))
					inner := &recordingStore{sharedStore: sharedStore{memstore.NewWithCleanupInterval(0)}}
					var store scs.Store = inner
					if !tt.shared {
						store = memory.New(inner, true, readDeadline)
					}
					instances := make([]http.Handler, tt.instances)
					for i := range instances {
						instances[i] = newTimingApp(t, store)
					}
					c := &apptest.Client{Handler: instances[0]}
					c.Get("/login")
					history := "login. "
					for range 60 {
						if random.IntN(3) > 0 {
							time.Sleep(time.Duration(random.Int64N(int64(3 * time.Minute))))
						}
						i := random.IntN(tt.instances)
						c.Handler = instances[i]
						method, target, form := http.MethodGet, "/", ""
						switch random.IntN(9) {
						case 0:
							target = "/put?v=" + strconv.Itoa(random.Int())
						case 1:
							target = "/idle?minutes=" + strconv.Itoa(4+random.IntN(40))
						case 2:
							target = "/deadline?minutes=" + strconv.Itoa(2+random.IntN(90))
						case 3:
							method, target, form = http.MethodPost, "/keepalive/ping", fmt.Sprintf("inactive=%d", random.IntN(1_500_000))
						case 4:
							target = []string{"/?passive", "/put?passive&v=x", "/idle?passive&minutes=4"}[random.IntN(3)]
						case 5:
							target = "/renew"
						}
						history += fmt.Sprintf("%v: %d %s %s. ", time.Now().Format("15:04:05"), i, target, form)
						res := c.Do(method, target, context.Background(), form)
						idle, lifetime, ok := readTiming(t, res.Header)
						switch {
						case ok:
							said++
							require.LessOrEqual(t, idle, time.Until(inner.expiry[c.Token]), "seed %d: %s", seed, history)
							deadline, _, _ := apptest.Stored(t, &scs.SessionManager{Store: inner, Codec: scs.GobCodec{}}, c.Token)
							require.LessOrEqual(t, lifetime, time.Until(deadline))
							if tt.instances == 1 && !strings.Contains(history, "idle?passive") { // a shorter one is for the next save
								require.Greater(t, idle, time.Until(inner.expiry[c.Token])-time.Millisecond, "seed %d: %s", seed, history)
							}
						case form != "", strings.Contains(target, "passive"):
						case strings.Contains(body(t, res), "<script"):
							silent++
						default:
							return // it has ended
						}
					}
				})
			}
			t.Log(said, "responses said how long,", silent, "did not")
			require.Greater(t, said, 1000)
			require.True(t, silent == 0 || tt.instances > 1, "one instance always knows")
		})
	}
}

func readDeadline(data []byte) (time.Time, error) {
	deadline, _, err := scs.GobCodec{}.Decode(data)
	return deadline, err
}

// recordingStore notes the expiry of each session that is written.
type recordingStore struct {
	sharedStore
	expiry map[string]time.Time
}

func (s *recordingStore) Commit(key string, data []byte, expiry time.Time) error {
	if s.expiry == nil {
		s.expiry = make(map[string]time.Time)
	}
	s.expiry[key] = expiry
	return s.sharedStore.Commit(key, data, expiry)
}

// newTimingApp is apptest.App where requests can choose the idle timeout and the
// deadline of their session, or be passive.
func newTimingApp(t *testing.T, store scs.Store) http.Handler {
	sm := newSessions()
	sm.Store = store
	km := newManager(t, sm, keepalive.Config{
		Passive:     func(r *http.Request) bool { return strings.Contains(r.URL.RawQuery, "passive") },
		IdleTimeout: func(ctx context.Context) time.Duration { return time.Duration(sm.GetInt(ctx, "idle")) * time.Minute },
	})
	app := apptest.App(sm)
	minutes := func(r *http.Request) int {
		n, _ := strconv.Atoi(r.URL.Query().Get("minutes"))
		return n
	}
	return km.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/idle":
			sm.Put(r.Context(), "idle", minutes(r))
		case "/deadline":
			sm.SetDeadline(r.Context(), time.Now().Add(time.Duration(minutes(r))*time.Minute))
		default:
			app.ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, page)
	}))
}

// While a touch is under way, and after one that failed, nobody says what it would have
// gained.
func TestServerTimingWhileATouchIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{Store: memory.New(memstore.NewWithCleanupInterval(0), true, readDeadline).(keepalive.Store)}
		sm := newSessions()
		sm.Store = store
		c := &apptest.Client{Handler: newManager(t, sm, keepalive.Config{}).LoadAndSave(apptest.App(sm))}
		c.Get("/login")
		time.Sleep(15 * time.Minute)

		store.delay, store.err = 30*time.Second, errors.New("broken")
		failing := make(chan *http.Response)
		go func() { failing <- (&apptest.Client{Handler: c.Handler, Token: c.Token}).Get("/") }()
		synctest.Wait()
		idle, _, ok := readTiming(t, c.Get("/").Header)
		require.True(t, ok)
		require.Equal(t, 5*time.Minute, idle, "what is certain")
		_, _, ok = readTiming(t, (<-failing).Header)
		require.False(t, ok)

		store.delay, store.err = 0, nil
		idle, _, ok = readTiming(t, c.Get("/").Header)
		require.True(t, ok)
		require.Equal(t, 20*time.Minute, idle)
	})
}

// slowStore is a store whose Touch takes time, and may fail.
type slowStore struct {
	keepalive.Store
	delay time.Duration
	err   error
}

func (s *slowStore) Touch(ctx context.Context, key string, idle time.Duration, deadline func([]byte) (time.Time, error)) (time.Time, bool, error) {
	delay, err := s.delay, s.err
	time.Sleep(delay)
	if err != nil {
		return time.Time{}, false, err
	}
	return s.Store.Touch(ctx, key, idle, deadline)
}

// A session that another instance has given a shorter idle timeout is extended in
// time, whatever this one remembers of it.
func TestTouchAfterAShorterIdleTimeoutElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New(memstore.NewWithCleanupInterval(0), true, readDeadline)
		one, two := newTimingApp(t, store), newTimingApp(t, store)
		c := &apptest.Client{Handler: one}
		c.Get("/login")
		c.Get("/idle?minutes=60")
		c.Handler = two
		c.Get("/idle?minutes=5")
		c.Handler = one
		for range 10 {
			time.Sleep(3 * time.Minute)
			require.Contains(t, body(t, c.Get("/")), "<script")
		}
	})
}
