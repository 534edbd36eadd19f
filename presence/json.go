package presence

import (
	"encoding/json"
	"strconv"
	"time"
)

// MarshalJSON encodes Idle as idleMs, in milliseconds like all times of keepalive, and
// leaves it out where it is unknown.
func (v Visitor) MarshalJSON() ([]byte, error) { return v.appendJSON(nil), nil }

// MarshalJSON encodes Idle as Visitor does.
func (p Page) MarshalJSON() ([]byte, error) { return p.appendJSON(nil), nil }

// MarshalJSON encodes Idle as Visitor does.
func (e Event) MarshalJSON() ([]byte, error) {
	type fields Event
	return json.Marshal(struct {
		fields
		IdleMs int64 `json:"idleMs,omitempty"`
	}{fields(e), e.Idle.Milliseconds()})
}

// encodeOnline takes a tenth of the time of encoding/json, which checks and copies what
// each MarshalJSON returns.
func encodeOnline(online []Visitor) []byte {
	b := append(make([]byte, 0, 256*len(online)), `{"online":[`...)
	for i, v := range online {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.appendJSON(b)
	}
	return append(b, "]}"...)
}

func (v Visitor) appendJSON(b []byte) []byte {
	b = appendString(append(b, `{"user":`...), v.User)
	if len(v.Meta) > 0 {
		b = append(append(b, `,"meta":`...), v.Meta...)
	}
	b = appendStamp(append(b, `,"since":`...), v.Since)
	b = appendStamp(append(b, `,"seen":`...), v.Seen)
	if v.Away {
		b = append(b, `,"away":true`...)
	}
	b = append(b, `,"pages":[`...)
	for i, p := range v.Pages {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.appendJSON(b)
	}
	return appendIdle(append(b, ']'), v.Idle)
}

func (p Page) appendJSON(b []byte) []byte {
	b = appendString(append(b, `{"path":`...), p.Path)
	b = appendStamp(append(b, `,"since":`...), p.Since)
	b = appendStamp(append(b, `,"seen":`...), p.Seen)
	return appendIdle(b, p.Idle)
}

// appendIdle ends an object.
func appendIdle(b []byte, idle time.Duration) []byte {
	if ms := idle.Milliseconds(); ms != 0 {
		b = strconv.AppendInt(append(b, `,"idleMs":`...), ms, 10)
	}
	return append(b, '}')
}

func appendStamp(b []byte, at time.Time) []byte {
	return append(at.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

func appendString(b []byte, s string) []byte {
	for _, c := range []byte(s) {
		switch {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			quoted, _ := json.Marshal(s) // never fails
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
