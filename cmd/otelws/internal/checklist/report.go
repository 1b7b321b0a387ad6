// Package checklist holds the metrics of a WebSocket server against the operational
// checklist: are the expected series there, do they add up, can they grow
// without bound.
package checklist

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Status is the outcome of an item. The worse, the higher.
type Status int

const (
	Skipped Status = iota // could not be told from what was given
	OK
	Warning
	Failed
)

var statusNames = [...]string{"skipped", "ok", "warning", "failed"}

func (s Status) String() string { return statusNames[s] }

// MarshalText returns the status as String does.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Report is the outcome of all items. Its JSON form is stable: members may be
// added, and those there are keep their names and meaning.
type Report struct {
	Target string `json:"target"` // without a password
	Status Status `json:"status"` // the worst of the items
	Series int    `json:"series"` // in the last scrape
	Items  []Item `json:"items"`
}

// Item is one item of the checklist.
type Item struct {
	Name   string `json:"name"` // one of Names
	Status Status `json:"status"`
	// Summary says what was found well, or why the item was skipped.
	Summary  string    `json:"summary,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is one thing that is wrong.
type Finding struct {
	Status Status   `json:"status"`
	Series []string `json:"metrics,omitempty"` // the metrics' names
	Why    string   `json:"why"`
	Advice string   `json:"advice"`
}

func (i *Item) add(s Status, why, advice string, metrics ...string) {
	i.Findings = append(i.Findings, Finding{s, metrics, why, advice})
	i.Status = max(i.Status, s)
}

func (i *Item) ok(format string, args ...any) {
	i.Status = max(i.Status, OK)
	i.Summary = fmt.Sprintf(format, args...)
}

func (i *Item) skip(why string) { i.Summary = why }

// WriteJSON writes the report as a JSON document.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

var colours = [...]string{Skipped: "2", OK: "32", Warning: "33", Failed: "31"}

// WriteText writes a line for each finding, and for each item without one.
func (r *Report) WriteText(w io.Writer, colour bool) error {
	var b strings.Builder
	line := func(s Status, item, text string) {
		status := fmt.Sprintf("%-7s", s)
		if colour {
			status = "\x1b[" + colours[s] + "m" + status + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s  %-12s  %s\n", status, item, printable(text))
	}
	var counts [len(statusNames)]int
	for _, i := range r.Items {
		counts[i.Status]++
		if len(i.Findings) == 0 {
			line(i.Status, i.Name, i.Summary)
		}
		for _, f := range i.Findings {
			line(f.Status, i.Name, f.Why+". "+f.Advice+".")
		}
	}
	fmt.Fprintf(&b, "\n%s: %d failed, %s, %d ok, %d skipped\n",
		printable(r.Target), counts[Failed], several(counts[Warning], "warning"), counts[OK], counts[Skipped])
	_, err := io.WriteString(w, b.String())
	return err
}

func several(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}

// printable keeps what a scrape says from moving the cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
