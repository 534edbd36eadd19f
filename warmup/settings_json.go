package warmup

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// MarshalJSON writes durations as strings and leaves out zero values.
func (s Settings) MarshalJSON() ([]byte, error) {
	return json.Marshal(newSettingsJSON(&s))
}

// UnmarshalJSON reads what MarshalJSON writes. A field without a name in the JSON
// keeps its value, and an unknown name is an error. It does not check values: New
// and Reload do.
func (s *Settings) UnmarshalJSON(b []byte) error {
	v := newSettingsJSON(s)
	return decodeStrict(b, &v)
}

// settingsFields has the fields of Settings and not its methods.
type settingsFields Settings

// settingsJSON is the JSON form of a Settings, whose fields it points to. Its
// durations hide those of settingsFields, which have the same names in JSON.
type settingsJSON struct {
	*settingsFields
	Interval       *jsonDuration `json:"interval,omitzero"`
	Jitter         *jsonDuration `json:"jitter,omitzero"`
	RequestTimeout *jsonDuration `json:"requestTimeout,omitzero"`
	RunTimeout     *jsonDuration `json:"runTimeout,omitzero"`
	ReadyTimeout   *jsonDuration `json:"readyTimeout,omitzero"`
	HistoryAge     *jsonDuration `json:"historyAge,omitzero"`
}

func newSettingsJSON(s *Settings) settingsJSON {
	return settingsJSON{
		settingsFields: (*settingsFields)(s),
		Interval:       (*jsonDuration)(&s.Interval),
		Jitter:         (*jsonDuration)(&s.Jitter),
		RequestTimeout: (*jsonDuration)(&s.RequestTimeout),
		RunTimeout:     (*jsonDuration)(&s.RunTimeout),
		ReadyTimeout:   (*jsonDuration)(&s.ReadyTimeout),
		HistoryAge:     (*jsonDuration)(&s.HistoryAge),
	}
}

// jsonDuration is a duration that is a string such as "30s" in JSON.
type jsonDuration time.Duration

// IsZero makes omitzero go by the duration rather than by the pointer.
func (d jsonDuration) IsZero() bool { return d == 0 }

func (d jsonDuration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

func (d *jsonDuration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf(`%s is no duration; write a string such as "30s"`, b)
	}
	v, err := time.ParseDuration(s)
	*d = jsonDuration(v)
	return err
}

// UnmarshalJSON reads an object, or a string that is the URL. An unknown name is an
// error.
func (t *Target) UnmarshalJSON(b []byte) error {
	*t = Target{} // encoding/json reuses the elements of the slice it decodes into
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &t.URL)
	}
	type targetFields Target // without this method
	return decodeStrict(b, (*targetFields)(t))
}

// decodeStrict is json.Unmarshal, but a name that v does not have is an error.
func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
