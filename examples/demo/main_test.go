package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	neturl "net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/stretchr/testify/require"
)

// newVisitor copies these: scs.New starts a goroutine that never ends, which must
// not happen inside a synctest bubble. There are two because each has its own
// context key.
var sharedWith, sharedWithout = scs.New(), scs.New()

var origin = &neturl.URL{Scheme: "http", Host: "localhost", Path: "/"}

// visitor is a browser without scripts.
type visitor struct {
	t       *testing.T
	handler http.Handler
	jar     *cookiejar.Jar
}

func newVisitor(t *testing.T) *visitor {
	with, without := *sharedWith, *sharedWithout
	with.Store, without.Store = memstore.NewWithCleanupInterval(0), memstore.NewWithCleanupInterval(0)
	handler, err := newHandler(&with, &without, options{idle: 20 * time.Second, lifetime: 3 * time.Minute})
	require.NoError(t, err)
	return (&visitor{t: t, handler: handler}).another()
}

// another returns a visitor of the same app who has no cookies yet.
func (v *visitor) another() *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(v.t, err)
	return &visitor{t: v.t, handler: v.handler, jar: jar}
}

func (v *visitor) do(method, path string, form neturl.Values, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	for _, c := range v.jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	v.handler.ServeHTTP(w, r)
	v.jar.SetCookies(r.URL, w.Result().Cookies())
	return w
}

func (v *visitor) get(path string) *httptest.ResponseRecorder { return v.do("GET", path, nil) }

func (v *visitor) signIn() {
	w := v.do("POST", "/sign-in", neturl.Values{"name": {"Ann <b>"}})
	require.Equal(v.t, http.StatusSeeOther, w.Code)
	require.Equal(v.t, "/with/", w.Header().Get("Location"))
}

func (v *visitor) send(side string) *httptest.ResponseRecorder {
	return v.do("POST", "/"+side+"/", neturl.Values{"story": {"It was gone."}})
}

func (v *visitor) timeline() (got struct{ With, Without *lane }) {
	w := v.get("/timeline")
	require.Equal(v.t, http.StatusOK, w.Code)
	require.NoError(v.t, json.Unmarshal(w.Body.Bytes(), &got))
	return got
}

func TestSignIn(t *testing.T) {
	v := newVisitor(t)
	require.Contains(t, v.get("/").Body.String(), "<h1>Sign in</h1>")
	for _, side := range []string{"with", "without"} {
		require.Equal(t, "/?next="+side, v.get("/"+side+"/").Header().Get("Location"))
	}
	for _, name := range []string{"", "  ", strings.Repeat("x", maxName+1)} {
		w := v.do("POST", "/sign-in", neturl.Values{"name": {name}, "next": {"without"}})
		require.Equal(t, http.StatusUnprocessableEntity, w.Code)
		require.Contains(t, w.Body.String(), `aria-invalid="true"`)
		require.Contains(t, w.Body.String(), `name="next" value="without"`)
		require.Empty(t, w.Result().Cookies())
	}
	v.signIn()
	require.Contains(t, v.get("/with/").Body.String(), "Ann &lt;b&gt;")
	require.Contains(t, v.get("/without/").Body.String(), "Ann &lt;b&gt;")
	require.Equal(t, "/with/", v.get("/").Header().Get("Location"))

	w := v.do("POST", "/sign-in", neturl.Values{"name": {"Ann"}, "next": {"without"}})
	require.Equal(t, "/without/", w.Header().Get("Location"))
	w = v.do("POST", "/sign-in", neturl.Values{"name": {"Ann"}, "next": {"/evil.example"}})
	require.Equal(t, "/with/", w.Header().Get("Location"))
}

func TestSignInRenewsTokens(t *testing.T) {
	v := newVisitor(t)
	v.signIn()
	stolen := v.another()
	stolen.jar.SetCookies(origin, v.jar.Cookies(origin))
	v.signIn()
	require.Equal(t, http.StatusOK, v.get("/with/").Code)
	require.Equal(t, http.StatusSeeOther, stolen.get("/with/").Code)
	require.Equal(t, http.StatusSeeOther, stolen.get("/without/").Code)
}

func TestSignOut(t *testing.T) {
	v := newVisitor(t)
	v.signIn()
	require.Equal(t, http.StatusMethodNotAllowed, v.get("/sign-out").Code)
	require.Equal(t, http.StatusForbidden, v.do("POST", "/sign-out", nil, "Sec-Fetch-Site", "cross-site").Code)
	require.Equal(t, http.StatusOK, v.get("/with/").Code)

	require.Equal(t, "/", v.do("POST", "/sign-out", nil).Header().Get("Location"))
	require.Empty(t, v.jar.Cookies(origin))
	require.Equal(t, http.StatusSeeOther, v.get("/with/").Code)
	require.Equal(t, http.StatusSeeOther, v.get("/without/").Code)
	require.Equal(t, http.StatusNoContent, v.get("/timeline").Code)
}

func TestScript(t *testing.T) {
	v := newVisitor(t)
	require.NotContains(t, v.get("/").Body.String(), "/keepalive/keepalive.", "there is no session yet")
	v.signIn()
	require.Contains(t, v.get("/with/").Body.String(), `<head><script src="/with/keepalive/keepalive.`)
	require.NotContains(t, v.get("/without/").Body.String(), "/keepalive/keepalive.")
	for _, path := range []string{"/", "/with/", "/without/", "/timeline", "/static/demo.js", "/none"} {
		require.Equal(t, policy, v.get(path).Header().Get("Content-Security-Policy"), path)
	}
}

func TestForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t)
		v.signIn()
		for range 9 {
			time.Sleep(10 * time.Second)
			require.Equal(t, http.StatusOK, v.do("POST", "/with/keepalive/ping", nil).Code)
		}
		require.Equal(t, "/with/", v.send("with").Header().Get("Location"))
		require.Contains(t, v.get("/with/").Body.String(),
			"Your claim of 3 words has arrived, 1\u00a0min 30\u00a0s after you signed in. "+
				"Without keepalive you would have been signed out after 20\u00a0s.")
		require.NotContains(t, v.get("/with/").Body.String(), "has arrived", "the message is shown once")

		// The session of the other page has ended meanwhile.
		require.Equal(t, "/?next=without", v.get("/without/").Header().Get("Location"))
		require.Contains(t, v.get("/?next=without").Body.String(), "You are signed out")
		w := v.send("without")
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.Contains(t, w.Body.String(), "You were signed out")
		require.Contains(t, w.Body.String(), "Your claim of 3 words has not been saved")
	})
}

func TestPingsDoNotOutliveTheLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t)
		v.signIn()
		for range 17 {
			time.Sleep(10 * time.Second)
			require.Equal(t, http.StatusOK, v.do("POST", "/with/keepalive/ping", nil).Code)
		}
		time.Sleep(10 * time.Second)
		require.Equal(t, http.StatusUnauthorized, v.do("POST", "/with/keepalive/ping", nil).Code)
		require.Equal(t, http.StatusUnauthorized, v.send("with").Code)
	})
}

func TestTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t)
		require.Equal(t, http.StatusNoContent, v.get("/timeline").Code)
		start := time.Now()
		v.signIn()
		v.another().signIn()

		time.Sleep(10 * time.Second)
		v.do("POST", "/with/keepalive/ping", nil)
		time.Sleep(5 * time.Second)
		v.get("/without/")

		ms := func(d time.Duration) int64 { return start.Add(d).UnixMilli() }
		got := v.timeline()
		require.Equal(t, &lane{Start: ms(0), Deadline: ms(3 * time.Minute), Marks: []mark{
			{At: ms(0), Kind: "save", Expiry: ms(20 * time.Second)},
			{At: ms(10 * time.Second), Kind: "ping", Expiry: ms(30 * time.Second)},
		}}, got.With)
		require.Equal(t, &lane{Start: ms(0), Deadline: ms(3 * time.Minute), Marks: []mark{
			{At: ms(0), Kind: "save", Expiry: ms(20 * time.Second)},
			{At: ms(15 * time.Second), Kind: "touch", Expiry: ms(35 * time.Second)},
		}}, got.Without)
	})
}

func TestTimelineExtendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t)
		v.signIn()
		for range 19 {
			time.Sleep(time.Second)
			require.Len(t, v.timeline().With.Marks, 1)
		}
		time.Sleep(time.Second + 1) // memstore still returns a session in the nanosecond in which it expires
		require.Len(t, v.timeline().With.Marks, 1)
		require.Equal(t, http.StatusUnauthorized, v.send("with").Code)
	})
}

// A page that was hidden until the end shows how the sessions ended, to nobody else.
func TestTimelineAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t)
		v.signIn()
		time.Sleep(10 * time.Second)
		v.do("POST", "/with/keepalive/ping", nil)
		time.Sleep(keepTimeline)
		other := v.another()
		require.Equal(t, http.StatusNoContent, other.get("/timeline").Code)
		other.signIn() // old timelines are removed then
		require.Len(t, other.timeline().With.Marks, 1)

		ended := v.timeline()
		require.Len(t, ended.With.Marks, 2)
		require.Len(t, ended.Without.Marks, 1)

		v.signIn()
		require.Len(t, v.timeline().With.Marks, 1, "the next visit has its own")
	})
}

func TestTimelineCookie(t *testing.T) {
	v := newVisitor(t)
	v.signIn()
	w := v.do("POST", "/sign-in", neturl.Values{"name": {"Ann"}})
	var found int
	for _, c := range w.Result().Cookies() {
		if c.Name == timelineCookie {
			found++
			require.True(t, c.HttpOnly)
			require.Equal(t, http.SameSiteStrictMode, c.SameSite)
		}
	}
	require.Equal(t, 1, found)

	copied := v.another()
	copied.jar.SetCookies(origin, v.jar.Cookies(origin))
	require.Equal(t, http.StatusOK, copied.get("/timeline").Code)
	v.do("POST", "/sign-out", nil)
	require.Equal(t, http.StatusNoContent, copied.get("/timeline").Code, "it is removed with the sign-out")
}

func TestOldTimelinesAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := newTimelines(time.Minute)
		tl.add()
		time.Sleep(time.Minute + keepTimeline)
		tl.add()
		require.Len(t, tl.visits, 2)
		time.Sleep(time.Second)
		tl.add()
		require.Len(t, tl.visits, 2)
	})
}

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want options
		errs []string
	}{
		{name: "defaults", want: options{defaultAddr, 30 * time.Second, 3 * time.Minute}},
		{name: "all", args: []string{"-addr", ":0", "-idle", "5s", "-lifetime", "10s"}, want: options{":0", 5 * time.Second, 10 * time.Second}},
		{name: "short", args: []string{"-idle", "4s"}, errs: []string{"-idle is 4s; write at least 5s"}},
		{name: "lifetime", args: []string{"-idle", "2m"}, errs: []string{"-lifetime is 3m0s; write at least twice the idle timeout, 4m0s"}},
		{name: "every problem", args: []string{"-idle", "0", "-lifetime", "-1s", "-addr", "8080", "go"}, errs: []string{
			`"go" is not a flag`, `-addr is "8080"`, "-idle is 0s", "-lifetime is -1s",
		}},
		{name: "unknown", args: []string{"-port", "1"}, errs: []string{"-port"}},
		{name: "no duration", args: []string{"-idle", "20"}, errs: []string{`"20"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(tt.args, io.Discard)
			if tt.errs == nil {
				require.NoError(t, err)
				require.Equal(t, tt.want, got)
			}
			for _, text := range tt.errs {
				require.ErrorContains(t, err, text)
			}
		})
	}

	var usage bytes.Buffer
	_, err := parse([]string{"-h"}, &usage)
	require.True(t, errors.Is(err, flag.ErrHelp))
	require.Contains(t, usage.String(), "-lifetime")
}

func TestRun(t *testing.T) {
	opt := options{addr: "127.0.0.1:0", idle: minIdle, lifetime: time.Minute}
	ctx, stop := context.WithCancel(t.Context())
	stdout, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, opt, out) }()
	line := make([]byte, 200)
	n, err := stdout.Read(line)
	require.NoError(t, err)
	link, _, _ := strings.Cut(strings.TrimPrefix(string(line[:n]), "Open "), ": ")
	resp, err := http.Get(link)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	stop()
	require.NoError(t, <-done)

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, ln.Close()) }()
	opt.addr = ln.Addr().String()
	require.ErrorContains(t, run(t.Context(), opt, io.Discard), "in use")
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0\u00a0s", 20 * time.Second: "20\u00a0s", 3 * time.Minute: "3\u00a0min", 59600 * time.Millisecond: "1\u00a0min", 108 * time.Second: "1\u00a0min 48\u00a0s",
	} {
		require.Equal(t, want, span(d))
	}
}
