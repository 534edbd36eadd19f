package presence

import (
	"context"
	"errors"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// heartbeat is the longest silence of a stream, so that proxies keep it open
	// and clients that have gone are noticed.
	heartbeat = 20 * time.Second
	// maxStream is how long a stream lasts at most. Browsers connect again by themselves,
	// and the app's authorization is asked again.
	maxStream = 10 * time.Minute
	// writeTime is how long a client may take to receive what was written, and minRate
	// how many bytes of it get another second.
	writeTime = 30 * time.Second
	minRate   = 64 << 10
)

// Handler answers GET and HEAD with who is online; with the query path=… it answers
// with who is on that page, where path is as for [Tracker.Page]. It does not check
// who asks: mount it behind the app's authorization.
//
// The answer is JSON, {"online":[…]} of Visitors. If the Accept header names
// text/event-stream, as that of an EventSource does, the answer is a stream: an
// event "online" with the same JSON, then "join", "leave", "move", "away" and "back",
// each with an [Event]. A client that has missed events gets "online" again, which stands for
// all events before.
//
// A stream ends with the request's context, when the Tracker is closed, or after
// ten minutes: a browser then comes again, and the app can check who that is. It
// needs a ResponseWriter that can be flushed.
func (t *Tracker) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Accept")
		h.Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		if wantsStream(r) {
			t.serveStream(w, r, newView(r))
		} else {
			t.serveJSON(w, r, newView(r))
		}
	})
}

func (t *Tracker) serveJSON(w http.ResponseWriter, r *http.Request, v view) {
	sub, online, err := t.subscribe(r.Context(), v, true) // to share the snapshot
	if err != nil {
		return // the client has gone
	}
	sub.close()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(online.body)))
	_, _ = w.Write(online.body) // an error means that the client has gone
}

func (t *Tracker) serveStream(w http.ResponseWriter, r *http.Request, v view) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	if r.Method == http.MethodHead {
		return
	}
	// Streams that began together do not end together.
	ctx, cancel := context.WithTimeout(r.Context(), maxStream-rand.N(maxStream/10))
	defer cancel()
	s := stream{t: t, w: w, rc: http.NewResponseController(w), heartbeat: time.NewTimer(heartbeat)}
	defer s.heartbeat.Stop()
	for errors.Is(s.follow(ctx, v), errSlow) {
	}
}

// stream is a text/event-stream to a client.
type stream struct {
	t         *Tracker
	w         http.ResponseWriter
	rc        *http.ResponseController
	heartbeat *time.Timer // runs out when nothing was sent for that time
}

// follow writes who is online and the events from then on. It returns errSlow
// when the client has missed some.
func (s *stream) follow(ctx context.Context, v view) error {
	if s.t.closed() {
		return ErrClosed
	}
	sub, online, err := s.t.subscribe(ctx, v, true)
	if err != nil {
		return err
	}
	defer sub.close()
	err = s.send([]byte("event: online\ndata: "), online.body, []byte("\n\n"))
	for err == nil {
		var b *batch
		b, err = sub.next(ctx, s.heartbeat.C)
		switch {
		case err != nil:
		case b == nil:
			err = s.send([]byte(": still here\n\n"))
		default:
			err = s.send(b.encoded(s.t))
		}
	}
	return err
}

func (s *stream) send(texts ...[]byte) error {
	for _, text := range texts {
		deadline := time.Now().Add(writeTime + time.Duration(len(text)/minRate)*time.Second)
		_ = s.rc.SetWriteDeadline(deadline) // not all writers have it
		if _, err := s.w.Write(text); err != nil {
			return err
		}
	}
	s.heartbeat.Reset(heartbeat)
	return s.rc.Flush()
}

// newView returns what a request asks for.
func newView(r *http.Request) view {
	if query := r.URL.Query(); query.Has("path") {
		return view{onPage, query.Get("path")}
	}
	return view{}
}

// wantsStream reports whether the Accept header names the type that an EventSource
// asks for. A wider range, such as */*, does not count.
func wantsStream(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		if kind, params, err := mime.ParseMediaType(part); err == nil && kind == "text/event-stream" {
			q, err := strconv.ParseFloat(params["q"], 64)
			return err != nil || q > 0
		}
	}
	return false
}
