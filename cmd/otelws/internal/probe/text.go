package probe

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteText writes a table of the connections, the limits, and advice, wrapped to the
// given number of columns.
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

// names are the kinds of connections in the text output.
var names = map[Kind]string{
	Silent:    "silent",
	KeepAlive: "TCP keepalives",
	Pong:      "unanswered pongs",
	Ping:      "pings",
	Message:   "messages",
}

// rows returns a row for each kind of connection.
func (r *Result) rows() (rows [][]string) {
	for _, k := range append([]Kind{Silent}, busy...) {
		some := r.of(k)
		if len(some) == 0 {
			continue
		}
		var ended []*Outcome // including those that an event ended
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
			row[3] += ", " + ended[0].ending()
		}
		rows = append(rows, row)
	}
	return rows
}

// ending describes how the connection ended.
func (o *Outcome) ending() string { return endedWith(o.End, o.Code, cmp.Or(o.Reason, o.Error)) }

// endedWith describes how a connection ended.
func endedWith(sign Sign, code int, reason string) string {
	switch sign {
	case FIN:
		return "with a FIN"
	case RST:
		return "with a reset"
	case Close:
		if reason != "" {
			return fmt.Sprintf("with a close frame (%d %q)", code, reason)
		}
		return fmt.Sprintf("with a close frame (%d)", code)
	case Nothing:
		return "without a sign"
	}
	if reason != "" {
		return fmt.Sprintf("with an error (%s)", reason)
	}
	return "with an error"
}

// ending describes how the limit shows.
func (l *Limit) ending() string {
	switch {
	case l.Seen == Nothing:
		return "The connection is dropped silently: data that is sent later gets no answer"
	case l.WhenAsked:
		return "The connection shows no end until something is sent. Then it ends " + endedWith(l.Seen, l.Code, l.Reason)
	}
	text := "The connection ends " + endedWith(l.Seen, l.Code, l.Reason)
	if l.Seen == Close {
		text += ". The sender understands WebSocket: it is the server itself, or a gateway"
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
				text += fmt.Sprintf(". These keep it open: %s", list(l.Keeps))
			}
			if len(l.LetsGo) > 0 {
				text += fmt.Sprintf(". These do not keep it open: %s", list(l.LetsGo))
			}
			if slices.Contains(l.Keeps, KeepAlive) {
				text += ". So the hop works at the level of TCP, like a firewall, a NAT or a TCP load balancer"
			}
			if slices.Contains(l.Keeps, Ping) && slices.Contains(l.LetsGo, Pong) {
				text += ". So the hop counts only data from the server, such as the pongs that answer pings"
			}
		} else {
			life = true
			text = fmt.Sprintf("A limit on age: %s, with any traffic. %s", l, l.ending())
		}
		if l.Known != "" {
			text += ". Hops with this limit: " + l.Known
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
		texts = append(texts, fmt.Sprintf("Use a heartbeat of %v at either end: %s, or %s", duration(r.Heartbeat.Seconds), r.Heartbeat.Otelws, r.Heartbeat.Proxy))
	case r.Heartbeat != nil:
		texts = append(texts, fmt.Sprintf("Send a message every %v: control frames do not keep the connection open", duration(r.Heartbeat.Seconds)))
	case silence:
		texts = append(texts, "No traffic that this run tried keeps a connection open")
	}
	switch {
	case drops:
		texts = append(texts, "If you control the hop, you can also raise the limit: nf_conntrack_tcp_timeout_established in Linux, or the idle timeout of the load balancer or the NAT")
	case silence:
		texts = append(texts, "If you control the hop, you can also raise the limit, for example to an hour: proxy_read_timeout and proxy_send_timeout in nginx, timeout tunnel in HAProxy (without it, timeout client and timeout server)")
	}
	if life != nil {
		texts = append(texts, fmt.Sprintf("A heartbeat does not help against a limit on age. Raise the limit, or let the server close connections with 1001 before it, at various ages up to %s, so that clients reconnect", short(life.Least*.9)))
	}
	return texts
}

// wrap writes a paragraph, broken into lines.
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
