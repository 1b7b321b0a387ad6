package probe

import (
	"encoding/json"
	"io"
)

// Result is the outcome of a run. Its JSON form is stable: members keep their names
// and meaning, and new ones may come. Times are in seconds.
type Result struct {
	URL         string  `json:"url"`
	Max         float64 `json:"max_seconds"`
	Every       float64 `json:"every_seconds"`
	Interrupted bool    `json:"interrupted"`
	Seconds     float64 `json:"seconds"`

	// Late is how late the timers of this machine were at worst. All times are as
	// uncertain.
	Late float64 `json:"late_seconds"`

	Limits    []*Limit   `json:"limits"`
	Heartbeat *Heartbeat `json:"heartbeat"` // nil where none is needed, or none helps
	// Outlived and Reached are the longest silence and the greatest age up to which
	// connections were seen to live.
	Outlived float64 `json:"outlived_silence_seconds"`
	Reached  float64 `json:"reached_age_seconds"`

	Answers   bool      `json:"answers_pings"`
	Unasked   int       `json:"unasked"`   // times that the server sent on silent connections
	Disturbed int       `json:"disturbed"` // connections that ended by an event, and show no limit
	Notes     []string  `json:"notes"`
	Outcomes  []Outcome `json:"connections"`
}

// Heartbeat is the traffic that keeps a connection.
type Heartbeat struct {
	Seconds float64 `json:"seconds"`
	Of      Kind    `json:"of"` // Ping or Message
	Otelws  string  `json:"otelws,omitempty"`
	Proxy   string  `json:"proxy,omitempty"`
}

// WriteJSON writes the result as a JSON document.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
