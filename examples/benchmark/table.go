package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/otelws/otelws-go/examples/benchmark/internal/servers"
	"github.com/otelws/otelws-go/examples/benchmark/internal/stats"
)

// print writes one table for each load, with a function that writes a table.
func (rep *Report) print(w io.Writer, table func(io.Writer, string, [][]string) error) error {
	e := rep.Environment
	fmt.Fprintf(w, "%s, %d cores, %s %s, %s; medians of %d rounds of %g s; %d idle connections beside the busy ones\n",
		e.CPU, e.Cores, e.OS, e.Kernel, e.Go, rep.Rounds, rep.Seconds, rep.Beside)
	for _, name := range slices.Sorted(maps.Keys(e.Versions)) {
		fmt.Fprintf(w, "%s %s\n", name, e.Versions[name])
	}
	for _, n := range rep.Notes {
		fmt.Fprintln(w, n)
	}
	for i := range rep.Loads {
		l := &rep.Loads[i]
		rows := l.rows()
		if len(rows) == 1 {
			continue // interrupted before a round was whole
		}
		if err := table(w, l.Title, rows); err != nil {
			return err
		}
	}
	return nil
}

// rows returns the rows of the table, with the header first.
func (l *LoadResult) rows() [][]string {
	head := []string{"", "CPU µs/msg", "× bare", "otelws ×", "msg/s", "p50 µs", "p99 µs", "allocs/msg"}
	if l.idle() {
		head = []string{"", "B/conn", "× bare", "otelws ×", "− bare", "heap B/conn", "stack B/conn", "RSS B/conn", "scrape ms, 10", "scrape ms, all", "all / 10"}
	}
	rows := [][]string{head}
	several := false
	for _, c := range l.Contenders {
		several = several || c.GOMAXPROCS != l.Contenders[0].GOMAXPROCS
	}
	if several {
		rows[0] = append(rows[0], fmt.Sprintf("× GOMAXPROCS=%d", l.Contenders[0].GOMAXPROCS))
	}
	for _, c := range l.Contenders {
		if len(c.Rounds) == 0 {
			continue
		}
		bare, otelws := l.find(servers.Base(c.Variant), c.GOMAXPROCS), l.find(servers.Otelws, c.GOMAXPROCS)
		compared := []string{spread(l.ratio(c, bare)), spread(l.ratio(otelws, c))}
		if c == bare {
			compared[0] = ""
		}
		if c == otelws || servers.Base(c.Variant) != servers.Bare {
			compared[1] = ""
		}
		row := append([]string{c.Title}, l.cells(c, bare, compared)...)
		if several {
			row[0] += fmt.Sprintf(" (GOMAXPROCS=%d)", c.GOMAXPROCS)
			row = append(row, spread(l.ratio(c, l.find(c.Variant, l.Contenders[0].GOMAXPROCS))))
		}
		rows = append(rows, row)
	}
	return rows
}

func (l *LoadResult) cells(c, bare *Contender, compared []string) []string {
	m := func(of func(Round) float64) float64 { return median(values(c, of)) }
	if l.idle() {
		memory := func(r Round) float64 { return r.Memory }
		cells := append([]string{number(m(memory), 0)}, compared...)
		added := ""
		if bare != nil && bare != c {
			added = fmt.Sprintf("%+.0f", m(memory)-median(values(bare, memory)))
		}
		few, many := values(c, func(r Round) float64 { return r.ScrapeFew }), values(c, func(r Round) float64 { return r.ScrapeMany })
		return append(cells, added,
			number(m(func(r Round) float64 { return r.Heap }), 0),
			number(m(func(r Round) float64 { return r.Stack }), 0),
			number(m(func(r Round) float64 { return r.RSS }), 0),
			number(median(few), 2), number(median(many), 2),
			spread(stats.Summarize(stats.Ratios(many, few))))
	}
	allocs := "n/a"
	if c.Rounds[0].Allocs != nil {
		allocs = number(m(func(r Round) float64 { return *r.Allocs }), 2)
	}
	cells := append([]string{number(m(func(r Round) float64 { return r.CPU }), 2)}, compared...)
	return append(cells,
		number(m(func(r Round) float64 { return float64(r.Messages) / r.Seconds }), 0),
		number(m(func(r Round) float64 { return r.P50 }), 0),
		number(m(func(r Round) float64 { return r.P99 }), 0),
		allocs)
}

// number returns an empty string for a missing value.
func number(v float64, digits int) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.*f", digits, v)
}

func spread(s stats.Summary) string {
	if s.N == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f (%.3f–%.3f)", s.Median, s.Q1, s.Q3)
}

func aligned(w io.Writer, title string, rows [][]string) error {
	fmt.Fprintf(w, "\n%s\n", title)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

func markdown(w io.Writer, title string, rows [][]string) error {
	rows = slices.Clone(rows)
	rows[0] = slices.Clone(rows[0])
	rows[0][0] = title
	rule := slices.Repeat([]string{"---"}, len(rows[0]))
	rows = slices.Insert(rows, 1, rule)
	fmt.Fprintln(w)
	for _, row := range rows {
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | ")); err != nil {
			return err
		}
	}
	return nil
}
