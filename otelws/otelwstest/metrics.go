package otelwstest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/otlptranslator"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// Metrics is a MeterProvider, and what it recorded as Prometheus would show
// it. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	provider *sdkmetric.MeterProvider
}

// NewMetrics returns Metrics with nothing in them. They are shut down at the
// end of the test.
func NewMetrics(tb testing.TB, opts ...sdkmetric.Option) *Metrics {
	tb.Helper()
	m := &Metrics{registry: prometheus.NewPedanticRegistry()}
	reader, err := otelprom.New(
		otelprom.WithRegisterer(m.registry),
		otelprom.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		otelprom.WithoutScopeInfo(),
		otelprom.WithoutTargetInfo(),
	)
	if err != nil {
		tb.Fatalf("otelwstest: failed to create the Prometheus exporter: %v", err)
	}
	m.provider = sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(reader))...)
	tb.Cleanup(func() { _ = m.provider.Shutdown(context.Background()) })
	return m
}

// MeterProvider is what the code under test records to.
func (m *Metrics) MeterProvider() metric.MeterProvider { return m.provider }

// Gatherer gives the metrics to code that takes a Prometheus registry.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Value returns the value of one sample, named as it stands in a scrape with
// its labels in alphabetical order (le comes last), and whether there is one.
func (m *Metrics) Value(sample string) (float64, bool) {
	for _, s := range m.samples() {
		if s.name == sample {
			return s.value, true
		}
	}
	return 0, false
}

// WaitDiff waits until Diff finds nothing, and fails the test with the last
// difference where that does not come about in ten seconds.
func (m *Metrics) WaitDiff(tb testing.TB, want string) {
	tb.Helper()
	for deadline := time.Now().Add(waiting); ; time.Sleep(time.Millisecond) {
		diff := m.Diff(want)
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("otelwstest: want -, got +:\n%s", diff)
		}
	}
}

// waiting bounds waits. A test that has to wait for so long has failed.
const waiting = 10 * time.Second

// Wait waits until the sample has the value, and fails the test where that does
// not come about in ten seconds. A connection ends on another goroutine than
// that of the test: Wait is how a test knows that it has.
func (m *Metrics) Wait(tb testing.TB, sample string, value float64) {
	tb.Helper()
	deadline := time.Now().Add(waiting)
	for {
		got, ok := m.Value(sample)
		if ok && got == value {
			return
		}
		if time.Now().After(deadline) {
			if !ok {
				tb.Fatalf("otelwstest: no sample %s came; there are:\n%s", sample, m.Changed())
			}
			tb.Fatalf("otelwstest: sample %s is %v, and did not become %v", sample, got, value)
		}
		time.Sleep(time.Millisecond)
	}
}

// Text returns every sample on a line of its own, in alphabetical order.
// Samples that depend on time have the value "~", and the buckets of such
// histograms are left out.
func (m *Metrics) Text() string { return text(m.samples(), func(sample) bool { return true }) }

// Changed is Text without the samples that are 0.
func (m *Metrics) Changed() string {
	return text(m.samples(), func(s sample) bool { return s.value != 0 })
}

// Diff returns the lines by which Changed differs from want, and "" where it
// does not: those that are missing marked -, those that are too many marked +.
// The order of lines, empty ones, and space around them do not count.
func (m *Metrics) Diff(want string) string {
	wanted, got := lines(want), lines(m.Changed())
	var diff []string
	for line := range wanted {
		if !got[line] {
			diff = append(diff, line+" -")
		}
	}
	for line := range got {
		if !wanted[line] {
			diff = append(diff, line+" +")
		}
	}
	slices.Sort(diff)
	var b strings.Builder
	for _, line := range diff {
		text, mark := line[:len(line)-2], line[len(line)-1:]
		fmt.Fprintf(&b, "%s %s\n", mark, text)
	}
	return b.String()
}

// WriteTo writes the Prometheus text exposition of the metrics.
func (m *Metrics) WriteTo(w io.Writer) (int64, error) {
	families, err := m.registry.Gather()
	if err != nil {
		return 0, fmt.Errorf("failed to gather: %w", err)
	}
	var written int64
	for _, f := range families {
		n, err := expfmt.MetricFamilyToText(w, f)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

type sample struct {
	name  string
	value float64
	timed bool
}

func (m *Metrics) samples() []sample {
	families, err := m.registry.Gather()
	if err != nil {
		return []sample{{name: "otelwstest: failed to gather: " + err.Error(), value: 1}}
	}
	var all []sample
	for _, f := range families {
		timed := strings.Contains(f.GetName(), "_seconds")
		for _, metric := range f.GetMetric() {
			all = append(all, samplesOf(f.GetName(), timed, metric)...)
		}
	}
	slices.SortFunc(all, func(a, b sample) int { return strings.Compare(a.name, b.name) })
	return all
}

func samplesOf(name string, timed bool, m *dto.Metric) []sample {
	labels := m.GetLabel()
	if h := m.GetHistogram(); h != nil {
		all := []sample{
			{name: name + "_count" + braces(labels), value: float64(h.GetSampleCount())},
			{name: name + "_sum" + braces(labels), value: h.GetSampleSum(), timed: timed},
		}
		for _, b := range h.GetBucket() {
			if timed {
				break
			}
			le := &dto.LabelPair{Name: new("le"), Value: new(strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))}
			all = append(all, sample{
				name:  name + "_bucket" + braces(append(slices.Clip(labels), le)),
				value: float64(b.GetCumulativeCount()),
			})
		}
		return all
	}
	var value float64
	switch {
	case m.GetGauge() != nil:
		value = m.GetGauge().GetValue()
	case m.GetCounter() != nil:
		value = m.GetCounter().GetValue()
	}
	return []sample{{name: name + braces(labels), value: value, timed: timed}}
}

func braces(labels []*dto.LabelPair) string {
	if len(labels) == 0 {
		return ""
	}
	pairs := make([]string, len(labels))
	for i, l := range labels {
		pairs[i] = fmt.Sprintf("%s=%q", l.GetName(), l.GetValue())
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func text(samples []sample, keep func(sample) bool) string {
	var b strings.Builder
	for _, s := range samples {
		if !keep(s) {
			continue
		}
		value := strconv.FormatFloat(s.value, 'g', -1, 64)
		if s.timed {
			value = "~"
		}
		fmt.Fprintf(&b, "%s %s\n", s.name, value)
	}
	return b.String()
}

func lines(text string) map[string]bool {
	all := make(map[string]bool)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all[line] = true
		}
	}
	return all
}
