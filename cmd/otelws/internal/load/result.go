package load

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is the result of a run. Its JSON is stable: members keep their names and their meaning, but
// members may be added. Times are in seconds.
type Result struct {
	URL         string   `json:"url"`
	Settings    Settings `json:"settings"`
	Interrupted bool     `json:"interrupted"`
	Seconds     float64  `json:"seconds"`

	Connections Connections      `json:"connections"`
	Messages    Messages         `json:"messages"`
	Handshake   *Latency         `json:"handshake"` // nil if nothing was measured, like the next two
	RTT         *Latency         `json:"rtt"`       // time from a message to its echo, without slow readers
	Heartbeat   *Latency         `json:"heartbeat"`
	Closes      map[string]int64 `json:"closes"` // by the close code that the server should have counted
	Errors      []Error          `json:"errors"`
	pings       int64            // answered

	Verification *Verification `json:"verification,omitempty"`
}

// Connections counts handshakes and their outcome.
type Connections struct {
	Opened     int64 `json:"opened"`
	Failed     int64 `json:"failed"` // failed handshakes
	Dropped    int64 `json:"dropped"`
	Compressed int64 `json:"compressed"` // negotiated permessage-deflate
}

// Messages counts messages. A sent message counts when its write has returned, and a received message
// when its last byte has been read. Bytes are payload bytes before compression.
type Messages struct {
	Sent          int64   `json:"sent"`
	Received      int64   `json:"received"`
	SentBytes     int64   `json:"sent_bytes"`
	ReceivedBytes int64   `json:"received_bytes"`
	Unanswered    int64   `json:"unanswered"`
	PerSecond     float64 `json:"sent_per_second"`
}

func (r *runner) result(took time.Duration) *Result {
	closes := map[string]int64{}
	for _, c := range r.codes.sorted() {
		closes[c.Kind] = c.Count
	}
	return &Result{
		URL: r.cfg.URL, Settings: r.cfg.settings(), Seconds: took.Seconds(),
		Connections: Connections{
			Opened: r.opened.Load(), Failed: r.refused.Load(),
			Dropped: r.dropped.Load(), Compressed: r.compressed.Load(),
		},
		Messages: Messages{
			Sent: r.sent.Load(), Received: r.received.Load(),
			SentBytes: r.sentBytes.Load(), ReceivedBytes: r.receivedBytes.Load(),
			Unanswered: r.unanswered.Load(), PerSecond: float64(r.sent.Load()) / took.Seconds(),
		},
		Handshake: r.handshakes.latency(), RTT: r.rtt.latency(), Heartbeat: r.heartbeats.latency(),
		Closes: closes, Errors: r.errors.sorted(), pings: r.pings.Load(),
	}
}

// OK reports whether there were no errors and, if the server's metrics were verified, whether they
// agree.
func (r *Result) OK() bool {
	return len(r.Errors) == 0 && (r.Verification == nil || r.Verification.Status == Agrees)
}

// WriteJSON writes the result as JSON.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes the result as tables, and a histogram of the round trips.
func (r *Result) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s\n  %s\n\n", r.URL, strings.Join(r.Settings.lines(), "\n  "))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") }
	if r.Interrupted {
		row("interrupted", "these are the results so far")
	}
	row("time", fmt.Sprintf("%.1f s", r.Seconds))
	row("handshakes", fmt.Sprint(r.Connections.Opened), "failed", fmt.Sprint(r.Connections.Failed), "compressed", fmt.Sprint(r.Connections.Compressed))
	row("sent", fmt.Sprint(r.Messages.Sent), "bytes", fmt.Sprint(r.Messages.SentBytes), "a second", fmt.Sprintf("%.0f", r.Messages.PerSecond))
	row("received", fmt.Sprint(r.Messages.Received), "bytes", fmt.Sprint(r.Messages.ReceivedBytes), "unanswered", fmt.Sprint(r.Messages.Unanswered))
	for _, code := range slices.Sorted(maps.Keys(r.Closes)) {
		row("closed", fmt.Sprint(r.Closes[code]), "code", code)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	row("", "count", "mean", "p50", "p90", "p95", "p99", "p99.9", "max")
	for _, timed := range []struct {
		name string
		l    *Latency
	}{{"handshake", r.Handshake}, {"round trip", r.RTT}, {"heartbeat", r.Heartbeat}} {
		if l := timed.l; l != nil {
			row(timed.name, fmt.Sprint(l.Count), short(l.Mean), short(l.P50), short(l.P90), short(l.P95), short(l.P99), short(l.P999), short(l.Max))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.RTT != nil {
		r.RTT.writeBars(w)
	}
	if len(r.Errors) > 0 {
		fmt.Fprintln(w, "\nerrors")
	}
	for _, e := range r.Errors {
		example := ""
		if e.Example != "" {
			example = ", such as " + e.Example
		}
		fmt.Fprintf(w, "%8d  %s%s\n", e.Count, e.Kind, example)
	}
	if r.Settings.Echo && r.Messages.Sent > 0 && r.Messages.Received == 0 {
		fmt.Fprintln(w, "\nthe server did not echo: use an address that sends each message back, or --no-echo")
	}
	if r.Verification != nil {
		return r.Verification.writeText(w)
	}
	return nil
}

// longestBar is the length of the longest bar, in characters.
const longestBar = 50

// writeBars writes a line for each bucket. A bucket that is not empty has a bar.
func (l *Latency) writeBars(w io.Writer) {
	var most int64
	for _, b := range l.Buckets {
		most = max(most, b.Count)
	}
	fmt.Fprintln(w, "\nround trips")
	for _, b := range l.Buckets {
		length := int((b.Count*longestBar + most - 1) / most)
		line := fmt.Sprintf("%10s  %9d  %s", "≤ "+short(b.To), b.Count, strings.Repeat("█", length))
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// short formats a time with three digits.
func short(seconds float64) string {
	switch {
	case seconds >= 1:
		return fmt.Sprintf("%.3g s", seconds)
	case seconds >= 1e-3:
		return fmt.Sprintf("%.3g ms", seconds*1e3)
	}
	return fmt.Sprintf("%.3g µs", seconds*1e6)
}
