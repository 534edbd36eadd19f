package presence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// heartbeat is the longest silence of a stream, so that proxies keep it open
	// and clients that have gone are noticed.
	heartbeat = 20 * time.Second
	// maxStream is how long a stream lasts. Browsers connect again by themselves,
	// and the app's authorization is asked again.
	maxStream = 10 * time.Minute
	// writeTime is how long a client may take to receive what was written.
	writeTime = 30 * time.Second
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
	online, err := t.list(r.Context(), func() []row { return v.rows(t) })
	if err != nil {
		return // the client has gone
	}
	body, err := encodeOnline(online)
	if err != nil {
		t.logEncoding(err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error means that the client has gone
}

func (t *Tracker) serveStream(w http.ResponseWriter, r *http.Request, v view) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	if r.Method == http.MethodHead {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxStream)
	defer cancel()
	for {
		err := t.streamEvents(ctx, w, v)
		if !errors.Is(err, errSlow) {
			return
		}
	}
}

// streamEvents writes who is online and the events from then on. It returns errSlow
// when the client has missed some.
func (t *Tracker) streamEvents(ctx context.Context, w http.ResponseWriter, v view) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sub, online, err := t.subscribe(ctx, func() []row { return v.rows(t) })
	if err != nil {
		return err
	}
	body, err := encodeOnline(online)
	if err != nil {
		t.logEncoding(err)
		return err
	}
	if err := send(w, message("online", body)); err != nil {
		return err
	}
	for {
		text, err := t.nextMessages(ctx, sub, v)
		if err != nil {
			return err
		}
		if err := send(w, text); err != nil {
			return err
		}
	}
}

// nextMessages waits for events that v shows. It returns a comment if there are
// none for the time of a heartbeat.
func (t *Tracker) nextMessages(ctx context.Context, sub *subscription, v view) (string, error) {
	wait, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	var text strings.Builder
	for text.Len() == 0 {
		batch, err := sub.next(wait)
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return ": still here\n\n", nil
		}
		if err != nil {
			return "", err
		}
		for _, e := range batch {
			if !v.shows(t, e) {
				continue
			}
			body, err := json.Marshal(e)
			if err != nil {
				t.logEncoding(err)
				continue
			}
			text.WriteString(message(string(e.Kind), body))
		}
	}
	return text.String(), nil
}

func (t *Tracker) logEncoding(err error) {
	t.log().Error("presence: who is online can't be encoded", "error", err)
}

// view is the part of all tabs that a request asks for.
type view struct {
	all  bool
	path string
}

func newView(r *http.Request) view {
	query := r.URL.Query()
	return view{all: !query.Has("path"), path: query.Get("path")}
}

func (v view) rows(t *Tracker) []row {
	if v.all {
		return t.allRows()
	}
	return t.pageRows(v.path)
}

// shows reports whether an event is of the view. Away and Back are of all pages that
// the user has open.
func (v view) shows(t *Tracker, e Event) bool {
	switch {
	case v.all:
		return true
	case e.Kind == Away || e.Kind == Back:
		user, _, _ := t.User(t.ctx, e.User) // an error means that the Tracker is closed
		return slices.ContainsFunc(user.Pages, func(p Page) bool { return p.Path == v.path })
	}
	return e.Path == v.path || e.Kind == Move && e.From == v.path
}

func encodeOnline(online []Visitor) ([]byte, error) {
	return json.Marshal(map[string]any{"online": online})
}

// message returns an event of a text/event-stream. JSON has no line breaks.
func message(kind string, body []byte) string {
	return fmt.Sprintf("event: %s\ndata: %s\n\n", kind, body)
}

func send(w http.ResponseWriter, text string) error {
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(writeTime)) // not all writers have it
	if _, err := fmt.Fprint(w, text); err != nil {
		return err
	}
	return rc.Flush()
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
