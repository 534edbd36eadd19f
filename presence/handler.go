package presence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// heartbeat is how often a stream without events says that it lives.
	heartbeat = 20 * time.Second
	// maxStream is how long a stream lasts, so that the app's authorization is
	// asked again. Browsers connect anew by themselves.
	maxStream = 10 * time.Minute
	// writeTime is how long a client may take what it is sent.
	writeTime = 30 * time.Second
)

// Handler shows who is online to GET and HEAD; with the query path=… who is on
// that page. It asks nobody who they are: mount it behind the app's authorization.
//
// It answers with JSON, {"online":[…]} of Visitors; or, if the Accept header asks
// for it as an EventSource does, with a stream of text/event-stream: an event
// "online" with the same JSON, then "join", "leave" and "move", each an [Event].
// "online" comes again when the client has missed events, and stands for all that
// was told before. A stream ends with the request's context, when the Tracker is
// closed, or after ten minutes, when a browser comes again and the app can ask who
// that is. It needs a writer that can be flushed.
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
		query := r.URL.Query()
		v := view{path: query.Get("path"), all: !query.Has("path")}
		if wantsStream(r) {
			h.Set("Content-Type", "text/event-stream")
			h.Set("X-Accel-Buffering", "no") // nginx would hold events back
			if r.Method == http.MethodGet {
				t.serve(w, r, v)
			}
			return
		}
		online, err := t.list(r.Context(), v.rows(t))
		if err != nil {
			return // the client has gone
		}
		body, err := v.json(online)
		if err != nil {
			t.log().Error("presence: who is online can't be shown", "error", err)
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // the client has gone, or it is out
	})
}

// view is what a request asks for.
type view struct {
	path string
	all  bool
}

func (v view) rows(t *Tracker) func() []row {
	return func() []row { return t.rows(v.path, v.all) }
}

func (v view) json(online []Visitor) ([]byte, error) {
	return json.Marshal(map[string]any{"online": online})
}

// serve writes streams of events, one after the other as the client misses some.
func (t *Tracker) serve(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := context.WithTimeout(r.Context(), maxStream)
	defer cancel()
	for t.follow(ctx, w, v) {
	}
}

// follow tells whether there is to be another subscription.
func (t *Tracker) follow(ctx context.Context, w http.ResponseWriter, v view) (again bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sub, online, err := t.subscribe(ctx, v.rows(t))
	if err != nil {
		return false
	}
	rc := http.NewResponseController(w)
	send := func(text string) bool {
		_ = rc.SetWriteDeadline(time.Now().Add(writeTime)) // where the writer can
		_, err := fmt.Fprint(w, text)
		return err == nil && rc.Flush() == nil
	}
	message := func(kind Kind, body []byte, err error) string {
		if err != nil {
			t.log().Error("presence: who is online can't be shown", "error", err)
			return ""
		}
		return fmt.Sprintf("event: %s\ndata: %s\n\n", kind, body)
	}
	body, err := v.json(online)
	if text := message("online", body, err); text == "" || !send(text) {
		return false
	}
	for {
		wait, stop := context.WithTimeout(ctx, heartbeat)
		batch, err := sub.next(wait)
		stop()
		var text strings.Builder
		switch {
		case errors.Is(err, errSlow):
			return true
		case ctx.Err() != nil, errors.Is(err, ErrClosed):
			return false
		case err != nil:
			text.WriteString(": still here\n\n")
		}
		for _, e := range batch {
			if v.all || e.Path == v.path || e.Kind == Move && e.From == v.path {
				body, err := json.Marshal(e)
				text.WriteString(message(e.Kind, body, err))
			}
		}
		if text.Len() > 0 && !send(text.String()) {
			return false
		}
	}
}

// wantsStream is what EventSource asks for, by the type and nothing wider.
func wantsStream(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		if kind, params, err := mime.ParseMediaType(part); err == nil && kind == "text/event-stream" {
			q, err := strconv.ParseFloat(params["q"], 64)
			return err != nil || q > 0
		}
	}
	return false
}
