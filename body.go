package keepalive

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// maxBody bounds what a ping may carry.
	maxBody = 4 << 10
	// bodyTimeout bounds how long its bytes may take. A page sends them at once.
	bodyTimeout = 10 * time.Second
)

// limitBody bounds the wait for a body. Until readForm has read it, net/http must not
// wait for it before it answers, nor take the rest of it for another request.
func limitBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	setReadDeadline(w, time.Now().Add(bodyTimeout))
	if r.ProtoMajor == 1 {
		w.Header()["Connection"] = closed
	}
}

// setReadDeadline does nothing where a writer outside cannot.
func setReadDeadline(w http.ResponseWriter, t time.Time) {
	_ = http.NewResponseController(w).SetReadDeadline(t)
}

// readForm reads what a POST with a session cookie carries. If ok is false it has
// answered, because the request comes from another origin or cannot be read. No
// content type is asked for, so that a beacon passes.
func (e endpoints) readForm(w http.ResponseWriter, r *http.Request) (form url.Values, ok bool) {
	if r.Method != http.MethodPost {
		return nil, true
	}
	if err := e.m.cfg.CrossOrigin.Check(r); err != nil {
		e.refuse(w, r, http.StatusForbidden, ReasonOrigin, err.Error())
		return nil, false
	}
	if r.ContentLength == 0 || e.m.sessions.token(r) == "" {
		return nil, true
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if errors.Is(err, os.ErrDeadlineExceeded) { // whose text has the client's address
		e.refuse(w, r, http.StatusRequestTimeout, ReasonTimeout, http.StatusText(http.StatusRequestTimeout))
		return nil, false
	}
	if err == nil {
		setReadDeadline(w, time.Time{})
		w.Header().Del("Connection")
		form, err = url.ParseQuery(strings.TrimSpace(string(body)))
	}
	if err != nil {
		e.refuse(w, r, http.StatusBadRequest, ReasonBody, err.Error())
	}
	return form, err == nil
}

// inactivity returns how long ago the user's last input was.
func inactivity(form url.Values) (time.Duration, error) {
	if !form.Has("inactive") {
		return 0, nil
	}
	ms, err := strconv.ParseInt(form.Get("inactive"), 10, 64)
	if err != nil {
		return 0, errors.New("inactive must be a whole number of milliseconds")
	}
	// Not in the future, and not so long ago that a duration cannot hold it.
	return time.Duration(min(max(ms, 0), int64(maxInactive/time.Millisecond))) * time.Millisecond, nil
}
