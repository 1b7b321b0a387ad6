// Package checklist checks the metrics of a WebSocket server: are the expected
// series there, do they add up, can they grow without bound?
package checklist

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Status is the outcome of an item. A worse one is higher.
type Status int

const (
	Skipped Status = iota // the sources do not tell
	OK
	Warning
	Failed
)

var statusNames = [...]string{"skipped", "ok", "warning", "failed"}

func (s Status) String() string { return statusNames[s] }

// MarshalText returns the status as String does.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Report is the outcome of all items. Its JSON form is stable: members keep their
// names and meaning, and new ones may come.
type Report struct {
	Target string `json:"target"` // without a password
	Status Status `json:"status"` // the worst of the items
	Series int    `json:"series"` // in the last scrape
	Items  []Item `json:"items"`
}

// Item is one item of the checklist.
type Item struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Summary describes an item that is ok, or says why the item was skipped.
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

// ok describes an item that has no finding.
func (i *Item) ok(format string, args ...any) {
	if len(i.Findings) == 0 {
		i.Status, i.Summary = OK, fmt.Sprintf(format, args...)
	}
}

// skip says why an item without a finding could not be told.
func (i *Item) skip(why string) {
	if len(i.Findings) == 0 {
		i.Summary = why
	}
}

// WriteJSON writes the report as a JSON document.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

var colours = [...]string{Skipped: "2", OK: "32", Warning: "33", Failed: "31"}

const (
	statusWidth = 9  // columns of a line for its status
	itemWidth   = 14 // and for the name of its item
)

// WriteText writes each finding, and the summary of each item without one, as a
// paragraph of that width.
func (r *Report) WriteText(w io.Writer, colour bool, width int) error {
	var b strings.Builder
	var counts [len(statusNames)]int
	paragraph := func(s Status, item, text string) {
		counts[s]++
		status := fmt.Sprintf("%-*s", statusWidth, s)
		if colour {
			status = "\x1b[" + colours[s] + "m" + status + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s%-*s", status, itemWidth, item)
		const indent = statusWidth + itemWidth
		for n, line := range wrap(printable(text), max(width-indent, 30)) {
			if n > 0 {
				b.WriteString(strings.Repeat(" ", indent))
			}
			b.WriteString(line + "\n")
		}
	}
	for _, i := range r.Items {
		if len(i.Findings) == 0 {
			paragraph(i.Status, i.Name, i.Summary)
		}
		for _, f := range i.Findings {
			paragraph(f.Status, i.Name, f.Why+". "+f.Advice+".")
		}
	}
	fmt.Fprintf(&b, "\n%s: %d failed, %s, %d ok, %d skipped\n",
		printable(r.Target), counts[Failed], several(counts[Warning], "warning"), counts[OK], counts[Skipped])
	_, err := io.WriteString(w, b.String())
	return err
}

// wrap breaks text into lines at spaces. A word that is too long has a line of
// its own.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		switch last := &lines[len(lines)-1]; {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// several is a number with its noun.
func several(n int, of string) string {
	if n != 1 && !strings.HasSuffix(of, "s") {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}

// printable removes control characters, since a scrape may hold anything.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
