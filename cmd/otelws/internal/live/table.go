package live

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// column is a column of a table: its title, its sort key, and its value. If the table is too wide, the
// columns with the greatest spare are removed first. Columns with spare 0 are never removed.
type column struct {
	title, sort string
	spare       int
	value       func(*Connection) string
}

var openColumns = []column{
	{"ID", "", 4, func(c *Connection) string { return strconv.FormatUint(c.ID, 10) }},
	{"WHO", "", 0, who},
	{"ROLE", "", 7, func(c *Connection) string { return c.Role }},
	{"STATE", "", 5, func(c *Connection) string { return c.State }},
	{"AGE", "age", 1, func(c *Connection) string { return seconds(c.Age) }},
	{"IDLE", "idle", 0, func(c *Connection) string { return seconds(c.Idle) }},
	{"RECEIVED", "received", 0, func(c *Connection) string { return size(c.BytesReceived) }},
	{"MSGS", "", 6, func(c *Connection) string { return strconv.FormatInt(c.MessagesReceived, 10) }},
	{"SENT", "sent", 0, func(c *Connection) string { return size(c.BytesSent) }},
	{"MSGS", "", 6, func(c *Connection) string { return strconv.FormatInt(c.MessagesSent, 10) }},
	{"RTT", "rtt", 1, func(c *Connection) string { return seconds(c.RTT) }},
	{"PING?", "", 3, func(c *Connection) string { return seconds(c.PingUnanswered) }},
	{"WRITING", "writing", 1, func(c *Connection) string { return seconds(c.Writing) }},
	{"UNSENT", "unsent", 2, func(c *Connection) string {
		if c.TCP == nil {
			return ""
		}
		return size(int64(c.TCP.Unsent))
	}},
}

var closedColumns = []column{
	{"ID", "", 4, func(c *Connection) string { return strconv.FormatUint(c.ID, 10) }},
	{"WHO", "", 0, who},
	{"ROLE", "", 5, func(c *Connection) string { return c.Role }},
	{"ENDED", "", 0, func(c *Connection) string { return c.Closed.Local().Format(time.TimeOnly) }},
	{"CODE", "", 0, code},
	{"BY", "", 0, func(c *Connection) string { return c.Initiator }},
	{"LASTED", "", 0, func(c *Connection) string { return seconds(c.Age) }},
	{"SILENT", "", 0, func(c *Connection) string { return seconds(c.Idle) }},
	{"RECEIVED", "", 3, func(c *Connection) string { return size(c.BytesReceived) }},
	{"SENT", "", 2, func(c *Connection) string { return size(c.BytesSent) }},
	{"REASON", "", 0, func(c *Connection) string { return c.Reason }},
}

func code(c *Connection) string {
	if c.Code == 0 {
		return "other"
	}
	return strconv.Itoa(c.Code)
}

func who(c *Connection) string {
	var parts []string
	for _, part := range append([]string{c.Remote}, append(values(c.Attributes), c.Subprotocol)...) {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " ")
}

func values(m map[string]string) (all []string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[k])
	}
	return all
}

// fitting returns a table of at most width characters. It removes columns that do not fit, but never
// the column of sort.
func fitting(columns []column, rows []Connection, sort string, width int) []string {
	for {
		all := lines(columns, rows, sort)
		if !slices.ContainsFunc(all, func(l string) bool { return ansi.StringWidth(l) > width }) {
			return all
		}
		most := 0
		for _, c := range columns {
			if sort == "" || c.sort != sort {
				most = max(most, c.spare)
			}
		}
		if most == 0 {
			return all
		}
		columns = slices.DeleteFunc(slices.Clone(columns), func(c column) bool {
			return c.spare == most && (sort == "" || c.sort != sort)
		})
	}
}

// lines returns a table as lines of text. The first line has the titles, and a mark at the column of
// sort.
func lines(columns []column, rows []Connection, sort string) []string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i, c := range columns {
		title := c.title
		if sort != "" && c.sort == sort {
			title += "*"
		}
		cell(w, i, title)
	}
	for r := range rows {
		fmt.Fprintln(w)
		for i, c := range columns {
			cell(w, i, c.value(&rows[r]))
		}
	}
	fmt.Fprintln(w)
	_ = w.Flush()
	all := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i := range all {
		all[i] = strings.TrimRight(all[i], " ")
	}
	return all
}

func cell(w io.Writer, i int, text string) {
	if i > 0 {
		fmt.Fprint(w, "\t")
	}
	fmt.Fprint(w, text)
}

// WriteTable writes the answer to q as a table.
func (a *Answer) WriteTable(w io.Writer, q Query) error {
	all := append([]string{a.summary()}, "")
	all = append(all, lines(openColumns, a.Connections, q.Sort)...)
	if len(a.Closed) > 0 {
		all = append(all, "", "Ended last:")
		all = append(all, lines(closedColumns, a.Closed, "")...)
	}
	_, err := fmt.Fprintln(w, strings.Join(all, "\n"))
	return err
}

// summary returns a line with the totals.
func (a *Answer) summary() string {
	parts := []string{fmt.Sprintf("%d open", a.Total)}
	if a.Matching != a.Total {
		parts = append(parts, fmt.Sprintf("%d match", a.Matching))
	}
	if roles := slices.Sorted(maps.Keys(a.Sums.Connections)); len(roles) > 1 {
		for _, role := range roles {
			parts = append(parts, fmt.Sprintf("%d %s", a.Sums.Connections[role], clean(role)))
		}
	}
	parts = append(parts,
		fmt.Sprintf("received %s in %d messages", size(a.Sums.BytesReceived), a.Sums.MessagesReceived),
		fmt.Sprintf("sent %s in %d messages", size(a.Sums.BytesSent), a.Sums.MessagesSent))
	if !a.Addresses {
		parts = append(parts, "addresses are not shown to you")
	}
	return strings.Join(parts, ", ")
}

// details returns all data of c, as lines.
func details(c *Connection) []string {
	all := []string{}
	add := func(name, value string) {
		if value != "" {
			all = append(all, fmt.Sprintf("%-22s %s", name, value))
		}
	}
	add("id", strconv.FormatUint(c.ID, 10))
	add("role", c.Role)
	add("remote", c.Remote)
	for _, k := range slices.Sorted(maps.Keys(c.Attributes)) {
		add(k, c.Attributes[k])
	}
	add("subprotocol", c.Subprotocol)
	add("state", c.State)
	add("opened", c.Opened.Local().Format(time.DateTime))
	if !c.Closed.IsZero() {
		add("ended", c.Closed.Local().Format(time.DateTime))
		add("code", code(c))
		add("initiator", c.Initiator)
		add("reason", c.Reason)
	}
	add("age", seconds(c.Age))
	add("idle", seconds(c.Idle))
	add("received", fmt.Sprintf("%d B in %d messages", c.BytesReceived, c.MessagesReceived))
	add("sent", fmt.Sprintf("%d B in %d messages", c.BytesSent, c.MessagesSent))
	add("round trip", seconds(c.RTT))
	add("ping unanswered for", seconds(c.PingUnanswered))
	add("writing for", seconds(c.Writing))
	add("trace", c.TraceID)
	if t := c.TCP; t != nil {
		add("TCP round trip", seconds(t.RTT))
		add("TCP least round trip", seconds(t.MinRTT))
		add("TCP retransmits", strconv.FormatUint(uint64(t.Retransmits), 10))
		add("TCP unacked segments", strconv.FormatUint(uint64(t.Unacked), 10))
		add("TCP unsent", size(int64(t.Unsent)))
		add("TCP acked", size(int64(t.Acked)))
		add("TCP window of the peer", size(int64(t.PeerWindow)))
		add("TCP last received", seconds(t.LastReceived))
	}
	return all
}

// seconds returns a readable duration. For 0 it returns an empty string.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d <= 0:
		return ""
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < 48*time.Hour:
		text := d.Round(time.Second).String()
		if rest, ok := strings.CutSuffix(text, "m0s"); ok {
			return rest + "m"
		}
		return text
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for ; v >= 1000 && i < len(units)-1; i++ {
		v /= 1024
	}
	if i == 0 || v >= 100 {
		return fmt.Sprintf("%.0f%s", v, units[i])
	}
	return fmt.Sprintf("%.1f%s", v, units[i])
}
