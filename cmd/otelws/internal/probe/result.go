package probe

import (
	"encoding/json"
	"io"
)

// Result is the result of a run. Its JSON form is stable: members keep their names
// and meanings, and later versions may add members. Times are in seconds.
type Result struct {
	URL         string  `json:"url"`
	Max         float64 `json:"max_seconds"`
	Every       float64 `json:"every_seconds"`
	Interrupted bool    `json:"interrupted"`
	Seconds     float64 `json:"seconds"`

	// Late is the greatest lateness of this machine's timers. All times may be wrong
	// by this much.
	Late float64 `json:"late_seconds"`

	Limits    []*Limit   `json:"limits"`
	Heartbeat *Heartbeat `json:"heartbeat"` // nil if none is needed, or none helps
	// Outlived and Reached are the longest silence and the greatest age that did not
	// end a connection.
	Outlived float64 `json:"outlived_silence_seconds"`
	Reached  float64 `json:"reached_age_seconds"`

	Answers   bool      `json:"answers_pings"`
	Unasked   int       `json:"unasked"`   // number of times that the server sent data on silent connections
	Disturbed int       `json:"disturbed"` // connections that an event ended, not a limit
	Notes     []string  `json:"notes"`
	Outcomes  []Outcome `json:"connections"`
}

// Heartbeat is the traffic that keeps connections open.
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
