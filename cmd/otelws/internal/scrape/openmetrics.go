package scrape

import (
	"errors"
	"slices"
	"strings"
)

// plainText converts OpenMetrics to Prometheus's text format, line by line. It drops exemplars, units
// and creation times, which the text format does not have.
//
// expfmt's decoder for OpenMetrics is not used: it takes 50 ms for a kilobyte, and rejects a gauge x
// beside a counter x_total, which Prometheus accepts and client_golang's own collector has.
func plainText(text []byte) ([]byte, error) {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if lines[len(lines)-1] != "# EOF" {
		return nil, errors.New("the text is cut off: OpenMetrics ends with # EOF")
	}
	var f openMetricsFamily
	for i, line := range lines {
		lines[i] = "" // keeps the line numbers for errors
		comment, isComment := strings.CutPrefix(line, "# ")
		if !isComment {
			f.sampled = true
			lines[i] = f.sample(line)
			continue
		}
		keyword, rest, _ := strings.Cut(comment, " ")
		name, rest, _ := strings.Cut(rest, " ")
		if name != f.name || f.sampled {
			f = openMetricsFamily{name: name}
		}
		switch keyword {
		case "TYPE":
			f.typ = rest
			lines[i] = "# TYPE " + f.plainName() + " " + f.plainType()
		case "HELP":
			f.help, f.helpAt = rest, i
		}
		// The help usually comes first, but the type decides the name.
		if f.typ != "" && f.help != "" {
			lines[f.helpAt] = "# HELP " + f.plainName() + " " + strings.ReplaceAll(f.help, `\"`, `"`)
			f.help = ""
		}
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// openMetricsFamily is the part of a family that has been read.
type openMetricsFamily struct {
	name, typ string
	help      string
	helpAt    int // its line
	sampled   bool
}

func (f *openMetricsFamily) plainName() string {
	switch f.typ {
	case "counter":
		return suffixed(f.name, "_total")
	case "info":
		return suffixed(f.name, "_info")
	}
	return f.name
}

// suffixed appends a suffix to a name, which may be in quotes.
func suffixed(name, suffix string) string {
	if bare, quoted := strings.CutSuffix(name, `"`); quoted {
		return bare + suffix + `"`
	}
	return name + suffix
}

func (f *openMetricsFamily) plainType() string {
	switch f.typ {
	case "counter", "gauge", "histogram", "summary":
		return f.typ
	case "info", "stateset":
		return "gauge"
	}
	return "untyped"
}

// sample returns the series and the value of a sample's line.
func (f *openMetricsFamily) sample(line string) string {
	end := seriesEnd(line)
	name := strings.TrimPrefix(line[:end], "{")
	if created := suffixed(f.name, "_created"); strings.HasPrefix(name, created) &&
		slices.Contains([]string{"counter", "histogram", "summary"}, f.typ) {
		return ""
	}
	value, _, _ := strings.Cut(strings.TrimLeft(line[end:], " "), " ")
	return line[:end] + " " + value
}

// seriesEnd returns the end of the name and the labels of a sample.
func seriesEnd(line string) int {
	quoted, escaped, depth := false, false, 0
	for i, c := range line {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ' ' && depth == 0:
			return i
		}
	}
	return len(line)
}
