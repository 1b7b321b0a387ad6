package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/otelws/otelws-go/examples/benchmark/internal/load"
	"github.com/otelws/otelws-go/examples/benchmark/internal/servers"
	"github.com/otelws/otelws-go/examples/benchmark/internal/stats"
)

// Report holds all measurements. It is the output of -json.
type Report struct {
	Environment Environment  `json:"environment"`
	Rounds      int          `json:"rounds"`
	Seconds     float64      `json:"seconds_per_round"`
	Beside      int          `json:"idle_connections_beside"`
	Notes       []string     `json:"notes,omitempty"`
	Loads       []LoadResult `json:"loads"`
}

// LoadResult is the result of one load.
type LoadResult struct {
	Name        string       `json:"name"`
	Title       string       `json:"title"`
	Connections int          `json:"connections"`
	Bytes       int          `json:"message_bytes"`
	Contenders  []*Contender `json:"servers"`
	Ratios      []Ratio      `json:"ratios,omitempty"`
}

// Contender is one server. Its rounds have the same order as the rounds of the others.
type Contender struct {
	Variant    string  `json:"server"`
	Title      string  `json:"title"`
	GOMAXPROCS int     `json:"gomaxprocs"`
	Rounds     []Round `json:"rounds"`
}

// Round is one measurement.
type Round struct {
	Messages int64    `json:"messages,omitempty"`
	Seconds  float64  `json:"seconds,omitempty"`
	CPU      float64  `json:"server_cpu_us_per_message,omitempty"`
	P50      float64  `json:"p50_us,omitempty"`
	P99      float64  `json:"p99_us,omitempty"`
	Allocs   *float64 `json:"allocs_per_message,omitempty"` // unknown of Node

	// Only for idle connections.
	Memory     float64 `json:"heap_and_stack_bytes_per_connection,omitempty"`
	Heap       float64 `json:"heap_bytes_per_connection,omitempty"`
	Stack      float64 `json:"stack_bytes_per_connection,omitempty"`
	RSS        float64 `json:"rss_bytes_per_connection,omitempty"`
	ScrapeFew  float64 `json:"scrape_ms_10_connections,omitempty"`
	ScrapeMany float64 `json:"scrape_ms_all_connections,omitempty"`
}

// Ratio compares two servers in the same round: by CPU time for each message, or by memory for idle
// connections.
type Ratio struct {
	Of         string        `json:"of"`
	To         string        `json:"to"`
	GOMAXPROCS [2]int        `json:"gomaxprocs"`
	Ratio      stats.Summary `json:"ratio"`
}

func values(c *Contender, of func(Round) float64) []float64 {
	v := make([]float64, len(c.Rounds))
	for i, r := range c.Rounds {
		v[i] = of(r)
	}
	return v
}

func median(v []float64) float64 { return stats.Summarize(v).Median }

// ratio returns the ratio of a to b. It is empty if either is missing.
func (l *LoadResult) ratio(a, b *Contender) stats.Summary {
	if a == nil || b == nil {
		return stats.Summary{}
	}
	cost := func(r Round) float64 { return r.CPU }
	if l.idle() {
		cost = func(r Round) float64 { return r.Memory }
	}
	return stats.Summarize(stats.Ratios(values(a, cost), values(b, cost)))
}

func (l *LoadResult) idle() bool {
	for _, known := range allLoads {
		if known.Name == l.Name {
			return known.Kind == load.Idle
		}
	}
	return false
}

func (l *LoadResult) find(variant string, procs int) *Contender {
	for _, c := range l.Contenders {
		if c.Variant == variant && c.GOMAXPROCS == procs {
			return c
		}
	}
	return nil
}

// compare computes the ratios: of each server to its base, of otelws to each server, and of each
// server to itself with the first GOMAXPROCS.
func (l *LoadResult) compare() {
	l.Ratios = nil
	add := func(a, b *Contender) {
		if a == nil || b == nil || a == b {
			return
		}
		if r := l.ratio(a, b); r.N > 0 {
			l.Ratios = append(l.Ratios, Ratio{a.Variant, b.Variant, [2]int{a.GOMAXPROCS, b.GOMAXPROCS}, r})
		}
	}
	for _, c := range l.Contenders {
		add(c, l.find(servers.Base(c.Variant), c.GOMAXPROCS))
		if c.Variant != servers.Bare && servers.Base(c.Variant) == servers.Bare {
			add(l.find(servers.Otelws, c.GOMAXPROCS), c)
		}
		add(c, l.find(c.Variant, l.Contenders[0].GOMAXPROCS))
	}
}

func (rep *Report) write(o *options, stdout io.Writer) error {
	for i := range rep.Loads {
		rep.Loads[i].compare()
	}
	encoded, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return err
	}
	encoded = append(encoded, '\n')
	if o.json != "" {
		if err := os.WriteFile(o.json, encoded, 0o644); err != nil {
			return fmt.Errorf("failed to write the report: %w", err)
		}
	}
	switch o.format {
	case "json":
		_, err = stdout.Write(encoded)
	case "markdown":
		err = rep.print(stdout, markdown)
	default:
		err = rep.print(stdout, aligned)
	}
	return err
}
