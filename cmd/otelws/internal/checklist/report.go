// Package checklist checks the metrics of a WebSocket server: whether the expected
// series exist, are consistent, and have bounded labels.
package checklist

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/otelws/otelws-go/cmd/otelws/internal/plain"
)

// Status is the outcome of an item. A worse outcome has a greater value.
type Status int

const (
	Skipped Status = iota // the sources do not have enough data
	OK
	Warning
	Failed
)

var statusNames = [...]string{"skipped", "ok", "warning", "failed"}

func (s Status) String() string { return statusNames[s] }

// MarshalText returns the same text as String.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Report is the result of all items. Its JSON form is stable: members keep their
// names and meanings, and later versions may add members.
type Report struct {
	Target string `json:"target"` // source, without a password
	Status Status `json:"status"` // the worst of the items
	Series int    `json:"series"` // in the last scrape
	Items  []Item `json:"items"`
}

// Item is one item of the checklist.
type Item struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Summary describes an item without findings, or says why the item was skipped.
	Summary  string    `json:"summary,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is a problem that an item found.
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

// ok sets the summary of an item, unless it has a finding.
func (i *Item) ok(format string, args ...any) {
	if len(i.Findings) == 0 {
		i.Status, i.Summary = OK, fmt.Sprintf(format, args...)
	}
}

// skip sets the reason for skipping an item, unless it has a finding.
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
	statusWidth = 9  // columns for the status
	itemWidth   = 14 // columns for the name of the item
)

// WriteText writes a paragraph for each finding, and for the summary of each item
// without one. It wraps lines to width.
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
		for n, line := range wrap(plain.Text(text), max(width-indent, 30)) {
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
		plain.Text(r.Target), counts[Failed], several(counts[Warning], "warning"), counts[OK], counts[Skipped])
	_, err := io.WriteString(w, b.String())
	return err
}

// wrap breaks text into lines at spaces. A word that is too long gets its own line.
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

// several returns a number with its noun in the right form.
func several(n int, of string) string {
	if n != 1 && !strings.HasSuffix(of, "s") {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}
