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

// Result is what a run did. Its JSON form is stable: members may be added, and
// those there are keep their names and meaning. Times are in seconds.
type Result struct {
	URL         string  `json:"url"`
	Interrupted bool    `json:"interrupted"`
	Seconds     float64 `json:"seconds"`

	Connections Connections      `json:"connections"`
	Messages    Messages         `json:"messages"`
	Handshake   Latency          `json:"handshake"`
	RTT         Latency          `json:"rtt"` // of messages; none for slow readers and without an echo
	Heartbeat   Latency          `json:"heartbeat"`
	Closes      map[string]int64 `json:"closes"` // by the code that the server should have
	Errors      []Error          `json:"errors"`

	Verification *Verification `json:"verification,omitempty"`
}

// Connections are the handshakes and what came of them.
type Connections struct {
	Opened     int64 `json:"opened"`
	Failed     int64 `json:"failed"` // handshakes
	Dropped    int64 `json:"dropped"`
	Compressed int64 `json:"compressed"` // with permessage-deflate negotiated
}

// Messages are counted when a write has returned, or the last byte was read.
// Bytes are payload, before compression.
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
		URL: r.cfg.URL, Seconds: took.Seconds(),
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
		Closes: closes, Errors: r.errors.sorted(),
	}
}

// OK is whether all went well, and the server's metrics agree if they were held
// against it.
func (r *Result) OK() bool {
	return len(r.Errors) == 0 && (r.Verification == nil || r.Verification.Status == Agrees)
}

// WriteJSON writes the result as a JSON document.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes the result as tables.
func (r *Result) WriteText(w io.Writer) error {
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
	row("", "count", "mean", "p50", "p90", "p99", "p99.9", "max")
	for _, l := range []struct {
		name string
		l    Latency
	}{{"handshake", r.Handshake}, {"round trip", r.RTT}, {"heartbeat", r.Heartbeat}} {
		if l.l.Count > 0 {
			row(l.name, fmt.Sprint(l.l.Count), short(l.l.Mean), short(l.l.P50), short(l.l.P90), short(l.l.P99), short(l.l.P999), short(l.l.Max))
		}
	}
	if err := t.Flush(); err != nil {
		return err
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
	if r.Verification != nil {
		return r.Verification.writeText(w)
	}
	return nil
}

// short is a time with three digits.
func short(seconds float64) string {
	switch {
	case seconds >= 1:
		return fmt.Sprintf("%.3g s", seconds)
	case seconds >= 1e-3:
		return fmt.Sprintf("%.3g ms", seconds*1e3)
	}
	return fmt.Sprintf("%.3g µs", seconds*1e6)
}
