// Package scrape reads metrics in Prometheus's text format and in OpenMetrics, from an address, a file
// or standard input. It limits size and time.
package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/otelws/otelws-go/cmd/otelws/internal/dial"
)

// MaxSize is the maximum size of a scrape in bytes, after decompression.
const MaxSize = 32 << 20

// Scrape holds the metrics of a source at one time.
type Scrape struct {
	// Families are the metrics by their Prometheus names. A family with a # TYPE line and no sample has
	// no metrics.
	Families map[string]*dto.MetricFamily
	Bytes    int
	Took     time.Duration // until the last byte
	// ContentType is the content type of the response. It is empty for a file.
	ContentType string
	// OpenMetrics reports whether the scrape is in that format.
	OpenMetrics bool
}

// Parse reads metrics in the text format or in OpenMetrics. Names may be UTF-8. Without a content
// type, as for a file, the last line decides about the format.
func Parse(text []byte, contentType string) (*Scrape, error) {
	s := &Scrape{Families: map[string]*dto.MetricFamily{}, Bytes: len(text), ContentType: contentType}
	switch start := bytes.TrimSpace(text[:min(len(text), 1024)]); {
	case len(start) == 0:
		return nil, errors.New("empty: there are no metrics")
	case start[0] == '<':
		return nil, errors.New("HTML or XML, not metrics: give the address of the metrics, often /metrics")
	case start[0] == '{' || start[0] == '[':
		return nil, errors.New("JSON, not metrics: give the address of the metrics, often /metrics")
	case bytes.IndexByte(start, 0) >= 0:
		return nil, errors.New("binary data, not metrics as text: give the address of the metrics, often /metrics")
	}
	if err := s.decode(text); err != nil {
		return nil, fmt.Errorf("invalid metrics: %s", dial.OneLine(strings.Join(strings.Fields(err.Error()), " ")))
	}
	if len(s.Families) == 0 {
		return nil, errors.New("only comments: there are no metrics")
	}
	return s, nil
}

// Names returns the names of the families in alphabetical order.
func (s *Scrape) Names() []string {
	names := make([]string, 0, len(s.Families))
	for name := range s.Families {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Series returns the number of time series of the scrape.
func (s *Scrape) Series() int {
	n := 0
	for _, f := range s.Families {
		n += Series(f, f.GetMetric()...)
	}
	return n
}

// Series returns the number of time series of metrics of family f. A histogram has one for each
// bucket, and two more.
func Series(f *dto.MetricFamily, metrics ...*dto.Metric) int {
	n := 0
	for _, m := range metrics {
		switch f.GetType() {
		case dto.MetricType_HISTOGRAM:
			n += len(m.GetHistogram().GetBucket()) + 2
		case dto.MetricType_SUMMARY:
			n += len(m.GetSummary().GetQuantile()) + 2
		default:
			n++
		}
	}
	return n
}

// Value returns the value of a gauge, a counter, or a sample without a type.
func Value(m *dto.Metric) float64 {
	switch {
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	}
	return m.GetUntyped().GetValue()
}

// Sum returns the sum over all series of a family with the given labels. labels are alternating names
// and values. ok is false if there are no such series.
func (s *Scrape) Sum(name string, labels ...string) (sum float64, ok bool) {
	for _, m := range s.Families[name].GetMetric() {
		if has(m, labels) {
			sum += Value(m)
			ok = true
		}
	}
	return sum, ok
}

// Histogram returns the sums of the counts and of the sums over all series of a histogram.
func (s *Scrape) Histogram(name string) (count uint64, sum float64, ok bool) {
	for _, m := range s.Families[name].GetMetric() {
		count += m.GetHistogram().GetSampleCount()
		sum += m.GetHistogram().GetSampleSum()
		ok = true
	}
	return count, sum, ok
}

func has(m *dto.Metric, labels []string) bool {
	for i := 0; i+1 < len(labels); i += 2 {
		if Label(m, labels[i]) != labels[i+1] {
			return false
		}
	}
	return true
}

// Label returns the value of a label. It is empty if the label is missing.
func Label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
