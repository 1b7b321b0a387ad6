package load

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/otelws/otelws-go/cmd/otelws/internal/scrape"
)

// Agreement is the outcome of a verification.
type Agreement string

const (
	Agrees    Agreement = "agrees"
	Disagrees Agreement = "disagrees"
	// Disturbed means that the metrics differ, but others used the server during the run.
	Disturbed Agreement = "disturbed"
	// Impossible means that the metrics cannot be compared. A note gives the reason.
	Impossible Agreement = "impossible"
)

// Verification compares the increase of the server's series with the counts of this run.
type Verification struct {
	Status      Agreement    `json:"status"`
	Comparisons []Comparison `json:"comparisons"`
	Notes       []string     `json:"notes,omitempty"`
}

// Comparison compares one series, summed over all labels that are not in its name.
type Comparison struct {
	Series string  `json:"series"`
	Done   int64   `json:"done"`   // count of this run
	Server float64 `json:"server"` // the increase of the series
}

type verifier struct {
	cfg    *Config
	before *scrape.Scrape
}

// newVerifier scrapes the metrics before the run.
func newVerifier(ctx context.Context, cfg *Config) (*verifier, error) {
	before, err := cfg.Metrics.Get(ctx, cfg.Verify)
	if err != nil {
		return nil, err
	}
	if _, ok := before.Sum("ws_connections_opened_total"); !ok {
		return nil, fmt.Errorf("%s: there is no ws_connections_opened_total to compare: give the address of the metrics of this WebSocket server", scrape.Name(cfg.Verify))
	}
	return &verifier{cfg, before}, nil
}

// verify scrapes until the metrics agree, at most for the configured time, because the server may
// still be busy with the last closes.
func (v *verifier) verify(ctx context.Context, r *Result) *Verification {
	var last *Verification
	for deadline := time.Now().Add(v.cfg.VerifyTimeout); ; pause(ctx, 50*time.Millisecond) {
		now, err := v.cfg.Metrics.Get(ctx, v.cfg.Verify)
		if err != nil {
			last = &Verification{Status: Impossible, Notes: []string{err.Error()}}
		} else {
			last = v.compare(now, r)
		}
		if last.Status == Agrees || time.Now().After(deadline) {
			return last
		}
	}
}

func (v *verifier) compare(now *scrape.Scrape, r *Result) *Verification {
	out := &Verification{Status: Agrees}
	was, _ := v.before.Sum("process_start_time_seconds")
	if is, _ := now.Sum("process_start_time_seconds"); is != was {
		out.Status = Impossible
		out.Notes = append(out.Notes, "the scrapes before and after the run come from two processes: the server was restarted, or the address leads to several instances")
		return out
	}
	add := func(series string, done int64, server float64) {
		out.Comparisons = append(out.Comparisons, Comparison{series, done, server})
		if float64(done) != server {
			out.Status = Disagrees
		}
	}
	sum := func(done int64, name string, labels ...string) {
		a, _ := v.before.Sum(name, labels...)
		if b, ok := now.Sum(name, labels...); ok {
			add(name+braces(labels), done, b-a)
		} else if done > 0 {
			add(name+braces(labels), done, 0)
		}
	}
	sum(r.Connections.Opened, "ws_connections_opened_total")
	sum(r.Connections.Opened, "ws_connections_closed_total")
	for _, code := range slices.Sorted(maps.Keys(r.Closes)) {
		add(fmt.Sprintf("ws_connections_closed_total{code=%q}", code), r.Closes[code], closes(now, code)-closes(v.before, code))
	}
	sum(0, "ws_connections_active")
	v.messages(out, add, now, "ws_message_bytes", r.Messages.Sent, r.Messages.SentBytes, r)
	if v.cfg.Echo {
		v.messages(out, add, now, "ws_message_sent_bytes", r.Messages.Received, r.Messages.ReceivedBytes, r)
	} else {
		out.Notes = append(out.Notes, "the messages that the server sent are not compared, because without an echo the run does not wait for them")
	}
	if now.Families["ws_frames_total"] != nil {
		opcode := "text"
		if v.cfg.Binary {
			opcode = "binary"
		}
		frames := func(done int64, direction, opcode string) {
			sum(done, "ws_frames_total", "network_io_direction", direction, "opcode", opcode)
		}
		frames(r.Messages.Sent, "receive", opcode)
		if v.cfg.Echo {
			frames(r.Messages.Received, "transmit", opcode)
		}
		if v.cfg.Heartbeat > 0 {
			frames(r.pings, "receive", "ping")
			frames(r.pings, "transmit", "pong")
		}
	}
	v.note(out, now, r)
	return out
}

// closes returns the number of closes with a code. If the code is 3xxx or 4xxx, the server may have
// declared the code, and then has it as it is.
func closes(s *scrape.Scrape, code string) (sum float64) {
	for _, m := range s.Families["ws_connections_closed_total"].GetMetric() {
		label := scrape.Label(m, "code")
		if label == code || strings.HasSuffix(code, "xxx") && len(label) == 4 && label[0] == code[0] {
			sum += scrape.Value(m)
		}
	}
	return sum
}

// messages compares the count of a histogram and, without compression, its sum.
func (v *verifier) messages(out *Verification, add func(string, int64, float64), now *scrape.Scrape, name string, done, bytes int64, r *Result) {
	count, total, ok := now.Histogram(name)
	if !ok && name != "ws_message_bytes" && now.Families["ws_frames_total"] == nil {
		out.Notes = append(out.Notes, "the server has no "+name)
		return
	}
	countBefore, totalBefore, _ := v.before.Histogram(name)
	add(name+"_count", done, float64(count)-float64(countBefore))
	if r.Connections.Compressed == 0 {
		add(name+"_sum", bytes, total-totalBefore)
		return
	}
	out.Notes = append(out.Notes, fmt.Sprintf("%s increased by %.0f bytes, for %d bytes before compression: the run does not know the sizes on the wire", name+"_sum", total-totalBefore, bytes))
}

// note adds notes about other use of the server.
func (v *verifier) note(out *Verification, now *scrape.Scrape, r *Result) {
	others := false
	if n, _ := v.before.Sum("ws_connections_active"); n > 0 {
		others = true
		out.Notes = append(out.Notes, fmt.Sprintf("others had %.0f connections open when the run began", n))
	}
	a, _ := v.before.Sum("ws_connections_opened_total")
	b, _ := now.Sum("ws_connections_opened_total")
	if n := b - a - float64(r.Connections.Opened); n > 0 {
		others = true
		out.Notes = append(out.Notes, fmt.Sprintf("the server opened %.0f more connections than this run", n))
	}
	if others && out.Status == Disagrees {
		out.Status = Disturbed
	}
	if broken := slices.ContainsFunc(r.Errors, func(e Error) bool {
		return strings.HasPrefix(e.Kind, "connection:") || strings.HasPrefix(e.Kind, "closed by")
	}); broken && out.Status != Agrees {
		out.Notes = append(out.Notes, "connections broke: messages in transit are counted on one side only")
	}
}

func braces(labels []string) string {
	var parts []string
	for n := 0; n+1 < len(labels); n += 2 {
		parts = append(parts, fmt.Sprintf("%s=%q", labels[n], labels[n+1]))
	}
	if len(parts) == 0 {
		return ""
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (v *Verification) writeText(w io.Writer) error {
	fmt.Fprintf(w, "\nthe server's metrics: %s\n", v.Status)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range v.Comparisons {
		mark := "ok"
		if float64(c.Done) != c.Server {
			mark = "differs"
		}
		fmt.Fprintf(t, "  %s\t%s\tdone %d\tserver %.0f\n", mark, c.Series, c.Done, c.Server)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range v.Notes {
		fmt.Fprintf(w, "  %s\n", n)
	}
	return nil
}
