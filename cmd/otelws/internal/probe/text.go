package probe

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes what became of the connections, the limits, and what to do, in
// lines of so many columns.
func (r *Result) WriteText(w io.Writer, columns int) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s, for %s\n", r.URL, short(r.Seconds))
	if r.Interrupted {
		b.WriteString("Interrupted: this is the result so far.\n")
	}
	b.WriteByte('\n')
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "connections\topen\tended\t")
	for _, row := range r.rows() {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, paragraph := range slices.Concat(r.limitTexts(), r.heartbeatTexts(), r.Notes) {
		b.WriteByte('\n')
		wrap(b, paragraph+".", columns)
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// names are the kinds of connections for people.
var names = map[Kind]string{
	Silent:    "silent",
	KeepAlive: "TCP keepalives",
	Pong:      "unanswered pongs",
	Ping:      "pings",
	Message:   "messages",
}

// rows has a line for each kind of connection.
func (r *Result) rows() (rows [][]string) {
	for _, k := range append([]Kind{Silent}, busy...) {
		some := r.of(k)
		if len(some) == 0 {
			continue
		}
		var ended []*Outcome // by an event too
		for _, o := range some {
			if !o.open() {
				ended = append(ended, o)
			}
		}
		row := []string{names[k], fmt.Sprint(len(some) - len(ended)), fmt.Sprint(len(ended)), ""}
		if len(ended) > 0 {
			of, when := age, "at the age of "
			if k == Silent {
				of, when = silence, "after a silence of "
			}
			times := timesOf(ended, of)
			row[3] = when + short(median(times))
			if spread(times) > .05*median(times) {
				row[3] = fmt.Sprintf("%s%s to %s", when, short(slices.Min(times)), short(slices.Max(times)))
			}
			row[3] += ", " + by(ended[0].End, ended[0].Code, ended[0].Reason)
		}
		rows = append(rows, row)
	}
	return rows
}

// by says how a connection ended.
func by(sign Sign, code int, reason string) string {
	switch sign {
	case FIN:
		return "by a FIN"
	case RST:
		return "by a reset"
	case Close:
		if reason != "" {
			return fmt.Sprintf("by a close frame (%d %q)", code, reason)
		}
		return fmt.Sprintf("by a close frame (%d)", code)
	case Nothing:
		return "without a sign"
	}
	return "by an error"
}

// ending says what a limit looked like.
func (l *Limit) ending() string {
	switch {
	case l.Seen == Nothing:
		return "Nothing is seen of it: whatever is sent after it gets no answer, and no end"
	case l.WhenAsked:
		return "Nothing is seen of it until something is sent; then the connection ends " + by(l.Seen, l.Code, l.Reason)
	}
	text := "The connection ends " + by(l.Seen, l.Code, l.Reason)
	if l.Seen == Close {
		text += ". Only what speaks WebSocket sends one: the server itself, or a gateway"
	}
	return text
}

func (r *Result) limitTexts() (texts []string) {
	silence, life := false, false
	for _, l := range r.Limits {
		var text string
		if l.On == OnSilence {
			silence = true
			text = fmt.Sprintf("A limit on silence: %s. %s", l, l.ending())
			if len(l.Keeps) > 0 {
				text += fmt.Sprintf(". Kept by %s", list(l.Keeps))
			}
			if len(l.LetsGo) > 0 {
				text += fmt.Sprintf(". Not kept by %s", list(l.LetsGo))
			}
			if slices.Contains(l.Keeps, KeepAlive) {
				text += ". So the hop looks at TCP alone, as a firewall, a NAT and a balancer of TCP do"
			}
			if slices.Contains(l.Keeps, Ping) && slices.Contains(l.LetsGo, Pong) {
				text += ". So only what the server sends counts, and the pongs that answer pings are that"
			}
		} else {
			life = true
			text = fmt.Sprintf("A limit on age: %s, whatever passes. %s", l, l.ending())
		}
		if l.Known != "" {
			text += ". Known for it: " + l.Known
		}
		texts = append(texts, text)
	}
	if !silence && r.Outlived > 0 {
		texts = append(texts, fmt.Sprintf("No limit on silence was seen up to %s", short(r.Outlived)))
	}
	if !life && r.Reached > 0 {
		texts = append(texts, fmt.Sprintf("No limit on age was seen up to %s", short(r.Reached)))
	}
	return texts
}

func list(some []Kind) (text string) {
	for i, k := range some {
		switch {
		case i > 0 && i == len(some)-1:
			text += " and "
		case i > 0:
			text += ", "
		}
		text += names[k]
	}
	return text
}

func (r *Result) heartbeatTexts() (texts []string) {
	silence, drops, life := false, false, (*Limit)(nil)
	for _, l := range r.Limits {
		if l.On == OnAge {
			life = l
		} else {
			silence, drops = true, l.WhenAsked
		}
	}
	switch {
	case r.Heartbeat != nil && r.Heartbeat.Of == Ping:
		texts = append(texts, fmt.Sprintf("Choose a heartbeat of %v, at either end: %s, or %s", duration(r.Heartbeat.Seconds), r.Heartbeat.Otelws, r.Heartbeat.Proxy))
	case r.Heartbeat != nil:
		texts = append(texts, fmt.Sprintf("Choose a heartbeat of %v, of messages: control frames do not count", duration(r.Heartbeat.Seconds)))
	case silence:
		texts = append(texts, "No traffic that was tried keeps a connection through it")
	}
	switch {
	case drops:
		texts = append(texts, "Or raise the limit, if the hop is yours: nf_conntrack_tcp_timeout_established of Linux, or the idle timeout of the balancer or the NAT")
	case silence:
		texts = append(texts, "Or raise the limit, if the hop is yours: proxy_read_timeout and proxy_send_timeout of nginx, timeout tunnel of HAProxy (timeout client and timeout server where there is none), to an hour")
	}
	if life != nil {
		texts = append(texts, fmt.Sprintf("No heartbeat helps against a limit on age. Raise it, or have the server close with 1001 before, at different ages of up to %s, and clients come back", short(life.Least*.9)))
	}
	return texts
}

// wrap writes a paragraph in lines.
func wrap(b *strings.Builder, text string, columns int) {
	used := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case used > 0 && used+1+n > columns:
			b.WriteByte('\n')
			used = 0
		case used > 0:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	b.WriteByte('\n')
}
